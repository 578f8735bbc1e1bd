"""One thread for what blocks in a login: the store and the hashing.

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
class _Job:
    rank: int
    number: int
    call: Callable[[], Any] = field(compare=False)
    future: Future[Any] = field(compare=False)


class Worker:
    """A daemon thread, started by the first job, that runs jobs one at a time by rank.

    No ThreadPoolExecutor: the interpreter joins its threads at exit, after shutdown(wait=False)
    too, so that a store that hangs would keep the host's process from ending.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._jobs: list[_Job] = []
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
            Refused: If too many of this rank wait, or the worker is closed before its turn.
        """
        job = _Job(rank, next(self._numbers), call, Future[T]())
        self._submit(job)
        try:
            # Cancelling this cancels the job while it waits.
            result: T = await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self._withdraw(job)
            raise
        return result

    def close(self) -> None:
        """Refuse what waits, and let the thread end after what it is at. Returns at once."""
        with self._changed:
            self._closed = True
            refused, self._jobs = self._jobs, []
            self._changed.notify()
        for job in refused:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(Refused("the console is closing"))

    def _submit(self, job: _Job) -> None:
        with self._changed:
            if self._closed:
                raise Refused("the console is closing")
            if self._waiting[job.rank] >= WAITING_MOST:
                if not self._flooded:  # said once for each flood, not for each guess
                    logger.warning(
                        "%d logins wait for their check; more are refused", len(self._jobs)
                    )
                self._flooded = True
                raise Refused("too many logins wait for their check")
            heapq.heappush(self._jobs, job)
            self._waiting[job.rank] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="console-auth", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _withdraw(self, job: _Job) -> None:
        """Give a place back: who leaves at once must not keep it until the thread comes there."""
        with self._changed:
            if job in self._jobs:
                self._jobs.remove(job)
                heapq.heapify(self._jobs)
                self._waiting[job.rank] -= 1

    def _next(self) -> _Job | None:
        """Wait for a job; None once the worker is closed."""
        with self._changed:
            while not self._jobs:
                if self._closed:
                    return None
                self._flooded = False
                self._changed.wait()
            job = heapq.heappop(self._jobs)
            self._waiting[job.rank] -= 1
            return job

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue  # whoever asked is gone
            try:
                result = job.call()
            except Exception as error:  # noqa: BLE001 - it travels to whoever asked
                job.future.set_exception(error)
            else:
                job.future.set_result(result)
            # An idle thread keeps no password, which is in the call.
            del job
