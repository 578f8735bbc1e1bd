"""Runs the statements of one session.

A statement goes to the session's worker thread, which compiles it and runs it there; one with a
top-level ``await`` is handed on to the host's loop and runs there as one task. Either way the
value's repr and the traceback are made on the thread that ran the statement, since both run user
code, and only a finished `Outcome` travels back to the console's loop.

Nothing that a statement raises leaves this module: ``SystemExit`` or ``KeyboardInterrupt`` out of a
task would be re-raised by asyncio into the host's ``run_forever``.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from console.evaluation.compiler import SourceCache, Statement, compile_statement, normalise
from console.evaluation.host import HostLoop
from console.evaluation.printer import clip, format_exception, format_value
from console.evaluation.worker import Worker
from console.interfaces import Outcome, OutcomeKind, OutputSink
from console.scope import Scope, current_scope


class SessionEvaluator:
    """Evaluates one statement at a time for one session. See `console.interfaces.Evaluator`."""

    def __init__(
        self,
        *,
        session: int,
        namespace: dict[str, Any],
        names: MutableMapping[str, Any],
        sink: OutputSink,
        host: HostLoop,
        sources: SourceCache,
    ) -> None:
        self._session = session
        # One context for the session, so that what a statement sets in it holds for the next.
        # It begins empty: neither the console's variables nor the host's belong in here.
        context = contextvars.Context()
        context.run(current_scope.set, Scope(session, sink, names))
        self._surroundings = _Surroundings(context, namespace, names, host, sources)
        self._worker: Worker | None = None
        self._running: _Evaluation | None = None
        self._count = 0
        self._future_flags = 0
        self._closed = False

    async def evaluate(self, source: str) -> Outcome:
        """Run a statement and return what came of it.

        A cancelled call leaves the statement running; its outcome is dropped.
        """
        self._count += 1
        evaluation = _Evaluation(
            source=normalise(source),
            error_id=f"{self._session}.{self._count}",
            future_flags=self._future_flags,
            surroundings=self._surroundings,
        )
        self._running = evaluation
        if self._worker is None:
            self._worker = Worker(f"console-session-{self._session}")
        self._worker.submit(evaluation.run)
        try:
            outcome = await evaluation.done
        finally:
            self._running = None
        self._future_flags |= evaluation.future_flags
        return outcome

    def interrupt(self) -> bool:
        """Ask the running statement to stop: one that awaits is cancelled."""
        if self._running is None:
            return False
        self._running.interrupt()
        return True

    def close(self) -> None:
        """End the worker after its statement and drop the session's own names."""
        if self._closed:
            return
        self._closed = True
        if self._worker is not None:
            self._worker.close()
        self._surroundings.names.clear()


@dataclass(frozen=True, slots=True)
class _Surroundings:
    """What every statement of a session runs in."""

    context: contextvars.Context
    namespace: dict[str, Any]
    names: MutableMapping[str, Any]
    host: HostLoop
    sources: SourceCache


