"""What runs on the console's thread: listeners, login, sessions, wired together.

`Server` opens everything in an order in which each thing that can fail comes before what it would
disturb, and each thing opened says how it is closed; closing is the same order backwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import selectors
import socket
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console._version import __version__
from console.audit.log import FallbackHandler, log_event, mirror_exception
from console.auth.authenticator import Authenticator
from console.auth.throttle import source_of
from console.config import EvaluationSettings, ListenSettings, LoginSettings, SessionSettings
from console.evaluation.commands import admin_names, inspection_names
from console.evaluation.compiler import SourceCache
from console.evaluation.evaluator import SessionEvaluator
from console.evaluation.hooks import hooks
from console.evaluation.host import HostLoop
from console.evaluation.inspection import Inspection
from console.evaluation.leftover import Statements
from console.evaluation.names import private_names
from console.evaluation.pulse import Pulse
from console.evaluation.viewer import ViewerEvaluator
from console.events import EventBus
from console.frontends.choice import choose_frontend
from console.interfaces import (
    CredentialStore,
    Evaluator,
    InputSource,
    OutputSink,
    Preferences,
    Role,
    SessionChoices,
)
from console.introspect.process import process_started_at
from console.listening import Door, Listener, Shared, Transport, bind
from console.namespace import Namespace
from console.patches import PatchJournal
from console.sessions.admission import refusal
from console.sessions.greeting import Greeted, greeting
from console.sessions.history import HistoryStore
from console.sessions.logins import LoginBook
from console.sessions.manager import SessionManager
from console.sessions.preferences import PreferenceStore, SessionPreferences
from console.sessions.session import Session
from console.sessions.startup import (
    ConsoleStartup,
    LoggedOutput,
    StartupFile,
    UserStartup,
    read_startup,
)
from console.transports.drops import Drops
from console.transports.strangers import Strangers

logger = logging.getLogger("console")

_END_SESSIONS_SECONDS = 1.0
"""For sessions to end in order at a stop; then they are cut. Less than half of STOP_SECONDS."""

_TURNS = 3
"""Turns of the loop in which an accepted connection is made, or a closed one is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a console serves. ``notice`` is called at each login, ``forked`` in a forked child."""

    name: str
    namespace: dict[str, Any]
    credentials: CredentialStore
    listeners: tuple[ListenSettings, ...]
    login: LoginSettings
    keys: Path
    history: Path | None
    evaluation: EvaluationSettings
    sessions: SessionSettings
    notice: Callable[[], str]
    forked: Callable[[], None]


class Server:
    """What exists while a console runs. Lives on its loop, except where it says otherwise."""

    def __init__(self, plan: Plan, host: HostLoop) -> None:
        self._plan = plan
        self.host = host
        self.selector: selectors.BaseSelector | None = None
        self._handler = FallbackHandler()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._stop_requested = asyncio.Event()
        self._sources = SourceCache()
        self._statements = Statements()
        self.journal = PatchJournal(self._schedule, logger.warning)
        self._namespace = Namespace(plan.namespace)
        self._events = EventBus()
        self._events.subscribe(log_event)
        self._events.subscribe(mirror_exception)
        self._logins = LoginBook(plan.history)
        self._events.subscribe(self._logins.on_event)
        self._pulse = Pulse(host)
        self._closing = contextlib.AsyncExitStack()
        self._doors: list[Door] = []
        self.listeners: tuple[Listener, ...] = ()
        self._started_at = time.time()
        self._startup: ConsoleStartup | None = None

    def request_stop(self) -> None:
        """Begin to stop. Safe to call from any thread, and twice."""
        self._stopping.set()
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has stopped
                self._loop.call_soon_threadsafe(self._stop_requested.set)

    async def serve(self, on_started: Any) -> None:
        """Open everything, run until a stop is requested, close everything."""
        self._loop = asyncio.get_running_loop()
        async with self._closing:
            await self._open()
            on_started()
            if not self._stopping.is_set():  # before there was a loop to tell
                await self._stop_requested.wait()

    async def _open(self) -> None:
        plan = self._plan
        loop = asyncio.get_running_loop()
        prepare = getattr(plan.credentials, "prepare", None)
        if prepare is not None:
            await loop.run_in_executor(None, prepare)

        # Everything that can fail comes first; each thing opened says how it is closed.
        path = plan.sessions.startup
        startup = None if path is None else read_startup(Path(path))
        sockets = [bind(one, self._closing.callback) for one in plan.listeners]
        authenticator = Authenticator(plan.credentials, self._events, plan.login)
        self._closing.callback(authenticator.close)
        history = HistoryStore(plan.history, plan.sessions.secrets)
        self._closing.callback(history.close)
        self._closing.callback(self._logins.close)
        manager = SessionManager(
            namespace=plan.namespace,
            history=history,
            preferences=PreferenceStore(plan.history),
            startup=UserStartup(plan.keys, for_commands=plan.sessions.startup_for_commands),
            events=self._events,
            make_frontend=functools.partial(choose_frontend, default=plan.evaluation.frontend),
            make_evaluator=lambda session: self._make_evaluator(session, manager),
            greeting=lambda session: self._greeting(session, manager),
            pending_output_characters=plan.evaluation.pending_output_characters,
            settings=plan.sessions,
        )
        drops = Drops(self._events, source_of, loop.call_later)
        shared = Shared(
            authenticator=authenticator,
            strangers=Strangers(
                drops=drops,
                source_of=source_of,
                most=plan.login.connections,
                most_per_source=plan.login.connections_per_source,
                standing=authenticator.standing,
            ),
            admit=manager.admit,
            drops=drops,
            login=plan.login,
            banner=self._banner(),
            keys=plan.keys,
            too_many=functools.partial(refusal, plan.sessions, what="connections"),
            keepalive_seconds=plan.sessions.keepalive_seconds,
        )
        self._doors = [Door(settings, shared) for settings in plan.listeners]
        for door in self._doors:
            await door.prepare()

        logger.addHandler(self._handler)
        self._closing.callback(logger.removeHandler, self._handler)
        hooks.install()
        self._closing.callback(hooks.uninstall)
        self._namespace.install()
        self._closing.callback(self._namespace.uninstall)
        self._closing.callback(self._sources.clear)
        self._closing.callback(self._report_patches)
        self._closing.callback(self.host.close, 0.3)

        for door, (sock, _) in zip(self._doors, sockets, strict=True):
            await door.transport.listen(sock, door.settings.backlog)
            self._closing.push_async_callback(_close_connections, door.transport)
            self._closing.callback(door.transport.close)
        self.listeners = tuple(listener for _, listener in sockets)
        # Last in, first out: nobody comes any more, the sessions end, the rest is cut.
        self._closing.push_async_callback(
            manager.end_all, f"{plan.name} is stopping this console.", _END_SESSIONS_SECONDS
        )
        for sock, _ in sockets:
            self._closing.push_async_callback(_stop_accepting, sock)
        if startup is not None:
            self._startup = self._run_startup(startup, manager)
            self._closing.callback(self._startup.close)

    @property
    def fingerprint(self) -> str | None:
        """The SSH host key's SHA-256 fingerprint; None without SSH."""
        return next((door.fingerprint for door in self._doors if door.fingerprint), None)

    def reload(self) -> str:
        """Read host keys and certificates anew. Users and their keys are read at each login.

        Blocks; may be called from any thread but the console's.

        Returns:
            What is used now, a line each.

        Raises:
            ConsoleError: If one cannot be used; it goes on with the old one.
        """
        loop = self._loop
        if loop is None or self._stopping.is_set():
            return "the console is stopping"
        return asyncio.run_coroutine_threadsafe(self._reload(), loop).result()

    async def _reload(self) -> str:
        lines = [await door.reload() for door in self._doors]
        lines.append("users, keys, authorities and revocations: read at each login")
        return "\n".join(filter(None, lines))

    def _make_evaluator(self, session: Session, manager: SessionManager) -> Evaluator:
        principal, number = session.principal, session.number
        inspection = self._inspection(number, manager, sources=principal.role is not Role.VIEWER)
        if principal.role is Role.VIEWER:
            viewer = ViewerEvaluator(
                session=number,
                inspection=inspection,
                result_characters=self._plan.evaluation.result_characters,
            )
            session.commands = viewer.commands
            return viewer
        names = session.private_names
        who = f"{principal.user} over {principal.transport} from {principal.peer}"
        evaluator = self._evaluator(number, names, session.output, session.input)
        names.update(self._names(evaluator, inspection, session.choices, who, principal.role))
        if session.preferences.mode:
            evaluator.set_mode(session.preferences.mode)
        names.update(admin_names(principal, number, manager.kick, self.reload))
        return evaluator

    def _run_startup(self, file: StartupFile, manager: SessionManager) -> ConsoleStartup:
        """Begin to run the console's startup file, as if an operator had typed it."""
        names: dict[str, Any] = {}
        evaluator = self._evaluator(0, names, LoggedOutput(file.path), None)
        inspection = self._inspection(0, manager, sources=True)
        choices = SessionPreferences(Preferences(), lambda *_: "the console's file is no user's")
        who = f"startup file {file.path}"
        names.update(self._names(evaluator, inspection, choices, who, Role.OPERATOR))
        return ConsoleStartup(file, evaluator)

    def _inspection(self, session: int, manager: SessionManager, *, sources: bool) -> Inspection:
        return Inspection(
            session=session,
            sessions=manager.facts,
            host=self.host,
            statements=self._statements,
            journal=self.journal,
            started_at=self._started_at,
            sources=sources,
        )

    def _evaluator(
        self, session: int, names: dict[str, Any], sink: OutputSink, source: InputSource | None
    ) -> SessionEvaluator:
        return SessionEvaluator(
            session=session,
            namespace=self._plan.namespace,
            names=names,
            sink=sink,
            source=source,
            host=self.host,
            sources=self._sources,
            settings=self._plan.evaluation,
            statements=self._statements,
        )

    def _names(
        self,
        evaluator: SessionEvaluator,
        inspection: Inspection,
        choices: SessionChoices,
        who: str,
        role: Role,
    ) -> dict[str, Any]:
        own = private_names(
            evaluator,
            self.host,
            self._statements,
            self.journal,
            choices=choices,
            who=who,
            role=role,
        )
        return own | inspection_names(inspection)

    def _schedule(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something later on a thread of its own: it may run code of the service."""

        def start() -> None:
            threading.Thread(target=call, name="console-patch", daemon=True).start()

        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has stopped
                loop.call_soon_threadsafe(loop.call_later, seconds, start)

    def _report_patches(self) -> None:
        for patch in self.journal.patches():
            logger.warning("still applied when the console stops: %r", patch)

    def _banner(self) -> str:
        return f"{self._plan.name}\nconsole {__version__}\n"

    async def _greeting(self, session: Session, manager: SessionManager) -> str:
        startup = "" if self._startup is None else self._startup.notice
        now, started_at = time.time(), process_started_at()
        return greeting(
            Greeted(
                principal=session.principal,
                name=self._plan.name,
                version=__version__,
                host=socket.gethostname(),
                process=os.getpid(),
                up_seconds=None if started_at is None else now - started_at,
                last=self._logins.opened(session.principal, now),
                others=[one.principal.user for one in manager.sessions if one is not session],
                patches=len(self.journal.glance()),
                silent_seconds=await self._pulse.silent_seconds(),
                notice=self._plan.notice() + startup,
                now=now,
            )
        )

    def died_in_fork(self) -> None:
        """Let go of every descriptor: in a forked child, on the only thread there is.

        Closing them the usual way would take them out of the epoll set, which the child shares
        with its parent, whose listeners would be dead then. Pointing them elsewhere keeps their
        numbers taken, so that objects of this console that are collected later close nothing else.
        """
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            numbers = []
            if self.selector is not None:
                numbers += [key.fd for key in (self.selector.get_map() or {}).values()]
            fileno = getattr(self.selector, "fileno", None)
            if fileno is not None:
                numbers.append(fileno())
            for number in numbers:
                with contextlib.suppress(OSError):
                    os.dup2(nowhere, number, inheritable=False)
        finally:
            os.close(nowhere)
        logger.removeHandler(self._handler)
        self._namespace.uninstall()
        self._plan.forked()


def finish_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left, and wait a moment for it to end."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=0.3))
    for _ in range(_TURNS):  # closed transports let go of their sockets in the next turn
        loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_asyncgens())


async def _stop_accepting(sock: socket.socket) -> None:
    """Accept nothing more, and let what has just been accepted become a connection.

    asyncio forgets a socket that is on the way from accept() to its transport when the server is
    closed: it would stay open until it is collected.
    """
    loop = asyncio.get_running_loop()
    loop.remove_reader(sock.fileno())
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def _close_connections(transport: Transport) -> None:
    """Cut what is still connected, and give the transports a turn to say so."""
    for connection in tuple(transport.connections):
        connection.abort()
    await transport.wait_closed(0.3)


running_servers: weakref.WeakSet[Server] = weakref.WeakSet()
"""Those of this process, from start() on, for a forked child to let go of."""


def _after_fork() -> None:
    forked = list(running_servers)
    running_servers.clear()
    for server in forked:
        server.died_in_fork()
    if forked:
        hooks.forget()


os.register_at_fork(after_in_child=_after_fork)
