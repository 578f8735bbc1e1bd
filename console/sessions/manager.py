"""The session manager: admits principals, numbers their sessions, ends them together."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from console.config.settings import SessionSettings
from console.errors import NoSuchSession
from console.events import AccessEnded, EventBus, SessionKicked, SessionRefused
from console.interfaces.credentials import Access, Principal, Role
from console.interfaces.statements import Evaluator
from console.interfaces.terminals import Terminal
from console.interfaces.transports import LoggedInConnection
from console.introspect.sessions import SessionFacts
from console.sessions.access import AccessWatch
from console.sessions.admission import refusal
from console.sessions.connections import OpenConnections
from console.sessions.history import HistoryStore
from console.sessions.idle import IdleLimit
from console.sessions.preferences import PreferenceStore
from console.sessions.session import Greet, Opening, Session, SessionState
from console.sessions.startup import UserStartup
from console.sessions.terminal import MakeFrontend
from console.text import escape_line

logger = logging.getLogger("console.sessions")

_END_SECONDS = 2.0
"""A session that an admin ends has this long to close; then it is aborted. Statements are left
behind sooner, so only a client that does not read takes longer."""

MakeEvaluator = Callable[[Session], Evaluator]


class SessionManager:
    """Opens a session for each principal and knows those that are open.

    Lives on the console's loop.

    Args:
        namespace: The namespace of the statements, for the sessions of operators and admins.
        viewer_commands: The commands that viewers may call.
    """

    def __init__(
        self,
        *,
        namespace: dict[str, Any],
        viewer_commands: tuple[str, ...],
        history: HistoryStore,
        preferences: PreferenceStore,
        startup: UserStartup,
        events: EventBus,
        make_frontend: MakeFrontend,
        make_evaluator: MakeEvaluator,
        greeting: Greet,
        pending_output_characters: int,
        settings: SessionSettings,
        look_up: Callable[[Principal], Awaitable[Access]],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._namespace = namespace
        self._viewer_commands = viewer_commands
        self._history = history
        self._preferences = preferences
        self._opening = Opening(greeting, startup)
        self._events = events
        self._make_frontend = make_frontend
        self._make_evaluator = make_evaluator
        self._pending_output_characters = pending_output_characters
        self._sessions: dict[int, Session] = {}
        self._idle_limits: dict[int, IdleLimit] = {}
        self._numbers = itertools.count(1)
        self._access = AccessWatch(look_up, enabled=settings.end_with_access)
        self.connections = OpenConnections(self._numbers, self._access)
        self._draining = False

    @property
    def sessions(self) -> Iterable[Session]:
        """The open sessions, oldest first."""
        return tuple(self._sessions.values())

    def facts(self) -> tuple[SessionFacts, ...]:
        """Tell of the open sessions, oldest first, and of the connections without one.

        Safe to call from any thread.
        """
        sessions = tuple(session.facts() for session in tuple(self._sessions.values()))
        return sessions + tuple(self.connections.facts())

    def admit(self, principal: Principal, terminal: Terminal) -> None:
        """Open a session for a principal on its terminal, or refuse it and close the terminal."""
        if self._draining:
            terminal.close(1)
            return
        present = [session.principal for session in self._sessions.values()]
        reason = refusal(self._settings, principal, present)
        if reason:
            self._refuse(principal, terminal, reason)
            return
        looks_only = principal.role is Role.VIEWER
        try:
            session = Session(
                number=next(self._numbers),
                principal=principal,
                terminal=terminal,
                # A viewer's session gets an empty namespace, so that none of it is reachable.
                namespace={} if looks_only else self._namespace,
                commands=self._viewer_commands if looks_only else (),
                history=self._history.for_user(principal.user),
                choices=self._preferences.for_session(principal.user),
                events=self._events,
                make_frontend=self._make_frontend,
                pending_output_characters=self._pending_output_characters,
            )
            evaluator = self._make_evaluator(session)
            frontend = self._make_frontend(session, None)
        except Exception:  # the edge "connection": the transport must go on
            logger.exception("cannot open a session for %r", principal.user)
            terminal.close(1)
            return
        self._sessions[session.number] = session
        if self._settings.idle_seconds is not None:
            limit = IdleLimit(session, self._settings.idle_seconds)
            self._idle_limits[session.number] = limit
        self._access.note_session(session.number, principal)
        self._access.add(session, functools.partial(self._end_access, session))
        session.open(frontend, evaluator, self._opening, self._closed)

    def kick(self, number: int, reason: str, by: Principal, own: int) -> str:
        """End a session in order, and tell its user which admin ended it and why.

        Safe to call from any thread. Returns at once, with a sentence for the admin.

        Args:
            number: The session's.
            reason: For the user and the log; may be empty.
            by: The admin.
            own: The number of the admin's own session.

        Raises:
            NoSuchSession: If no such session is open, or it is the admin's own.
        """
        connection = self.connections.find(number)
        if connection is not None and (principal := connection.principal) is not None:
            self._loop.call_soon_threadsafe(
                self._kick_connection, number, connection, principal, by.user, reason
            )
            return f"connection {number} of {escape_line(principal.user)} is being ended"
        session = self._sessions.get(number)
        if session is None:
            raise NoSuchSession(number, "is not open", "who() lists those that are")
        if number == own:
            raise NoSuchSession(number, "is your own", "exit() leaves it")
        self._loop.call_soon_threadsafe(self._kick, session, by.user, reason)
        return f"session {number} of {escape_line(session.principal.user)} is being ended"

    async def end_all(self, notice: str, timeout_seconds: float) -> None:
        """Refuse new sessions and end those that are open; by force after the timeout."""
        self._draining = True
        self._access.close()
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

    def _kick_connection(
        self, number: int, connection: LoggedInConnection, principal: Principal, *told: str
    ) -> None:
        by, reason = told
        self._events.publish(
            SessionKicked(
                transport=principal.transport,
                peer=principal.peer,
                session=number,
                user=principal.user,
                by=by,
                reason=reason,
            )
        )
        why = f": {escape_line(reason)}" if reason else ""
        connection.end_access(f"{escape_line(by)} has ended this connection{why}")

    def _end_access(self, session: Session, reason: str) -> None:
        """End a session whose user has lost the access, and say so."""
        if session.state is not SessionState.OPEN:
            return
        principal = session.principal
        self._events.publish(
            AccessEnded(
                transport=principal.transport,
                peer=principal.peer,
                session=session.number,
                user=principal.user,
                reason=reason,
            )
        )
        session.end(f"your access has ended: {escape_line(reason)}")
        self._loop.call_later(_END_SECONDS, self._cut, session)

    def _kick(self, session: Session, by: str, reason: str) -> None:
        if session.state is not SessionState.OPEN:  # it is ending already
            return
        principal = session.principal
        self._events.publish(
            SessionKicked(
                transport=principal.transport,
                peer=principal.peer,
                session=session.number,
                user=principal.user,
                by=by,
                reason=reason,
            )
        )
        why = f": {escape_line(reason)}" if reason else ""
        session.end(f"{escape_line(by)} has ended this session{why}")
        self._loop.call_later(_END_SECONDS, self._cut, session)
        # Otherwise the client could open another session on this connection, without a login.
        self._loop.call_later(_END_SECONDS, session.terminal.disconnect)

    def _cut(self, session: Session) -> None:
        if session.number in self._sessions:
            session.abort()

    def _refuse(self, principal: Principal, terminal: Terminal, reason: str) -> None:
        self._events.publish(
            SessionRefused(
                transport=principal.transport,
                peer=principal.peer,
                user=principal.user,
                role=principal.role.value,
                reason=reason,
            )
        )
        end = "\r\n" if terminal.kind.interactive else "\n"
        terminal.write(f"no session: {reason}{end}".encode(), error=True)
        terminal.close(1)

    def _closed(self, session: Session) -> None:
        self._sessions.pop(session.number, None)
        self._access.remove(session)
        limit = self._idle_limits.pop(session.number, None)
        if limit is not None:
            limit.close()
