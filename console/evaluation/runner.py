"""One statement from source to outcome, where its code runs.

Its session's worker compiles it and runs it; a statement that needs a loop is run by the host's
loop instead, as one task. In both cases the value's repr and the traceback are made where the
statement ran, guarded like the statement, since both run user code. Only a finished `Outcome` is
passed to the console's loop.

No exception of a statement propagates beyond this module: asyncio would re-raise SystemExit or
KeyboardInterrupt of a task into the host's ``run_forever``.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import os
import sys
from typing import Any, Protocol

from console.context.own_code import statement_boundary
from console.context.scope import Scope, current_scope
from console.evaluation.compiler import Statement, compile_statement
from console.evaluation.guarded_coroutine import GuardedCoroutine
from console.evaluation.interrupts import Guard, StatementToken, Step
from console.evaluation.outcomes import OutcomeBuilder
from console.evaluation.request import StatementRequest, Surroundings
from console.evaluation.worker import StatementWorker
from console.interfaces.statements import Outcome, OutcomeKind
from console.introspect.stacks import describe_place, thread_places, thread_stack
from console.introspect.tasks import awaiting_places
from console.text import escape_controls


class Listener(Protocol):
    """Receives a statement's progress, on the thread that runs the statement."""

    def moved(self) -> None:
        """The statement moves to the host's loop. Called on the worker."""

    def finished(self, outcome: Outcome) -> None:
        """The statement has ended. The last call."""


