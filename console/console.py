"""`Console`: its settings, and its life from start to stop.

Transports, login and frontends run on the console's thread (``server/thread.py``). It never waits
for the host's threads or loop, and the host waits for nothing but `start` and `stop`. Statements
run on worker threads and on the host's loop (``evaluation/``), never on the console's thread;
subscribers to events run on one more thread (``server/subscribers.py``).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import enum
import inspect
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from console._version import __version__
from console.auth.stores.directory import FileCredentials, credential_store
from console.auth.stores.location import default_keys_directory
from console.config.settings import (
    EvaluationSettings,
    ListenSettings,
    LoginSettings,
    SessionSettings,
    SshSettings,
    TelnetSettings,
    TelnetsSettings,
    listen_settings,
)
from console.errors import AlreadyRunning, ConfigurationError
from console.interfaces.credentials import CredentialStore
from console.limits import STOP_SECONDS
from console.server.plan import Plan
from console.server.start_stop import Done, running_loop, wait_for_end, wait_for_start
from console.server.thread import ConsoleThread

if TYPE_CHECKING:  # what serves is imported on the console's thread
    from console.events import Subscriber
    from console.patches.journal import PatchJournal
    from console.server.server import Server
    from console.server.sockets import Listener


class ConsoleState(enum.Enum):
    """The life of a console. A stopped one can be started again."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"


