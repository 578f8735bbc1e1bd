"""Runs the statements of one session, and watches over them.

The console's loop never waits for a statement: it looks at it now and then, passes Ctrl-C on until
the statement ends, gives it up if it does not, and reports or ends one that holds the host's loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import time
from collections.abc import MutableMapping
from typing import Any

from console.config import MODES, EvaluationSettings
from console.evaluation.compiler import SourceCache, normalise, split_mode
from console.evaluation.execution import Execution, Surroundings
from console.evaluation.host import HostLoop
from console.evaluation.leftover import LateOutput, Statements
from console.evaluation.worker import Worker
from console.interfaces import InputSource, Outcome, OutcomeKind, OutputSink
from console.scope import Scope
from console.text import escape_line

logger = logging.getLogger("console.evaluation")

_ASK_SECONDS = 0.05
"""How often a statement is asked again to stop: it may be where it must not be interrupted."""

_GIVE_UP_SECONDS = 0.7
"""After Ctrl-C, the statement is left behind then. One second is what a person waits for."""

_WATCH_SECONDS = 0.1
"""How often a statement on the host's loop is looked at, at most."""


class SessionEvaluator:
    """Evaluates one statement at a time. See `console.interfaces.Evaluator`.

    Attributes:
        mode: Where statements run unless they say otherwise: ``thread`` or ``loop``.
        last_error: The exception that the last failed statement raised.
    """

    def __init__(
        self,
        *,
        session: int,
        namespace: dict[str, Any],
        names: MutableMapping[str, Any],
        sink: OutputSink,
        source: InputSource,
        host: HostLoop,
        sources: SourceCache,
        settings: EvaluationSettings,
        statements: Statements,
    ) -> None:
        self.mode = settings.mode
        self.last_error: BaseException | None = None
        self._session = session
        self._sink = sink
        self._source = source
        self._settings = settings
        self._statements = statements
        self._surroundings = Surroundings(namespace, names, host, sources, settings)
        # One context for the session, so that what a statement sets in it holds for the next.
        # It begins empty: neither the console's variables nor the host's belong in here.
        self._context = contextvars.Context()
        self._worker: Worker | None = None
        self._running: Execution | None = None
        self._pressed_at: float | None = None
        self._count = 0
        self._future_flags = 0
        self._closed = False

    @property
    def namespace(self) -> dict[str, Any]:
        """The live names."""
        return self._surroundings.namespace

    @property
    def names(self) -> MutableMapping[str, Any]:
        """The session's own names."""
        return self._surroundings.names

    async def evaluate(self, source: str) -> Outcome:
        """Run a statement and return what came of it. See `Evaluator.evaluate`."""
        self._count += 1
        mode, source = split_mode(normalise(source))
        if mode and not source.strip():
            self.mode = mode
            return Outcome(OutcomeKind.NOTHING, note=f"statements run in mode {mode!r} now")
        if self._worker is None:
            self._worker = Worker(f"console-session-{self._session}")
        execution = Execution(
            name=f"{self._session}.{self._count}",
            source=normalise(source),
            mode=mode or self.mode,
            future_flags=self._future_flags,
            surroundings=self._surroundings,
            context=self._context,
            scope=Scope(self._session, self._sink, self._source, self._surroundings.names),
            worker=self._worker,
            on_ended=self._statements.remove,
        )
        self._running, self._pressed_at = execution, None
        self._statements.add(execution)
        self._worker.submit(execution.run)
        outcome = await self._watch(execution)
        self._running = None
        self._future_flags |= execution.future_flags
        # Not "or", which would ask the exception, and that is user code.
        if execution.last_error is not None:
            self.last_error, execution.last_error = execution.last_error, None
        return outcome

    def interrupt(self) -> bool:
        """Ask the running statement to stop. See `Evaluator.interrupt`."""
        execution = self._running
        if execution is None or execution.done.done():
            return False
        if self._pressed_at is None:
            self._pressed_at = time.monotonic()
        execution.interrupt()
        execution.changed.set()
        return True

    def close(self) -> None:
        """End the worker after its statement, and drop the session's own names."""
        if self._closed:
            return
        self._closed = True
        execution, self._running = self._running, None
        if execution is not None and not execution.done.done():
            # Its session is gone. It is asked to stop, or left running, as the settings say.
            execution.scope.sink = LateOutput(execution.name)
            execution.given_up = True
            if not self._settings.keep_running:
                self._statements.wind_down(execution)
        if self._worker is not None:
            self._worker.close()
        self._surroundings.names.clear()
        self.last_error = None

    async def _watch(self, execution: Execution) -> Outcome:
        """Wait for a statement's outcome, and see to it that there is one."""
        reported = False
        while not execution.done.done():
            execution.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._patience(execution)):
                    await execution.changed.wait()
            if execution.done.done():
                break
            now = time.monotonic()
            if self._pressed_at is not None:
                if now - self._pressed_at > _GIVE_UP_SECONDS:
                    self._leave_behind(execution)
                    break
                execution.interrupt()
            busy_since = execution.busy_since
            if busy_since is not None:
                held = now - busy_since
                if not reported and held > self._settings.report_seconds:
                    reported = True
                    self._report(execution, held)
                limit = self._settings.interrupt_seconds
                if limit is not None and held > limit and self._pressed_at is None:
                    self._say(
                        execution,
                        f"[interrupted: it held the service's loop for more than {limit:g} s;"
                        " %thread STATEMENT runs it in a thread of your session]",
                    )
                    self.interrupt()
        return execution.done.result()

    def _patience(self, execution: Execution) -> float | None:
        """How long to wait before looking again; None if there is nothing to look for."""
        if self._pressed_at is not None:
            return _ASK_SECONDS
        return min(_WATCH_SECONDS, self._settings.report_seconds) if execution.on_loop else None

    def _report(self, execution: Execution, held_seconds: float) -> None:
        stack = execution.stack_on_loop()
        logger.warning(
            "statement %s has held the service's loop for %.2f s: %s\n%s",
            execution.name,
            held_seconds,
            escape_line(execution.source),
            "\n".join("  | " + line for line in stack.split("\n")),
        )
        self._say(
            execution,
            f"[this statement has held the service's loop for {held_seconds:.2f} s]\n{stack}",
        )

    def _leave_behind(self, execution: Execution) -> None:
        """Give the prompt back while the statement goes on where nothing can wake it."""
        where = execution.where()
        execution.scope.sink = LateOutput(execution.name)
        logger.warning("statement %s does not stop and is left behind: %s", execution.name, where)
        if execution.on_loop and execution.busy_since is not None:
            self._surroundings.host.leave_behind()
        self._worker_left_behind()
        execution.give_up(
            Outcome(
                OutcomeKind.INTERRUPTED,
                "KeyboardInterrupt",
                status=130,
                note=f"statement {execution.name} does not stop: {where}\n"
                "It is left behind, and ends when it can; statements() lists it.",
            )
        )

    def _worker_left_behind(self) -> None:
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        # The old context may be entered for as long as the statement runs.
        self._context = self._context.copy()

    def _say(self, execution: Execution, text: str) -> None:
        execution.scope.sink.write(f"{text}\n", error=True)

    def set_mode(self, mode: str) -> None:
        """Choose where the session's statements run from now on.

        Raises:
            ValueError: If there is no such mode.
        """
        if mode not in MODES:
            message = f"no mode {mode!r}; there are {' and '.join(map(repr, MODES))}"
            raise ValueError(message)
        self.mode = mode
