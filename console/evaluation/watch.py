"""Watches over one statement until the session has its outcome.

The console's loop never blocks on a statement. It checks the statement periodically, repeats an
interrupt until the statement ends, gives up a statement that does not end, and reports or
interrupts one that blocks the host's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import replace
from typing import Final

from console.config.settings import EvaluationSettings
from console.evaluation.execution import Execution
from console.evaluation.host_loop import HostLoop
from console.evaluation.statements import Statements, late_output
from console.interfaces.statements import Outcome, OutcomeKind
from console.results.json_document import TIMEOUT_STATUS
from console.text import escape_line

logger = logging.getLogger("console.evaluation")

_ASK_SECONDS: Final = 0.05
"""The interval of repeated interrupts: a statement may be where an interrupt is vetoed."""

_GIVE_UP_SECONDS: Final = 0.7
"""A statement that runs this long after Ctrl-C is left behind. Users wait about a second."""

_WATCH_SECONDS: Final = 0.1
"""The longest interval between two checks of a statement on the host's loop."""


class Watch:
    """See the module's docstring. Lives on the console's loop.

    Args:
        execution: The statement.
        statements: The running statements of all sessions.
        host: The host's loop, which the statement may block.
        settings: The limits; read again at each check.
        timeout_seconds: How long the statement may run; None for no limit.

    Attributes:
        left_behind: Whether the statement was given up and still ran then.
    """

    def __init__(
        self,
        execution: Execution,
        *,
        statements: Statements,
        host: HostLoop,
        settings: EvaluationSettings,
        timeout_seconds: float | None,
    ) -> None:
        self.execution = execution
        self.left_behind = False
        self._statements = statements
        self._host = host
        self._settings = settings
        self._timeout = timeout_seconds
        self._began = time.monotonic()
        self._asked_at: float | None = None
        self._timed_out = False
        self._reported = False

    def interrupt(self) -> bool:
        """Interrupt the statement, repeatedly until it ends. False if it is done already."""
        execution = self.execution
        if execution.done.done():
            return False
        if self._statements.withdraw(execution):
            execution.withdraw()
            return True
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        execution.interrupt()
        execution.changed.set()
        return True

    async def outcome(self) -> Outcome:
        """Wait for the statement's outcome; give the statement up if it does not end."""
        execution = self.execution
        while not execution.done.done():
            execution.changed.clear()
            patience = self._patience()
            if patience is None:  # the usual case, without the cost of a timer
                await execution.changed.wait()
            else:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await execution.changed.wait()
            if not execution.done.done():
                self._look(time.monotonic())
        outcome = execution.done.result()
        if self._timed_out and self._timeout:
            return _timed_out(outcome, self._timeout)
        return outcome

    def _patience(self) -> float | None:
        """The seconds until the next check; None if none is needed."""
        if self._asked_at is not None:
            patience: float | None = _ASK_SECONDS
        elif self.execution.on_loop:
            patience = min(_WATCH_SECONDS, self._settings.report_seconds)
        else:
            patience = None
        if self._timeout is None or self._timed_out:
            return patience
        left = max(0.0, self._timeout - (time.monotonic() - self._began))
        return left if patience is None else min(patience, left)

    def _look(self, now: float) -> None:
        execution = self.execution
        if self._timeout is not None and not self._timed_out and now - self._began >= self._timeout:
            self._timed_out = True
            self.interrupt()
        if self._asked_at is not None:
            if now - self._asked_at > _GIVE_UP_SECONDS:
                self._leave_behind()
                return
            execution.interrupt()
        busy_since = execution.busy_since
        if busy_since is not None:
            self._look_at_loop(now - busy_since)

    def _look_at_loop(self, held_seconds: float) -> None:
        """Report a statement that blocks the host's loop; interrupt it at the limit."""
        if not self._reported and held_seconds > self._settings.report_seconds:
            self._reported = True
            self._report(held_seconds)
        limit = self._settings.interrupt_seconds
        if limit is not None and held_seconds > limit and self._asked_at is None:
            self._say(
                f"[interrupted: it held the service's loop for more than {limit:g} s;"
                " %thread STATEMENT runs it in a thread of your session]"
            )
            self.interrupt()

    def _report(self, held_seconds: float) -> None:
        execution = self.execution
        stack = execution.stack_on_loop()
        logger.warning(
            "statement %s has held the service's loop for %.2f s: %s\n%s",
            execution.name,
            held_seconds,
            escape_line(execution.shown_source),
            "\n".join("  | " + line for line in stack.split("\n")),
        )
        self._say(f"[this statement has held the service's loop for {held_seconds:.2f} s]\n{stack}")

    def _leave_behind(self) -> None:
        """Give the prompt back although the statement still runs and cannot be interrupted."""
        execution = self.execution
        where = execution.where()
        execution.scope.sink = late_output(execution.name)
        logger.warning("statement %s does not stop and is left behind: %s", execution.name, where)
        if execution.on_loop and execution.busy_since is not None:
            self._host.leave_behind()
        self.left_behind = True
        execution.give_up(
            Outcome(
                OutcomeKind.INTERRUPTED,
                "KeyboardInterrupt",
                status=130,
                note=f"statement {execution.name} does not stop: {where}\n"
                "It is left behind, and ends when it can; statements() lists it.",
            )
        )

    def _say(self, text: str) -> None:
        self.execution.scope.sink.write(f"{text}\n", error=True)


def _timed_out(outcome: Outcome, seconds: float) -> Outcome:
    """Say that a statement was given up, whatever it made of the interrupt."""
    text = f"given up: it ran for more than {seconds:g} s"
    if outcome.kind is OutcomeKind.INTERRUPTED:
        return replace(outcome, text=text, status=TIMEOUT_STATUS)
    note = f"{outcome.note}\n{text}" if outcome.note else text
    return replace(outcome, note=note, status=TIMEOUT_STATUS)
