"""What runs on the console's thread: listeners, login, sessions, wired together.

`Server` opens everything in an order in which each thing that can fail comes before what it would
disturb, and each thing opened says how it is closed; closing is the same order backwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import selectors
import socket
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console._version import __version__
from console.audit.log import FallbackHandler, log_event, mirror_exception
from console.auth.authenticator import Authenticator
from console.config import EvaluationSettings, ListenSettings, SshSettings, TelnetSettings
from console.errors import ListenError
from console.evaluation.compiler import SourceCache
from console.evaluation.evaluator import SessionEvaluator
from console.evaluation.hooks import hooks
from console.evaluation.host import HostLoop
from console.evaluation.leftover import Statements
from console.evaluation.names import private_names
from console.events import EventBus
from console.frontends.choice import choose_frontend
from console.interfaces import CredentialStore, Principal
from console.namespace import Namespace
from console.patches import PatchJournal
from console.sessions.history import HistoryStore
from console.sessions.manager import SessionManager
from console.sessions.preferences import PreferenceStore
from console.sessions.session import Session

logger = logging.getLogger("console")

_END_SESSIONS_SECONDS = 1.0
"""For sessions to end in order at a stop; then they are cut. Less than half of STOP_SECONDS."""

_TURNS = 3
"""Turns of the loop in which an accepted connection is made, or a closed one is lost."""

_HINT = "Type help() for help, exit() or Ctrl-D to leave.\n"


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a transport really listens: the port is known even if the setting was 0."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport} on {host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a console serves. ``notice`` is called at each login, ``forked`` in a forked child."""

    name: str
    namespace: dict[str, Any]
    credentials: CredentialStore
    telnet: TelnetSettings | None
    ssh: SshSettings | None
    keys: Path
    history: Path | None
    evaluation: EvaluationSettings
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
        self._closing = contextlib.AsyncExitStack()
        self.listeners: tuple[Listener, ...] = ()
        self.fingerprint: str | None = None

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
        wanted = (plan.telnet, plan.ssh)
        sockets = [(settings, self._bind(settings)) for settings in wanted if settings is not None]
        authenticator = Authenticator(plan.credentials, self._events)
        self._closing.callback(authenticator.close)
        host_key = await self._load_host_key()

        logger.addHandler(self._handler)
        self._closing.callback(logger.removeHandler, self._handler)
        hooks.install()
        self._closing.callback(hooks.uninstall)
        self._namespace.install()
        self._closing.callback(self._namespace.uninstall)
        self._closing.callback(self._sources.clear)
        self._closing.callback(self._report_patches)
        self._closing.callback(self.host.close, 0.3)

        manager = SessionManager(
            namespace=plan.namespace,
            history=HistoryStore(plan.history),
            preferences=PreferenceStore(plan.history),
            events=self._events,
            make_frontend=choose_frontend,
            make_evaluator=self._make_evaluator,
            greeting=self._greeting,
            pending_output_characters=plan.evaluation.pending_output_characters,
        )
        listeners = []
        for settings, sock in sockets:
            if isinstance(settings, TelnetSettings):
                await self._listen_telnet(sock, settings.backlog, authenticator, manager)
            else:
                await self._listen_ssh(sock, settings.backlog, authenticator, manager, host_key)
            host, port = sock.getsockname()[:2]
            listeners.append(Listener(settings.name, host, port))
        self.listeners = tuple(listeners)
        # Last in, first out: nobody comes any more, the sessions end, the rest is cut.
        self._closing.push_async_callback(
            manager.end_all, f"{plan.name} is stopping this console.", _END_SESSIONS_SECONDS
        )
        for _, sock in sockets:
            self._closing.push_async_callback(_stop_accepting, sock)

    def _bind(self, settings: ListenSettings) -> socket.socket:
        """Bind a listening socket.

        Raises:
            ListenError: If the system refuses, with what can be done about it.
        """
        address = f"{settings.host}:{settings.port}"
        try:
            found = socket.getaddrinfo(
                settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, _, _, _, where = found[0]
            sock = socket.create_server(where[:2], family=family, backlog=settings.backlog)
        except OSError as error:
            problem, remedy = _explain(error, settings)
            raise ListenError(settings.name, address, problem, remedy) from error
        sock.setblocking(False)
        self._closing.callback(sock.close)
        return sock

    async def _load_host_key(self) -> Any:
        settings = self._plan.ssh
        if settings is None:
            return None
        loop = asyncio.get_running_loop()
        key, self.fingerprint = await loop.run_in_executor(
            None, _load_or_make_host_key, settings, self._plan.keys
        )
        return key

    async def _listen_telnet(
        self,
        sock: socket.socket,
        backlog: int,
        authenticator: Authenticator,
        manager: SessionManager,
    ) -> None:
        from console.transports import telnet  # noqa: PLC0415 - heavy, and not everybody's

        async def authenticate(user: str, password: str, peer: str) -> Principal | None:
            return await authenticator.password(user, password, transport="telnet", peer=peer)

        server = await telnet.listen(
            sock,
            banner=self._banner(),
            authenticate=authenticate,
            admit=manager.admit,
            events=self._events,
            backlog=backlog,
        )
        self._closing.push_async_callback(_close_connections, server)
        self._closing.callback(server.close)

    async def _listen_ssh(
        self,
        sock: socket.socket,
        backlog: int,
        authenticator: Authenticator,
        manager: SessionManager,
        host_key: Any,
    ) -> None:
        from console.transports.ssh import SshListener  # noqa: PLC0415 - heavy, see above

        listener = SshListener(authenticator, manager.admit, self._events)
        await listener.listen(sock, host_key, backlog)
        self._closing.push_async_callback(_close_connections, listener)
        self._closing.callback(listener.close)

    def _make_evaluator(self, session: Session) -> SessionEvaluator:
        evaluator = SessionEvaluator(
            session=session.number,
            namespace=self._plan.namespace,
            names=session.private_names,
            sink=session.output,
            source=session.input,
            host=self.host,
            sources=self._sources,
            settings=self._plan.evaluation,
            statements=self._statements,
        )
        if session.preferences.mode:
            evaluator.set_mode(session.preferences.mode)
        principal = session.principal
        who = f"{principal.user} over {principal.transport} from {principal.peer}"
        session.private_names.update(
            private_names(
                evaluator,
                self.host,
                self._statements,
                self.journal,
                choices=session.choices,
                who=who,
            )
        )
        return evaluator

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

    def _greeting(self, principal: Principal) -> str:
        # Over telnet the banner has been shown before the login.
        banner = "" if principal.transport == "telnet" else self._banner()
        notice = self._plan.notice()
        return banner + notice + ("\n" if notice and not notice.endswith("\n") else "") + _HINT

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


async def _close_connections(server: Any) -> None:
    """Cut what is still connected, and give the transports a turn to say so."""
    for connection in tuple(server.connections):
        connection.abort()
    await server.wait_closed(0.3)


def _load_or_make_host_key(settings: SshSettings, directory: Path) -> tuple[Any, str]:
    """Load the host key; make the one in the keys directory on first use. Blocks."""
    from console.auth import keys  # noqa: PLC0415 - asyncssh is heavy, and not everybody's

    if settings.host_key is not None:
        key = keys.load_host_key(Path(settings.host_key))
    else:
        path = directory / "host_key"
        if not path.exists():
            keys.make_host_key(path)
        key = keys.load_host_key(path)
    return key, keys.fingerprint(key)


def _explain(error: OSError, settings: ListenSettings) -> tuple[str, str]:
    """Say what is wrong with an address, and what to do."""
    other_port = (
        f"stop what listens there (ss -ltnp 'sport = :{settings.port}') or use another port"
    )
    if isinstance(error, socket.gaierror):
        return "no such host", "name an address of this machine, 127.0.0.1 for loopback"
    if error.errno == errno.EADDRINUSE:
        return "the address is in use", other_port
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "not permitted", "ports below 1024 need privileges; use a higher one"
    if error.errno == errno.EADDRNOTAVAIL:
        return "not an address of this machine", "use 127.0.0.1, or one that `ip addr` lists"
    return os.strerror(error.errno) if error.errno else str(error), "check the address"


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
