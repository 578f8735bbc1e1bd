"""Ctrl-C for one statement, without a race: it stops that statement or nothing.

An interrupt is a KeyboardInterrupt raised in the thread that runs the statement. The danger is in
the moment: it may arrive when the statement has just ended, inside asyncio's own code, or in our
bookkeeping, and then it kills the host's loop. Two guards make it exact.

`SignalGuard`, for the main thread: a signal, SIGURG, wakes even a blocked C call (``time.sleep``,
a lock, ``select``), and its Python handler raises only if the guarded statement is the one asked
for. It does not raise while our frames or those of modules with invariants to keep are on top; the
asker tries again.

`AsyncExceptionGuard`, for any other thread: ``PyThreadState_SetAsyncExc`` raises at the next
bytecode, but not in a blocked C call. The sender checks and sets under a lock, and looks first at
the frame where the thread has just been stopped; before the guarded region is left, a late
exception is made to arrive. It may still hit a weakref callback that begins in
that very moment: Python reports that as unraisable, and the asker tries again (`is_stray`).

What does not work: raising from a timer or a trace function (slow, and seen by debuggers), SIGINT
(the host's own), ``_thread.interrupt_main`` (hits whatever the main thread does), one try/except
around the statement without the second phase (one in some thousand arrives after it).
"""

from __future__ import annotations

import collections.abc
import ctypes
import gc
import signal
import sys
import threading
import time
from collections.abc import Callable, Coroutine, Generator
from types import FrameType, FunctionType, MethodType
from typing import Any, Final, Protocol

from console.context.uninterrupted import is_uninterrupted, uninterrupted


class ConsoleInterrupt(KeyboardInterrupt):
    """What a statement sees of Ctrl-C: user code may catch KeyboardInterrupt as ever."""


# Tracebacks and reprs shall call it by the name that everybody knows.
ConsoleInterrupt.__name__ = ConsoleInterrupt.__qualname__ = "KeyboardInterrupt"
ConsoleInterrupt.__module__ = "builtins"

SIGNAL: Final = signal.SIGURG
"""Ignored by default and used by nobody: it says that urgent data came, if one asks for it."""

_DELICATE_MODULES: Final = frozenset(
    {
        "_weakrefset",
        "asyncio",
        "concurrent",
        "contextlib",
        "linecache",
        "logging",
        "queue",
        "threading",
        "warnings",
        "weakref",
    }
)
"""An exception out of nowhere in these leaves locks held, or is swallowed as unraisable."""

_LOCKING_NAMES: Final = frozenset(
    {
        "__enter__",
        "__exit__",
        "_acquireLock",
        "_acquire_restore",
        "_releaseLock",
        "_release_save",
        "acquire",
        "release",
    }
)
"""Their functions that take a lock, or give it back: out of them, the lock is held for ever."""

_DELICATE_SECONDS: Final = 0.12
"""After vetoes for so long we do raise: the statement may really be waiting in ``Event.wait``."""

_LOOKS: Final = 8
"""How often a thread is looked at, after vetoes, before the asker has to ask again."""

_LOOK_SECONDS: Final = 0.0002

_RESEND_SECONDS: Final = 0.25
"""An exception that was set is pending for that long before it is set again."""

_set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_exception.argtypes = [ctypes.c_ulong, ctypes.py_object]
_set_exception.restype = ctypes.c_int


_keep_for_ever = ctypes.pythonapi.Py_IncRef
_keep_for_ever.argtypes = [ctypes.py_object]
_keep_for_ever.restype = None


