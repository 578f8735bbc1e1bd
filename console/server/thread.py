"""The console's thread: one run of a console on it, from the start to the end.

The server's modules are imported on this thread, not by the caller of `Console.start`, so that the
host's loop is not blocked.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import selectors
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from console.errors import ConsoleError, StartError
from console.lazy_imports import load
from console.server.plan import Plan
from console.server.start_stop import StopRequest, uncancellable

if TYPE_CHECKING:
    from console.server.server import Server

logger = logging.getLogger("console")

_PIECES = (
    "console.evaluation.hooks",
    "console.transports.lazy_listener",
    "console.transports.registry",
    "console.patches.journal",
    "console.server.server",
)
"""The server's modules, loaded one after the other, so that the host's thread can run between."""

_TURNS = 3
"""Turns of the loop in which a closed connection is lost."""


class ConsoleThread:
    """Runs a server on a thread of its own. Safe to use from any thread.

    Args:
        plan: The console's settings.
        host_loop: The loop of the service; None if it has none.
        host_thread: The identifier of the thread that runs it; 0 if that is not known yet.
        on_started: Called on the thread once it listens.
        on_over: Called when the thread is about to end, also after an error.
    """

    def __init__(
        self,
        plan: Plan,
        host_loop: asyncio.AbstractEventLoop | None,
        host_thread: int,
        *,
        on_started: Callable[[], None],
        on_over: Callable[[], None],
    ) -> None:
        self._plan = plan
        self._host_loop = host_loop
        self._host_thread = host_thread
        self._on_started = on_started
        self._on_over = on_over
        self._stop = StopRequest()
        self._selector: selectors.BaseSelector | None = None
        self.server: Server | None = None
        """The server that runs on the thread; None until its modules are loaded."""
        self.started = uncancellable()
        self.ended = uncancellable()

    def start(self) -> None:
        """Start the thread. `started` is done when the server listens, or has failed to start.

        Raises:
            StartError: If the system gives us no thread.
        """
        _running.add(self)
        thread = threading.Thread(target=self._run, name="console", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            self._is_over()
            raise StartError(
                "console thread", f"cannot be started: {error}", "end other threads or processes"
            ) from error

    def request_stop(self) -> None:
        """Begin to stop. Can be called twice, and before it has started."""
        if self.server is not None:
            self.server.host.give_back_signal()
        self._stop.set()

    def _run(self) -> None:
        loop: asyncio.AbstractEventLoop | None = None
        pool: concurrent.futures.ThreadPoolExecutor | None = None
        error: BaseException | None = None
        try:
            # An explicit selector, so that a forked child can find each descriptor. Not
            # new_event_loop(), which would use the host's event loop policy.
            self._selector = selectors.DefaultSelector()
            loop = asyncio.SelectorEventLoop(self._selector)
            pool = concurrent.futures.ThreadPoolExecutor(2, thread_name_prefix="console-pool")
            loop.set_default_executor(pool)
            loop.run_until_complete(self._serve())
        except BaseException as caught:  # noqa: BLE001 - it travels to the caller of start()
            error = caught
        finally:
            if loop is not None:
                with contextlib.suppress(Exception):
                    _finish_tasks(loop)
                loop.close()
            if self._selector is not None:
                self._selector.close()
            if pool is not None:
                pool.shutdown(wait=False, cancel_futures=True)
            if self.started.done() and error is not None:
                logger.error("the console ended unexpectedly", exc_info=error)
            self._is_over()
            if not self.started.done():
                self.started.set_exception(_start_error(error))

    async def _serve(self) -> None:
        for module in _PIECES:
            await load(module)
        from console.server.server import Server  # noqa: PLC0415 - see above

        self.server = Server(self._plan, self._host_loop, self._host_thread, self._stop)
        await self.server.serve(self._has_started)

    def _has_started(self) -> None:
        self._on_started()
        self.started.set_result(None)

    def _is_over(self) -> None:
        _running.discard(self)
        self._on_over()
        self.ended.set_result(None)

    def died_in_fork(self) -> None:
        """Release all descriptors. Called in a forked child, on its only thread.

        Unregistering and closing them would also remove them from the epoll set, which the child
        shares with its parent, and so stop the parent's listeners. Redirecting them to /dev/null
        keeps the numbers in use, so that objects of this console that are finalised later close no
        other descriptor.
        """
        nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            numbers = set() if self.server is None else set(self.server.descriptors())
            if self._selector is not None:
                numbers |= {key.fd for key in (self._selector.get_map() or {}).values()}
            fileno = getattr(self._selector, "fileno", None)
            if fileno is not None:
                numbers.add(fileno())
            for number in numbers:
                with contextlib.suppress(OSError):
                    os.dup2(nowhere, number, inheritable=False)
        finally:
            os.close(nowhere)
        if self.server is not None:
            self.server.died_in_fork()
        self._plan.forked()


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


def _start_error(error: BaseException | None) -> BaseException:
    if isinstance(error, ConsoleError):
        # Its message is complete; the traceback of the console's thread would not help.
        return error.with_traceback(None)
    made = StartError("console", f"cannot start: {error or 'it was stopped'}")
    made.__cause__ = error
    return made


_running: weakref.WeakSet[ConsoleThread] = weakref.WeakSet()
"""The started threads of this process. A forked child releases their descriptors."""


def _after_fork() -> None:
    forked = list(_running)
    _running.clear()
    for thread in forked:
        thread.died_in_fork()


os.register_at_fork(after_in_child=_after_fork)
