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
from dataclasses import replace
from functools import partial
from typing import Any

from console.audit.logged_output import LoggedOutput
from console.config.settings import MODES, EvaluationSettings
from console.context.scope import Scope
from console.evaluation.compiler import SourceCache
from console.evaluation.execution import Execution, Surroundings
from console.evaluation.host_loop import HostLoop
from console.evaluation.statements import Statements
from console.evaluation.worker import Worker
from console.interfaces.statements import InputSource, Outcome, OutcomeKind, OutputSink
from console.results.json_document import TIMEOUT_STATUS, CapturedOutput, Facts, write_document
from console.results.results import Results
from console.syntax.cells import count_lines, normalise
from console.syntax.options import OptionError, Options, split_options
from console.text import escape_line

logger = logging.getLogger("console.evaluation")
output_logger = logging.getLogger("console.output")

_ASK_SECONDS = 0.05
"""How often a statement is asked again to stop: it may be where it must not be interrupted."""

_GIVE_UP_SECONDS = 0.7
"""After Ctrl-C, the statement is left behind then. One second is what a person waits for."""

_LATE_CHARACTERS = 64 * 1024
"""Logged of what a statement prints that has been left behind, or outlives its session."""

_WATCH_SECONDS = 0.1
"""How often a statement on the host's loop is looked at, at most."""


