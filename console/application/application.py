"""The application: ports, factories, services and a shell, as Twisted's howto has them.

A thin layer over `Console` and asyncio's servers. A service with a main of its own needs none of
it: `Console` alone is enough there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from console.application.run import Port, Run, say, signals_put_back
from console.application.shell import ShellFactory
from console.config.settings import (
    DEFAULT_HOST,
    EvaluationSettings,
    ListenSettings,
    LoginSettings,
    SessionSettings,
    SshSettings,
    TelnetSettings,
    TelnetsSettings,
    is_loopback,
)
from console.errors import ConfigurationError, StateError
from console.patches.journal import SavedPatch

if TYPE_CHECKING:
    from console.application.saved.records import Contents

logger = logging.getLogger("console.application")


_AT_RESTART = ("keep", "undo")


_current: Application | None = None


def current() -> Application | None:
    """Return the application of this process: the one that runs, or the last one made."""
    return _current


class Application:
    """A named set of ports and services that runs until it is told to stop.

    ``listen_tcp`` and ``listen_ssh`` may be called before `run` and, from any thread, while it
    runs. ``python -i`` and the sessions find the application with `current`.

    Args:
        name: What the banners and the saved state call it.
        keys: The directory of the SSH host key; see `Console`.
        history: The directory of the users' histories; see `Console`.
        evaluation: How statements run; see `Console`.
        login: What strangers and wrong passwords cost; see `Console`.
        sessions: How many there may be, and what they begin with; see `Console`.
        host_key: File of the SSH host key; see `SshSettings`.
        allow_plain_text: Let telnet shells listen beyond loopback; see `TelnetSettings`.
        patches_at_restart: ``keep`` to apply the patches of its sessions again when a saved state
            is restored, ``undo`` to restore what was there before them.

    Attributes:
        services: Whatever the application is made of beside its ports, by name.
        not_restored: What `load` could not restore, a line each.
    """

    def __init__(
        self,
        name: str,
        *,
        keys: Path | str | None = None,
        history: Path | str | None = None,
        evaluation: EvaluationSettings | None = None,
        login: LoginSettings | None = None,
        sessions: SessionSettings | None = None,
        patches_at_restart: str = "keep",
        host_key: Path | str | None = None,
        allow_plain_text: bool = False,
    ) -> None:
        if patches_at_restart not in _AT_RESTART:
            raise ConfigurationError("patches_at_restart", patches_at_restart, "keep or undo")
        self.name = name
        self.services: dict[str, Any] = {}
        self._keys = keys
        self._history = history
        self._evaluation = evaluation
        self._login = login
        self._sessions = sessions
        self._host_key = host_key
        self._certificates: dict[tuple[int, str], tuple[str, str | None]] = {}
        self._allow_plain_text = allow_plain_text
        self._tcp_ports: list[Port] = []
        self._ssh_ports: list[Port] = []
        self.patches_at_restart = patches_at_restart
        self.not_restored: list[str] = []
        self._patches: list[tuple[Any, SavedPatch]] = []
        self._run: Run | None = None
        _make_current(self)

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

        For a shell the interface may be the path of a Unix socket; the port is 0 then.

        Raises:
            ConfigurationError: If the shell has the default password and the interface can be
                reached from other machines, or telnet would show passwords to a network.
            ListenError: While the application runs: if the address cannot be listened on.
        """
        entry = (port, factory, backlog, interface)
        if isinstance(factory, ShellFactory):
            _refuse_default_password(factory, interface)
            self._settings(entry)
        elif not callable(factory):
            raise ConfigurationError(
                "factory", type(factory).__name__, "give a Factory, a ShellFactory or a callable"
            )
        self._listen(self._tcp_ports, entry)

    def listen_ssh(
        self, port: int, shell: ShellFactory, backlog: int = 5, interface: str = DEFAULT_HOST
    ) -> None:
        """Listen on an SSH port with a shell.

        The interface may be the path of a Unix socket; the port is 0 then.

        Raises:
            ConfigurationError: If the shell has the default password and the interface can be
                reached from other machines.
            ListenError: While the application runs: if the address cannot be listened on.
        """
        if not isinstance(shell, ShellFactory):
            raise ConfigurationError("shell", type(shell).__name__, "give a ShellFactory")
        _refuse_default_password(shell, interface)
        entry = (port, shell, backlog, interface)
        self._settings(entry, ssh=True)
        self._listen(self._ssh_ports, entry)

    def listen_telnets(
        self,
        port: int,
        shell: ShellFactory,
        certificate: Path | str,
        key: Path | str | None = None,
        *,
        backlog: int = 5,
        interface: str = DEFAULT_HOST,
    ) -> None:
        """Listen on a TCP port with a shell for telnet within TLS; see `TelnetsSettings`.

        Raises:
            ConfigurationError: If the shell has the default password and the interface can be
                reached from other machines; while the application runs also if the certificate
                cannot be used.
            ListenError: While the application runs: if the address cannot be listened on.
        """
        if not isinstance(shell, ShellFactory):
            raise ConfigurationError("shell", type(shell).__name__, "give a ShellFactory")
        _refuse_default_password(shell, interface)
        entry = (port, shell, backlog, interface)
        # Absolute, because saved state may be restored from another directory.
        self._certificates[port, interface] = (
            str(Path(certificate).absolute()),
            None if key is None else str(Path(key).absolute()),
        )
        self._settings(entry)
        self._listen(self._tcp_ports, entry)

    def run(self, *, save_at_shutdown: bool = True) -> None:
        """Open every port and serve until SIGINT, SIGTERM or `stop`. Blocks; main thread.

        Args:
            save_at_shutdown: Save the state to ``NAME-shutdown.tap`` in the current directory
                when it has ended. If that fails, a line says so.

        Raises:
            StartError: If something cannot be opened. What had been is closed again.
            ConfigurationError: If a shell has the default password by now, and can be reached
                from other machines.
        """
        for _, factory, _, interface in [*self._tcp_ports, *self._ssh_ports]:
            if isinstance(factory, ShellFactory):
                _refuse_default_password(factory, interface)
        running = Run(
            self.name,
            self._consoles(),
            [one for one in self._tcp_ports if not isinstance(one[1], ShellFactory)],
            {
                "keys": self._keys,
                "history": self._history,
                "evaluation": self._evaluation,
                "login": self._login,
                "sessions": self._sessions,
            },
            self._patches,
        )

        def on_open() -> None:
            self._run = running

        with signals_put_back():
            try:
                asyncio.run(running.main(on_open))
            finally:
                # The consoles have stopped; their journals say what was patched at the end.
                if save_at_shutdown and self.patches_at_restart == "undo":
                    running.undo_patches()
                self._patches = running.patches()
                self._run = None
            say("Main loop terminated.")
            if save_at_shutdown:
                self._save_at_shutdown()

    def stop(self) -> None:
        """End `run` in order. Safe to call from any thread, and when nothing runs."""
        running = self._run
        if running is not None:
            running.request_stop()

    def save(self, path: Path | str | None = None) -> list[str]:
        """Save ports, factories, services, shells and their namespaces, to restart from them.

        May be called at any time and from any thread, a session's statement included. It blocks:
        on the loop's thread the service waits, but nothing of the loop changes meanwhile.

        Passwords are saved as hashes. What cannot be saved (sockets, locks, tasks, open files) is
        left out, alone: a name of a namespace, a service, an attribute of a factory.

        Args:
            path: None for ``NAME.tap`` in the current directory.

        Returns:
            What could not be saved, a line each: name, type, and the reason if that says more.

        Raises:
            StateError: If the file cannot be written. What was there before is unchanged.
        """
        # Only an application that is saved or restored pays for cloudpickle.
        from console.application.saved import records  # noqa: PLC0415

        return records.save(
            Path(f"{self._file_name()}.tap" if path is None else path), self._taken()
        )

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Restore a saved application; it is the current one then, and `run` starts it.

        This runs code from the file, so only a file is taken that nobody but you or root can
        have written. What cannot be restored is logged and named in `not_restored`.

        Raises:
            StateError: If the file cannot be read or trusted, is damaged, or was saved by another
                version of the format or, with functions in it, of Python.
        """
        from console.application.saved import records  # noqa: PLC0415 - as in save()

        before = _current
        application = cls.__new__(cls)

        def make_contents(name: str) -> Contents:
            Application.__init__(application, name)
            return records.Contents(application, name, services=application.services)

        try:
            contents = records.load(Path(path), make_contents)
        except BaseException:
            _make_current(before)
            raise
        application._put_together(contents)  # noqa: SLF001 - of this class
        return application

    def _taken(self) -> Contents:
        """Take the application apart, to be saved."""
        from console.application.saved import records  # noqa: PLC0415 - as in save()

        ports = [*self._tcp_ports, *self._ssh_ports]
        shells = {id(one[1]): one[1] for one in ports if isinstance(one[1], ShellFactory)}
        running = self._run
        patches = list(self._patches) if running is None else running.patches()
        secret = [one for _, one in patches if _sets_password(one)]
        return records.Contents(
            self,
            self.name,
            {name: value for name, value in vars(self).items() if name not in _SAVED_APART},
            self.services,
            list(self._tcp_ports),
            list(self._ssh_ports),
            list(shells.values()),
            [entry for entry in patches if entry[1] not in secret],
            [f"patch {one.number}, {one.target.describe()} (a password)" for one in secret],
        )

    def _put_together(self, contents: Contents) -> None:
        self._tcp_ports[:] = contents.tcp_ports
        self._ssh_ports[:] = contents.ssh_ports
        if self.patches_at_restart == "keep":
            self._patches = contents.patches
        else:
            contents.undo_patches()
        self.not_restored = contents.losses
        for line in contents.losses:
            logger.warning("not restored: %s", line)

    def _save_at_shutdown(self) -> None:
        path = f"{self._file_name()}-shutdown.tap"
        say(f"Saving {self.name} application to {path}...")
        try:
            not_saved = self.save(path)
        except StateError as error:
            say(f"Not saved: {error}")
        else:
            say("Saved.", *(f"not saved: {one}" for one in not_saved))

    def _file_name(self) -> str:
        return self.name.replace("/", "_").replace("\0", "_")

    def _settings(self, entry: Port, *, ssh: bool = False) -> ListenSettings:
        """Make settings of a shell's port."""
        port, _, backlog, interface = entry
        where: dict[str, Any] = {"port": port, "host": interface, "backlog": backlog}
        if interface.startswith("/"):
            where = {"socket": interface, "backlog": backlog}
        if ssh:
            return SshSettings(**where, host_key=self._host_key)
        certificate = self._certificates.get((port, interface))
        if certificate is not None:
            return TelnetsSettings(**where, certificate=certificate[0], key=certificate[1])
        return TelnetSettings(**where, allow_plain_text=self._allow_plain_text)

    def _consoles(self) -> list[tuple[ShellFactory, list[ListenSettings]]]:
        """Give the ports of each shell to consoles: one serves one port of each transport."""
        found: list[tuple[ShellFactory, ListenSettings]] = [
            (entry[1], self._settings(entry))
            for entry in self._tcp_ports
            if isinstance(entry[1], ShellFactory)
        ]
        found += [(entry[1], self._settings(entry, ssh=True)) for entry in self._ssh_ports]
        shells = {id(shell): shell for shell, _ in found}
        return [
            (shell, [one for one in together if one is not None])
            for shell in shells.values()
            for together in zip_longest(
                *(
                    [one for owner, one in found if owner is shell and one.name == name]
                    for name in ("telnet", "telnets", "ssh")
                )
            )
        ]

    def _listen(self, ports: list[Port], entry: Port) -> None:
        running = self._run
        factory = entry[1]

        def opening(running: Run) -> Coroutine[Any, Any, None]:
            if not isinstance(factory, ShellFactory):
                return running.open_factory(entry)
            settings = self._settings(entry, ssh=ports is self._ssh_ports)
            return running.open_shell(factory, [settings])

        def forget() -> None:
            ports[:] = [one for one in ports if one is not entry]

        ports.append(entry)
        if running is not None:
            try:
                running.open_from_any_thread(opening, forget)
            except BaseException:
                forget()
                raise


_SAVED_APART = frozenset(
    {"name", "services", "not_restored", "_tcp_ports", "_ssh_ports", "_patches", "_run"}
)


def _make_current(application: Application | None) -> None:
    global _current  # noqa: PLW0603 - the one application of a process, as the howto has it
    _current = application


def _sets_password(saved: SavedPatch) -> bool:
    """Whether a patch holds a password in plain text."""
    target = saved.target
    return isinstance(target.owner, ShellFactory) and target.describe().endswith(".password")


def _refuse_default_password(shell: ShellFactory, interface: str) -> None:
    is_local = interface.startswith("/") or is_loopback(interface)
    if shell.has_default_password and not is_local:
        raise ConfigurationError(
            "interface",
            interface,
            "with the default password only this machine may connect: set ShellFactory.password",
        )
