"""One thread for the checks of a login, which block: the store and the hashing.

One, so that a hundred guesses at once cost one core and 20 MiB, and a store never sees two calls
at a time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

logger = logging.getLogger("console.auth")

WAITING_MOST: Final = 64
"""Checks of each rank that may wait: 64 passwords are 1.3 s of hashing, and a login's patience."""

T = TypeVar("T")


class Refused(Exception):
    """A check was not made. The text says why."""


@dataclass(order=True, slots=True)
class _Check:
    rank: int
    number: int
    call: Callable[[], Any] = field(compare=False)
    future: Future[Any] = field(compare=False)


class CheckThread:
    """A daemon thread, started by the first check, that runs checks one at a time by rank.

    No ThreadPoolExecutor: the interpreter joins its threads at exit, after shutdown(wait=False)
    too, so that a store that hangs would keep the host's process from ending.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._checks: list[_Check] = []
        self._waiting: Counter[int] = Counter()
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._flooded = False
        self._closed = False

    async def run(self, call: Callable[[], T], *, rank: int) -> T:
        """Run a call on the thread and return its result.

        Args:
            call: What to run. It raises neither SystemExit nor KeyboardInterrupt: they would end
                the thread.
            rank: A call of a lower rank goes first; of one rank, the one that came first.

        Raises:
            Refused: If too many of this rank wait, or the thread is closed before its turn.
        """
        check = _Check(rank, next(self._numbers), call, Future[T]())
        self._submit(check)
        try:
            # Cancelling this cancels the check while it waits.
            result: T = await asyncio.wrap_future(check.future)
        except asyncio.CancelledError:
            self._withdraw(check)
            raise
        return result

    def close(self) -> None:
        """Refuse what waits, and let the thread end after what it is at. Returns at once."""
        with self._changed:
            self._closed = True
            refused, self._checks = self._checks, []
            self._changed.notify()
        for check in refused:
            if check.future.set_running_or_notify_cancel():
                check.future.set_exception(Refused("the console is closing"))

    def _submit(self, check: _Check) -> None:
        with self._changed:
            if self._closed:
                raise Refused("the console is closing")
            if self._waiting[check.rank] >= WAITING_MOST:
                if not self._flooded:  # said once for each flood, not for each guess
                    logger.warning(
                        "%d logins wait for their check; more are refused", len(self._checks)
                    )
                self._flooded = True
                raise Refused("too many logins wait for their check")
            heapq.heappush(self._checks, check)
            self._waiting[check.rank] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="console-auth", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _withdraw(self, check: _Check) -> None:
        """Give a place back: a peer that leaves must not keep it until the thread comes there."""
        with self._changed:
            if check in self._checks:
                self._checks.remove(check)
                heapq.heapify(self._checks)
                self._waiting[check.rank] -= 1

    def _next(self) -> _Check | None:
        """Wait for a check; None once the thread is closed."""
        with self._changed:
            while not self._checks:
                if self._closed:
                    return None
                self._flooded = False
                self._changed.wait()
            check = heapq.heappop(self._checks)
            self._waiting[check.rank] -= 1
            return check

    def _work(self) -> None:
        while (check := self._next()) is not None:
            if not check.future.set_running_or_notify_cancel():
                continue  # the caller was cancelled
            try:
                result = check.call()
            except Exception as error:  # noqa: BLE001 - it travels to the caller
                check.future.set_exception(error)
            else:
                check.future.set_result(result)
            # An idle thread keeps no password, which is in the call.
            del check
