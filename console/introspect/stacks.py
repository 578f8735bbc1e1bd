"""The stacks of running threads, read from another thread. Runs no code of the service."""

from __future__ import annotations

import asyncio
import threading
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import FrameType

from console.context.own_code import is_own
from console.introspect.frames import UNREADABLE, current_frames, frames_are_readable
from console.text import escape_controls, escape_line, plain

_LIBRARIES = ("/site-packages/", "/dist-packages/", f"{Path(threading.__file__).parent}/")
_LOOP_DIRECTORY = str(Path(asyncio.__file__).parent)

_LINE_CHARACTERS = 400
"""The longest line that is shown of a stack: a path may take the most of it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A line of code. It has names only, so showing it runs no code and reveals no value."""

    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{_within_library(self.file)}:{self.line} in {self.function}"

    @property
    def is_own(self) -> bool:
        """Whether it is the console's own code."""
        return is_own(self.file)


def _within_library(file: str) -> str:
    """Cut the libraries' directory from the name of a library's file."""
    for directory in _LIBRARIES:
        _, found, inner = file.partition(directory)
        if found:
            return inner
    return file


def place_of(frame: FrameType) -> Place:
    """Return where a frame is now."""
    code = frame.f_code
    return Place(plain(code.co_filename), frame.f_lineno or 0, plain(code.co_qualname))


def thread_places(ident: int, *, skip_own: bool = False) -> tuple[Place, ...]:
    """Return where a thread is, outermost frame first; empty if it has ended.

    Unlike `thread_stack` it reads no source: that would read files, and call the loaders in the
    frames' globals.
    """
    frame = current_frames().get(ident)
    places = []
    while frame is not None:
        places.append(place_of(frame))
        frame = frame.f_back
    places.reverse()
    if skip_own:
        ours = [n for n, place in enumerate(places) if place.is_own]
        if ours and ours[-1] + 1 < len(places):
            del places[: ours[-1] + 1]
    return tuple(places)


def thread_stack(ident: int, *, skip_own: bool = False) -> traceback.StackSummary:
    """Return a thread's stack at this moment, outermost frame first; empty if it has ended.

    Args:
        ident: The thread's identifier.
        skip_own: Leave out the console's own frames around a statement and in its commands.
    """
    frame = current_frames().get(ident)
    if frame is None:
        return traceback.StackSummary()
    stack = traceback.extract_stack(frame)
    if skip_own:
        if any(entry.filename.startswith("<console-") for entry in stack):
            while is_own(stack[-1].filename):
                stack.pop()  # a command of ours, which the statement has called
        ours = [n for n, entry in enumerate(stack) if is_own(entry.filename)]
        if ours and ours[-1] + 1 < len(stack):
            del stack[: ours[-1] + 1]
    return stack


def describe_place(stack: traceback.StackSummary) -> str:
    """Return a stack's innermost frame as one safe line: file, line, function, source."""
    if not stack:
        return "nowhere: its thread has ended" if frames_are_readable() else UNREADABLE
    last = stack[-1]
    source = f": {last.line}" if last.line else ""
    # The source may be what another user has typed.
    return escape_line(f"{last.filename}:{last.lineno} in {last.name}{source}", _LINE_CHARACTERS)


def describe_thread(ident: int) -> str:
    """Return a thread's name and stack as safe text, with asyncio's frames folded into one line."""
    name = next((t.name for t in threading.enumerate() if t.ident == ident), "unknown")
    if not frames_are_readable():
        return f"thread '{escape_line(name)}':\n  {UNREADABLE}"
    stack = "".join(_folded(thread_stack(ident))).rstrip("\n")
    # The source may be what another user has typed.
    return f"thread '{escape_line(name)}':\n{escape_controls(stack)}"


def _folded(stack: traceback.StackSummary) -> Iterator[str]:
    # A loop's frames are always the same, and hide the callback. The innermost frame stays: it is
    # where the thread is now.
    for is_loop, group in groupby(
        stack[:-1], lambda frame: frame.filename.startswith(_LOOP_DIRECTORY)
    ):
        frames = list(group)
        if is_loop and len(frames) > 1:
            yield f"  [{len(frames)} frames of asyncio]\n"
        else:
            yield from traceback.StackSummary.from_list(frames).format()
    yield from traceback.StackSummary.from_list(stack[-1:]).format()


def describe_places(places: tuple[Place, ...]) -> str:
    """Return a stack as text, one line a frame, without source."""
    if not frames_are_readable():
        return f"  {UNREADABLE}"
    if not places:
        return "  nowhere: there is no such thread, or it has ended"
    return "\n".join(f"  {escape_line(str(place), _LINE_CHARACTERS)}" for place in places)
