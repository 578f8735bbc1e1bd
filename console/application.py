"""The application: ports, factories, services and a shell, as Twisted's howto has them.

A thin layer over `Console` and asyncio's servers. A service with a main of its own needs none of
it: `Console` alone is enough there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from console.auth.passwords import hash_password
from console.auth.users_file import check_user_name
from console.config import (
    DEFAULT_HOST,
    EvaluationSettings,
    SshSettings,
    TelnetSettings,
    is_loopback,
)
from console.console import Console
from console.errors import ConfigurationError, ListenError
from console.interfaces import AuthorizedKey, CredentialStore

logger = logging.getLogger("console.application")

DEFAULT_USER = "admin"
DEFAULT_PASSWORD = "admin"  # noqa: S105 - the howto's default, which only loopback accepts

Port = tuple[int, Any, int, str]
"""A listening port, as the howto shows it: port, factory, backlog, interface."""

_current: Application | None = None


def current() -> Application | None:
    """Return the application of this process: the one that runs, or the last one made."""
    return _current


class ShellFactory:
    """What a shell is made of: who may enter, and the names that one finds there.

    One object serves telnet and SSH. Everything may be changed while it is used; a change holds
    from the next login on.

    Attributes:
        username: The user who may enter with `password`. Ignored with ``credentials``.
        namespace: The live names.
        credentials: Another store of users, which replaces user name and password.
    """

    def __init__(
        self,
        username: str = DEFAULT_USER,
        password: str = DEFAULT_PASSWORD,
        namespace: dict[str, Any] | None = None,
        credentials: CredentialStore | None = None,
    ) -> None:
        self.namespace: dict[str, Any] = {} if namespace is None else namespace
        self.credentials = credentials
        self._lock = threading.Lock()
        self._plain: str | None = None
        self._phc: str | None = None
        self._is_default_password = False
        self.username = username
        self.password = password

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__} instance at {id(self):#x}>"

    @property
    def username(self) -> str:
        """The user who may enter."""
        return self._username

    @username.setter
    def username(self, name: str) -> None:
        check_user_name(name, "username")
        self._username = name

    @property
    def password(self) -> str:
        """The user's password. It can be set; what is kept is a hash, so reading shows stars."""
        return "********"

    @password.setter
    def password(self, password: str) -> None:
        with self._lock:
            # Hashed at the first login, on the authenticator's thread: it takes 20 ms.
            self._plain, self._phc = password, None
            self._is_default_password = password == DEFAULT_PASSWORD

    @property
    def has_default_password(self) -> bool:
        """Whether anybody who has read the manual can enter."""
        return self.credentials is None and self._is_default_password

    # ---- CredentialStore

    def password_hash(self, name: str) -> str | None:
        """Return the user's hash. Called on the authenticator's thread."""
        if self.credentials is not None:
            return self.credentials.password_hash(name)
        return self.hashed() if name == self._username else None

    def authorized_keys(self, name: str) -> Sequence[AuthorizedKey]:
        """Return the user's public keys. Called on the authenticator's thread."""
        return () if self.credentials is None else self.credentials.authorized_keys(name)

    def hashed(self) -> str | None:
        """Return the password's hash, made now if it has not been made yet."""
        with self._lock:
            if self._plain is not None:
                self._phc, self._plain = hash_password(self._plain), None
            return self._phc