class Step:
    """What came of one guarded call: a value, or an exception, never raised.

    ``late`` is an interrupt that arrived when the call had already ended.
    """

    __slots__ = ("error", "late", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self.late: ConsoleInterrupt | None = None


class Token(Protocol):
    """Stands for the statement whose steps are guarded."""

    busy_since: float | None
    """When the step that runs now began (time.monotonic); None between steps."""

    given_up: bool
    """Nobody waits for the statement any more: who cancels its task may end it at once."""


class Guard(Protocol):
    """Runs calls of a statement, and interrupts the one that is asked for."""

    def run(self, token: object, function: Callable[..., Any], *arguments: Any) -> Step:
        """Call a function. What it raises, an interrupt included, is in the step."""

    def interrupt(self, token: object) -> bool:
        """Interrupt the call guarded with ``token``. Safe to call from any thread.

        False if no such call runs now. True is no promise: ask again until the statement ends.
        """


class _Vetoes:
    """Decides whether an interrupt may be raised in the frame that a thread was found in."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._blocked_in: FrameType | None = None

    @uninterrupted
    def clear(self) -> None:
        """Forget what was seen: another statement, or the interrupt has been raised."""
        self._since = self._blocked_in = None

    @uninterrupted
    def veto(self, frame: FrameType, *, wakes: bool) -> bool:
        """Whether not to raise there.

        Args:
            frame: The innermost frame of the thread.
            wakes: Whether the interrupt ends a blocked call, so that it takes no lock any more.
        """
        if is_uninterrupted(frame.f_code) or _in_collection(frame):
            return True
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module not in _DELICATE_MODULES:
            return False
        locking = frame.f_code.co_name in _LOCKING_NAMES
        # A thread found in the very same call for so long is blocked there: it has no lock yet.
        if self._since is None or (locking and self._blocked_in is not frame):
            self._since = time.monotonic()
            self._blocked_in = frame
        if locking and not wakes:
            return True
        return time.monotonic() - self._since < _DELICATE_SECONDS


@uninterrupted
def _in_collection(frame: FrameType) -> bool:
    """Whether a callback of the garbage collector runs: the service's own, or a library's.

    The collector runs it in whatever thread allocates, and reports what it raises as unraisable.
    """
    if not gc.callbacks:
        return False
    codes = set()
    for callback in list(gc.callbacks):
        function: object = callback.__func__ if type(callback) is MethodType else callback
        if type(function) is FunctionType:
            codes.add(function.__code__)
    above: FrameType | None = frame
    while above is not None:
        if above.f_code in codes:
            return True
        above = above.f_back
    return False


def is_stray(error: BaseException | None) -> bool:
    """Whether an unraisable exception is an interrupt of ours, which is sent again anyway."""
    return isinstance(error, ConsoleInterrupt)


class SignalGuard:
    """For statements on the main thread. Install and uninstall it there.

    Installing is counted: `main_guard` serves every console of the process.
    """

    def __init__(self) -> None:
        self._current: object | None = None
        self._requested: object | None = None
        self._vetoes = _Vetoes()
        self._previous: Any = None
        self._users = 0

    def install(self) -> None:
        """Take the signal, or count one more user of it. Main thread only."""
        self._users += 1
        if self._users == 1:
            self._previous = signal.signal(SIGNAL, self._handle)

    def uninstall(self) -> None:
        """Give the signal back after its last user, unless somebody has taken it since."""
        self._users -= 1
        if self._users == 0 and signal.getsignal(SIGNAL) == self._handle:
            signal.signal(SIGNAL, self._previous or signal.SIG_DFL)

    @uninterrupted
    def run(self, token: object, function: Callable[..., Any], *arguments: Any) -> Step:
        """Call a function. See `Guard.run`."""
        step = Step()
        try:
            self._current = token
            step.value = function(*arguments)
        except BaseException as error:  # noqa: BLE001 - it belongs to the statement
            step.error = error
        finally:
            self._current = None
            self._requested = None
            self._vetoes.clear()
        return step

    def interrupt(self, token: object) -> bool:
        """Send the signal. See `Guard.interrupt`."""
        if self._current is not token:
            return False
        self._requested = token
        main = threading.main_thread().ident
        if main is not None:
            signal.pthread_kill(main, SIGNAL)
        return True

    @uninterrupted
    def _handle(self, number: int, frame: FrameType | None) -> None:
        token = self._current
        if token is None or token is not self._requested:
            # Too late for the statement that was asked for, or not ours at all.
            if callable(self._previous):
                self._previous(number, frame)
            return
        if frame is not None and self._vetoes.veto(frame, wakes=True):
            return
        self._requested = None
        self._vetoes.clear()
        raise ConsoleInterrupt


main_guard: Final = SignalGuard()
"""There is one main thread, and one handler of its signal."""


class AsyncExceptionGuard:
    """For statements on any other thread; one guard for each thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: object | None = None
        self._thread = 0
        self._sent_at: float | None = None
        self._vetoes = _Vetoes()

    def run(self, token: object, function: Callable[..., Any], *arguments: Any) -> Step:
        """Call a function. See `Guard.run`."""
        step = Step()
        late: ConsoleInterrupt | None = None
        try:
            try:
                self._thread = threading.get_ident()
                self._current = token
                step.value = function(*arguments)
            except BaseException as error:  # noqa: BLE001 - it belongs to the statement
                step.error = error
            self._current = None
        except ConsoleInterrupt as error:  # it hit the line above, or the handler
            late = error
        # Until nobody is between check and set, and nothing is pending any more.
        while True:
            try:
                self._current = None
                with self._lock:
                    # Nobody sends any more.
                    sent, self._sent_at = self._sent_at, None
                    self._vetoes.clear()
                if sent is not None:
                    _absorb(self._thread)
                break
            except ConsoleInterrupt as error:
                late = error
        if late is not None:
            if step.error is None and step.value is None:
                step.error = late  # the call never began, or its value was lost
            else:
                step.late = late
        return step

    def interrupt(self, token: object) -> bool:
        """Set the exception. See `Guard.interrupt`.

        Takes up to some 2 ms: a thread that prints all the time is mostly in code of ours.
        """
        for _ in range(_LOOKS):
            with self._lock:
                if self._current is not token:
                    return False
                if self._send():
                    return True
            time.sleep(_LOOK_SECONDS)
        return True

    def _send(self) -> bool:
        """Set the exception, unless there is a veto."""
        # We hold the interpreter, so that the thread is stopped where this says. Out of a call that
        # blocks the exception is raised when that has ended, for a lock's: when it has been taken.
        frame = sys._current_frames().get(self._thread)  # noqa: SLF001 - documented
        if frame is not None and self._vetoes.veto(frame, wakes=False):
            return False
        now = time.monotonic()
        if self._sent_at is None or now - self._sent_at >= _RESEND_SECONDS:
            self._sent_at = now
            _set_exception(self._thread, ConsoleInterrupt)
        return True


def _absorb(thread: int) -> None:
    """Take back an exception that was sent to this thread, if it has not arrived yet.

    By letting another one in its place arrive here. Taking it back with a null pointer works as
    well, but up to Python 3.12 it leaves the interpreter's "something is pending" set: every
    thread of the process is slower from then on, and on 3.11 one with a profiler or a tracer hangs
    at its next call.
    """
    try:
        _set_exception(thread, ConsoleInterrupt)
        while True:
            pass
    except ConsoleInterrupt:
        return


class GuardedCoroutine(collections.abc.Coroutine[Any, Any, Step]):
    """Drives a coroutine with each of its steps guarded.

    A task on top of it only ever ends with a `Step` as its result: KeyboardInterrupt and SystemExit
    never reach asyncio, which would re-raise them into the host's ``run_forever``.
    """

    __slots__ = ("__weakref__", "_coroutine", "_guard", "_token")

    def __init__(self, coroutine: Coroutine[Any, Any, Any], guard: Guard, token: Token) -> None:
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
            # A statement that swallows every cancellation must not keep a service from leaving,
            # which cancels what runs on its loop and waits for it. Nor may its coroutine ever be
            # finalised: it would swallow GeneratorExit as well, and go on without a loop, for ever.
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

    # What asyncio's tools for looking at tasks (print_stack, all_tasks) ask a coroutine for.
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
                    return step.value  # suspended: the task waits for what this is
                # It came when the coroutine had just suspended: deliver it now.
                method, argument = self._coroutine.throw, step.late
                continue
            if isinstance(error, StopIteration):
                finished = Step()
                finished.value = error.value
                raise StopIteration(finished)
            if isinstance(error, ConsoleInterrupt) and self._is_suspended():
                # It came before the coroutine was entered, and has not been seen by it.
                method, argument = self._coroutine.throw, error
                continue
            failed = Step()
            failed.error = error
            raise StopIteration(failed)

    @uninterrupted
    def _is_suspended(self) -> bool:
        return self.cr_frame is not None and not self.cr_running
