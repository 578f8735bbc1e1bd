"""The running threads of the process, read from another thread. Runs no code of the service."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

from console.introspect.frames import current_frames
from console.introspect.listing import Listing
from console.introspect.stacks import Place, describe_places, place_of, thread_places
from console.text import escape_line, plain


@dataclass(frozen=True, slots=True)
class ThreadFacts:
    """A thread at one moment.

    Attributes:
        name: Its name; ``(not Python's)`` for one that a C library started.
        ident: Its identifier, for ``stack(ident)``.
        daemon: Whether the process ends without waiting for it; None if unknown.
        place: Its innermost frame; None if it is starting or has ended, or if frames cannot be read
            in this build of Python.
    """

    name: str
    ident: int
    daemon: bool | None
    place: Place | None


def list_threads() -> Listing[ThreadFacts]:
    """List the threads that run Python code. Safe to call from any thread."""
    rows = []
    frames = current_frames()
    for thread in threading.enumerate():
        name, ident, daemon = (_field(thread, key) for key in ("_name", "_ident", "_daemonic"))
        frame = frames.pop(ident, None)
        rows.append(
            ThreadFacts(plain(name), ident or 0, daemon, None if frame is None else place_of(frame))
        )
    rows += [ThreadFacts("(not Python's)", ident, None, place_of(f)) for ident, f in frames.items()]
    return Listing(
        rows,
        {
            "THREAD": lambda row: row.name,
            "IDENT": lambda row: row.ident,
            "DAEMON": lambda row: {True: "yes", False: "no", None: "-"}[row.daemon],
            "PLACE": lambda row: row.place or "-",
        },
        "no threads",
    )


def describe_thread_places(ident: int) -> str:
    """Return a thread's name and its stack without source, as text."""
    name = next(
        (plain(_field(t, "_name")) for t in threading.enumerate() if _field(t, "_ident") == ident),
        "unknown",
    )
    return f"thread '{escape_line(name)}':\n{describe_places(thread_places(ident))}"


def _field(thread: threading.Thread, name: str) -> Any:
    """Read an attribute where it is stored: a subclass of Thread may define properties."""
    return object.__getattribute__(thread, name)
