"""Where threads are, told from outside while they go on. Runs no code of theirs."""

from __future__ import annotations

import sys
import threading
import traceback
from pathlib import Path

_OWN_DIRECTORY = str(Path(__file__).parent.parent)


def thread_stack(ident: int, *, skip_own: bool = False) -> traceback.StackSummary:
    """Return a thread's stack at this moment, outermost frame first; empty if it has ended.

    Args:
        ident: The thread's identifier.
        skip_own: Leave out everything up to the console's own innermost frame, so that what is
            left is the statement's.
    """
    frame = sys._current_frames().get(ident)  # noqa: SLF001 - documented, for debuggers like us
    if frame is None:
        return traceback.StackSummary()
    stack = traceback.extract_stack(frame)
    if skip_own:
        ours = [n for n, entry in enumerate(stack) if entry.filename.startswith(_OWN_DIRECTORY)]
        if ours and ours[-1] + 1 < len(stack):
            del stack[: ours[-1] + 1]
    return stack


def describe_place(stack: traceback.StackSummary) -> str:
    """Say in one line where a stack is: file, line, function, source."""
    if not stack:
        return "nowhere: its thread has ended"
    last = stack[-1]
    source = f": {last.line}" if last.line else ""
    return f"{last.filename}:{last.lineno} in {last.name}{source}"


def describe_thread(ident: int) -> str:
    """Return a thread's name and stack as text."""
    name = next((t.name for t in threading.enumerate() if t.ident == ident), "unknown")
    return f"thread {name!r}:\n" + "".join(thread_stack(ident).format()).rstrip("\n")
