"""`Console`: owns the console thread, its loop, and everything on it.

The thread carries transports, login and frontends. The host's threads and loop are never waited
for, and the host waits for nothing but `start` and `stop`. Statements run on workers and on the
host's loop (``evaluation/``); no user code runs on the console's thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import enum
import errno
import logging
import os
import selectors
import socket
import threading
import weakref
from collections.abc import Awaitable, Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from console._version import __version__
from console.audit.log import FallbackHandler, log_event, mirror_exception
from console.auth.authenticator import Authenticator
from console.auth.store import FileCredentials, credential_store, default_keys_directory
from console.config import (
    EvaluationSettings,
    ListenSettings,
    SshSettings,
    TelnetSettings,
    listen_settings,
)
from console.errors import (
    AlreadyRunning,
    ConfigurationError,
    ConsoleError,
    ListenError,
    StartError,
)
from console.evaluation.compiler import SourceCache
from console.evaluation.evaluator import SessionEvaluator
from console.evaluation.hooks import hooks
from console.evaluation.host import HostLoop
from console.evaluation.leftover import Statements
from console.evaluation.names import private_names
from console.events import EventBus
from console.frontends.choice import choose_frontend
from console.interfaces import CredentialStore, Principal
from console.limits import STOP_SECONDS
from console.namespace import Namespace
from console.patches import PatchJournal
from console.sessions.history import HistoryStore
from console.sessions.manager import SessionManager
from console.sessions.session import Session

logger = logging.getLogger("console")

_END_SESSIONS_SECONDS = 1.0
"""For sessions to end in order at a stop; then they are cut. Less than half of STOP_SECONDS."""

_TURNS = 3
"""Turns of the loop in which an accepted connection is made, or a closed one is lost."""

_HINT = "Type help() for help, exit() or Ctrl-D to leave.\n"


class ConsoleState(enum.Enum):
    """The life of a console. A stopped one can be started again."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a transport really listens: the port is known even if the setting was 0."""

    transport: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport} on {host}:{self.port}"


