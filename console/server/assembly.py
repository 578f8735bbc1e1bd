"""The composition root: makes and connects the objects of login and sessions.

It is loaded at the first connection, or at the start if there is a startup file to run. So a
service whose console is not used does not pay for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import socket
import time
from collections.abc import Callable
from typing import Any, Final

from console._version import __version__
from console.audit.log import log_event, mirror_exception
from console.audit.logged_output import LoggedOutput
from console.auth.authenticator import Authenticator
from console.auth.guessing.throttle import source_of
from console.commands.context import CommandContext
from console.commands.discovery import discover
from console.commands.inspection import Inspection
from console.commands.names import session_names
from console.commands.viewer import ViewerEvaluator
from console.evaluation.compiler import SourceCache
from console.evaluation.evaluator import SessionEvaluator
from console.evaluation.host_loop import HostLoop
from console.evaluation.loop_probe import LoopProbe
from console.evaluation.statements import Statements
from console.events import EventBus
from console.frontends.choice import choose_frontend
from console.interfaces.credentials import Principal, Role
from console.interfaces.frontends import Preferences, SessionChoices
from console.interfaces.statements import Evaluator, InputSource, OutputSink
from console.interfaces.transports import TransportContext
from console.introspect.process import process_started_at
from console.patches.journal import PatchJournal
from console.results.pager import page_text
from console.server.plan import Plan
from console.server.subscribers import Subscribers
from console.sessions.admission import refusal
from console.sessions.greeting import Greeted, greeting
from console.sessions.history import HistoryStore
from console.sessions.logins import LoginBook
from console.sessions.manager import SessionManager
from console.sessions.preferences import PreferenceStore, SessionPreferences
from console.sessions.session import Session
from console.sessions.startup import ConsoleStartup, StartupFile, UserStartup
from console.transports.drop_log import DropLog
from console.transports.unauthenticated import UnauthenticatedConnections

startup_logger = logging.getLogger("console.startup")

_CLOSE_SUBSCRIBERS_SECONDS = 0.3
"""At a stop, the service's subscribers have this long for queued events. Part of STOP_SECONDS."""

_END_SESSIONS_SECONDS = 1.0
"""At a stop, sessions have this long to close before they are aborted. Under half of
STOP_SECONDS, as an abort may take as long again."""

COMMANDS: Final = discover()
"""All commands. Their modules are imported with this one, on the thread that loads it."""


