"""Runs the statements of one session, one at a time.

This module keeps the state that a statement leaves for the next one: the names, the mode, the
context variables, the ``from __future__`` features and the worker's thread.
`console.evaluation.watch` waits for the outcome.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any

from console.config.settings import MODES, EvaluationSettings
from console.context.scope import Scope
from console.evaluation.compiler import SourceCache
from console.evaluation.execution import Execution
from console.evaluation.host_loop import HostLoop
from console.evaluation.request import StatementRequest, Surroundings
from console.evaluation.statements import Statements, late_output
from console.evaluation.watch import Watch
from console.evaluation.worker import StatementWorker
from console.interfaces.statements import InputSource, Outcome, OutcomeKind, OutputSink
from console.results.json_document import CapturedOutput, Facts, write_document
from console.results.results import Results
from console.syntax.cells import count_lines, normalise
from console.syntax.options import OptionError, Options, split_options


class SessionEvaluator:
    """Evaluates one statement at a time. See `console.interfaces.statements.Evaluator`.

    Args:
        bare_words: The commands that a statement runs by consisting of the name alone; none for a
            script.

    Attributes:
        mode: Where statements without an option run: ``thread`` or ``loop``.
        last_error: The exception that the last failed statement raised.
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
        self._statements = statements
        self._surroundings = Surroundings(
            namespace, names, host, sources, settings, Results(settings), bare_words
        )
        # One context for the session, so that a variable that a statement sets keeps its value.
        # It begins empty, without the context variables of the console and of the host.
        self._context = contextvars.Context()
        self._worker: StatementWorker | None = None
        self._watch: Watch | None = None
        self._count = 0
        self._future_flags = 0
        self._closed = False

    @property
    def namespace(self) -> dict[str, Any]:
        """The namespace of the statements, which all sessions share."""
        return self._surroundings.namespace

    @property
    def names(self) -> MutableMapping[str, Any]:
        """The session's own names."""
        return self._surroundings.names

    @property
    def results(self) -> Results:
        """The session's display of values."""
        return self._surroundings.results

    async def evaluate(self, source: str, *, secret: bool = False) -> Outcome:
        """Run a statement and return its outcome. See `Evaluator.evaluate`."""
        self._count += 1
        cell = normalise(source)
        try:
            options, rest = split_options(cell)
        except OptionError as error:
            return Outcome(OutcomeKind.EXCEPTION, str(error), status=2)
        if not rest.strip() and str(options):
            return self._set_mode_alone(options)
        request = StatementRequest(
            name=self._next_name,
            source=normalise(rest),
            mode=options.mode or self.mode,
            as_json=options.as_json,
            # `normalise` removes blank lines at the beginning, which a script's numbers count.
            lines_above=count_lines(source) - count_lines(cell),
            secret=secret,
            future_flags=self._future_flags,
        )
        if options.as_json:
            return await self._run_to_document(request, options.timeout_seconds)
        scope = self._scope(self._sink)
        outcome, _ = await self._run(request, scope, options.timeout_seconds)
        return outcome

    async def run_file(
        self, source: str, file: str, *, private: bool, secret: bool = False
    ) -> Outcome:
        """Run a file. See `Evaluator.run_file`."""
        # The "pass" keeps the value of the last line from being shown, and its repr from being
        # called. A file takes no number: the first statement that is typed is number 1.
        request = StatementRequest(
            name=self._next_name,
            source=f"{source}\npass\n",
            mode=self.mode,
            file=file,
            private=private,
            secret=secret,
            future_flags=self._future_flags,
        )
        outcome, _ = await self._run(request, self._scope(self._sink), None)
        return outcome

    def interrupt(self) -> bool:
        """Interrupt the running statement. See `Evaluator.interrupt`."""
        return self._watch is not None and self._watch.interrupt()

    def set_mode(self, mode: str) -> None:
        """Set where the session's statements run from now on.

        Raises:
            ValueError: If there is no such mode.
        """
        if mode not in MODES:
            message = f"no mode {mode!r}; there are {' and '.join(map(repr, MODES))}"
            raise ValueError(message)
        self.mode = mode

    def close(self) -> None:
        """End the worker after its statement, and drop the session's own names."""
        if self._closed:
            return
        self._closed = True
        watch, self._watch = self._watch, None
        if watch is not None:
            self._let_go(watch.execution)
        if self._worker is not None:
            self._worker.close()
        self._surroundings.names.clear()
        self.last_error = None

    @property
    def _next_name(self) -> str:
        return f"{self._session}.{self._count}"

    def _scope(self, sink: OutputSink, *, captured: bool = False) -> Scope:
        return Scope(self._session, sink, self._source, self.names, captured=captured)

    def _set_mode_alone(self, options: Options) -> Outcome:
        if options != Options(mode=options.mode):
            text = f"{str(options).strip()} stands in front of a statement, and there is none"
            return Outcome(OutcomeKind.EXCEPTION, text, status=2)
        self.mode = options.mode
        return Outcome(OutcomeKind.NOTHING, note=f"statements run in mode {self.mode!r} now")

    async def _run_to_document(
        self, request: StatementRequest, timeout_seconds: float | None
    ) -> Outcome:
        """Run a statement, and write its output and outcome as JSON."""
        began = time.monotonic()
        captured = CapturedOutput(self._sink, self._surroundings.settings.pending_output_characters)
        try:
            scope = self._scope(captured, captured=True)
            outcome, facts = await self._run(request, scope, timeout_seconds)
        finally:
            output, errors, dropped = captured.release()
        document = write_document(
            outcome,
            facts,
            output=output,
            errors=errors,
            dropped=dropped,
            duration_seconds=time.monotonic() - began,
        )
        return replace(outcome, document=document)

    async def _run(
        self, request: StatementRequest, scope: Scope, timeout_seconds: float | None
    ) -> tuple[Outcome, Facts]:
        if self._worker is None:
            self._worker = StatementWorker(f"console-session-{self._session}")
        execution = Execution(
            request,
            self._surroundings,
            context=self._context,
            scope=scope,
            worker=self._worker,
            on_ended=self._statements.remove,
        )
        self._watch = watch = Watch(
            execution,
            statements=self._statements,
            host=self._surroundings.host,
            settings=self._surroundings.settings,
            timeout_seconds=timeout_seconds,
        )
        self._statements.add(execution, execution.begin)
        outcome = await watch.outcome()
        self._watch = None
        if watch.left_behind:
            self._leave_worker()
        # A statement that was left behind has set neither flags nor an error yet.
        self._future_flags |= execution.future_flags
        error = execution.take_error()
        # Not "or", which would call the exception's __bool__, and that is user code.
        if error is not None:
            self.last_error = error
        return outcome, execution.facts

    def _leave_worker(self) -> None:
        """Replace the worker and the context, which a statement that was left behind still uses."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None
        # The old context stays entered for as long as that statement runs.
        self._context = self._context.copy()

    def _let_go(self, execution: Execution) -> None:
        """Interrupt a statement whose session has ended, or let it run, as the settings say."""
        if self._statements.withdraw(execution):
            execution.withdraw()
        elif not execution.done.done():
            execution.scope.sink = late_output(execution.name)
            execution.abandon()
            if not self._surroundings.settings.keep_running:
                self._statements.wind_down(execution)