class Application:
    """A named set of ports and services that runs until it is told to stop.

    ``listen_tcp`` and ``listen_ssh`` may be called before `run` and, from any thread, while it
    runs. ``python -i`` and the sessions find the application with `current`.

    Args:
        name: What the banners and the saved state call it.
        keys: The directory of the SSH host key; see `Console`.
        history: The directory of the users' histories; see `Console`.
        evaluation: How statements run; see `Console`.

    Attributes:
        services: Whatever the application is made of beside its ports, by name.
    """

    def __init__(
        self,
        name: str,
        *,
        keys: Path | str | None = None,
        history: Path | str | None = None,
        evaluation: EvaluationSettings | None = None,
    ) -> None:
        global _current  # noqa: PLW0603 - the one application of a process, as the howto has it
        self.name = name
        self.services: dict[str, Any] = {}
        self._keys = keys
        self._history = history
        self._evaluation = evaluation
        self._tcp_ports: list[Port] = []
        self._ssh_ports: list[Port] = []
        self._run: _Run | None = None
        _current = self

    def __repr__(self) -> str:
        return f"<{self.name!r} app>"

    @property
    def tcp_ports(self) -> list[Port]:
        """The TCP ports: (port, factory, backlog, interface). A copy."""
        return list(self._tcp_ports)

    @property
    def ssh_ports(self) -> list[Port]:
        """The SSH ports: (port, shell, backlog, interface). A copy."""
        return list(self._ssh_ports)

    def listen_tcp(
        self, port: int, factory: Any, backlog: int = 5, interface: str = DEFAULT_HOST
    ) -> None:
        """Listen on a TCP port: with a protocol factory, or with a shell for telnet.

        Raises:
            ConfigurationError: If the shell has the default password and the interface can be
                reached from other machines, or telnet would show passwords to a network.
            ListenError: While the application runs: if the address cannot be listened on.
        """
        entry = (port, factory, backlog, interface)
        if isinstance(factory, ShellFactory):
            _refuse_default_password(factory, interface)
            TelnetSettings(port, interface, backlog)
        elif not callable(factory):
            raise ConfigurationError(
                "factory", type(factory).__name__, "give a Factory, a ShellFactory or a callable"
            )
        self._listen(self._tcp_ports, entry)

    def listen_ssh(
        self, port: int, shell: ShellFactory, backlog: int = 5, interface: str = DEFAULT_HOST
    ) -> None:
        """Listen on an SSH port with a shell.

        Raises:
            ConfigurationError: If the shell has the default password and the interface can be
                reached from other machines.
            ListenError: While the application runs: if the address cannot be listened on.
        """
        if not isinstance(shell, ShellFactory):
            raise ConfigurationError("shell", type(shell).__name__, "give a ShellFactory")
        _refuse_default_password(shell, interface)
        SshSettings(port, interface, backlog)
        self._listen(self._ssh_ports, (port, shell, backlog, interface))

    def run(self) -> None:
        """Open every port and serve until SIGINT, SIGTERM or `stop`. Blocks; main thread.

        Raises:
            StartError: If something cannot be opened. What had been is closed again.
        """
        running = _Run(self)
        try:
            asyncio.run(running.main())
        finally:
            self._run = None
        _say("Main loop terminated.")

    def stop(self) -> None:
        """End `run` in order. Safe to call from any thread, and when nothing runs."""
        running = self._run
        if running is not None:
            running.request_stop()

    def _listen(self, ports: list[Port], entry: Port) -> None:
        running = self._run
        if running is not None:
            running.open_from_any_thread(entry, ssh=ports is self._ssh_ports)
        ports.append(entry)


