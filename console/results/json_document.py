"""A statement's outcome as one JSON object (RFC 8259), for programs: ``%json STATEMENT``.

All keys are always present, in the same order. ``value`` is the value itself if it is plain data,
which a program reads back as it was; otherwise it is the repr, and ``value_is_repr`` is true.
"""

from __future__ import annotations

import json
import math
import threading
from dataclasses import dataclass
from typing import Any, Final

from console.interfaces.statements import Outcome, OutcomeKind, OutputSink
from console.text import escape_controls

__all__ = [
    "TIMEOUT_STATUS",
    "CapturedOutput",
    "Facts",
    "facts_of_error",
    "facts_of_value",
    "write_document",
]

TIMEOUT_STATUS: Final = 124
"""The status of a statement that exceeded its time limit, as in timeout(1)."""

_MESSAGE_CHARACTERS = 2000

_SIZED = (dict, list, tuple, str)
_SCALARS = (str, int, bool)

_DEPTH = 200
"""The deepest nesting. JSON parsers have limits: jq 256 (1.6), Python about 990."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of an outcome that may take user code: made on the statement's thread.

    Attributes:
        data: The value as JSON text; empty if it is not plain data.
        error_type: The exception's qualified name; empty if there was none.
        error_message: The exception's text, cut.
    """

    data: str = ""
    error_type: str = ""
    error_message: str = ""


def facts_of_value(value: Any, limit_characters: int) -> Facts:
    """Write a value as JSON, if it is plain data and not too long. Runs no user code.

    Plain data are None, bool, int, float, str, and lists, tuples and dicts of them with str keys;
    not subclasses, which may hold more than JSON can express. A tuple becomes an array.
    """
    try:
        # The text is longer than the count, which leaves out commas and brackets.
        if _is_plain(value, limit_characters):
            text = json.dumps(value, allow_nan=False)
            if len(text) <= limit_characters:
                return Facts(data=text)
    except (ValueError, RecursionError, RuntimeError):
        pass  # an int with too many digits, or a value that another thread changed meanwhile
    return Facts()


def _is_plain(value: Any, limit: int) -> bool:
    """Whether it is plain data, of not more than ``limit`` parts and characters."""
    waiting, seen = [(value, 0)], 0
    while waiting:
        one, depth = waiting.pop()
        kind = type(one)
        # Checked before anything is copied: a service's lists may be large.
        seen += 1 + (len(one) if _is_one_of(kind, _SIZED) else 0)
        if seen > limit or depth > _DEPTH:
            return False
        if kind is dict:
            items = list(one.items())  # at once: another thread may change it
            if any(type(key) is not str for key, _ in items):
                return False
            seen += sum(len(key) for key, _ in items)
            waiting.extend((item, depth + 1) for _, item in items)
        elif kind is list or kind is tuple:
            waiting.extend((item, depth + 1) for item in one)
        elif kind is float:
            if not math.isfinite(one):  # JSON has no inf and nan
                return False
        elif one is not None and not _is_one_of(kind, _SCALARS):
            return False
    return seen <= limit


def _is_one_of(kind: type, kinds: tuple[type, ...]) -> bool:
    """Whether a type is one of some. Not ``in``, which calls a metaclass's ``__eq__``."""
    return any(kind is one for one in kinds)


def facts_of_error(error: BaseException) -> Facts:
    """Return an exception's facts. Runs its ``__str__``; of its errors only Ctrl-C is raised."""
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in {"builtins", "__main__"}:
        name = f"{kind.__module__}.{name}"
    try:
        message = str(error)
    except KeyboardInterrupt:
        raise  # Ctrl-C in ``__str__``
    except BaseException as failure:  # noqa: BLE001 - a hostile exception must still be reported
        message = f"<its str() failed: {type(failure).__name__}>"
    return Facts(error_type=escape_controls(str(name)), error_message=message[:_MESSAGE_CHARACTERS])


class CapturedOutput:
    """An `OutputSink` that keeps a statement's output, each stream by itself, up to a limit.

    After `release` text goes to the session again: a task may continue to print.
    """

    def __init__(self, sink: OutputSink, limit_characters: int) -> None:
        self._sink = sink
        self._room = limit_characters
        # Re-entrant: a finaliser that prints may run while this thread holds it.
        self._lock = threading.RLock()
        self._streams: dict[bool, list[str]] = {False: [], True: []}
        self._dropped = 0
        self._released = False

    def write(self, text: str, *, error: bool = False) -> bool:
        """Keep text. Safe to call from any thread."""
        with self._lock:
            if not self._released:
                kept = text[: self._room]
                self._room -= len(kept)
                self._dropped += len(text) - len(kept)
                self._streams[error].append(kept)
                return True
        return self._sink.write(text, error=error)

    def release(self) -> tuple[str, str, int]:
        """Return stdout, stderr, and the number of dropped characters."""
        with self._lock:
            self._released = True
            output, errors = ("".join(self._streams[error]) for error in (False, True))
            self._streams = {False: [], True: []}
            return output, errors, self._dropped


def write_document(
    outcome: Outcome,
    facts: Facts,
    *,
    output: str = "",
    errors: str = "",
    dropped: int = 0,
    duration_seconds: float = 0.0,
) -> str:
    """Write an outcome as a line of JSON, in ASCII.

    Args:
        outcome: The statement's outcome.
        facts: The facts from the statement's thread.
        output: Its stdout.
        errors: Its stderr.
        dropped: Characters of both that exceeded the limit.
        duration_seconds: The time that it took.
    """
    shown = outcome.kind is OutcomeKind.VALUE and not facts.data
    rest = {
        "value_is_repr": shown,
        "output": output,
        "errors": errors,
        "dropped_characters": dropped,
        "error": _error(outcome, facts),
        "note": outcome.note,
        "duration_seconds": round(duration_seconds, 6),
    }
    value = json.dumps(outcome.text) if shown else facts.data or "null"
    # Inserted as text, not parsed and written again: it may have a million characters.
    return f'{{"status": {outcome.status}, "value": {value}, {json.dumps(rest)[1:]}'


def _error(outcome: Outcome, facts: Facts) -> dict[str, str] | None:
    """Return the document's ``error``; None if there was none."""
    kind, message = facts.error_type, facts.error_message
    traceback = ""
    match outcome.kind:
        case OutcomeKind.EXCEPTION if outcome.error_id:
            traceback = outcome.text
        case OutcomeKind.EXCEPTION:
            kind, message = "Refused", outcome.text
        case OutcomeKind.INTERRUPTED:
            kind = "TimeoutError" if outcome.status == TIMEOUT_STATUS else "KeyboardInterrupt"
            message = "" if outcome.text == kind else outcome.text
        case OutcomeKind.EXIT if outcome.status:
            kind, message = "SystemExit", outcome.text or str(outcome.status)
        case OutcomeKind.VALUE | OutcomeKind.NOTHING if outcome.status:
            kind = "TimeoutError"  # it ended by itself, after its time limit
        case _:
            return None
    return {"type": kind, "message": message, "traceback": traceback, "id": outcome.error_id}
