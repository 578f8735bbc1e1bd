"""Events: what happens in a console, as values that a service can subscribe to.

Pass subscribers to `console.Console`::

    from console.events import Event, LoginFailed

    def count(event: Event) -> None:
        if isinstance(event, LoginFailed):
            failures.inc()

    Console("shop", subscribers=[count], ...)

A subscriber of a service runs on a thread of the console's own, a moment after the event; see
``docs/events.md`` for threads, queues and drops. The console's own subscribers (the audit log, the
mirror of exceptions) run in place: each has returned before what the event announces happens, and
before the service's subscribers get the event.

What a peer has sent (``user`` before login, ``reason``, ``source``, ``traceback``) is in an event
as it came. Escape it before it is shown at a terminal or written to a log.
"""

from __future__ import annotations

import logging
import time
import traceback as tracebacks
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

from console.text import quoted

__all__ = [
    "AccessEnded",
    "ConnectionDropped",
    "Event",
    "ExceptionShown",
    "LoginFailed",
    "LoginSucceeded",
    "SessionClosed",
    "SessionEvent",
    "SessionKicked",
    "SessionOpened",
    "SessionRefused",
    "StatementFinished",
    "StatementStarted",
    "Subscriber",
]

logger = logging.getLogger("console.events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened: the base of all events.

    Attributes:
        transport: ``telnet``, ``telnets`` or ``ssh``; ``startup`` for the console's startup file.
        peer: The address of the client, as text; for ``startup`` the path of the file.
        at: When it happened, in seconds since the epoch. Not compared.
    """

    transport: str
    peer: str
    at: float = field(default_factory=time.time, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionDropped(Event):
    """The console ended a connection that broke a rule, before or after login.

    Of one source ten a minute are reported one by one, then their number once a minute.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFailed(Event):
    """A login was refused.

    Attributes:
        user: The name as the client sent it, which may be any text, or a password typed by mistake.
        method: ``password``, ``publickey`` or another of the transport's.
        reason: Why.
    """

    user: str
    method: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginSucceeded(Event):
    """A user has proved an identity.

    Attributes:
        user: The user's name.
        method: As in `LoginFailed`.
        detail: The key or certificate, where one was used; else empty.
    """

    user: str
    method: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEvent(Event):
    """Something that happened in a session.

    Attributes:
        session: The number of the session; 0 for the console's startup file.
        user: The user's name; empty for the console's startup file.
    """

    session: int
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOpened(SessionEvent):
    """A session began.

    Attributes:
        role: ``viewer``, ``operator`` or ``admin``.
        frontend: ``fullscreen``, ``words`` (a viewer's), ``line`` or ``once`` (a command, or
            statements on stdin).
    """

    role: str
    frontend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionClosed(SessionEvent):
    """A session ended, and nothing of it runs any more but statements that were left behind."""

    role: str
    reason: str
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionRefused(Event):
    """A user has logged in and was not given a session: there are as many as there may be."""

    user: str
    role: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionKicked(SessionEvent):
    """An admin ended the session of another user.

    Attributes:
        by: The admin's name.
        reason: As the admin typed it; may be empty.
    """

    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessEnded(SessionEvent):
    """A session is ended because its user was removed or lowered, or the key revoked.

    Attributes:
        reason: What has changed.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementStarted(SessionEvent):
    """A statement is about to run. `StatementFinished` follows, unless the process ends first.

    Attributes:
        statement: Its number in the session; 0 for a startup file.
        source: Its text; where it looks like a secret, only how long it is.
    """

    statement: int
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementFinished(SessionEvent):
    """A statement ended, or its session did while it ran.

    Attributes:
        statement: The number that its `StatementStarted` has.
        kind: ``nothing``, ``value``, ``exception``, ``interrupted``, ``exit``; ``abandoned`` if the
            session ended first: the statement may go on.
        duration_seconds: From its start on.
    """

    statement: int
    kind: str
    duration_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionShown(SessionEvent):
    """A statement raised, and its session was shown the traceback.

    Attributes:
        error_id: Stands in the session and in the log.
        traceback: As it was shown; not shown where the statement looks like a secret.
    """

    error_id: str
    traceback: str


Subscriber = Callable[[Event], None]
"""Called with each event. The return value is ignored; an ``async def`` function is refused."""


def source_shown(source: str, *, secret: bool) -> str:
    """Return a statement's source for events and the list of statements; redacted if secret."""
    # That something ran, and how long it was, is no secret.
    return f"({len(source)} characters, not shown as a secret)" if secret else source


class SessionFields(TypedDict):
    """The common fields of a session's events: ``SessionOpened(**fields, role=...)``."""

    transport: str
    peer: str
    session: int
    user: str


class EventBus:
    """Passes each event to every subscriber, synchronously and in the order of subscription.

    A subscriber runs on the publisher's thread, which is usually that of the console's loop, so it
    must not block.
    """

    def __init__(self) -> None:
        self._subscribers: tuple[Subscriber, ...] = ()

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber. Call before anything is published."""
        self._subscribers += (subscriber,)

    def publish(self, event: Event) -> None:
        """Call every subscriber with an event, and return when all calls have returned.

        Safe to call from any thread; never raises.
        """
        for subscriber in self._subscribers:
            try:
                subscriber(event)
            except Exception:  # noqa: BLE001 - the edge "event sink": it must not end a session
                logger.error(  # noqa: TRY400 - what a peer sent may be in the traceback: quoted
                    "an event subscriber failed on %s:\n%s",
                    type(event).__name__,
                    quoted(tracebacks.format_exc()),
                )
