"""The host's event loop, as evaluators see it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from typing import Any

from console.evaluation.interrupts import AsyncExceptionGuard, Guard, SignalGuard, main_guard

logger = logging.getLogger("console.host")


class HostLoop:
    """The loop on which statements with a top-level ``await`` run.

    For a service without a loop the console makes one, on a separate thread, when the first such
    statement runs. So ``await`` works at each prompt, and tasks started there go on between
    statements.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self._given = loop
        self._own: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._guard: SignalGuard | AsyncExceptionGuard | None = None
        self._holds_signal = False
        self._waking: asyncio.AbstractEventLoop | None = None
        self.ident = 0
        """The identifier of the loop's thread; 0 until the loop has run something for us."""

    def call(self, callback: Callable[..., Any], *args: Any) -> None:
        """Run a callback on the loop soon. Safe to call from any thread.

        Raises:
            RuntimeError: If the loop is closed.
        """
        self.loop().call_soon_threadsafe(callback, *args)

    def wake(self) -> None:
        """Let the loop notice what a statement changed from another thread (a queue, a future)."""
        loop = self._given or self._own
        # If a wake-up is pending already, the loop will see this change too.
        if loop is not None and self._waking is not loop:
            self._waking = loop
            with contextlib.suppress(RuntimeError):  # closed meanwhile: nothing to wake
                loop.call_soon_threadsafe(self._woken)

    def _woken(self) -> None:
        self._waking = None

    def loop(self) -> asyncio.AbstractEventLoop:
        """Return the loop; make and start it if the service has none. Safe from any thread."""
        if self._given is not None:
            return self._given
        with self._lock:
            if self._own is None:
                # Not new_event_loop(), which would use the host's event loop policy.
                self._own = asyncio.SelectorEventLoop()
                self._thread = threading.Thread(
                    target=_run, args=(self._own,), name="console-host-loop", daemon=True
                )
                self._thread.start()
            return self._own

    @property
    def known_loop(self) -> asyncio.AbstractEventLoop | None:
        """The loop, if it exists already; else None. Safe to read from any thread."""
        return self._given or self._own

    def learn_thread(self, ident: int = 0) -> None:
        """Set the thread that runs a given loop: ``ident``, or the one that runs a callback."""
        if ident:
            self.ident = ident
        elif self._given is not None:
            with contextlib.suppress(RuntimeError):  # not running yet, or closed
                self._given.call_soon_threadsafe(self._note_thread)

    def _note_thread(self) -> None:
        self.ident = threading.get_ident()

    def guard(self) -> Guard:
        """Return the guard of the loop's thread. Call on the loop only."""
        if self._guard is None:
            self._note_thread()
            if threading.current_thread() is threading.main_thread():
                self._guard = main_guard
            else:
                self._guard = AsyncExceptionGuard()
        if self._guard is main_guard and not self._holds_signal:
            self._holds_signal = True
            main_guard.install()
        return self._guard

    def give_back_signal(self) -> None:
        """Uninstall the signal handler: at once on the main thread, else by way of the loop."""
        if not self._holds_signal:
            return
        if threading.current_thread() is threading.main_thread():
            self._holds_signal = False
            main_guard.uninstall()
        elif self._given is not None:
            with contextlib.suppress(RuntimeError):  # closed: a stop on the main thread does it
                self._given.call_soon_threadsafe(self.give_back_signal)

    def leave_behind(self) -> None:
        """Abandon a loop of ours that a statement blocks; the next statement gets a new one.

        The old loop ends as soon as that statement does. A given loop, the host's, stays in use.
        """
        with self._lock:
            loop, self._own, self._thread = self._own, None, None
            if loop is None:
                return
            self._guard = None
            self.ident = 0
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(loop.stop)

    def close(self, timeout_seconds: float) -> None:
        """Stop the loop if it is ours; a given loop is the host's. Blocks up to the timeout."""
        with self._lock:
            loop, thread = self._own, self._thread
            self._own = self._thread = None
        if loop is None or thread is None:
            return
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(loop.stop)
        thread.join(timeout_seconds)
        if thread.is_alive():
            logger.warning("the loop for awaiting statements is still busy; it is left behind")


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        _run_until_stopped(loop)
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        if tasks:
            loop.run_until_complete(asyncio.wait(tasks, timeout=0.5))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


def _run_until_stopped(loop: asyncio.AbstractEventLoop) -> None:
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt) as error:
            # asyncio re-raises these two from a task, here one that a statement started. The task
            # keeps the exception, and the other tasks go on.
            logger.warning("a task on the loop for awaiting statements raised %r", error)
        else:
            return
