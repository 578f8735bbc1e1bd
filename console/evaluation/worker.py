"""A thread that runs the statements of one session, one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue

from console.evaluation.interrupts import AsyncExceptionGuard


class StatementWorker:
    """A daemon thread: a statement that never ends must not keep the process alive.

    It starts with the first job and ends with `close`, after the job that runs then.
    """

    def __init__(self, name: str) -> None:
        self.guard = AsyncExceptionGuard()
        self._name = name
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, job: Callable[[], None]) -> None:
        """Run a job soon. It must not raise. Call from one thread only."""
        self._jobs.put(job)
        if self._thread is None:
            self._thread = threading.Thread(
                target=_work, args=(self._jobs,), name=self._name, daemon=True
            )
            self._thread.start()

    @property
    def ident(self) -> int:
        """The thread's identifier; 0 before the first job."""
        return 0 if self._thread is None else self._thread.ident or 0

    def close(self) -> None:
        """Let the thread end. Can be called twice."""
        self._jobs.put(None)


def _work(jobs: SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()
        # This frame must not keep objects of the finished statement alive while it waits.
        del job
