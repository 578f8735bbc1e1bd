"""Interrupts (Ctrl-C) for one statement, without a race: no other code is ever interrupted.

An interrupt is a KeyboardInterrupt raised in the thread that runs the statement. It is dangerous
when it arrives late: after the statement has ended, inside asyncio's own code or in the console's
bookkeeping, it would end the host's loop. Two guards prevent that.

`SignalGuard`, for the main thread: a signal, SIGURG, wakes even a blocked C call (``time.sleep``,
a lock, ``select``), and its Python handler raises only if the guarded statement is the requested
one. It does not raise while the innermost frame is one of the console's or of a module whose
invariants an exception would break (`console.evaluation.vetoes`); the sender tries again.

`AsyncExceptionGuard`, for any other thread: ``PyThreadState_SetAsyncExc`` raises at the next
bytecode, but not in a blocked C call. The sender compares the token and sets the exception under a
lock, after it has checked the innermost frame of the thread for a veto. Before the guarded region
is left, a pending exception is made to arrive inside. It may still arrive in a weakref callback
that begins at that moment: Python reports it as unraisable, and the sender tries again
(`is_stray`).

What does not work: raising from a timer or a trace function (slow, and seen by debuggers), SIGINT
(the host's own), ``_thread.interrupt_main`` (hits whatever the main thread does), one try/except
around the statement without the second phase (one in some thousand arrives after it).
"""

from __future__ import annotations

import ctypes
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Final, Protocol

from console.context.uninterrupted import uninterrupted
from console.evaluation.vetoes import Vetoes
from console.introspect.frames import current_frames


class ConsoleInterrupt(KeyboardInterrupt):
    """The interrupt, as a statement sees it. User code can catch it as KeyboardInterrupt."""


# Tracebacks and reprs call it by Python's own name.
ConsoleInterrupt.__name__ = ConsoleInterrupt.__qualname__ = "KeyboardInterrupt"
ConsoleInterrupt.__module__ = "builtins"

SIGNAL: Final = signal.SIGURG
"""Ignored by default and rarely used: it reports urgent data of a socket that asks for it."""

_LOOKS: Final = 8
"""How often `interrupt` tries again after a veto, before it leaves that to its caller."""

_LOOK_SECONDS: Final = 0.0002

_RESEND_SECONDS: Final = 0.25
"""An exception that was set is pending for that long before it is set again."""

_set_exception = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_exception.argtypes = [ctypes.c_ulong, ctypes.py_object]
_set_exception.restype = ctypes.c_int


class Step:
    """The result of one guarded call: a value, or an exception as a value.

    ``late`` is an interrupt that arrived when the call had already ended.
    """

    __slots__ = ("error", "late", "value")

    def __init__(self) -> None:
        self.value: Any = None
        self.error: BaseException | None = None
        self.late: ConsoleInterrupt | None = None


class StatementToken:
    """Identifies one statement to the guards. Its threads share it.

    Each attribute is written by one thread; the others that read it tolerate a stale value.

    Attributes:
        busy_since: When the step that now holds the host's loop began (time.monotonic); None
            between steps. Written on the host's loop.
        given_up: Whether the session no longer waits for the statement, so that cancelling its
            task may end it at once. Written on the console's loop.
        interrupted: The statement has been asked to stop. Written by the thread that asks.
    """

    __slots__ = ("busy_since", "given_up", "interrupted")

    def __init__(self) -> None:
        self.busy_since: float | None = None
        self.given_up = False
        self.interrupted = False


class Guard(Protocol):
    """Runs calls of statements, and interrupts the call of a given statement."""

    def run(self, token: object, function: Callable[..., Any], *arguments: Any) -> Step:
        """Call a function. The step holds its exception, an interrupt included."""

    def interrupt(self, token: object) -> bool:
        """Interrupt the call guarded with ``token``. Safe to call from any thread.

        False if no such call runs now. True is no promise: ask again until the statement ends.
        """


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
        self._vetoes = Vetoes()
        self._previous: Any = None
        self._users = 0

    def install(self) -> None:
        """Take the signal, or count one more user of it. Main thread only."""
        self._users += 1
        if self._users == 1:
            self._previous = signal.signal(SIGNAL, self._handle)

    def uninstall(self) -> None:
        """Give the signal back after its last user, unless other code has taken it since."""
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
            # The requested statement has ended, or the signal was not sent by us.
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
        self._vetoes = Vetoes()

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
        # Repeat until no sender is between check and set, and no exception is pending.
        while True:
            try:
                self._current = None
                with self._lock:
                    # No sender sets an exception any more.
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

        Takes up to about 2 ms: a thread that prints all the time is mostly in the console's code.
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
        frame = current_frames().get(self._thread)
        if frame is not None and self._vetoes.veto(frame, wakes=False):
            return False
        now = time.monotonic()
        if self._sent_at is None or now - self._sent_at >= _RESEND_SECONDS:
            self._sent_at = now
            _set_exception(self._thread, ConsoleInterrupt)
        return True


def _absorb(thread: int) -> None:
    """Absorb an exception that was sent to this thread, if it has not arrived yet.

    Another exception replaces it and is caught here. Clearing it with a null pointer works as
    well, but up to Python 3.12 that leaves the interpreter's flag for pending work set: every
    thread of the process is slower from then on, and on 3.11 one with a profiler or a tracer hangs
    at its next call.
    """
    try:
        _set_exception(thread, ConsoleInterrupt)
        while True:
            pass
    except ConsoleInterrupt:
        return
