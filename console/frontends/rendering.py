"""Outcomes as text, the same for each frontend."""

from __future__ import annotations

from collections.abc import Iterator

from console.interfaces.statements import Outcome, OutcomeKind


def render_outcome(outcome: Outcome) -> Iterator[tuple[bool, str]]:
    """Yield (is error, text) pairs: values as output; tracebacks and messages as errors."""
    if outcome.document:
        yield False, outcome.document + "\n"
        return
    if outcome.kind is OutcomeKind.VALUE:
        yield False, outcome.text + "\n"
    elif outcome.text:
        yield True, outcome.text + "\n"
    if outcome.note:
        yield True, outcome.note + "\n"
    if outcome.error_id:
        yield True, f"(error {outcome.error_id})\n"


def terminal_bytes(text: str, *, carriage_return: bool) -> bytes:
    r"""Encode text for a terminal, with ``\r\n`` for ``\n`` if ``carriage_return``.

    Lone surrogates are written as escapes: an encoding error would end the connection.
    """
    if carriage_return:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    return text.encode("utf-8", "backslashreplace")
