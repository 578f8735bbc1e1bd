"""The few process-wide changes, made while a console runs and undone when the last one stops.

- ``sys.stdout``, ``sys.stderr``, ``sys.stdin`` route by context (``streams.py``).
- ``sys.breakpointhook`` and ``getpass.getpass`` use the session's terminal in a session.
- ``sys.unraisablehook`` is not called for our interrupts, which are repeated until they arrive.
- ``threading.Thread.start`` lets a thread started by a session's code inherit its context, so that
  what it prints reaches the session (Python does that by itself from 3.14 on, by an option). Pool
  threads are left out: they outlive the statement and work for the host.

Undoing checks identity: a hook that other code has replaced in the meantime is left as it is.
"""

from __future__ import annotations

import contextvars
import getpass
import sys
import threading
from collections.abc import Callable
from typing import Any

from console.context.scope import current_scope
from console.evaluation import debugger
from console.evaluation.interrupts import is_stray
from console.evaluation.streams import RoutedInput, RoutedOutput, read_line
from console.results.printer import drop_own_frames


class _Hooks:
    """The changes, how many consoles need them, and how to undo each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._undo: list[tuple[Any, str, Any, Any]] = []

    def install(self) -> None:
        """Make the changes, or count one more user of them. Safe to call from any thread."""
        with self._lock:
            self._users += 1
            if self._users > 1:
                return
            self._replace(sys, "stdout", RoutedOutput(sys.stdout, error=False))
            self._replace(sys, "stderr", RoutedOutput(sys.stderr, error=True))
            self._replace(sys, "stdin", RoutedInput(sys.stdin))
            self._replace(sys, "breakpointhook", _debugging(sys.breakpointhook))
            self._replace(getpass, "getpass", _asking(getpass.getpass))
            self._replace(sys, "unraisablehook", _without_strays(sys.unraisablehook))
            self._replace(threading.Thread, "start", _inheriting(threading.Thread.start))

    def uninstall(self) -> None:
        """Undo the changes once no console uses them any more. Safe to call from any thread."""
        with self._lock:
            self._users -= 1
            if not self._users:
                self._undo_all()

    def forget(self) -> None:
        """Undo everything at once: in a forked child, where no console runs.

        The lock is made anew, since a thread that did not survive the fork may have held it.
        """
        self._lock = threading.Lock()
        self._users = 0
        self._undo_all()

    def _replace(self, place: Any, name: str, ours: Any) -> None:
        self._undo.append((place, name, ours, getattr(place, name)))
        setattr(place, name, ours)

    def _undo_all(self) -> None:
        while self._undo:
            place, name, ours, previous = self._undo.pop()
            if getattr(place, name) is ours:
                setattr(place, name, previous)


def _inheriting(start: Callable[[threading.Thread], None]) -> Callable[[threading.Thread], None]:
    def start_in_context(thread: threading.Thread) -> None:
        """Start a thread; in the caller's context if a session's code starts it."""
        if current_scope.get() is not None and not _belongs_to_a_pool(thread):
            context = contextvars.copy_context()
            run = thread.run

            def run_in_context() -> None:
                del thread.run  # breaks the reference cycle with the thread
                context.run(_run_reporting, thread, run)

            thread.run = run_in_context  # type: ignore[method-assign]  # this one only
        start(thread)

    return start_in_context


def _run_reporting(thread: threading.Thread, run: Callable[[], None]) -> None:
    """Run a thread's code, and report its exception in its context, so that the session sees it."""
    try:
        run()
    except SystemExit:
        raise
    except BaseException as error:  # noqa: BLE001 - as threading does, but in the context
        drop_own_frames(error)
        report = (type(error), error, error.__traceback__, thread)
        threading.excepthook(threading.ExceptHookArgs(report))


def _debugging(hook: Callable[..., Any]) -> Callable[..., Any]:
    def breakpointhook(*arguments: Any, **keywords: Any) -> Any:
        """Open the debugger in the session whose code calls ``breakpoint()``."""
        if current_scope.get() is None:
            return hook(*arguments, **keywords)
        debugger.set_trace(sys._getframe(1))  # noqa: SLF001 - as pdb.set_trace does it
        return None

    return breakpointhook


def _asking(ask: Callable[..., str]) -> Callable[..., str]:
    def getpass(prompt: str = "Password: ", stream: Any = None) -> str:
        """Read a secret from the session's terminal, or from the host's as ever."""
        scope = current_scope.get()
        if scope is None:
            return ask(prompt, stream)
        scope.sink.write(str(prompt))
        line = read_line(scope, secret=True)
        if not line:
            raise EOFError
        return line.rstrip("\n")

    return getpass


def _without_strays(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def unraisablehook(unraisable: Any) -> Any:
        """Pass on what is not an interrupt of ours that hit a weakref callback."""
        return None if is_stray(unraisable.exc_value) else hook(unraisable)

    return unraisablehook


def _belongs_to_a_pool(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    return getattr(target, "__module__", "") in {
        "concurrent.futures.thread",
        "multiprocessing.pool",
    }


hooks = _Hooks()
"""The process has one set of streams, so it has one set of hooks."""
