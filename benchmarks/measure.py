"""Clocks, percentiles and the machine's noise.

A figure has medians and 99th percentiles of many small measurements. Subjects are measured in
turns, never one after the other, so that other load of the machine affects all of them. Between the
turns a fixed piece of work is timed; its spread is the noise shown beside a figure.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

_CALIBRATION_ROUNDS = 20_000
"""About a millisecond of arithmetic on a machine of 2025."""


def now() -> float:
    """Return the time of the monotonic clock, in seconds."""
    return time.perf_counter()


def percentile(values: Sequence[float], rank: float) -> float:
    """Return the nearest-rank percentile: always a measured value."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)]


def median(values: Sequence[float]) -> float:
    """Return the 50th percentile."""
    return percentile(values, 50)


# ---------------------------------------------------------------- processor time


def process_cpu(pid: int) -> float:
    """Return the processor time of a process and of its threads, in seconds.

    Linux has a clock for each process, in nanoseconds (clock_getcpuclockid(3) is this formula);
    /proc counts in hundredths of a second.
    """
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e9


def tree_cpu(pid: int) -> float:
    """Return the processor time of a process, its children, and those of them that have ended.

    A server that forks a process for each connection (sshd) is measured whole.
    """
    total = 0.0
    ticks = os.sysconf("SC_CLK_TCK")
    for member in tree(pid):
        try:
            fields = _stat(member)
            total += process_cpu(member) + (int(fields[13]) + int(fields[14])) / ticks
        except OSError:
            continue  # it has just ended: its parent counts it from now on
    return total


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except OSError:
                continue
    found = [pid]
    for member in found:
        found.extend(parents.get(member, ()))
    return found


def _stat(pid: int) -> list[str]:
    # The program's name, in parentheses, may contain spaces: count the fields after it.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def tree_memory(pid: int) -> int:
    """Return the memory of a process and its children, in bytes; shared pages by share (PSS)."""
    total = 0
    for member in tree(pid):
        try:
            text = Path(f"/proc/{member}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) * 1024 for line in text.splitlines() if line.startswith("Pss:")
        )
    return total


# ---------------------------------------------------------------- the machine's noise


def work() -> int:
    """Do the fixed piece of work."""
    total = 0
    for number in range(_CALIBRATION_ROUNDS):
        total += number & 7
    return total


@dataclass
class Noise:
    """Times the fixed work between measurements."""

    seconds: list[float] = field(default_factory=list)

    def sample(self, count: int = 3) -> None:
        """Time the work a few times."""
        for _ in range(count):
            began = now()
            work()
            self.seconds.append(now() - began)

    def summary(self) -> dict[str, float]:
        """Return the work's median, and the excess of its 90th percentile as a fraction."""
        if not self.seconds:
            self.sample(20)
        middle = median(self.seconds)
        return {
            "work_ms": middle * 1000,
            "spread": percentile(self.seconds, 90) / middle - 1,
            "load": os.getloadavg()[0],
        }


def work_cpu(count: int = 50) -> float:
    """Return the processor time of the fixed work on this thread, in seconds: the median."""
    taken = []
    for _ in range(count):
        began = time.thread_time()
        work()
        taken.append(time.thread_time() - began)
    return median(taken)
