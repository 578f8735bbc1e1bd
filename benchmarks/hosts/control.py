"""Common code of the server processes: commands and the heartbeat."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.measure import work_cpu

LIFETIME_SECONDS = 3600

# Replies go to the original stdout; all other output goes to stderr's file.
_replies = os.dup(1)
os.dup2(2, 1)
_commands = os.fdopen(os.dup(0), "rb")


def arguments() -> dict[str, Any]:
    """Return the harness's specification."""
    found: dict[str, Any] = json.loads(sys.argv[1])
    return found


def reply(**facts: Any) -> None:
    """Send a JSON line to the harness."""
    os.write(_replies, json.dumps(facts).encode() + b"\n")


def serve(**handlers: Callable[..., dict[str, Any]]) -> None:
    """Run commands on a thread until stdin ends; then end the process at once."""
    handlers = {"work": _work, "memory": _memory, **handlers}

    def listen() -> None:
        for line in _commands:
            command = json.loads(line)
            reply(**handlers[command.pop("do")](**command))
        os._exit(0)

    threading.Thread(target=listen, name="control", daemon=True).start()
    deadline = threading.Timer(LIFETIME_SECONDS, os._exit, (3,))
    deadline.daemon = True
    deadline.start()


def _work() -> dict[str, Any]:
    return {"seconds": work_cpu()}


def _memory() -> dict[str, Any]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {"rss": pages * os.sysconf("SC_PAGE_SIZE")}


class Heartbeat:
    """The host's own work: a timer of a millisecond, and the real length of each interval."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._gaps: list[float] = []
        self._task: asyncio.Task[None] | None = None

    def start(self) -> dict[str, Any]:
        """Start the timer. Called on the control thread."""
        self._gaps = []
        self._loop.call_soon_threadsafe(self._begin)
        return {}

    def stop(self) -> dict[str, Any]:
        """Stop, and return the gaps in seconds."""
        task = self._task
        if task is not None:
            self._loop.call_soon_threadsafe(task.cancel)
        return {"gaps": [round(gap, 6) for gap in self._gaps]}

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._beat())

    async def _beat(self) -> None:
        gaps = self._gaps
        before = time.perf_counter()
        while True:
            await asyncio.sleep(0.001)
            after = time.perf_counter()
            gaps.append(after - before)
            before = after
