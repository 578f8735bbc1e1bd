"""What runs on the console's thread: sockets, doors, and what is behind them.

`Server` opens everything in an order in which each thing that can fail comes before what it would
disturb, and each thing opened says how it is closed; closing is the same order backwards.

Little is needed to listen. What a session is made of (`Inside`) is loaded when somebody comes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.audit.fallback import FallbackHandler
from console.config.settings import ListenSettings, SshSettings
from console.context.namespace import Namespace
from console.evaluation.hooks import hooks
from console.evaluation.host_loop import HostLoop
from console.lazy_imports import load
from console.listening import Listener, bind
from console.patches.journal import PatchJournal
from console.plan import Plan
from console.transports.context import Shared
from console.transports.lazy_listener import Door
from console.transports.ssh.lazy import SshDoor
from console.transports.telnet.lazy import TelnetDoor
from console.waiting import StopRequest

if TYPE_CHECKING:
    from console.inside import Inside

logger = logging.getLogger("console")


class Server:
    """What exists while a console runs. Lives on its loop, except where it says otherwise.

    Args:
        plan: What it serves.
        host_loop: The loop of the service; None if it has none.
        host_thread: The identifier of the thread that runs it; 0 if that is not known yet.
        stop: Ends it.
    """

    def __init__(
        self,
        plan: Plan,
        host_loop: asyncio.AbstractEventLoop | None,
        host_thread: int,
        stop: StopRequest,
    ) -> None:
        self._plan = plan
        self._stop = stop
        self.host = HostLoop(host_loop)
        self.host.learn_thread(host_thread)
        self.journal = PatchJournal(self._schedule, logger.warning)
        self.listeners: tuple[Listener, ...] = ()
        self._loop = asyncio.get_running_loop()
        self._handler = FallbackHandler()
        self._namespace = Namespace(plan.namespace)
        self._sockets: list[socket.socket] = []
        self._doors: list[Door[Any]] = []
        self._inside: Inside | None = None
        self._entering = asyncio.Lock()
        self._started_at = time.time()
        self._closing = contextlib.AsyncExitStack()

    async def serve(self, on_started: Callable[[], None]) -> None:
        """Open everything, run until a stop is requested, close everything."""
        async with self._closing:
            await self._open()
            on_started()
            await self._stop.wait()

    async def _open(self) -> None:
        plan, closing = self._plan, self._closing
        prepare = getattr(plan.credentials, "prepare", None)
        if prepare is not None:
            await self._loop.run_in_executor(None, prepare)

        # Everything that can fail comes first; each thing opened says how it is closed.
        startup = None
        if plan.sessions.startup is not None:
            await load("console.inside")
            from console.sessions.startup import read_startup  # noqa: PLC0415 - seldom wanted

            startup = read_startup(Path(plan.sessions.startup))
        bound = [bind(one, closing.callback) for one in plan.listeners]
        self._sockets = [sock for sock, _ in bound]
        self._doors = [self._door(one) for one in plan.listeners]
        for door in self._doors:
            await door.prepare()

        closing.callback(self._close_inside)
        logger.addHandler(self._handler)
        closing.callback(logger.removeHandler, self._handler)
        hooks.install()
        closing.callback(hooks.uninstall)
        self._namespace.install()
        closing.callback(self._namespace.uninstall)
        closing.callback(self._report_patches)
        closing.callback(self.host.close, 0.3)

        # Last in, first out: nobody comes any more, the sessions end, the rest is cut.
        for door in self._doors:
            closing.push_async_callback(door.close)
        closing.push_async_callback(self._end_sessions)
        for door, sock in zip(self._doors, self._sockets, strict=True):
            door.listen(sock)
            closing.push_async_callback(door.stop_accepting, sock)
        self.listeners = tuple(listener for _, listener in bound)
        if startup is not None:
            (await self._enter()).run_startup(startup)

    def _door(self, settings: ListenSettings) -> Door[Any]:
        if isinstance(settings, SshSettings):
            return SshDoor(settings, self._shared, self._plan.keys)
        return TelnetDoor(settings, self._shared)

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
        if self._stop.is_set:
            return "the console is stopping"
        return asyncio.run_coroutine_threadsafe(self._reload(), self._loop).result()

    async def _reload(self) -> str:
        for door in self._doors:
            await door.prepare()
        lines = [door.describe() for door in self._doors]
        lines.append("users, keys, authorities and revocations: read at each login")
        return "\n".join(filter(None, lines))

    # ---- what is behind the doors

    async def _enter(self) -> Inside:
        """Make what is behind the doors, at the first call."""
        async with self._entering:
            if self._inside is None:
                await load("console.inside")
                from console.inside import Inside  # noqa: PLC0415 - loaded on another thread

                self._inside = Inside(
                    self._plan,
                    host=self.host,
                    journal=self.journal,
                    started_at=self._started_at,
                    reload=self.reload,
                )
            return self._inside

    async def _shared(self) -> Shared:
        return (await self._enter()).shared

    async def _end_sessions(self) -> None:
        if self._inside is not None:
            await self._inside.end_sessions()

    def _close_inside(self) -> None:
        if self._inside is not None:
            self._inside.close()

    def _schedule(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something later on a thread of its own: it may run code of the service."""

        def start() -> None:
            threading.Thread(target=call, name="console-patch", daemon=True).start()

        with contextlib.suppress(RuntimeError):  # the loop has stopped
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, start)

    def _report_patches(self) -> None:
        for patch in self.journal.patches():
            logger.warning("still applied when the console stops: %r", patch)

    # ---- in a forked child

    def descriptors(self) -> Iterable[int]:
        """Return the numbers of the sockets that listen."""
        return [sock.fileno() for sock in self._sockets if sock.fileno() >= 0]

    def died_in_fork(self) -> None:
        """Undo what was changed in the process, of which a forked child has a copy."""
        logger.removeHandler(self._handler)
        self._namespace.uninstall()
        hooks.forget()