class StatementRunner:
    """Runs one statement. Each method says where it may be called.

    Attributes:
        outcomes: Makes the outcome, and keeps its exception and its data for JSON.
        future_flags: The ``from __future__`` features in force after the statement.
    """

    def __init__(
        self,
        request: StatementRequest,
        surroundings: Surroundings,
        *,
        context: contextvars.Context,
        scope: Scope,
        worker: StatementWorker,
        token: StatementToken,
        listener: Listener,
    ) -> None:
        self.outcomes = OutcomeBuilder(request, surroundings, scope.source, token)
        self.future_flags = request.future_flags
        self._request = request
        self._in = surroundings
        self._context = context
        self._scope = scope
        self._worker = worker
        self._token = token
        self._listener: Listener | None = listener
        self._process = os.getpid()
        self._on_loop = False
        self._loop_guard: Guard | None = None
        self._task: asyncio.Task[Step] | None = None
        self._cancelled = False

    # ---- on the session's worker

    def run(self) -> None:
        """Compile, then run on this thread or hand the code to the host's loop."""
        guard = self._worker.guard
        trace = sys.gettrace()
        # The context is left before the host's loop enters it: only one thread may be in it.
        step = guard.run(self._token, self._context.run, self._compile_or_execute)
        # Otherwise a debugger that was left while stepping would trace our code from here on.
        sys.settrace(trace)
        if step.error is not None:
            self._finish(self.outcomes.failed_at_last(step.error, guard))
        elif isinstance(step.value, Outcome):
            self._finish(step.value)
            self._in.host.wake()
        else:
            self._on_loop = True
            # Reported first: once the loop has it, the statement may end at any moment.
            if self._listener is not None:
                self._listener.moved()
            try:
                self._in.host.call(self._start_task, step.value)
            except RuntimeError as error:  # the host's loop is closed
                self._finish(self.outcomes.failed(error))

    @statement_boundary
    def _compile_or_execute(self) -> Outcome | Statement:
        current_scope.set(self._scope)
        request = self._request
        # Blank lines in front, so that line numbers are those of the script.
        source = "\n" * request.lines_above + request.source
        # Tracebacks read a file's lines from the file, and must not show a secret's.
        if not request.secret and not request.file:
            self._in.sources.add(request.filename, source)
        try:
            statement = compile_statement(
                source,
                request.filename,
                self._in.namespace,
                request.future_flags,
                self._in.bare_words,
            )
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the statement
            return self.outcomes.failed(error, compiling=True)
        self.future_flags |= statement.future_flags
        if statement.needs_loop or request.mode == "loop":
            return statement
        try:
            if statement.body is not None:
                eval(statement.body, *self._dicts)  # noqa: S307 - a console's purpose
            if statement.expression is None:
                return Outcome(OutcomeKind.NOTHING)
            return self.outcomes.succeeded(eval(statement.expression, *self._dicts))  # noqa: S307
        except BaseException as error:  # noqa: BLE001 - user code's exceptions are values
            return self.outcomes.failed(error)

    # ---- on the host's loop

    def _start_task(self, statement: Statement) -> None:
        if self._token.interrupted:
            self._finish(self.outcomes.failed(KeyboardInterrupt()))
            return
        self._loop_guard = self._in.host.guard()
        # Not create_task(): the host's task factory may not accept a context, or count its tasks.
        self._task = asyncio.Task(
            GuardedCoroutine(self._await(statement), self._loop_guard, self._token),
            loop=asyncio.get_running_loop(),
            context=self._context,
            name=f"console statement {self._request.name}",
        )
        self._task.add_done_callback(self._task_done)

    @statement_boundary
    async def _await(self, statement: Statement) -> Outcome:
        try:
            if statement.body is not None:
                await _maybe(eval(statement.body, *self._dicts), statement.body.co_flags)  # noqa: S307
            if statement.expression is None:
                return Outcome(OutcomeKind.NOTHING)
            value = eval(statement.expression, *self._dicts)  # noqa: S307 - as above
            return self.outcomes.succeeded(await _maybe(value, statement.expression.co_flags))
        except BaseException as error:  # noqa: BLE001 - see the module's docstring
            return self.outcomes.failed(error)

    def _task_done(self, task: asyncio.Task[Step]) -> None:
        if task.cancelled():  # cancelled during the step in which it ended
            self._finish(self.outcomes.failed(asyncio.CancelledError()))
            return
        step = task.result()
        if step.error is None or self._loop_guard is None:
            self._finish(step.value)
        else:
            self._finish(self.outcomes.failed_at_last(step.error, self._loop_guard))

    # ---- on either

    @property
    def _dicts(self) -> tuple[Any, ...]:
        """The globals and, for a user's startup file, the locals: the session's own names."""
        if self._request.private:
            return self._in.namespace, self._in.names
        return (self._in.namespace,)

    def _finish(self, outcome: Outcome) -> None:
        if os.getpid() != self._process:
            # This is a child process that the statement has forked. It must not go on as a second
            # service on the sockets of the first one.
            os._exit(outcome.status)
        self._scope.may_read = False
        # Break the reference cycle with the listener, so that both are freed at once.
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.finished(outcome)

    # ---- on any thread

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt if it runs, cancel it if it awaits. Call until it ends."""
        self._token.interrupted = True
        if not self._on_loop:
            self._worker.guard.interrupt(self._token)
            return
        guard = self._loop_guard
        # A task is cancelled once: what it awaits while it cleans up must not be cancelled too.
        if guard is not None and guard.interrupt(self._token):
            return
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            with contextlib.suppress(RuntimeError):  # closed: there is nothing left to cancel
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def where(self, *, sources: bool = True) -> str:
        """Describe where the statement's code is now.

        Args:
            sources: Whether to show the line of code that runs.
        """
        if not self._on_loop:
            return _place(self._worker.ident, sources=sources)
        if self._token.busy_since is not None or self._task is None:
            return "on the service's loop, " + _place(self._in.host.ident, sources=sources)
        places = awaiting_places(self._task.get_coro(), (GuardedCoroutine,))
        at = escape_controls(" > ".join(map(str, places)))
        return f"awaiting at {at}" if places else "on the service's loop"

    def stack_on_loop(self) -> str:
        """Return the stack that holds the host's loop, as safe text."""
        stack = thread_stack(self._in.host.ident, skip_own=True)
        return escape_controls("".join(stack.format()).rstrip("\n"))


def _place(ident: int, *, sources: bool) -> str:
    if sources:
        return describe_place(thread_stack(ident, skip_own=True))
    places = thread_places(ident, skip_own=True)
    return escape_controls(str(places[-1])) if places else "nowhere: its thread has ended"


async def _maybe(value: Any, flags: int) -> Any:
    """Await what ``eval`` returned if its code was compiled to a coroutine."""
    return await value if flags & inspect.CO_COROUTINE else value
