"""The application: ports, factories, services and a shell, as Twisted's howto has them.

A thin layer over `Console` and asyncio's servers. A service with a main of its own needs none of
it: `Console` alone is enough there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from console.application.ports import Entry, Port, ShellPorts, TcpSettings, by_console
from console.application.run import ConsoleSettings, Run, say, signals_put_back
from console.application.shell import ShellFactory
from console.config.declaration import with_absolute_paths
from console.config.settings import (
    AT_RESTART,
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
from console.errors import ConfigurationError, ConsoleError, StateError
from console.patches.journal import SavedPatch

if TYPE_CHECKING:
    from console.application.saved.records import Contents

logger = logging.getLogger("console.application")


_current: Application | None = None


def current() -> Application | None:
    """Return the application of this process: the one that runs, or the last one made."""
    return _current


class Application:
    """A named set of ports and services that runs until it is told to stop.

    ``listen`` and its kin may be called before `run` and, from any thread, while it runs. A port
    that is refused is not listed. On the loop's own thread, which cannot wait, a port that cannot
    be opened is logged and then taken off the list. ``python -i`` and the sessions find the
    application with `current`.

    Args:
        name: What the banners and the saved state call it.
        keys: The directory of the SSH host key; see `Console`.
        history: The directory of the users' histories; see `Console`.
        evaluation: How statements run; see `Console`.
        login: Limits on unauthenticated connections and wrong passwords; see `Console`.
        sessions: How many there may be, and what they begin with; see `Console`.
        host_key: File of the SSH host key for `listen_ssh`; see `SshSettings`.
        allow_plain_text: Let `listen_tcp` open telnet shells beyond loopback; see `TelnetSettings`.
        patches_at_restart: ``keep`` to apply the patches of its sessions again when a saved state
            is restored, ``undo`` to restore what was there before them.

    Attributes:
        services: What the application consists of beside its ports, by name.
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
        if patches_at_restart not in AT_RESTART:
            raise ConfigurationError(
                "patches_at_restart", patches_at_restart, "must be keep or undo"
            )
        self.name = name
        self.services: dict[str, Any] = {}
        self._console_settings = ConsoleSettings(keys, history, evaluation, login, sessions)
        self._host_key = host_key
        self._allow_plain_text = allow_plain_text
        self._entries: list[Entry] = []
        self.patches_at_restart = patches_at_restart
        self.not_restored: list[str] = []
        self._patches: list[tuple[Any, SavedPatch]] = []
        self._run: Run | None = None
        _make_current(self)

    def __repr__(self) -> str:
        return f"<{self.name!r} app>"

    @property
    def tcp_ports(self) -> list[Port]:
        """The TCP ports, telnet's among them: (port, factory, backlog, interface). A copy."""
        return [one.as_port() for one in self._entries if not one.is_ssh]

    @property
    def ssh_ports(self) -> list[Port]:
        """The SSH ports: (port, shell, backlog, interface). A copy."""
        return [one.as_port() for one in self._entries if one.is_ssh]

    def listen(self, settings: ListenSettings, shell: ShellFactory) -> None:
        """Listen with a shell as settings say: telnet, telnet within TLS, or SSH by their class.

        Paths in the settings are made absolute, because saved state may be restored from another
        directory.

        Raises:
            ConfigurationError: If the shell has the default password and the interface can be
                reached from other machines; while the application runs also if a certificate
                cannot be used.
            ListenError: While the application runs: if the address cannot be listened on.
            KeyFileError: While the application runs: if the host key cannot be used.
        """
        if not isinstance(shell, ShellFactory):
            raise ConfigurationError(
                "shell", type(shell).__name__, "is not a shell", "give a ShellFactory"
            )
        if not isinstance(settings, ListenSettings):
            raise ConfigurationError(
                "settings",
                type(settings).__name__,
                "does not say where to listen",
                "give TelnetSettings, TelnetsSettings or SshSettings",
            )
        entry = Entry(with_absolute_paths(settings), shell)
        _refuse_default_password(entry)
        self._open(entry)

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
        if isinstance(factory, ShellFactory):
            # Before the settings are made, which refuse such an interface for another reason.
            _refuse_default_password(Entry(TcpSettings(port, interface, backlog), factory))
            port_or_none, host, socket = _place(port, interface)
            settings = TelnetSettings(
                port_or_none, host, backlog, socket, allow_plain_text=self._allow_plain_text
            )
            self.listen(settings, factory)
        elif callable(factory):
            self._open(Entry(TcpSettings(port, interface, backlog), factory))
        else:
            raise ConfigurationError(
                "factory",
                type(factory).__name__,
                "cannot make connections",
                "give a Factory, a ShellFactory or a callable",
            )

    def listen_ssh(
        self, port: int, shell: ShellFactory, backlog: int = 5, interface: str = DEFAULT_HOST
    ) -> None:
        """Listen on an SSH port with a shell.

        The interface may be the path of a Unix socket; the port is 0 then.

        Raises:
            ConfigurationError: If the shell has the default password and the interface can be
                reached from other machines.
            ListenError: While the application runs: if the address cannot be listened on.
            KeyFileError: While the application runs: if the host key cannot be used.
        """
        port_or_none, host, socket = _place(port, interface)
        self.listen(SshSettings(port_or_none, host, backlog, socket, self._host_key), shell)

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
        port_or_none, host, socket = _place(port, interface)
        settings = TelnetsSettings(
            port=port_or_none,
            host=host,
            backlog=backlog,
            socket=socket,
            certificate=certificate,
            key=key,
        )
        self.listen(settings, shell)

    def run(
        self, *, save_at_shutdown: bool = True, on_started: Callable[[], None] | None = None
    ) -> None:
        """Open every port and serve until SIGINT, SIGTERM or `stop`. Blocks; main thread.

        Args:
            save_at_shutdown: Save the state to ``NAME-shutdown.tap`` in the current directory
                when it has ended. If that fails, a line says so.
            on_started: Called once every port is open, on the loop of the application, so it must
                not wait. What it raises ends the run, and `run` raises it.

        Raises:
            StartError: If something cannot be opened. What had been is closed again.
            ConfigurationError: If a shell has the default password by now, and can be reached
                from other machines.
        """
        for entry in self._entries:
            _refuse_default_password(entry)
        running = Run(
            self.name,
            by_console(self._entries),
            [
                (settings, factory)
                for settings, factory in self._entries
                if isinstance(settings, TcpSettings)
            ],
            self._console_settings,
            self._patches,
        )

        def on_open() -> None:
            self._run = running
            if on_started is not None:
                on_started()

        with signals_put_back():
            try:
                asyncio.run(running.main(on_open))
            except ConsoleError as error:
                # Its line says all; the frames of the loop would only hide it. A cause stays: only
                # an error that is not expected has one.
                raise error.with_traceback(None)  # noqa: B904 - see above
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

        This runs code from the file, so a file is refused if a user other than you or root could
        have written it. What cannot be restored is logged and named in `not_restored`.

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

        entries = list(self._entries)
        factories = [one.factory for one in entries]
        shells = {id(one): one for one in factories if isinstance(one, ShellFactory)}
        running = self._run
        patches = list(self._patches) if running is None else running.patches()
        secret = [one for _, one in patches if _sets_password(one)]
        return records.Contents(
            self,
            self.name,
            {name: value for name, value in vars(self).items() if name not in _SAVED_APART},
            self.services,
            entries,
            list(shells.values()),
            [entry for entry in patches if entry[1] not in secret],
            [f"patch {one.number}, {one.target.describe()} (a password)" for one in secret],
        )

    def _put_together(self, contents: Contents) -> None:
        self._entries[:] = contents.entries
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

    def _open(self, entry: Entry) -> None:
        """List a port; while the application runs open it, too, or take it off the list again."""
        settings, factory = entry

        def opening(running: Run) -> Coroutine[Any, Any, None]:
            if isinstance(settings, TcpSettings):
                return running.open_factory(settings, factory)
            return running.open_shell(ShellPorts(factory, [settings]))

        def forget() -> None:
            self._entries[:] = [one for one in self._entries if one is not entry]

        running = self._run
        self._entries.append(entry)
        if running is not None:
            try:
                running.open_from_any_thread(opening, forget)
            except BaseException:
                forget()
                raise


_SAVED_APART = frozenset({"name", "services", "not_restored", "_entries", "_patches", "_run"})


def _make_current(application: Application | None) -> None:
    global _current  # noqa: PLW0603 - the one application of a process, as the howto has it
    _current = application


def _sets_password(saved: SavedPatch) -> bool:
    """Whether a patch holds a password in plain text."""
    target = saved.target
    return isinstance(target.owner, ShellFactory) and target.describe().endswith(".password")


def _place(port: int, interface: str) -> tuple[int | None, str, str | None]:
    """Return port, host and socket: an interface that begins with a slash is a Unix socket."""
    if interface.startswith("/"):
        return None, DEFAULT_HOST, interface
    return port, interface, None


def _refuse_default_password(entry: Entry) -> None:
    shell, interface = entry.factory, entry.interface
    if not isinstance(shell, ShellFactory) or not shell.has_default_password:
        return
    if not interface.startswith("/") and not is_loopback(interface):
        raise ConfigurationError(
            "interface",
            interface,
            "with the default password only this machine may connect",
            shell.password_remedy,
        )