class _Run:
    """One run of an application. Lives on its loop, but for what says otherwise."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = contextlib.AsyncExitStack()

    async def main(self) -> None:
        """Open every port, wait for the end, close every port."""
        application = self._application
        self._loop = asyncio.get_running_loop()
        async with self._open:
            for shell, telnet, ssh in _consoles(application):
                await self._open_shell(shell, telnet, ssh)
            for entry in application.tcp_ports:
                if not isinstance(entry[1], ShellFactory):
                    await self._open_factory(entry)
            application._run = self  # noqa: SLF001 - its own inner half
            with _signals(self._loop, self._ended):
                await self._ended.wait()
                _say("Starting Shutdown Sequence.")
        _say("Stopping main loop.")

    def request_stop(self) -> None:
        """Begin to stop. Safe to call from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._ended.set)

    def open_from_any_thread(self, entry: Port, *, ssh: bool) -> None:
        """Open one more port while the application runs. Waits for it on other threads.

        Raises:
            ListenError: If it cannot be opened; on the loop's own thread it is logged.
        """
        _, factory, _, _ = entry
        if isinstance(factory, ShellFactory):
            opening = self._open_shell(factory, None if ssh else entry, entry if ssh else None)
        else:
            opening = self._open_factory(entry)
        loop = self._loop
        if loop is None:
            opening.close()
        elif asyncio._get_running_loop() is loop:  # noqa: SLF001 - get_running_loop() less the raise
            loop.create_task(opening).add_done_callback(_log_failure)
        else:
            asyncio.run_coroutine_threadsafe(opening, loop).result()

    async def _open_shell(self, shell: ShellFactory, telnet: Port | None, ssh: Port | None) -> None:
        application = self._application
        console = Console(
            application.name,
            namespace=shell.namespace,
            credentials=shell,
            telnet=None if telnet is None else TelnetSettings(telnet[0], telnet[3], telnet[2]),
            ssh=None if ssh is None else SshSettings(ssh[0], ssh[3], ssh[2]),
            keys=application._keys,  # noqa: SLF001 - its own inner half
            history=application._history,  # noqa: SLF001 - as above
            evaluation=application._evaluation,  # noqa: SLF001 - as above
            notice=_default_password_notice(shell),
        )
        await self._open.enter_async_context(console)
        for listener in console.listeners:
            kind = " (ssh)" if listener.transport == "ssh" else ""
            _say(f"{_qualified(shell)} starting on {listener.port}{kind}")
        if shell.has_default_password:
            logger.warning(
                "%s: anybody on this machine can enter as %s with the default password;"
                " set ShellFactory.password",
                application.name,
                shell.username,
            )

    async def _open_factory(self, entry: Port) -> None:
        port, factory, backlog, interface = entry
        try:
            server = await asyncio.get_running_loop().create_server(
                factory, interface, port, backlog=backlog
            )
        except OSError as error:
            raise ListenError(
                "tcp",
                f"{interface}:{port}",
                error.strerror or str(error),
                "stop what listens there, or use another port",
            ) from error
        self._open.callback(server.close)
        for sock in server.sockets:
            _say(f"{_qualified(factory)} starting on {sock.getsockname()[1]}")


def _consoles(application: Application) -> list[tuple[ShellFactory, Port | None, Port | None]]:
    """Pair the telnet and the SSH ports of each shell: a console serves one of each."""
    telnet = [entry for entry in application.tcp_ports if isinstance(entry[1], ShellFactory)]
    shells = {id(entry[1]): entry[1] for entry in [*telnet, *application.ssh_ports]}
    return [
        (shell, one, other)
        for shell in shells.values()
        for one, other in zip_longest(
            [entry for entry in telnet if entry[1] is shell],
            [entry for entry in application.ssh_ports if entry[1] is shell],
        )
    ]


@contextlib.contextmanager
def _signals(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> Iterator[None]:
    """End at the first SIGINT or SIGTERM in order, at the second at once."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.getsignal(number) for number in numbers}

    def end() -> None:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, signal.SIG_DFL)
        ended.set()

    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
            signal.signal(number, previous[number])


def _refuse_default_password(shell: ShellFactory, interface: str) -> None:
    if shell.has_default_password and not is_loopback(interface):
        raise ConfigurationError(
            "interface",
            interface,
            "with the default password only this machine may connect: set ShellFactory.password",
        )


def _default_password_notice(shell: ShellFactory) -> str:
    if not shell.has_default_password:
        return ""
    return f"WARNING: {shell.username} still has the default password.\n"


def _log_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("a port could not be opened: %s", task.exception())


def _qualified(factory: Any) -> str:
    kind = factory if isinstance(factory, type) else type(factory)
    return f"{kind.__module__}.{kind.__qualname__}"


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - what the howto's server says on its terminal
