"""The registry of running statements, including those that were left behind.

A worker that is blocked in a C call that cannot be interrupted is left behind: the session goes on
with a new worker. The statement is listed here until it ends, and its further output is logged.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from console.audit.logged_output import LoggedOutput
from console.evaluation.execution import Execution
from console.evaluation.gate import Gate
from console.text import escape_controls

output_logger = logging.getLogger("console.output")

_LATE_CHARACTERS = 64 * 1024
"""The most output that is logged of a statement that was left behind or outlives its session."""

_ASK_SECONDS = 0.05
_ASK_FOR_SECONDS = 1.0


def late_output(name: str) -> LoggedOutput:
    """Return the sink for a statement for which no session waits: it logs the output by line."""
    return LoggedOutput(output_logger, f"late output of statement {name}", _LATE_CHARACTERS)


class Statements:
    """The statements of all sessions that have not ended. Lives on the console's loop."""

    def __init__(self) -> None:
        self._running: dict[str, Execution] = {}
        self._winding_down: set[asyncio.Task[None]] = set()
        self._gate = Gate()

    def add(self, execution: Execution, begin: Callable[[], None]) -> None:
        """Register a statement, and let it begin as soon as the gate has a free slot."""
        self._running[execution.name] = execution
        self._gate.enter(execution, begin)

    def remove(self, execution: Execution) -> None:
        """Forget a statement whose code has ended."""
        self._running.pop(execution.name, None)
        self._gate.leave(execution)

    def withdraw(self, execution: Execution) -> bool:
        """Remove a statement that has not begun. False if it has begun."""
        return self._gate.withdraw(execution)

    def wind_down(self, execution: Execution) -> None:
        """Interrupt a statement whose session has ended, repeatedly for a second."""
        task = asyncio.get_running_loop().create_task(_wind_down(execution))
        self._winding_down.add(task)
        task.add_done_callback(self._winding_down.discard)

    def describe(self, *, sources: bool = True) -> str:
        """List the statements that run. Safe to call from any thread.

        Args:
            sources: Whether to show what was typed, and the lines of code that run.
        """
        return "\n".join(
            f"{one.name}  {time.time() - one.began_at:.0f} s"
            f"{'  left behind' if one.done.done() else ''}"
            f"{_first_line(one.shown_source) if sources else ''}"
            f"\n    {one.where(sources=sources)}"
            for one in tuple(self._running.values())
        )


def _first_line(source: str) -> str:
    return f"  {escape_controls(source.splitlines()[0] if source else '')[:60]}"


async def _wind_down(execution: Execution) -> None:
    deadline = time.monotonic() + _ASK_FOR_SECONDS
    while not execution.ended and time.monotonic() < deadline:
        execution.interrupt()
        await asyncio.sleep(_ASK_SECONDS)
    if not execution.ended:
        logging.getLogger("console.evaluation").warning(
            "statement %s outlives its session: %s", execution.name, execution.where()
        )