class SessionEvaluator:
    """Evaluates one statement at a time. See `console.interfaces.statements.Evaluator`.

    Args:
        bare_words: Commands that run where one of them is all of a statement; none for a script.

    Attributes:
        mode: Where statements run unless they say otherwise: ``thread`` or ``loop``.
        last_error: The exception that the last failed statement raised.
        results: How values are shown.
    """

    def __init__(
        self,
        *,
        session: int,
        namespace: dict[str, Any],
        names: MutableMapping[str, Any],
        sink: OutputSink,
        source: InputSource | None,
        host: HostLoop,
        sources: SourceCache,
        settings: EvaluationSettings,
        statements: Statements,
        bare_words: frozenset[str] = frozenset(),
    ) -> None:
        self.mode = settings.mode
        self.last_error: BaseException | None = None
        self._session = session
        self._sink = sink
        self._source = source
        self._settings = settings
        self._statements = statements
        self.results = Results(settings)
        self._surroundings = Surroundings(
            namespace, names, host, sources, settings, self.results, bare_words
        )
        # One context for the session, so that what a statement sets in it holds for the next.
        # It begins empty: neither the console's variables nor the host's belong in here.
        self._context = contextvars.Context()
        self._worker: Worker | None = None
        self._running: Execution | None = None
        self._pressed_at: float | None = None
        self._facts = Facts()
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

    async def evaluate(self, source: str, *, secret: bool = False) -> Outcome:
        """Run a statement and return what came of it. See `Evaluator.evaluate`."""
        self._count += 1
        cell = normalise(source)
        # As the lines of a script are counted, which may begin with blank ones.
        above = count_lines(source) - count_lines(cell)
        try:
            options, rest = split_options(cell)
        except OptionError as error:
            return Outcome(OutcomeKind.EXCEPTION, str(error), status=2)
        if not rest.strip() and str(options):
            return self._set_mode_alone(options)
        more = {"lines_above": above, "secret": secret}
        if not options.as_json:
            return await self._run(normalise(rest), options, self._sink, **more)
        began = time.monotonic()
        captured = CapturedOutput(self._sink, self._settings.pending_output_characters)
        try:
            outcome = await self._run(normalise(rest), options, captured, **more)
        finally:
            output, errors, dropped = captured.release()
        document = write_document(
            outcome,
            self._facts,
            output=output,
            errors=errors,
            dropped=dropped,
            duration_seconds=time.monotonic() - began,
        )
        return replace(outcome, document=document)

    async def run_file(
        self, source: str, file: str, *, private: bool, secret: bool = False
    ) -> Outcome:
        """Run a file. See `Evaluator.run_file`."""
        # Of a file no value is shown, nor the repr called of one that its last line may have. It
        # takes no number: the first statement that is typed is number 1 in any case.
        return await self._run(
            f"{source}\npass\n",
            Options(),
            self._sink,
            file=file,
            private=private,
            secret=secret,
        )

    def _set_mode_alone(self, options: Options) -> Outcome:
        if options != Options(mode=options.mode):
            text = f"{str(options).strip()} stands in front of a statement, and there is none"
            return Outcome(OutcomeKind.EXCEPTION, text, status=2)
        self.mode = options.mode
        return Outcome(OutcomeKind.NOTHING, note=f"statements run in mode {self.mode!r} now")

    async def _run(self, source: str, options: Options, sink: OutputSink, **more: Any) -> Outcome:
        if self._worker is None:
            self._worker = Worker(f"console-session-{self._session}")
        execution = Execution(
            name=f"{self._session}.{self._count}",
            source=source,
            mode=options.mode or self.mode,
            as_json=options.as_json,
            future_flags=self._future_flags,
            surroundings=self._surroundings,
            context=self._context,
            scope=Scope(self._session, sink, self._source, self._surroundings.names),
            worker=self._worker,
            on_ended=self._statements.remove,
            **more,
        )
        self._running, self._pressed_at = execution, None
        self._statements.add(execution, partial(self._worker.submit, execution.run))
        outcome = await self._watch(execution, options.timeout_seconds)
        self._running = None
        # What is left behind has not told yet, and nobody will hear it.
        self._facts = execution.facts if execution.ended else Facts()
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
        if self._statements.withdraw(execution):
            execution.withdraw()
            return True
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
        if execution is not None and self._statements.withdraw(execution):
            execution.withdraw()
        elif execution is not None and not execution.done.done():
            # Its session is gone. It is asked to stop, or left running, as the settings say.
            execution.scope.sink = _late_output(execution.name)
            execution.given_up = True
            if not self._settings.keep_running:
                self._statements.wind_down(execution)
        if self._worker is not None:
            self._worker.close()
        self._surroundings.names.clear()
        self.last_error = None

    async def _watch(self, execution: Execution, timeout_seconds: float | None) -> Outcome:
        """Wait for a statement's outcome, and see to it that there is one."""
        reported = timed_out = False
        began = time.monotonic()
        while not execution.done.done():
            patience = self._patience(execution)
            if timeout_seconds is not None and not timed_out:
                left = max(0.0, timeout_seconds - (time.monotonic() - began))
                patience = left if patience is None else min(patience, left)
            execution.changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await execution.changed.wait()
            if execution.done.done():
                break
            now = time.monotonic()
            if timeout_seconds is not None and not timed_out and now - began >= timeout_seconds:
                timed_out = True
                self.interrupt()
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
        outcome = execution.done.result()
        return _timed_out(outcome, timeout_seconds) if timed_out and timeout_seconds else outcome

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
            escape_line(execution.shown_source),
            "\n".join("  | " + line for line in stack.split("\n")),
        )
        self._say(
            execution,
            f"[this statement has held the service's loop for {held_seconds:.2f} s]\n{stack}",
        )

    def _leave_behind(self, execution: Execution) -> None:
        """Give the prompt back while the statement goes on where nothing can wake it."""
        where = execution.where()
        execution.scope.sink = _late_output(execution.name)
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


def _late_output(name: str) -> LoggedOutput:
    return LoggedOutput(output_logger, f"late output of statement {name}", _LATE_CHARACTERS)


def _timed_out(outcome: Outcome, seconds: float) -> Outcome:
    """Say that a statement was given up, whatever it made of the interrupt."""
    text = f"given up: it ran for more than {seconds:g} s"
    if outcome.kind is OutcomeKind.INTERRUPTED:
        return replace(outcome, text=text, status=TIMEOUT_STATUS)
    note = f"{outcome.note}\n{text}" if outcome.note else text
    return replace(outcome, note=note, status=TIMEOUT_STATUS)
