"""Waiting for the console's thread: blocking where that is right, awaiting where a loop runs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Awaitable, Callable, Generator
from typing import Any

logger = logging.getLogger("console")


class Done(Awaitable[None]):
    """What `start` and `stop` return when they have done their work."""

    def __await__(self) -> Generator[Any, None, None]:
        yield from ()


def uncancellable() -> concurrent.futures.Future[None]:
    """Make a future that nobody can cancel: what it stands for goes on."""
    future: concurrent.futures.Future[None] = concurrent.futures.Future()
    future.set_running_or_notify_cancel()
    return future


def wait_for_start(
    started: concurrent.futures.Future[None],
    loop: asyncio.AbstractEventLoop | None,
    give_up: Callable[[], None],
) -> Awaitable[None]:
    """Wait for the start, or return an awaitable. Whoever stops waiting gives the console up."""
    if loop is not None:
        waiting = asyncio.wrap_future(started, loop=loop)
        waiting.add_done_callback(lambda done: give_up() if done.cancelled() else None)
        return waiting
    try:
        started.result()
    except BaseException:  # Ctrl-C, or the start's own error, after which there is nothing to stop
        give_up()
        raise
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
