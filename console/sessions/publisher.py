"""The events of one session, each with its fields."""

from __future__ import annotations

from console.events import (
    EventBus,
    ExceptionShown,
    SessionClosed,
    SessionOpened,
    StatementFinished,
    StatementStarted,
)
from console.interfaces.credentials import Principal
from console.interfaces.statements import Outcome


class SessionPublisher:
    """Publishes what happens in a session. The subscribers run before a call returns."""

    def __init__(self, events: EventBus, session: int, principal: Principal) -> None:
        self._events = events
        self._session = session
        self._principal = principal

    def opened(self, frontend: str) -> None:
        """The session begins, with a frontend of this name."""
        principal = self._principal
        self._events.publish(
            SessionOpened(
                transport=principal.transport,
                peer=principal.peer,
                session=self._session,
                user=principal.user,
                role=principal.role.value,
                frontend=frontend,
            )
        )

    def closed(self, reason: str, duration_seconds: float) -> None:
        """The session has ended."""
        principal = self._principal
        self._events.publish(
            SessionClosed(
                transport=principal.transport,
                peer=principal.peer,
                session=self._session,
                user=principal.user,
                role=principal.role.value,
                reason=reason,
                duration_seconds=duration_seconds,
            )
        )

    def statement_started(self, statement: int, source: str) -> None:
        """A statement is about to run; ``source`` is what may be told of it."""
        principal = self._principal
        self._events.publish(
            StatementStarted(
                transport=principal.transport,
                peer=principal.peer,
                session=self._session,
                user=principal.user,
                statement=statement,
                source=source,
            )
        )

    def statement_finished(self, statement: int, outcome: Outcome, duration_seconds: float) -> None:
        """A statement has its outcome."""
        principal = self._principal
        self._events.publish(
            StatementFinished(
                transport=principal.transport,
                peer=principal.peer,
                session=self._session,
                user=principal.user,
                statement=statement,
                kind=outcome.kind.value,
                duration_seconds=duration_seconds,
            )
        )

    def exception_shown(self, error_id: str, traceback: str) -> None:
        """A statement raised; ``traceback`` is what may be told of it."""
        principal = self._principal
        self._events.publish(
            ExceptionShown(
                transport=principal.transport,
                peer=principal.peer,
                session=self._session,
                user=principal.user,
                error_id=error_id,
                traceback=traceback,
            )
        )
