"""Drives a statement's coroutine on the host's loop, with each of its steps guarded.

A task of a plain coroutine would end with the statement's exception, and asyncio re-raises
KeyboardInterrupt and SystemExit into the host's ``run_forever``. A `GuardedCoroutine` returns
every exception as its result.
"""

from __future__ import annotations

import collections.abc
import ctypes
import time
from collections.abc import Callable, Coroutine, Generator
from typing import Any

from console.context.uninterrupted import uninterrupted
from console.evaluation.interrupts import ConsoleInterrupt, Guard, StatementToken, Step

_keep_for_ever = ctypes.pythonapi.Py_IncRef
_keep_for_ever.argtypes = [ctypes.py_object]
_keep_for_ever.restype = None


class GuardedCoroutine(collections.abc.Coroutine[Any, Any, Step]):
    """Drives a coroutine with each of its steps guarded.

    A task of it always ends with a `Step` as its result, which holds the value or the exception.
    """

    __slots__ = ("__weakref__", "_coroutine", "_guard", "_token")

    def __init__(
        self, coroutine: Coroutine[Any, Any, Any], guard: Guard, token: StatementToken
    ) -> None:
        self._coroutine = coroutine
        self._guard = guard
        self._token = token

    @uninterrupted
    def send(self, value: Any) -> Any:
        """Run the next step."""
        return self._drive(self._coroutine.send, value)

    @uninterrupted
    def throw(self, kind: Any, value: Any = None, traceback: Any = None) -> Any:
        """Run the next step with an exception; this is how a task is cancelled."""
        error = kind if value is None else value
        if isinstance(error, type):
            error = error()
        if self._token.given_up:
            # A service that shuts down cancels the tasks of its loop and waits for them. A
            # statement that suppresses every cancellation must not block that. Nor may its
            # coroutine ever be finalised: it would suppress GeneratorExit as well, and go on
            # without a loop, for ever.
            _keep_for_ever(ctypes.py_object(self._coroutine))
            ended = Step()
            ended.error = error
            raise StopIteration(ended)
        return self._drive(self._coroutine.throw, error)

    def close(self) -> None:
        """End the coroutine without running it further."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, Step]:
        return (yield from self._iterate())

    def _iterate(self) -> Generator[Any, Any, Step]:
        value = None
        while True:
            try:
                value = yield self.send(value)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]

    # The attributes that asyncio's introspection of tasks (print_stack, all_tasks) reads.
    @property
    def cr_frame(self) -> Any:
        """The user's frame."""
        return self._coroutine.cr_frame  # type: ignore[attr-defined]

    @property
    def cr_running(self) -> bool:
        """Whether a step runs."""
        return self._coroutine.cr_running  # type: ignore[attr-defined, no-any-return]

    @property
    def cr_await(self) -> Any:
        """What the user's coroutine awaits."""
        return self._coroutine.cr_await  # type: ignore[attr-defined]

    @property
    def cr_code(self) -> Any:
        """The user's code."""
        return self._coroutine.cr_code  # type: ignore[attr-defined]

    @uninterrupted
    def _drive(self, method: Callable[[Any], Any], argument: Any) -> Any:
        while True:
            self._token.busy_since = time.monotonic()
            step = self._guard.run(self._token, method, argument)
            self._token.busy_since = None
            error = step.error
            if error is None:
                if step.late is None:
                    return step.value  # suspended: the task waits for this future
                # The interrupt came when the coroutine had just suspended: raise it there now.
                method, argument = self._coroutine.throw, step.late
                continue
            if isinstance(error, StopIteration):
                finished = Step()
                finished.value = error.value
                raise StopIteration(finished)
            if isinstance(error, ConsoleInterrupt) and self._is_suspended():
                # The interrupt came before the coroutine was entered: raise it inside.
                method, argument = self._coroutine.throw, error
                continue
            failed = Step()
            failed.error = error
            raise StopIteration(failed)

    @uninterrupted
    def _is_suspended(self) -> bool:
        return self.cr_frame is not None and not self.cr_running
