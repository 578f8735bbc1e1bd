"""Values and exceptions as text.

This runs user code (``__repr__``, ``__str__``): call it only on the thread that evaluates, never on
the console's.
"""

from __future__ import annotations

import traceback
from typing import Any

from console.context.own_code import is_hidden
from console.limits import RESULT_CHARACTERS
from console.text import escape_controls


def format_value(value: Any, limit_characters: int = RESULT_CHARACTERS) -> str:
    """Return a value's repr, safe for a terminal and clipped. Raises what ``__repr__`` raises."""
    return clip(repr(value), limit_characters)


def clip(text: str, limit_characters: int = RESULT_CHARACTERS) -> str:
    """Cut text that is too long to be read, and say how much is missing."""
    if len(text) <= limit_characters:
        return escape_controls(text)
    missing = len(text) - limit_characters
    return f"{escape_controls(text[:limit_characters])}\n... {missing} more characters not shown"


def format_exception(
    error: BaseException,
    *,
    compiling: bool = False,
    limit_characters: int = RESULT_CHARACTERS,
) -> str:
    """Return a traceback as Python prints it, without the console's own frames.

    Args:
        error: What was raised.
        compiling: Whether the statement failed to compile: no frame is worth showing then.
        limit_characters: What is longer is clipped.
    """
    try:
        report = traceback.TracebackException.from_exception(error, compact=True)
        _strip(report, set(), drop_stack=compiling)
        text = "".join(report.format())
    except KeyboardInterrupt:
        raise  # Ctrl-C, while it was being formatted
    except BaseException as failure:  # noqa: BLE001 - a hostile exception must still be reported
        text = f"{type(error).__name__}: its traceback cannot be shown ({type(failure).__name__})"
    return clip(text.rstrip("\n"), limit_characters)


def drop_own_frames(error: BaseException) -> None:
    """Cut our frames off the beginning of a traceback.

    The exception then keeps nothing of ours alive, and a debugger begins in user code.
    """
    traceback = error.__traceback__
    while traceback is not None and is_hidden(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    error.__traceback__ = traceback


def _strip(
    report: traceback.TracebackException, seen: set[int], *, drop_stack: bool = False
) -> None:
    """Remove our frames from a report, its causes, contexts and group members."""
    if id(report) in seen:
        return
    seen.add(id(report))
    if drop_stack:
        # As the plain prompt does it: a SyntaxError has its own place, and no "Traceback" header.
        report.stack = None  # type: ignore[assignment]  # format() asks for None itself
    elif report.stack is not None:
        report.stack[:] = [frame for frame in report.stack if not is_hidden(frame.filename)]
    for other in (report.__cause__, report.__context__, *(report.exceptions or ())):
        if other is not None:
            _strip(other, seen, drop_stack=drop_stack)