class Console:
    """An admin console in this process.

    Start it around the service's life::

        with Console("demo", namespace={"service": service}, credentials={...}, telnet=8007):
            service.run()

    In asyncio use ``async with``; the running loop is then the one on which statements with a
    top-level ``await`` run. A service without a loop gets a private one when it is first needed.

    Args:
        name: What the banner calls the service.
        namespace: The live names that sessions share. The dict itself is used, never a copy.
        credentials: Who may enter: a `CredentialStore`, or a mapping of user names to passwords
            for examples and tests. None for the users file in the keys directory.
        telnet: Port, ``"host:port"``, `TelnetSettings`, or None for no telnet.
        ssh: Port, ``"host:port"``, `SshSettings`, or None for no SSH.
        keys: The keys directory: host key, users, authorized keys. None for a directory of the
            user who runs the service (``console --help`` names it).
        history: The directory of the users' histories. None for the user's state directory.
        notice: Lines for everybody who has logged in to a shell, below the banner.
        evaluation: How statements run; None for the defaults of `EvaluationSettings`.
        loop: The host's loop, where it is not the one that runs when `start` is called.

    Raises:
        ConfigurationError: If a setting cannot work.
    """

    def __init__(
        self,
        name: str = "console",
        *,
        namespace: dict[str, Any] | None = None,
        credentials: CredentialStore | Mapping[str, str] | None = None,
        # Listeners
        telnet: TelnetSettings | int | str | None = None,
        ssh: SshSettings | int | str | None = None,
        # Files
        keys: Path | str | None = None,
        history: Path | str | None = None,
        # Words
        notice: str = "",
        # Statements
        evaluation: EvaluationSettings | None = None,
        # The host
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if namespace is not None and not isinstance(namespace, dict):
            raise ConfigurationError("namespace", type(namespace).__name__, "a dict is needed")
        self.name = name
        self.namespace: dict[str, Any] = {} if namespace is None else namespace
        self.keys = default_keys_directory() if keys is None else Path(keys)
        self.credentials: CredentialStore = (
            FileCredentials(self.keys) if credentials is None else credential_store(credentials)
        )
        self._telnet = listen_settings(TelnetSettings, telnet)
        self._ssh = listen_settings(SshSettings, ssh)
        if self._telnet is None and self._ssh is None:
            raise ConfigurationError("telnet, ssh", None, "give at least one of them a port")
        self._history = None if history is None else Path(history)
        self.notice = notice
        self._evaluation = evaluation or EvaluationSettings()
        self._given_loop = loop
        self._state = ConsoleState.STOPPED
        self._state_lock = threading.Lock()
        self._running: _Running | None = None
        self._ended: concurrent.futures.Future[None] | None = None

    def __repr__(self) -> str:
        where = ", ".join(map(str, self.listeners)) or "nowhere"
        return f"<console {self.name!r} {self._state.value}: {where}>"

    # ---- what it is

    @property
    def state(self) -> ConsoleState:
        """Where in its life the console is."""
        return self._state

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Where it listens; empty unless it runs."""
        running = self._running
        return () if running is None else running.listeners

    @property
    def telnet_port(self) -> int | None:
        """The telnet port; None if it does not listen."""
        return self._port("telnet")

    @property
    def ssh_port(self) -> int | None:
        """The SSH port; None if it does not listen."""
        return self._port("ssh")

    def _port(self, transport: str) -> int | None:
        return next((one.port for one in self.listeners if one.transport == transport), None)

    @property
    def host_key_fingerprint(self) -> str | None:
        """The SSH host key's SHA-256 fingerprint, as ``ssh-keygen -l`` prints it."""
        running = self._running
        return None if running is None else running.fingerprint

    @property
    def patch_journal(self) -> PatchJournal | None:
        """The patches that its sessions have made; None unless it runs."""
        running = self._running
        return None if running is None else running.journal

    def describe(self) -> str:
        """Say what listens where and what to type, for the start of a service's log."""
        lines = [f"{self.name}: console {__version__}"]
        for one in self.listeners:
            if one.transport == "telnet":
                lines.append(f"  {one}    telnet {one.host} {one.port}")
            else:
                lines.append(f"  {one}    ssh -p {one.port} USER@{one.host}")
        if self.host_key_fingerprint is not None:
            lines.append(f"  host key {self.host_key_fingerprint}")
        return "\n".join(lines)

    # ---- its life

    def start(self) -> Awaitable[None]:
        """Start to listen.

        In a coroutine, await what it returns: the loop goes on meanwhile. Elsewhere it blocks
        until the console listens. It starts wholly or raises and leaves nothing.

        Raises:
            AlreadyRunning: If it has been started.
            ListenError: If an address cannot be listened on.
            KeyFileError: If the SSH host key cannot be used.
            CredentialError: If the users file cannot be used.
        """
        running_loop = _running_loop()
        started, ended = _future(), _future()
        host = HostLoop(self._given_loop or running_loop)
        here = running_loop is not None and self._given_loop in {None, running_loop}
        host.learn_thread(threading.get_ident() if here else 0)
        running = _Running(self, host)
        with self._state_lock:
            if self._state is not ConsoleState.STOPPED:
                raise AlreadyRunning
            self._state = ConsoleState.STARTING
            self._running, self._ended = running, ended
        _consoles.add(running)
        thread = threading.Thread(
            target=self._run_thread, args=(running, started, ended), name="console", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            self._is_over(running, ended)
            message = f"the console cannot start: {error}"
            raise StartError(message) from error
        return _started(running, started, running_loop)

    def stop(self) -> Awaitable[None]:
        """Stop: tell the open sessions, end their prompts, close everything.

        In a coroutine, await what it returns; elsewhere it blocks. It takes no more than three
        seconds, whatever the sessions do: a statement that does not end is left behind on its
        thread. Can be called twice, and on a console that never started.
        """
        running_loop = _running_loop()
        with self._state_lock:
            ended, running = self._ended, self._running
            if self._state in {ConsoleState.STARTING, ConsoleState.RUNNING}:
                self._state = ConsoleState.STOPPING
        if ended is None:
            return _Done()
        if running is not None:
            running.host.give_back_signal()
            running.request_stop()
        return _wait(ended, running_loop, STOP_SECONDS)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    # ---- the console thread

    def _run_thread(
        self,
        running: _Running,
        started: concurrent.futures.Future[None],
        ended: concurrent.futures.Future[None],
    ) -> None:
        loop: asyncio.AbstractEventLoop | None = None
        pool: concurrent.futures.ThreadPoolExecutor | None = None
        error: BaseException | None = None
        try:
            # A selector of ours, so that a forked child can find each descriptor; and asyncio's
            # own loop class, since the host's policy, if it has one, is not meant for us.
            running.selector = selectors.DefaultSelector()
            loop = asyncio.SelectorEventLoop(running.selector)
            pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="console-pool")
            loop.set_default_executor(pool)
            loop.run_until_complete(running.serve(lambda: self._has_started(started)))
        except BaseException as caught:  # noqa: BLE001 - it travels to the caller of start()
            error = caught
        finally:
            if loop is not None:
                with contextlib.suppress(Exception):
                    _finish_tasks(loop)
                loop.close()
            if running.selector is not None:
                running.selector.close()
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
            if started.done() and error is not None:
                logger.error("the console ended unexpectedly", exc_info=error)
            self._is_over(running, ended)
            if not started.done():
                started.set_exception(_start_error(error))

    def _is_over(self, running: _Running, ended: concurrent.futures.Future[None]) -> None:
        _consoles.discard(running)
        with self._state_lock:
            self._running = None
            self._state = ConsoleState.STOPPED
        ended.set_result(None)

    def _has_started(self, started: concurrent.futures.Future[None]) -> None:
        with self._state_lock:
            if self._state is ConsoleState.STARTING:  # else stop() has been called meanwhile
                self._state = ConsoleState.RUNNING
        started.set_result(None)

    def _died_in_fork(self) -> None:
        """Become a stopped console: in a forked child the thread does not exist."""
        self._state_lock = threading.Lock()
        self._state = ConsoleState.STOPPED
        self._running = None
        self._ended = None


class _Running:
    """What exists while a console runs. Lives on its loop, except where it says otherwise."""

    def __init__(self, console: Console, host: HostLoop) -> None:
        self._console = console
        self.host = host
        self.selector: selectors.BaseSelector | None = None
        self._handler = FallbackHandler()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = threading.Event()
        self._stop_requested = asyncio.Event()
        self._sources = SourceCache()
        self._statements = Statements()
        self.journal = PatchJournal(self._schedule, logger.warning)
        self._namespace = Namespace(console.namespace)
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
        console = self._console
        loop = asyncio.get_running_loop()
        prepare = getattr(console.credentials, "prepare", None)
        if prepare is not None:
            await loop.run_in_executor(None, prepare)

        # Everything that can fail comes first; each thing opened says how it is closed.
        wanted = (console._telnet, console._ssh)  # noqa: SLF001 - its own inner half
        sockets = [(settings, self._bind(settings)) for settings in wanted if settings is not None]
        authenticator = Authenticator(console.credentials, self._events)
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
            namespace=console.namespace,
            history=HistoryStore(console._history),  # noqa: SLF001 - see above
            events=self._events,
            make_frontend=choose_frontend,
            make_evaluator=self._make_evaluator,
            greeting=self._greeting,
            pending_output_characters=console._evaluation.pending_output_characters,  # noqa: SLF001
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
            manager.end_all, f"{console.name} is stopping this console.", _END_SESSIONS_SECONDS
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
        settings = self._console._ssh  # noqa: SLF001 - its own inner half
        if settings is None:
            return None
        loop = asyncio.get_running_loop()
        key, self.fingerprint = await loop.run_in_executor(
            None, _load_or_make_host_key, settings, self._console.keys
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
            namespace=self._console.namespace,
            names=session.private_names,
            sink=session.output,
            source=session.input,
            host=self.host,
            sources=self._sources,
            settings=self._console._evaluation,  # noqa: SLF001 - its own inner half
            statements=self._statements,
        )
        principal = session.principal
        who = f"{principal.user} over {principal.transport} from {principal.peer}"
        session.private_names.update(
            private_names(evaluator, self.host, self._statements, self.journal, who)
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
        return f"{self._console.name}\nconsole {__version__}\n"

    def _greeting(self, principal: Principal) -> str:
        # Over telnet the banner has been shown before the login.
        banner = "" if principal.transport == "telnet" else self._banner()
        notice = self._console.notice
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
        self._console._died_in_fork()  # noqa: SLF001 - its own inner half


class _Done(Awaitable[None]):
    """What `start` and `stop` return when they have done their work."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


def _future() -> concurrent.futures.Future[None]:
    """Make a future that nobody can cancel: what it stands for goes on."""
    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    return future


def _started(
    running: _Running,
    started: concurrent.futures.Future[None],
    loop: asyncio.AbstractEventLoop | None,
) -> Awaitable[None]:
    """Wait for the start, or return an awaitable. Whoever gives up waiting stops the console."""
    if loop is not None:
        waiting = asyncio.wrap_future(started, loop=loop)
        waiting.add_done_callback(lambda done: running.request_stop() if done.cancelled() else None)
        return waiting
    try:
        started.result()
    except BaseException:  # Ctrl-C, or the start's own error, after which there is nothing to stop
        running.request_stop()
        raise
    return _Done()


def _start_error(error: BaseException | None) -> BaseException:
    if isinstance(error, ConsoleError):
        return error
    made = StartError(f"the console cannot start: {error or 'it was stopped'}")
    made.__cause__ = error
    return made


def _wait(
    future: concurrent.futures.Future[None],
    loop: asyncio.AbstractEventLoop | None,
    timeout_seconds: float | None = None,
) -> Awaitable[None]:
    """Block until a future is done, or return an awaitable where a loop must not be blocked."""
    if loop is None:
        try:
            future.result(timeout_seconds)
        except TimeoutError:
            logger.warning("the console did not stop in time; its thread is left behind")
        return _Done()
    wrapped = asyncio.wrap_future(future, loop=loop)
    return wrapped if timeout_seconds is None else _bounded(wrapped, timeout_seconds)


def _bounded(future: asyncio.Future[None], timeout_seconds: float) -> Awaitable[None]:
    async def wait() -> None:
        _, late = await asyncio.wait([future], timeout=timeout_seconds)
        if late:
            logger.warning("the console did not stop in time; its thread is left behind")

    return asyncio.ensure_future(wait())


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


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


def _finish_tasks(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left, and wait a moment for it to end."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=0.3))
    for _ in range(_TURNS):  # closed transports let go of their sockets in the next turn
        loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(loop.shutdown_asyncgens())


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


_consoles: weakref.WeakSet[_Running] = weakref.WeakSet()
"""The consoles that run in this process, for a forked child to let go of."""


def _after_fork() -> None:
    forked = list(_consoles)
    _consoles.clear()
    for running in forked:
        running.died_in_fork()
    if forked:
        hooks.forget()


os.register_at_fork(after_in_child=_after_fork)
