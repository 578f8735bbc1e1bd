"""One statement on its way from source to outcome.

It begins on its session's worker, which compiles it and runs it there; one that needs a loop is
handed on to the host's loop and runs there as one task. Either way the value's repr and the
traceback are made where the statement ran, guarded like the statement, since both run user code.
Only a finished `Outcome` travels to the console's loop.

Nothing that a statement raises gets further than this: out of a task, SystemExit or
KeyboardInterrupt would be re-raised by asyncio into the host's ``run_forever``.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import os
import sys
import time
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.config.settings import EvaluationSettings
from console.context.scope import Scope, current_scope
from console.evaluation import debugger
from console.evaluation.compiler import SourceCache, Statement, compile_statement
from console.evaluation.host_loop import HostLoop
from console.evaluation.interrupts import Guard, GuardedCoroutine, Step
from console.evaluation.worker import Worker
from console.interfaces.statements import Outcome, OutcomeKind
from console.introspect.stacks import describe_place, thread_places, thread_stack
from console.introspect.tasks import awaiting_places
from console.results.json_document import Facts, facts_of_error, facts_of_value
from console.results.printer import clip, drop_own_frames, format_exception, format_value
from console.results.results import Results

logger = logging.getLogger("console.evaluation")

_NO_LOOP_MESSAGES = ("no running event loop", "There is no current event loop")

_INTERRUPTED = Outcome(OutcomeKind.INTERRUPTED, "KeyboardInterrupt", status=130)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every statement of a session runs in.

    Attributes:
        bare_words: Commands that run where one of them is all of a statement.
    """

    namespace: dict[str, Any]
    names: MutableMapping[str, Any]
    host: HostLoop
    sources: SourceCache
    settings: EvaluationSettings
    results: Results
    bare_words: frozenset[str] = frozenset()


