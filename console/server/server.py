"""The server on the console's thread: sockets, transports and sessions.

`Server` first takes the steps of the start that can fail, then those that change the process. Each
step registers how it is undone; the end undoes them in reverse order.

Listening needs few modules. Login and sessions (`Assembly`) are loaded at the first connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.audit.fallback import FallbackHandler
from console.context.namespace import Namespace
from console.evaluation.hooks import hooks
from console.evaluation.host_loop import HostLoop
from console.interfaces.transports import TransportContext
from console.lazy_imports import load
from console.patches.journal import PatchJournal
from console.server.plan import Plan
from console.server.sockets import Listener, bind
from console.server.start_stop import StopRequest
from console.transports.lazy_listener import LazyListener
from console.transports.registry import make_lazy_listener

if TYPE_CHECKING:
    from console.server.assembly import Assembly

logger = logging.getLogger("console")


class Server:
    """One run of a console. Lives on the console's loop, unless a method says otherwise.

    Args:
        plan: The console's settings.
        host_loop: The loop of the service; None if it has none.
        host_thread: The identifier of the thread that runs that loop; 0 if not known yet.
        stop: The request that ends the run.
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
        self._lazy_listeners: list[LazyListener[Any, Any]] = []
        self._assembly: Assembly | None = None
        self._assembling = asyncio.Lock()
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
        await self._loop.run_in_executor(None, plan.credentials.prepare)

        # The steps that can fail come first. Each step registers how it is undone.
        startup = None
        if plan.sessions.startup is not None:
            await load("console.server.assembly")
            from console.sessions.startup import read_startup  # noqa: PLC0415 - seldom wanted

            startup = read_startup(Path(plan.sessions.startup))
        bound = [bind(one, closing.callback) for one in plan.listeners]
        self._sockets = [sock for sock, _ in bound]
        self._lazy_listeners = [
            make_lazy_listener(one, self._context, plan.keys) for one in plan.listeners
        ]
        for listener in self._lazy_listeners:
            await listener.prepare()

        closing.callback(self._close_assembly)
        logger.addHandler(self._handler)
        closing.callback(logger.removeHandler, self._handler)
        hooks.install()
        closing.callback(hooks.uninstall)
        self._namespace.install()
        closing.callback(self._namespace.uninstall)
        closing.callback(self._report_patches)
        closing.callback(self.host.close, 0.3)

        # Undone in reverse order: stop accepting, end the sessions, then abort the connections.
        for listener in self._lazy_listeners:
            closing.push_async_callback(listener.close)
        closing.push_async_callback(self._end_sessions)
        for listener, sock in zip(self._lazy_listeners, self._sockets, strict=True):
            listener.listen(sock)
            closing.push_async_callback(listener.stop_accepting, sock)
        self.listeners = tuple(
            replace(
                where,
                command=lazy.client_command(host=where.host, port=where.port, socket=where.socket),
            )
            for (_, where), lazy in zip(bound, self._lazy_listeners, strict=True)
        )
        if startup is not None:
            (await self._assemble()).run_startup(startup)

    @property
    def fingerprint(self) -> str | None:
        """The SSH host key's SHA-256 fingerprint; None without SSH."""
        return next(
            (listener.fingerprint for listener in self._lazy_listeners if listener.fingerprint),
            None,
        )

    def reload(self) -> str:
        """Read host keys and certificates again. Users and their keys are read at each login.

        Blocks; may be called from any thread but the console's.

        Returns:
            The keys and certificates in use, one in each line.

        Raises:
            ConsoleError: If one cannot be used; the old one stays in use.
        """
        if self._stop.is_set:
            return "the console is stopping"
        return asyncio.run_coroutine_threadsafe(self._reload(), self._loop).result()

    async def _reload(self) -> str:
        for listener in self._lazy_listeners:
            await listener.prepare()
        lines = [listener.describe() for listener in self._lazy_listeners]
        lines.append("users, keys, authorities and revocations: read at each login")
        return "\n".join(filter(None, lines))

    # ---- login and sessions

    async def _assemble(self) -> Assembly:
        """Return the assembly of login and sessions, made at the first call."""
        async with self._assembling:
            if self._assembly is None:
                await load("console.server.assembly")
                from console.server.assembly import Assembly  # noqa: PLC0415 - loaded on another thread

                self._assembly = Assembly(
                    self._plan,
                    host=self.host,
                    journal=self.journal,
                    started_at=self._started_at,
                    reload=self.reload,
                )
            return self._assembly

    async def _context(self) -> TransportContext:
        return (await self._assemble()).context

    async def _end_sessions(self) -> None:
        if self._assembly is not None:
            await self._assembly.end_sessions()

    def _close_assembly(self) -> None:
        if self._assembly is not None:
            self._assembly.close()

    def _schedule(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function later, on a new thread, since it may run code of the service."""

        def start() -> None:
            threading.Thread(target=call, name="console-patch", daemon=True).start()

        with contextlib.suppress(RuntimeError):  # the loop has stopped
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, start)

    def _report_patches(self) -> None:
        for patch in self.journal.patches():
            logger.warning("still applied when the console stops: %r", patch)

    # ---- in a forked child

    def descriptors(self) -> Iterable[int]:
        """Return the file descriptors of the listening sockets."""
        return [sock.fileno() for sock in self._sockets if sock.fileno() >= 0]

    def died_in_fork(self) -> None:
        """Undo the changes to the process, in a forked child."""
        logger.removeHandler(self._handler)
        self._namespace.uninstall()
        hooks.forget()
