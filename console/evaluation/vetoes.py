"""Where an interrupt must not be raised: the frames in which it would break more than a statement.

Rules without I/O, asked by the guards of `console.evaluation.interrupts` for the frame in which
they have found the thread.
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
"""An exception out of nowhere in these leaves locks held, or is swallowed as unraisable."""

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
"""Their functions that take a lock, or give it back: out of them, the lock is held for ever."""

_DELICATE_SECONDS: Final = 0.12
"""After vetoes for so long we do raise: the statement may really be waiting in ``Event.wait``."""


class Vetoes:
    """Decides whether an interrupt may be raised in the frame that a thread was found in."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._blocked_in: FrameType | None = None

    @uninterrupted
    def clear(self) -> None:
        """Forget what was seen: another statement, or the interrupt has been raised."""
        self._since = self._blocked_in = None

    @uninterrupted
    def veto(self, frame: FrameType, *, wakes: bool) -> bool:
        """Whether not to raise there.

        Args:
            frame: The innermost frame of the thread.
            wakes: Whether the interrupt ends a blocked call, so that it takes no lock any more.
        """
        if is_uninterrupted(frame.f_code) or _in_collection(frame):
            return True
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module not in _DELICATE_MODULES:
            return False
        locking = frame.f_code.co_name in _LOCKING_NAMES
        # A thread found in the very same call for so long is blocked there: it has no lock yet.
        if self._since is None or (locking and self._blocked_in is not frame):
            self._since = time.monotonic()
            self._blocked_in = frame
        if locking and not wakes:
            return True
        return time.monotonic() - self._since < _DELICATE_SECONDS


@uninterrupted
def _in_collection(frame: FrameType) -> bool:
    """Whether a callback of the garbage collector runs: the service's own, or a library's.

    The collector runs it in whatever thread allocates, and reports what it raises as unraisable.
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