class Execution:
    """See the module's docstring. Made on the console's loop.

    Attributes:
        done: Has the outcome, on the console's loop; given up on, it has one before the end.
        changed: Set when there is news: the statement is done, or moved to the host's loop.
        busy_since: While it holds the host's loop: since when. None between its steps.
        given_up: Nobody waits for it any more.
        facts: What JSON needs to know; complete once it has `ended`.
    """

    def __init__(
        self,
        *,
        name: str,
        source: str,
        mode: str,
        as_json: bool,
        future_flags: int,
        surroundings: Surroundings,
        context: contextvars.Context,
        scope: Scope,
        worker: Worker,
        on_ended: Callable[[Execution], None],
        lines_above: int = 0,
        secret: bool = False,
        file: str = "",
        private: bool = False,
    ) -> None:
        self.name = name
        self.source = source
        self._secret = secret
        self.began_at = time.time()
        self.busy_since: float | None = None
        self.given_up = False
        self._process = os.getpid()
        self.future_flags = future_flags
        self.last_error: BaseException | None = None
        self.scope = scope
        self.facts = Facts()
        self._lines_above = lines_above
        self._mode = mode
        self._as_json = as_json
        self._in = surroundings
        self._context = context
        self._worker = worker
        self._on_ended = on_ended
        self._file = file
        self._private = private
        self._filename = file or f"<console-{name}>"
        self._loop = asyncio.get_running_loop()
        self._on_loop = False
        self._loop_guard: Guard | None = None
        self._task: asyncio.Task[Step] | None = None
        self._interrupted = False
        self._cancelled = False
        self._ended = False
        self.changed = asyncio.Event()
        self.done: asyncio.Future[Outcome] = self._loop.create_future()

    # ---- on the session's worker

    def run(self) -> None:
        """Compile, then run here or hand over to the host's loop."""
        trace = sys.gettrace()
        # The context is left before the host's loop enters it: one thread at a time may.
        step = self._worker.guard.run(self, self._context.run, self._compile_or_execute)
        # A debugger that was left in mid-step would go on with us, and with the next statement.
        sys.settrace(trace)
        if step.error is not None:
            self._finish(self._failed_at_last(step.error, self._worker.guard))
        elif isinstance(step.value, Outcome):
            self._finish(step.value)
            self._in.host.wake()
        else:
            self._on_loop = True
            try:
                self._in.host.call(self._start_task, step.value)
            except RuntimeError as error:  # the host's loop is closed
                self._finish(self._failed(error))
            else:
                self._tell(self.changed.set)

    def _compile_or_execute(self) -> Outcome | Statement:
        current_scope.set(self.scope)
        # The lines of a script have the numbers that they have in its file.
        source = "\n" * self._lines_above + self.source
        # The lines of a file are found there; those of a secret are not to be found in the log.
        if not self._secret and not self._file:
            self._in.sources.add(self._filename, source)
        try:
            statement = compile_statement(
                source,
                self._filename,
                self._in.namespace,
                self.future_flags,
                self._in.bare_words,
            )
        except BaseException as error:  # noqa: BLE001 - whatever it is belongs to the statement
            return self._failed(error, compiling=True)
        self.future_flags |= statement.future_flags
        if statement.needs_loop or self._mode == "loop":
            return statement
        try:
            if statement.body is not None:
                eval(statement.body, *self._dicts)  # noqa: S307 - a console's purpose
            if statement.expression is None:
                return Outcome(OutcomeKind.NOTHING)
            return self._succeeded(eval(statement.expression, *self._dicts))  # noqa: S307
        except BaseException as error:  # noqa: BLE001 - user code's exceptions are values
            return self._failed(error)

    # ---- on the host's loop

    def _start_task(self, statement: Statement) -> None:
        if self._interrupted:
            self._finish(self._failed(KeyboardInterrupt()))
            return
        self._loop_guard = self._in.host.guard()
        # The class itself: a host's task factory may not take a context, or may count its tasks.
        self._task = asyncio.Task(
            GuardedCoroutine(self._await(statement), self._loop_guard, self),
            loop=asyncio.get_running_loop(),
            context=self._context,
            name=f"console statement {self.name}",
        )
        self._task.add_done_callback(self._task_done)

    async def _await(self, statement: Statement) -> Outcome:
        try:
            if statement.body is not None:
                await _maybe(eval(statement.body, *self._dicts), statement.body.co_flags)  # noqa: S307
            if statement.expression is None:
                return Outcome(OutcomeKind.NOTHING)
            value = eval(statement.expression, *self._dicts)  # noqa: S307 - as above
            return self._succeeded(await _maybe(value, statement.expression.co_flags))
        except BaseException as error:  # noqa: BLE001 - see the module's docstring
            return self._failed(error)

    def _task_done(self, task: asyncio.Task[Step]) -> None:
        if task.cancelled():  # asked to in the step in which it ended
            self._finish(self._failed(asyncio.CancelledError()))
            return
        step = task.result()
        if step.error is None or self._loop_guard is None:
            self._finish(step.value)
        else:
            self._finish(self._failed_at_last(step.error, self._loop_guard))

    # ---- on either

    @property
    def _dicts(self) -> tuple[Any, ...]:
        """Globals, and locals where they differ: what a user's file binds is the session's own."""
        if self._private:
            return self._in.namespace, self._in.names
        return (self._in.namespace,)

    def _succeeded(self, value: Any) -> Outcome:
        if value is None:
            return Outcome(OutcomeKind.NOTHING)
        if self._as_json:
            self.facts = facts_of_value(value, self._in.settings.pending_output_characters)
            text = self.facts.data or format_value(value, self._in.settings.result_characters)
            hint = ""
        else:
            # A name of the service's own stands before the session's.
            last = "" if "_" in self._in.namespace else "_"
            text, hint = self._in.results.show(value, self.scope.source, last)
        self._in.names["_"] = value
        return Outcome(OutcomeKind.VALUE, text, note=hint)

    def _failed(self, error: BaseException, *, compiling: bool = False) -> Outcome:
        # The type is asked, not the exception: its __class__ may be user code.
        kind = type(error)
        if issubclass(kind, SystemExit):
            return _exit_outcome(error)
        if debugger.is_quit(error):
            return Outcome(OutcomeKind.INTERRUPTED, status=1)
        if issubclass(kind, KeyboardInterrupt) or (
            self._interrupted and issubclass(kind, asyncio.CancelledError)
        ):
            return _INTERRUPTED
        drop_own_frames(error)
        text = format_exception(
            error, compiling=compiling, limit_characters=self._in.settings.result_characters
        )
        if self._as_json:
            self.facts = facts_of_error(error)
        self.last_error = error
        return Outcome(
            OutcomeKind.EXCEPTION, text, status=1, error_id=self.name, note=self._hint(error)
        )

    def _failed_at_last(self, error: BaseException, guard: Guard) -> Outcome:
        """As `_failed`, for what got out of the statement, where nobody catches anything more."""
        step = guard.run(self, self._failed, error)
        if isinstance(step.value, Outcome):
            return step.value
        if isinstance(step.error, KeyboardInterrupt):
            return _INTERRUPTED
        # Its own code (__traceback__ as a property, for one) raises whenever it is looked at.
        text = f"{type(error).__name__}: it cannot be shown"
        return Outcome(OutcomeKind.EXCEPTION, text, status=1, error_id=self.name)

    def _hint(self, error: BaseException) -> str:
        # As asyncio raises it, and no subclass: nothing of user code is asked for its text.
        if type(error) is not RuntimeError or self._on_loop or self._file:
            return ""
        text = error.args[0] if error.args else None
        if type(text) is not str or not any(message in text for message in _NO_LOOP_MESSAGES):
            return ""
        separator = "\n" if "\n" in self.source else " "
        return (
            "This ran in a thread of your session. To run it on the service's event loop, type:\n"
            f"%loop{separator}{clip(self.source, 2000)}"
        )

    def _finish(self, outcome: Outcome) -> None:
        if os.getpid() != self._process:
            # The statement has forked, and this is the child: it was the statement's alone. It
            # must not go on as a second service on the first one's sockets.
            os._exit(outcome.status)
        self.scope.may_read = False
        self._tell(self._resolve, outcome)

    def _tell(self, callback: Any, *arguments: Any) -> None:
        # A console that has stopped meanwhile has closed its loop: nobody waits for the news.
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(callback, *arguments)

    # ---- on the console's loop

    @property
    def shown_source(self) -> str:
        """The statement as others may see it, and the log."""
        if self._file:
            return f"startup file {Path(self._file).name}"
        return "(not shown, as it is a secret)" if self._secret else self.source

    @property
    def ended(self) -> bool:
        """Whether it really has ended, given up on or not."""
        return self._ended

    @property
    def on_loop(self) -> bool:
        """Whether it runs on the host's loop."""
        return self._on_loop

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt where it runs; cancel it where it waits. Ask until it ends."""
        self._interrupted = True
        if not self._on_loop:
            self._worker.guard.interrupt(self)
            return
        guard = self._loop_guard
        # A task is cancelled once: what it awaits while it cleans up must not be cancelled too.
        if guard is not None and guard.interrupt(self):
            return
        if self._task is not None and not self._cancelled:
            self._cancelled = True
            with contextlib.suppress(RuntimeError):  # closed: there is nothing left to cancel
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    def withdraw(self) -> None:
        """End before it has begun."""
        self._resolve(_INTERRUPTED)

    def give_up(self, outcome: Outcome) -> None:
        """Let the session go on with this outcome; the statement ends when it can."""
        self.given_up = True
        self.scope.may_read = False
        if not self.done.done():
            self.done.set_result(outcome)
        self.changed.set()

    def where(self, *, sources: bool = True) -> str:
        """Say where the statement is now. Safe to call from any thread.

        Args:
            sources: Whether to show the line of code that runs.
        """
        if not self._on_loop:
            return _place(self._worker.ident, sources=sources)
        if self.busy_since is not None or self._task is None:
            return "on the service's loop, " + _place(self._in.host.ident, sources=sources)
        places = awaiting_places(self._task.get_coro(), (GuardedCoroutine,))
        return f"awaiting at {' > '.join(map(str, places))}" if places else "on the service's loop"

    def stack_on_loop(self) -> str:
        """Return the stack that holds the host's loop, as text."""
        return "".join(thread_stack(self._in.host.ident, skip_own=True).format()).rstrip("\n")

    def _resolve(self, outcome: Outcome) -> None:
        self._ended = True
        self._on_ended(self)
        if self.done.done():
            shown = "(not shown, as it is a secret)" if self._secret else outcome.text
            text = "".join(f"\n  | {line}" for line in shown.split("\n") if line)
            logger.warning(
                "statement %s, left behind, has ended: %s%s", self.name, outcome.kind.value, text
            )
        else:
            self.done.set_result(outcome)
        self.changed.set()


def _place(ident: int, *, sources: bool) -> str:
    if sources:
        return describe_place(thread_stack(ident, skip_own=True))
    places = thread_places(ident, skip_own=True)
    return str(places[-1]) if places else "nowhere: its thread has ended"


async def _maybe(value: Any, flags: int) -> Any:
    """Await what ``eval`` returned if its code was compiled to a coroutine."""
    return await value if flags & inspect.CO_COROUTINE else value


def _exit_outcome(error: BaseException) -> Outcome:
    """Turn ``sys.exit(...)`` into an outcome, with the status that Python itself would give."""
    try:
        code = getattr(error, "code", None)
        if code is None:
            return Outcome(OutcomeKind.EXIT)
        if issubclass(type(code), int):
            return Outcome(OutcomeKind.EXIT, status=int.__and__(code, 0xFF))
        text = clip(str(code))
    except KeyboardInterrupt:
        raise  # Ctrl-C, while the message was made
    except BaseException as failure:  # noqa: BLE001 - the message is user code's
        text = f"sys.exit() got a value that str() fails on ({type(failure).__name__})"
    return Outcome(OutcomeKind.EXIT, text, status=1)
