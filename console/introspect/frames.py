"""The frames of the running threads: the one place that asks the interpreter for them."""

from __future__ import annotations

import gc
import os
import sys
import threading
from types import FrameType

UNREADABLE = (
    "unknown: the frames of running threads cannot be read in a free-threaded build of Python;"
    " run it with PYTHON_GIL=1"
)
"""What is shown in place of a stack where `frames_are_readable` is false."""

_lock = threading.RLock()
"""Held while the collector is off: of two threads, the second would take it for off already."""


def frames_are_readable() -> bool:
    """Whether `current_frames` can be asked: not without the GIL (CPython issue 152355)."""
    is_gil_enabled = getattr(sys, "_is_gil_enabled", None)  # new in 3.13
    return is_gil_enabled is None or bool(is_gil_enabled())


def current_frames() -> dict[int, FrameType]:
    """Return the current frame of each thread by its identifier. Safe to call from any thread.

    In a free-threaded build there are none: there a frame is freed while it is read.

    The garbage collector is off around the call. ``sys._current_frames()`` allocates while it holds
    the interpreter's list of threads. In older patch releases of 3.11 and 3.12 that could start a
    collection, whose finalisers wait for a thread that waits for that list: a deadlock of the
    process (CPython issue 106883).
    """
    if not frames_are_readable():
        return {}
    with _lock:
        was_on = gc.isenabled()
        gc.disable()
        try:
            return sys._current_frames()  # noqa: SLF001 - documented, for debuggers like us
        finally:
            if was_on:
                gc.enable()


def _after_fork() -> None:
    # Another thread may have held it, with the collector off. There was none if it is ours.
    global _lock  # noqa: PLW0603 - a lock cannot be made anew in place
    if not _lock.acquire(blocking=False):
        _lock = threading.RLock()
        gc.enable()
    else:
        _lock.release()


os.register_at_fork(after_in_child=_after_fork)