class Console:
    """An admin console in this process.

    Start it around the service's life::

        with Console("demo", namespace={"service": service}, credentials={...}, telnet=8007):
            service.run()

    In asyncio use ``async with``; the running loop is then the one on which statements with a
    top-level ``await`` run. A service without a loop gets a private one when it is first needed.

    Args:
        name: What the banner calls the service.
        namespace: The live names that sessions share. The dict itself is used, never a copy. None
            for an empty one.
        credentials: The users: a `CredentialStore`, or a mapping of user names to passwords for
            examples and tests. None for the users file in the keys directory.
        telnet: Port, ``"host:port"``, the path of a Unix socket, `TelnetSettings`, or None for no
            telnet.
        telnets: `TelnetsSettings` for telnet within TLS, or None for none.
        ssh: Port, ``"host:port"``, the path of a Unix socket, `SshSettings`, or None for no SSH.
        listen: Settings of further listeners beside those above, such as a second address of a
            transport.
        keys: The keys directory: host key, users, authorized keys. None for a directory of the
            user who runs the service (``console --help`` names it).
        history: The directory of the users' histories. None for the user's state directory.
        notice: Lines that each interactive session shows above its first prompt; or a callable
            that returns them at each login, on the console's thread; it neither waits nor raises.
        subscribers: Functions that are called with each `console.events.Event`: logins, sessions,
            statements. They run on one thread, each behind a queue of 1,000 events; what is more is
            dropped, and the number logged. One that raises is logged. They may block, and neither
            the console nor a session notices. ``docs/events.md`` has more.
        login: Limits on unauthenticated connections and wrong passwords; None for the defaults of
            `LoginSettings`.
        evaluation: How statements run; None for the defaults of `EvaluationSettings`.
        sessions: How many there may be, and what they begin with; None for the defaults of
            `SessionSettings`.
        loop: The host's loop. None for the one that runs when `start` is called.

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
        telnets: TelnetsSettings | None = None,
        ssh: SshSettings | int | str | None = None,
        listen: Sequence[ListenSettings] = (),
        # Files
        keys: Path | str | None = None,
        history: Path | str | None = None,
        # Words
        notice: str | Callable[[], str] = "",
        # Events
        subscribers: Iterable[Subscriber] = (),
        # Unauthenticated connections
        login: LoginSettings | None = None,
        # Statements
        evaluation: EvaluationSettings | None = None,
        sessions: SessionSettings | None = None,
        # The host
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        if namespace is not None and not isinstance(namespace, dict):
            raise ConfigurationError(
                "namespace", type(namespace).__name__, "is not a dict", "give a dict"
            )
        self.name = name
        self.namespace: dict[str, Any] = {} if namespace is None else namespace
        self.keys = default_keys_directory() if keys is None else Path(keys)
        self.credentials: CredentialStore = (
            FileCredentials(self.keys) if credentials is None else credential_store(credentials)
        )
        if telnets is not None and not isinstance(telnets, TelnetsSettings):
            raise ConfigurationError(
                "telnets", telnets, "does not name a certificate", "write TelnetsSettings(...)"
            )
        wanted = (
            listen_settings(TelnetSettings, telnet),
            telnets,
            listen_settings(SshSettings, ssh),
        )
        for one in listen:
            if not isinstance(one, ListenSettings):
                raise ConfigurationError(
                    "listen", one, "is not settings", "write settings, such as SshSettings(...)"
                )
        self._listeners = (*(one for one in wanted if one is not None), *listen)
        if not self._listeners:
            raise ConfigurationError(
                "telnet, ssh", None, "nothing listens", "give at least one of them a port"
            )
        self._login = login or LoginSettings()
        self._history = None if history is None else Path(history)
        self.notice = notice
        self._subscribers = _checked(subscribers)
        self._evaluation = evaluation or EvaluationSettings()
        self._sessions = sessions or SessionSettings()
        self._given_loop = loop
        self._state = ConsoleState.STOPPED
        self._state_lock = threading.Lock()
        self._thread: ConsoleThread | None = None
        self._ended: concurrent.futures.Future[None] | None = None

    def __repr__(self) -> str:
        where = ", ".join(map(str, self.listeners)) or "nowhere"
        return f"<console {self.name!r} {self._state.value}: {where}>"

    # ---- what it is

    @property
    def state(self) -> ConsoleState:
        """The state of the console."""
        return self._state

    @property
    def _server(self) -> Server | None:
        thread = self._thread
        return None if thread is None else thread.server

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """The addresses on which it listens; empty unless it runs."""
        server = self._server
        return () if server is None else server.listeners

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
        server = self._server
        return None if server is None else server.fingerprint

    @property
    def patch_journal(self) -> PatchJournal | None:
        """The patches that sessions have made; None unless the console runs."""
        server = self._server
        return None if server is None else server.journal

    def describe(self) -> str:
        """Return the listeners and what to type to reach them, for the start of a service's log."""
        lines = [f"{self.name}: console {__version__}"]
        lines += [f"  {one}    {one.command}" for one in self.listeners]
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
            StartError: If the startup file cannot be used.
        """
        loop = running_loop()
        here = loop is not None and self._given_loop in {None, loop}
        thread = ConsoleThread(
            self._plan(),
            self._given_loop or loop,
            threading.get_ident() if here else 0,
            on_started=self._has_started,
            on_over=self._is_over,
        )
        with self._state_lock:
            if self._state is not ConsoleState.STOPPED:
                raise AlreadyRunning
            self._state = ConsoleState.STARTING
            self._thread, self._ended = thread, thread.ended
        thread.start()
        return wait_for_start(thread.started, loop, thread.request_stop)

    def stop(self) -> Awaitable[None]:
        """Stop: tell the open sessions, end their prompts, close everything.

        In a coroutine, await what it returns; elsewhere it blocks. It takes no more than three
        seconds, whatever the sessions do: a statement that does not end is left behind on its
        thread. Can be called twice, and on a console that never started.
        """
        loop = running_loop()
        with self._state_lock:
            ended, thread = self._ended, self._thread
            if self._state in {ConsoleState.STARTING, ConsoleState.RUNNING}:
                self._state = ConsoleState.STOPPING
        if ended is None:
            return Done()
        if thread is not None:
            thread.request_stop()
        return wait_for_end(ended, loop, STOP_SECONDS)

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

    def _is_over(self) -> None:
        with self._state_lock:
            self._thread = None
            self._state = ConsoleState.STOPPED

    def _has_started(self) -> None:
        with self._state_lock:
            if self._state is ConsoleState.STARTING:  # else stop() has been called meanwhile
                self._state = ConsoleState.RUNNING

    def _died_in_fork(self) -> None:
        """Become a stopped console: in a forked child the thread does not exist."""
        self._state_lock = threading.Lock()
        self._state = ConsoleState.STOPPED
        self._thread = None
        self._ended = None

    def _plan(self) -> Plan:
        return Plan(
            name=self.name,
            namespace=self.namespace,
            credentials=self.credentials,
            listeners=self._listeners,
            login=self._login,
            keys=self.keys,
            history=self._history,
            evaluation=self._evaluation,
            sessions=self._sessions,
            notice=lambda: self.notice() if callable(self.notice) else self.notice,
            subscribers=self._subscribers,
            forked=self._died_in_fork,
        )


def _checked(subscribers: Iterable[Subscriber]) -> tuple[Subscriber, ...]:
    """Return the subscribers, if each can be called.

    Raises:
        ConfigurationError: If one cannot, or would return a coroutine that is never awaited.
    """
    setting = "subscribers"
    if callable(subscribers) or not isinstance(subscribers, Iterable):
        raise ConfigurationError(setting, subscribers, "not a list", "give a list of functions")
    found: tuple[Any, ...] = tuple(subscribers)
    for one in found:
        if not callable(one):
            problem, remedy = "cannot be called", "give functions that take an event"
            raise ConfigurationError(setting, one, problem, remedy)
        if inspect.iscoroutinefunction(one) or inspect.iscoroutinefunction(type(one).__call__):
            problem, remedy = "is async", "give a function that hands the event to your loop"
            raise ConfigurationError(setting, one, problem, remedy)
    return found
