"""The events of one session, each with its fields."""

from __future__ import annotations

from console.events import (
    EventBus,
    ExceptionShown,
    SessionClosed,
    SessionFields,
    SessionOpened,
    StatementFinished,
    StatementStarted,
)
from console.interfaces.credentials import Principal


class SessionPublisher:
    """Publishes what happens in a session. The subscribers run before a call returns."""

    def __init__(self, events: EventBus, session: int, principal: Principal) -> None:
        self._events = events
        self._role = principal.role.value
        self._fields: SessionFields = {
            "transport": principal.transport,
            "peer": principal.peer,
            "session": session,
            "user": principal.user,
        }

    def opened(self, frontend: str) -> None:
        """The session begins, with a frontend of this name."""
        self._events.publish(SessionOpened(**self._fields, role=self._role, frontend=frontend))

    def closed(self, reason: str, duration_seconds: float) -> None:
        """The session has ended."""
        self._events.publish(
            SessionClosed(
                **self._fields, role=self._role, reason=reason, duration_seconds=duration_seconds
            )
        )

    def statement_started(self, statement: int, source: str) -> None:
        """A statement is about to run; ``source`` is redacted if it may hold a secret."""
        self._events.publish(StatementStarted(**self._fields, statement=statement, source=source))

    def statement_finished(self, statement: int, kind: str, duration_seconds: float) -> None:
        """A statement has an outcome of this kind, or its session has ended first."""
        self._events.publish(
            StatementFinished(
                **self._fields, statement=statement, kind=kind, duration_seconds=duration_seconds
            )
        )

    def exception_shown(self, error_id: str, traceback: str) -> None:
        """A statement raised; ``traceback`` is redacted if the statement may hold a secret."""
        self._events.publish(ExceptionShown(**self._fields, error_id=error_id, traceback=traceback))
