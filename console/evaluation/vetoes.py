"""Vetoes: the frames in which an interrupt must not be raised, as it would break other code.

Rules without I/O. The guards of `console.evaluation.interrupts` apply them to the innermost frame
of the thread that they are about to interrupt.
"""

from __future__ import annotations

import gc
import time
from types import FrameType, FunctionType, MethodType
from typing import Final

from console.context.uninterrupted import is_uninterrupted, uninterrupted

_DELICATE_MODULES: Final = frozenset(
    {
        "_weakrefset",
        "asyncio",
        "concurrent",
        "contextlib",
        "linecache",
        "logging",
        "queue",
        "threading",
        "warnings",
        "weakref",
    }
)
"""An asynchronous exception in these leaves locks held, or is lost as unraisable."""

_LOCKING_NAMES: Final = frozenset(
    {
        "__enter__",
        "__exit__",
        "_acquireLock",
        "_acquire_restore",
        "_releaseLock",
        "_release_save",
        "acquire",
        "release",
    }
)
"""Functions that acquire or release a lock: an exception in them leaves the lock held."""

_DELICATE_SECONDS: Final = 0.12
"""After vetoes for this long we do raise: the statement may be blocked in ``Event.wait``."""


class Vetoes:
    """Decides whether an interrupt may be raised in the frame that a thread was found in."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._blocked_in: FrameType | None = None

    @uninterrupted
    def clear(self) -> None:
        """Reset: the statement has ended, or the interrupt has been raised."""
        self._since = self._blocked_in = None

    @uninterrupted
    def veto(self, frame: FrameType, *, wakes: bool) -> bool:
        """Whether an interrupt must not be raised in a frame.

        Args:
            frame: The innermost frame of the thread.
            wakes: Whether the interrupt ends a blocked call, which then acquires no lock.
        """
        if is_uninterrupted(frame.f_code) or _in_collection(frame):
            return True
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module not in _DELICATE_MODULES:
            return False
        locking = frame.f_code.co_name in _LOCKING_NAMES
        # A thread that stays in the same call for this long is blocked there, without the lock.
        if self._since is None or (locking and self._blocked_in is not frame):
            self._since = time.monotonic()
            self._blocked_in = frame
        if locking and not wakes:
            return True
        return time.monotonic() - self._since < _DELICATE_SECONDS


@uninterrupted
def _in_collection(frame: FrameType) -> bool:
    """Whether a callback in ``gc.callbacks`` runs, of the service or of a library.

    The collector runs it in whichever thread allocates, and reports exceptions as unraisable.
    """
    if not gc.callbacks:
        return False
    codes = set()
    for callback in list(gc.callbacks):
        function: object = callback.__func__ if type(callback) is MethodType else callback
        if type(function) is FunctionType:
            codes.add(function.__code__)
    above: FrameType | None = frame
    while above is not None:
        if above.f_code in codes:
            return True
        above = above.f_back
    return False
