"""The session manager: admits principals, numbers their sessions, ends them together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Any

from console.events import EventBus
from console.interfaces import Evaluator, Frontend, FrontendHost, Principal, Terminal
from console.sessions.history import HistoryStore
from console.sessions.preferences import PreferenceStore
from console.sessions.session import Session

logger = logging.getLogger("console.sessions")

MakeFrontend = Callable[[FrontendHost], Frontend]
MakeEvaluator = Callable[[Session], Evaluator]


class SessionManager:
    """Opens a session for each principal and knows those that are open.

    Lives on the console's loop.
    """

    def __init__(
        self,
        *,
        namespace: dict[str, Any],
        history: HistoryStore,
        preferences: PreferenceStore,
        events: EventBus,
        make_frontend: MakeFrontend,
        make_evaluator: MakeEvaluator,
        greeting: Callable[[Principal], str],
        pending_output_characters: int,
    ) -> None:
        self._namespace = namespace
        self._history = history
        self._preferences = preferences
        self._events = events
        self._make_frontend = make_frontend
        self._make_evaluator = make_evaluator
        self._greeting = greeting
        self._pending_output_characters = pending_output_characters
        self._sessions: dict[int, Session] = {}
        self._count = 0
        self._draining = False

    @property
    def sessions(self) -> Iterable[Session]:
        """The open sessions, oldest first."""
        return tuple(self._sessions.values())

    def admit(self, principal: Principal, terminal: Terminal) -> None:
        """Open a session for a principal on its terminal. The terminal is ended if that fails."""
        if self._draining:
            terminal.close(1)
            return
        self._count += 1
        try:
            session = Session(
                number=self._count,
                principal=principal,
                terminal=terminal,
                namespace=self._namespace,
                history=self._history.for_user(principal.user),
                choices=self._preferences.for_session(principal.user),
                events=self._events,
                greeting=self._greeting(principal),
                pending_output_characters=self._pending_output_characters,
            )
            evaluator = self._make_evaluator(session)
            frontend = self._make_frontend(session)
        except Exception:  # the edge "connection": the transport must go on
            logger.exception("cannot open a session for %r", principal.user)
            terminal.close(1)
            return
        self._sessions[session.number] = session
        session.open(frontend, evaluator, self._closed)

    async def end_all(self, notice: str, timeout_seconds: float) -> None:
        """Refuse new sessions and end those that are open; by force after the timeout."""
        self._draining = True
        sessions = list(self._sessions.values())
        for session in sessions:
            session.end(notice)
        if not sessions:
            return
        tasks = [asyncio.ensure_future(session.closed()) for session in sessions]
        _, late = await asyncio.wait(tasks, timeout=timeout_seconds)
        for session in tuple(self._sessions.values()):
            session.abort()
        if late:
            await asyncio.wait(late, timeout=timeout_seconds)

    def _closed(self, session: Session) -> None:
        self._sessions.pop(session.number, None)
