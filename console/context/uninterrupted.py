"""What our code needs where Ctrl-C may raise in the middle of it: on the thread of a statement.

`console.evaluation.interrupts` raises KeyboardInterrupt in that thread, between any two bytecodes.
Most code stands that. Code that keeps an invariant across two lines does not, nor do the locks of
`threading` that are written in Python: a Condition (and with it an Event, a Semaphore, a Queue)
whose ``__enter__`` is interrupted when it has just taken its lock keeps it for ever, and what
waits for it next, such as the console's loop, stands still. ``with`` on a plain Lock or RLock is
safe: nothing is raised between taking the lock and the block, nor between the block and its end.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import CodeType
from typing import Any, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

_codes: set[CodeType] = set()


def uninterrupted(function: _Function) -> _Function:
    """Mark a short function: no interrupt is raised while its own code is on top of the stack.

    What it calls needs the mark as well, or has to stand an exception.
    """
    _codes.add(function.__code__)
    return function


@uninterrupted
def is_uninterrupted(code: CodeType) -> bool:
    """Whether a function with this code is marked."""
    return code in _codes


class Latch:
    """Opens once; as `threading.Event`, but an interrupted waiter leaves no lock behind."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def open(self) -> None:
        """Let the waiter go. Once; one thread waits at most."""
        self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait for so long at most. Whether it has opened."""
        return self._lock.acquire(timeout=seconds)