class _Evaluation:
    """One statement on its way from source to outcome."""

    def __init__(
        self, *, source: str, error_id: str, future_flags: int, surroundings: _Surroundings
    ) -> None:
        self.source = source
        self.error_id = error_id
        self.future_flags = future_flags
        self._in = surroundings
        self._filename = f"<console-{error_id}>"
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None
        self._interrupted = False
        self.done: asyncio.Future[Outcome] = self._loop.create_future()

    # ---- on the session's worker

    def run(self) -> None:
        """Compile, then run here or hand over to the host's loop."""
        # The context is left before the host's loop enters it: one thread at a time may.
        statement = self._in.context.run(self._compile)
        if isinstance(statement, Outcome):
            self._finish(statement)
        elif statement.awaits:
            try:
                self._in.host.call(self._start_task, statement)
            except RuntimeError as error:  # the host's loop is closed
                self._finish(self._failed(error))
        else:
            self._finish(self._in.context.run(self._execute, statement))
            self._in.host.wake()

    def _compile(self) -> Statement | Outcome:
        self._in.sources.add(self._filename, self.source)
        try:
            statement = compile_statement(self.source, self._filename, self.future_flags)
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the statement
            return self._failed(error, compiling=True)
        self.future_flags |= statement.future_flags
        return statement

    def _execute(self, statement: Statement) -> Outcome:
        try:
            if statement.body is not None:
                eval(statement.body, self._in.namespace)  # noqa: S307 - a console's purpose
            if statement.expression is None:
                return Outcome(OutcomeKind.NOTHING)
            return self._succeeded(eval(statement.expression, self._in.namespace))  # noqa: S307
        except BaseException as error:  # noqa: BLE001 - user code's exceptions are values
            return self._failed(error)

    # ---- on the host's loop

    def _start_task(self, statement: Statement) -> None:
        # The class itself: a host's task factory may not take a context, or may count its tasks.
        self._task = asyncio.Task(
            self._await(statement),
            loop=self._in.host.loop(),
            context=self._in.context,
            name=f"console statement {self.error_id}",
        )
        if self._interrupted:
            self._task.cancel()

    async def _await(self, statement: Statement) -> None:
        try:
            if statement.body is not None:
                await _maybe(eval(statement.body, self._in.namespace), statement.body.co_flags)  # noqa: S307
            outcome = Outcome(OutcomeKind.NOTHING)
            if statement.expression is not None:
                value = await _maybe(
                    eval(statement.expression, self._in.namespace),  # noqa: S307
                    statement.expression.co_flags,
                )
                outcome = self._succeeded(value)
        except BaseException as error:  # noqa: BLE001 - see the module's docstring
            outcome = self._failed(error)
        self._finish(outcome)

    # ---- on either

    def _succeeded(self, value: Any) -> Outcome:
        if value is None:
            return Outcome(OutcomeKind.NOTHING)
        text = format_value(value)
        self._in.names["_"] = value
        return Outcome(OutcomeKind.VALUE, text)

    def _failed(self, error: BaseException, *, compiling: bool = False) -> Outcome:
        if isinstance(error, SystemExit):
            return _exit_outcome(error)
        if isinstance(error, KeyboardInterrupt) or (
            self._interrupted and isinstance(error, asyncio.CancelledError)
        ):
            return Outcome(OutcomeKind.INTERRUPTED, "KeyboardInterrupt", status=130)
        text = format_exception(error, compiling=compiling)
        return Outcome(OutcomeKind.EXCEPTION, text, status=1, error_id=self.error_id)

    def _finish(self, outcome: Outcome) -> None:
        # A console that has stopped meanwhile has closed its loop: nobody waits for the outcome.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._resolve, outcome)

    # ---- on the console's loop

    def _resolve(self, outcome: Outcome) -> None:
        if not self.done.done():
            self.done.set_result(outcome)

    def interrupt(self) -> None:
        """Ask the statement to stop. Cancels its task; a worker's statement goes on."""
        self._interrupted = True
        with contextlib.suppress(RuntimeError):
            self._in.host.call(self._cancel_task)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()


async def _maybe(value: Any, flags: int) -> Any:
    """Await what ``eval`` returned if its code was compiled to a coroutine."""
    return await value if flags & inspect.CO_COROUTINE else value


def _exit_outcome(error: SystemExit) -> Outcome:
    """Turn ``sys.exit(...)`` into an outcome, with the status that Python itself would give."""
    code = error.code
    if code is None:
        return Outcome(OutcomeKind.EXIT)
    if isinstance(code, int):
        return Outcome(OutcomeKind.EXIT, status=code & 0xFF)
    try:
        text = clip(str(code))
    except Exception as failure:  # noqa: BLE001 - the message is user code's
        text = f"sys.exit() got a value that str() fails on ({type(failure).__name__})"
    return Outcome(OutcomeKind.EXIT, text, status=1)