class Assembly:
    """Login and sessions of one console. Lives on the console's loop.

    Args:
        plan: What the console serves.
        host: The loop of the service.
        journal: The journal of patches.
        started_at: When the console started, in seconds since the epoch.
        reload: Reads host keys and certificates again, for admins. It blocks.

    Attributes:
        context: The objects and limits for the transports.
    """

    def __init__(
        self,
        plan: Plan,
        *,
        host: HostLoop,
        journal: PatchJournal,
        started_at: float,
        reload: Callable[[], str],
    ) -> None:
        self._plan = plan
        self._host = host
        self._journal = journal
        self._started_at = started_at
        self._reload = reload
        self._sources = SourceCache()
        self._statements = Statements()
        self._loop_probe = LoopProbe(host)
        self._logins = LoginBook(plan.history)
        self._history = HistoryStore(plan.history, plan.sessions.secrets)
        self._startup: ConsoleStartup | None = None
        self._loop = asyncio.get_running_loop()
        self._subscribers = Subscribers(plan.subscribers, self._call_later)
        # The console's subscribers run synchronously, and get an event before the service's do.
        events = self._events = EventBus()
        for subscriber in (log_event, mirror_exception, self._logins.on_event):
            events.subscribe(subscriber)
        if plan.subscribers:
            events.subscribe(self._subscribers.deliver)
        self._authenticator = Authenticator(plan.credentials, events, plan.login)
        self._manager = SessionManager(
            namespace=plan.namespace,
            viewer_commands=COMMANDS.words(Role.VIEWER),
            history=self._history,
            preferences=PreferenceStore(plan.history),
            startup=UserStartup(plan.keys, for_commands=plan.sessions.startup_for_commands),
            events=events,
            make_frontend=functools.partial(choose_frontend, default=plan.evaluation.frontend),
            make_evaluator=self._make_evaluator,
            greeting=self._greeting,
            pending_output_characters=plan.evaluation.pending_output_characters,
            settings=plan.sessions,
            look_up=self._authenticator.look_up,
        )
        drops = DropLog(events, source_of, self._loop.call_later)
        self.context = TransportContext(
            authenticator=self._authenticator,
            unauthenticated=UnauthenticatedConnections(
                drops=drops,
                source_of=source_of,
                most=plan.login.connections,
                most_per_source=plan.login.connections_per_source,
                standing=self._authenticator.standing,
            ),
            admit=self._manager.admit,
            drops=drops,
            logged_in=self._manager.connections,
            grace_seconds=plan.login.grace_seconds,
            banner=f"{plan.name}\nconsole {__version__}\n",
            too_many=functools.partial(refusal, plan.sessions, what="connections"),
            keepalive_seconds=plan.sessions.keepalive_seconds,
        )

    async def end_sessions(self) -> None:
        """Tell the open sessions that the console stops, and end them."""
        if self._startup is not None:
            self._startup.close()
        notice = f"{self._plan.name} is stopping this console."
        await self._manager.end_all(notice, _END_SESSIONS_SECONDS)

    def close(self) -> None:
        """Write pending data to disk, and clear the cache of the statements' sources."""
        self._sources.clear()
        self._logins.close()
        self._history.close()
        self._authenticator.close()
        self._subscribers.close(_CLOSE_SUBSCRIBERS_SECONDS)

    def run_startup(self, file: StartupFile) -> None:
        """Start to run the console's startup file, with the role of an operator."""
        names: dict[str, Any] = {}
        output = LoggedOutput(startup_logger, str(file.path))
        evaluator = self._evaluator(0, names, output, None)
        choices = SessionPreferences(
            Preferences(), lambda *_: "the console's startup file chose it"
        )
        who = f"startup file {file.path}"
        principal = Principal(user=who, transport="", peer="", method="", role=Role.OPERATOR)
        names.update(session_names(self._command_context(0, principal, evaluator, choices, who)))
        secret = self._history.is_secret(file.source)
        self._startup = ConsoleStartup(file, evaluator, self._events, secret=secret)

    def _call_later(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function later on the loop. Safe to call from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has stopped
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, call)

    # ---- the objects of a session

    def _make_evaluator(self, session: Session) -> Evaluator:
        principal, number = session.principal, session.number
        if principal.role is Role.VIEWER:
            return ViewerEvaluator(
                principal=principal,
                session=number,
                commands=COMMANDS,
                inspection=self._inspection(number, sources=False),
                result_characters=self._plan.evaluation.result_characters,
            )
        terminal = session.terminal
        names: dict[str, Any] = {}
        is_script = terminal.command is None and not terminal.kind.interactive
        evaluator = self._evaluator(
            number,
            names,
            session.output,
            session.input,
            bare_words=frozenset() if is_script else COMMANDS.bare_words,
        )
        if session.preferences.mode:
            evaluator.set_mode(session.preferences.mode)
        who = f"{principal.user} over {principal.transport} from {principal.peer}"
        context = self._command_context(number, principal, evaluator, session.choices, who)
        names.update(session_names(context))
        return evaluator

    def _command_context(
        self,
        session: int,
        principal: Principal,
        evaluator: SessionEvaluator,
        choices: SessionChoices,
        who: str,
    ) -> CommandContext:
        return CommandContext(
            principal=principal,
            session=session,
            commands=COMMANDS,
            inspection=self._inspection(session, sources=True),
            show=print,
            page=page_text,
            evaluator=evaluator,
            host=self._host,
            journal=self._journal,
            choices=choices,
            who=who,
            kick=self._manager.kick,
            reload=self._reload,
        )

    def _inspection(self, session: int, *, sources: bool) -> Inspection:
        return Inspection(
            session=session,
            sessions=self._manager.facts,
            host=self._host,
            statements=self._statements,
            journal=self._journal,
            started_at=self._started_at,
            sources=sources,
        )

    def _evaluator(
        self,
        session: int,
        names: dict[str, Any],
        sink: OutputSink,
        source: InputSource | None,
        *,
        bare_words: frozenset[str] = frozenset(),
    ) -> SessionEvaluator:
        return SessionEvaluator(
            session=session,
            namespace=self._plan.namespace,
            names=names,
            sink=sink,
            source=source,
            host=self._host,
            sources=self._sources,
            settings=self._plan.evaluation,
            statements=self._statements,
            bare_words=bare_words,
        )

    async def _greeting(self, session: Session) -> str:
        startup = "" if self._startup is None else self._startup.notice
        now, started_at = time.time(), process_started_at()
        others = [one.principal.user for one in self._manager.sessions if one is not session]
        return greeting(
            Greeted(
                principal=session.principal,
                name=self._plan.name,
                version=__version__,
                host=socket.gethostname(),
                process=os.getpid(),
                up_seconds=None if started_at is None else now - started_at,
                last=self._logins.opened(session.principal, now),
                others=others,
                patches=len(self._journal.glance()),
                silent_seconds=await self._loop_probe.silent_seconds(),
                notice=self._plan.notice() + startup,
                now=now,
            )
        )
