"""One run of an application: its ports opened on a loop, signals, and the end in order."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import logging
import signal
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.application.ports import ShellPorts, TcpSettings
from console.application.shell import ShellFactory
from console.config.settings import (
    EvaluationSettings,
    LoginSettings,
    SessionSettings,
)
from console.console import Console
from console.errors import ListenError
from console.patches.journal import PatchError, PatchJournal, SavedPatch
from console.server.sockets import explain_tcp

logger = logging.getLogger("console.application")

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class ConsoleSettings:
    """What all consoles of an application have in common; see `Console`."""

    keys: Path | str | None = None
    history: Path | str | None = None
    evaluation: EvaluationSettings | None = None
    login: LoginSettings | None = None
    sessions: SessionSettings | None = None


class Run:
    """One run. Its methods are called on its loop, except where they say otherwise.

    Args:
        name: The application's.
        shells: The ports of each console.
        factories: The ports of protocol factories.
        settings: Of every console.
        patches: Those of earlier runs; each is taken over when its shell opens.
    """

    def __init__(
        self,
        name: str,
        shells: Sequence[ShellPorts],
        factories: Sequence[tuple[TcpSettings, Any]],
        settings: ConsoleSettings,
        patches: Sequence[tuple[Any, SavedPatch]],
    ) -> None:
        self._name = name
        self._shells = shells
        self._factories = factories
        self._settings = settings
        self._patches = list(patches)
        self._journals: list[tuple[ShellFactory, PatchJournal]] = []
        self._ended = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._context = contextvars.Context()
        self._open = contextlib.AsyncExitStack()

    async def main(self, on_open: Callable[[], None]) -> None:
        """Open every port, wait for the end, close every port.

        Raises:
            StartError: If something cannot be opened. What had been is closed again.
        """
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        # From before the first line that says that something serves: its reader may send a signal.
        with _ended_by_signals(self._loop, self._ended):
            async with self._open:
                for ports in self._shells:
                    await self.open_shell(ports)
                for settings, factory in self._factories:
                    await self.open_factory(settings, factory)
                on_open()
                await self._ended.wait()
                say("Starting Shutdown Sequence.")
        say("Stopping main loop.")

    def request_stop(self) -> None:
        """Begin to stop. Safe to call from any thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended
                self._loop.call_soon_threadsafe(self._ended.set)

    def patches(self) -> list[tuple[Any, SavedPatch]]:
        """Return the patches that are applied, and those whose shell has not opened. Any thread."""
        applied = [(shell, one) for shell, journal in self._journals for one in journal.saved()]
        return applied + list(self._patches)

    def undo_patches(self) -> None:
        """Undo all patches, after the end."""
        for _, journal in self._journals:
            try:
                undone = journal.revert()
            except PatchError as error:
                logger.warning("not undone before saving: %s", error)
            else:
                for one in undone:
                    logger.warning("undone before saving: %r", one)

    def open_from_any_thread(
        self,
        opening: Callable[[Run], Coroutine[Any, Any, None]],
        on_failure: Callable[[], None],
    ) -> None:
        """Open one more port while the application runs. Waits for it on other threads.

        Args:
            opening: Calls `open_shell` or `open_factory`.
            on_failure: Called if it cannot be opened later on: on the loop's own thread, which
                cannot wait, the error is logged.

        Raises:
            ListenError: If it cannot be opened.
        """
        loop = self._loop
        if loop is None:
            return

        def report(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                on_failure()
                logger.error("a port could not be opened: %s", task.exception())

        # A port is the application's: what its connections print is not for the session that opened
        # it, whose context they would have.
        begin = self._context.copy().run
        if asyncio._get_running_loop() is loop:  # noqa: SLF001 - get_running_loop() less the raise
            begin(loop.create_task, opening(self)).add_done_callback(report)
            return
        opened = begin(asyncio.run_coroutine_threadsafe, opening(self), loop)
        try:
            opened.result()
        except BaseException:  # Ctrl-C, while a session waits for it
            opened.cancel()
            raise

    async def open_shell(self, ports: ShellPorts) -> None:
        """Open a console for a shell.

        Raises:
            StartError: If it cannot be opened.
        """
        shell, settings = ports.shell, self._settings
        console = Console(
            self._name,
            namespace=shell.namespace,
            credentials=shell,
            listen=ports.listeners,
            keys=settings.keys,
            history=settings.history,
            notice=functools.partial(_default_password_notice, shell),
            login=settings.login,
            evaluation=settings.evaluation,
            sessions=settings.sessions,
        )
        await self._open.enter_async_context(console)
        if console.patch_journal is not None:
            self._take_over_patches(shell, console.patch_journal)
        for listener in console.listeners:
            kind = "" if listener.transport == "telnet" else f" ({listener.transport})"
            say(f"{_qualified(shell)} starting on {listener.socket or listener.port}{kind}")
        if shell.has_default_password:
            logger.warning(
                "%s: every user of this machine can enter as %s with the default password; %s",
                self._name,
                shell.username,
                shell.password_remedy,
            )

    def _take_over_patches(self, shell: ShellFactory, journal: PatchJournal) -> None:
        self._journals.append((shell, journal))
        for entry in list(self._patches):
            if entry[0] is shell:
                self._patches.remove(entry)
                try:
                    logger.warning("applied again: %r", journal.restore(entry[1]))
                except PatchError as error:
                    logger.error("a patch could not be applied again: %s", error)  # noqa: TRY400

    async def open_factory(self, settings: TcpSettings, factory: Any) -> None:
        """Listen with a protocol factory.

        Raises:
            ListenError: If the address cannot be listened on.
        """
        try:
            server = await asyncio.get_running_loop().create_server(
                factory, settings.host, settings.port, backlog=settings.backlog
            )
        except OSError as error:
            address = f"{settings.host}:{settings.port}"
            raise ListenError("tcp", address, *explain_tcp(error, settings.port)) from None
        self._open.callback(server.close)
        for sock in server.sockets:
            say(f"{_qualified(factory)} starting on {sock.getsockname()[1]}")


@contextlib.contextmanager
def signals_put_back() -> Iterator[None]:
    """Leave the handlers of SIGINT and SIGTERM as they were found."""
    previous = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _ended_by_signals(loop: asyncio.AbstractEventLoop, ended: asyncio.Event) -> Iterator[None]:
    """End at the first SIGINT or SIGTERM in order, at the second at once."""

    def end() -> None:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
            # Until the state is saved: `signals_put_back` ends it.
            signal.signal(number, signal.SIG_DFL)
        ended.set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)


def say(*lines: str) -> None:
    """Print what the howto's server prints on its terminal."""
    print(*lines, sep="\n", flush=True)  # noqa: T201 - see above


def _default_password_notice(shell: ShellFactory) -> str:
    if not shell.has_default_password:
        return ""
    return f"WARNING: {shell.username} still has the default password.\n"


def _qualified(factory: Any) -> str:
    kind = factory if isinstance(factory, type) else type(factory)
    return f"{kind.__module__}.{kind.__qualname__}"
