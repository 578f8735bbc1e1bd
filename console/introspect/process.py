"""The process as the system sees it. A fact that the platform does not give is None."""

from __future__ import annotations

import os
import platform
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from console._version import __version__
from console.introspect.listing import duration, moment

_PROC = Path("/proc/self")


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """A process at one moment; its repr is a short report.

    Attributes:
        started_at: When the process started (time.time).
        console_started_at: When the console started to listen (time.time).
        rss_bytes: Its resident memory.
        descriptors: The number of its open file descriptors.
        threads: The number of its Python threads.
    """

    pid: int
    started_at: float | None
    console_started_at: float
    rss_bytes: int | None
    descriptors: int | None
    threads: int
    python: str
    console: str

    def __repr__(self) -> str:
        rss = "unknown" if self.rss_bytes is None else f"{self.rss_bytes / 2**20:.1f} MiB"
        descriptors = "unknown" if self.descriptors is None else self.descriptors
        return "\n".join(
            (
                f"process {self.pid}  {_since(self.started_at)}",
                f"console {self.console}  {_since(self.console_started_at)}",
                f"Python {self.python}",
                f"memory {rss}, descriptors {descriptors}, threads {self.threads}",
            )
        )


def process_facts(console_started_at: float) -> ProcessFacts:
    """Return the facts of this process. Reads /proc, if it exists. Safe to call from any thread."""
    return ProcessFacts(
        pid=os.getpid(),
        started_at=process_started_at(),
        console_started_at=console_started_at,
        rss_bytes=_rss_bytes(),
        descriptors=_descriptors(),
        threads=threading.active_count(),
        python=f"{platform.python_version()} ({platform.python_implementation()})",
        console=__version__,
    )


def process_started_at() -> float | None:
    """Return when the process started (time.time); None if the system does not tell."""
    try:  # field 22 of proc(5)'s stat, in ticks since the boot
        # The program's name, in parentheses, may contain blanks and parentheses itself.
        fields = (_PROC / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        up_seconds = float(Path("/proc/uptime").read_text("ascii").split()[0])
        ticks = int(fields[19])
        return time.time() - (up_seconds - ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, IndexError):
        return None


def _rss_bytes() -> int | None:
    try:
        pages = int((_PROC / "statm").read_text("ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return None


def _descriptors() -> int | None:
    for directory in ("/proc/self/fd", "/dev/fd"):
        try:
            return sum(1 for _ in Path(directory).iterdir()) - 1  # less the one that lists
        except OSError:
            continue
    return None


def _since(timestamp: float | None) -> str:
    if timestamp is None:
        return "up for an unknown time"
    return f"up {duration(time.time() - timestamp)}, since {moment(timestamp)}"
