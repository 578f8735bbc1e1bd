"""One statement as its session sees it: its state and its outcome.

A `StatementRunner` runs the code on another thread and reports to the console's loop. If the
session gives up on a statement, there is an outcome before the statement has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import enum
import logging
import time
from collections.abc import Callable

from console.context.scope import Scope
from console.evaluation.interrupts import StatementToken
from console.evaluation.outcomes import INTERRUPTED, NO_FACTS
from console.evaluation.request import StatementRequest, Surroundings
from console.evaluation.runner import StatementRunner
from console.evaluation.worker import StatementWorker
from console.interfaces.statements import Outcome
from console.results.json_document import Facts

logger = logging.getLogger("console.evaluation")


class ExecutionState(enum.Enum):
    """The states of a statement, in order; ``LOOP`` only if it runs on the host's loop."""

    QUEUED = "queued"
    WORKER = "on its worker"
    LOOP = "on the host's loop"
    ENDED = "ended"


class Execution:
    """See the module's docstring. Lives on the console's loop, unless a method says otherwise.

    Attributes:
        scope: The statement's access to its session's input, output and names.
        began_at: When the statement was requested (time.time).
        done: The outcome; set before the end of a statement that is given up.
        changed: Set when the statement is done or has moved to the host's loop.
    """

    def __init__(
        self,
        request: StatementRequest,
        surroundings: Surroundings,
        *,
        context: contextvars.Context,
        scope: Scope,
        worker: StatementWorker,
        on_ended: Callable[[Execution], None],
    ) -> None:
        self.scope = scope
        self.began_at = time.time()
        self.changed = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Outcome] = self._loop.create_future()
        self._request = request
        self._worker = worker
        self._on_ended = on_ended
        self._state = ExecutionState.QUEUED
        self._token = StatementToken()
        self._runner = StatementRunner(
            request,
            surroundings,
            context=context,
            scope=scope,
            worker=worker,
            token=self._token,
            listener=self,
        )

    @property
    def name(self) -> str:
        """Names the statement in the session, in lists and in the log."""
        return self._request.name

    @property
    def shown_source(self) -> str:
        """The statement as shown to other users and in the log: redacted if it is secret."""
        return self._request.shown_source

    @property
    def state(self) -> ExecutionState:
        """The present state."""
        return self._state

    @property
    def ended(self) -> bool:
        """Whether its code has ended; for one that was given up, this comes after `done`."""
        return self._state is ExecutionState.ENDED

    @property
    def on_loop(self) -> bool:
        """Whether it runs on the host's loop."""
        return self._state is ExecutionState.LOOP

    @property
    def busy_since(self) -> float | None:
        """When its present step on the host's loop began (time.monotonic); None between steps."""
        return self._token.busy_since

    @property
    def facts(self) -> Facts:
        """The data of the outcome for JSON; empty before the end."""
        return self._runner.outcomes.facts if self.ended else NO_FACTS

    @property
    def future_flags(self) -> int:
        """The ``from __future__`` features in force after it."""
        return self._runner.future_flags

    def take_error(self) -> BaseException | None:
        """See `OutcomeBuilder.take_error`."""
        return self._runner.outcomes.take_error()

    def begin(self) -> None:
        """Submit it to its worker. Called once."""
        self._enter(ExecutionState.WORKER)
        self._worker.submit(self._runner.run)

    def withdraw(self) -> None:
        """End a statement that has not begun, as interrupted."""
        self._resolve(INTERRUPTED)

    def interrupt(self) -> None:
        """Interrupt or cancel it. Call again until it ends. Safe to call from any thread."""
        self._runner.interrupt()

    def abandon(self) -> None:
        """Note that its session has ended: cancelling its task may end it at once."""
        self._token.given_up = True

    def give_up(self, outcome: Outcome) -> None:
        """Set the outcome now, so that the session can go on; the statement ends later."""
        self._token.given_up = True
        self.scope.may_read = False
        if not self.done.done():
            self.done.set_result(outcome)
        self.changed.set()

    def where(self, *, sources: bool = True) -> str:
        """Describe where the statement's code is now. Safe to call from any thread.

        Args:
            sources: Whether to show the line of code that runs.
        """
        return self._runner.where(sources=sources)

    def stack_on_loop(self) -> str:
        """Return the stack of the host's loop thread, as text. Safe to call from any thread."""
        return self._runner.stack_on_loop()

    # ---- called by the runner on its thread (Listener)

    def moved(self) -> None:
        """See `Listener.moved`."""
        with contextlib.suppress(RuntimeError):  # the console has stopped, and its loop is closed
            self._loop.call_soon_threadsafe(self._move)

    def finished(self, outcome: Outcome) -> None:
        """See `Listener.finished`."""
        with contextlib.suppress(RuntimeError):  # as above: nothing waits for the news
            self._loop.call_soon_threadsafe(self._resolve, outcome)

    # ----

    def _enter(self, state: ExecutionState) -> None:
        logger.debug("statement %s: %s -> %s", self.name, self._state.value, state.value)
        self._state = state

    def _move(self) -> None:
        self._enter(ExecutionState.LOOP)
        self.changed.set()

    def _resolve(self, outcome: Outcome) -> None:
        self._enter(ExecutionState.ENDED)
        self._on_ended(self)
        if self.done.done():
            shown = "(not shown, as it is a secret)" if self._request.secret else outcome.text
            text = "".join(f"\n  | {line}" for line in shown.split("\n") if line)
            logger.warning(
                "statement %s, left behind, has ended: %s%s", self.name, outcome.kind.value, text
            )
        else:
            self.done.set_result(outcome)
        self.changed.set()
