"""Protects code of the console that runs on a statement's thread from interrupts.

`console.evaluation.interrupts` raises KeyboardInterrupt in that thread, between any two bytecodes.
Most code tolerates that. Code that keeps an invariant across two lines does not, nor do the
synchronisation classes of `threading` that are written in Python: if ``__enter__`` of a Condition
(or of an Event, a Semaphore, a Queue, which use one) is interrupted just after it has acquired its
lock, the lock is never released, and the next waiter, such as the console's loop, blocks for ever.
``with`` on a plain Lock or RLock is safe: no interrupt is raised between acquiring the lock and the
block, nor between the block and the release.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

_codes: set[CodeType] = set()


def uninterrupted(function: _Function) -> _Function:
    """Mark a short function: no interrupt is raised while its frame is the innermost one.

    The functions that it calls need the mark as well, or have to tolerate an exception.
    """
    _codes.add(function.__code__)
    return function


@uninterrupted
def is_uninterrupted(code: CodeType) -> bool:
    """Whether a function with this code is marked."""
    return code in _codes


class Latch:
    """As `threading.Event` that is set once, but an interrupted waiter leaves no lock held."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self) -> None:
        """Wake the waiter. Called once; at most one thread waits."""
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait for at most this long. Returns whether it has opened."""
        return self._lock.acquire(timeout=seconds)
