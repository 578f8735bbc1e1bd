"""Waiting for the console's thread: blocking, or by an awaitable if a loop runs on the thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import Awaitable, Callable, Generator
from typing import Any

logger = logging.getLogger("console")


class Done(Awaitable[None]):
    """An awaitable that is done: `start` and `stop` return it after they have blocked."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


class StopRequest:
    """Asks a loop to stop: from any thread, and also before the loop runs."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self._noticed = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_set(self) -> bool:
        """Whether it has been asked to stop."""
        return self._asked.is_set()

    def set(self) -> None:
        """Ask it to stop. Can be called twice."""
        self._asked.set()
        loop = self._loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # it has stopped
                loop.call_soon_threadsafe(self._noticed.set)

    async def wait(self) -> None:
        """Wait for it, on the loop that is to stop."""
        self._loop = asyncio.get_running_loop()
        if not self._asked.is_set():  # before there was a loop to tell
            await self._noticed.wait()


def uncancellable() -> concurrent.futures.Future[None]:
    """Make a future that its waiters cannot cancel."""
    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    return future


def wait_for_start(
    started: concurrent.futures.Future[None],
    loop: asyncio.AbstractEventLoop | None,
    give_up: Callable[[], None],
) -> Awaitable[None]:
    """Wait for the start, or return an awaitable. A caller that stops waiting ends the console."""
    if loop is not None:
        waiting = asyncio.wrap_future(started, loop=loop)
        waiting.add_done_callback(lambda done: give_up() if done.cancelled() else None)
        return waiting
    try:
        error = started.exception()
    except BaseException:  # Ctrl-C
        give_up()
        raise
    if error is not None:
        raise error
    return Done()


def wait_for_end(
    future: concurrent.futures.Future[None],
    loop: asyncio.AbstractEventLoop | None,
    timeout_seconds: float,
) -> Awaitable[None]:
    """Block until a future is done, or return an awaitable where a loop must not be blocked."""
    if loop is None:
        try:
            future.result(timeout_seconds)
        except TimeoutError:
            logger.warning("the console did not stop in time; its thread is left behind")
        return Done()
    wrapped = asyncio.wrap_future(future, loop=loop)
    return _bounded(wrapped, timeout_seconds)


def _bounded(future: asyncio.Future[None], timeout_seconds: float) -> Awaitable[None]:
    async def wait() -> None:
        _, late = await asyncio.wait([future], timeout=timeout_seconds)
        if late:
            logger.warning("the console did not stop in time; its thread is left behind")

    return asyncio.ensure_future(wait())


def running_loop() -> asyncio.AbstractEventLoop | None:
    """Return the loop that runs on this thread, and must not be blocked; None if none does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
