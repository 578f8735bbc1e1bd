"""What happens in a console, as values: each fact on the way from connection to outcome.

The parts of a console publish events; the audit log and the mirror of exceptions subscribe.
A subscriber runs in the publisher's thread and must be quick and safe to call from any thread.
One that raises is logged and skipped: an event sink never harms a session.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

logger = logging.getLogger("console.events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened. ``peer`` is the other end's address, as text."""

    transport: str
    peer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionDropped(Event):
    """A connection was ended by us for breaking a rule, before or after login."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFailed(Event):
    """Somebody was turned away. ``user`` is as the peer sent it: escape it before showing it."""

    user: str
    method: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSucceeded(Event):
    """Somebody proved who they are. ``detail`` names the key, where one was used."""

    user: str
    method: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent(Event):
    """Something that happened in the session with this number."""

    session: int
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(SessionEvent):
    """A session began. ``frontend`` names how it is shown: fullscreen, line or once."""

    role: str
    frontend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(SessionEvent):
    """A session ended."""

    role: str
    reason: str
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefused(Event):
    """Somebody who proved who they are was not given a session."""

    user: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKicked(SessionEvent):
    """An admin ended somebody's session. ``reason`` is as the admin typed it; it may be empty."""

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEnded(SessionEvent):
    """A session is ended because its user was removed or lowered, or the key revoked."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementStarted(SessionEvent):
    """A statement is about to run. ``source`` is as the peer sent it."""

    statement: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFinished(SessionEvent):
    """A statement ended. ``kind`` is the name of its outcome's kind, in lower case."""

    statement: int
    kind: str
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionShown(SessionEvent):
    """A statement raised, and its session was shown ``traceback`` under ``error_id``."""

    error_id: str
    traceback: str


Subscriber = Callable[[Event], None]


class EventBus:
    """Hands each event to every subscriber, in the order of subscription."""

    def __init__(self) -> None:
        self._subscribers: tuple[Subscriber, ...] = ()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber. Call before anything is published."""
        self._subscribers += (subscriber,)

    def publish(self, event: Event) -> None:
        """Hand an event to every subscriber. Safe to call from any thread; never raises."""
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # the edge "event sink": a broken sink must not end a session
                logger.exception("an event subscriber failed on %s", type(event).__name__)
