"""The indentation of the next line. Rules without I/O."""

from __future__ import annotations

import io
import tokenize
from typing import Final

STEP: Final = 4

_LOOK_AT_CHARACTERS: Final = 4096
"""A longer text is not tokenised at Enter: 1 ms for each KiB."""

_LEAVES: Final = frozenset({"break", "continue", "pass", "raise", "return"})
"""Statements that end a block: no code of the block can follow."""

_IGNORED: Final = frozenset(
    {
        tokenize.COMMENT,
        tokenize.DEDENT,
        tokenize.ENDMARKER,
        tokenize.INDENT,
        tokenize.NL,
    }
)


def next_indentation(text: str) -> str:
    """Return the indentation of the line after a text.

    Within brackets it is that of the line before, or one step more if that ends with the bracket;
    after a complete statement, that of its first line; after a colon one step more; after a
    statement that leaves the block (``return``), one step less.
    """
    lines = text.split("\n")
    own = _blanks(lines[-1])
    if not lines[-1].strip() or len(text) > _LOOK_AT_CHARACTERS:
        return own + " " * (STEP * lines[-1].rstrip().endswith(":"))
    reading = _Reading(own)
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            reading.take(token)
    except (tokenize.TokenError, SyntaxError):
        # The text ends within brackets or a string, or is not Python.
        if not reading.opened:
            return own
    if not reading.opened:
        return reading.behind
    row = reading.opened[-1]
    ends_line = reading.last in {"(", "[", "{"} and row == len(lines)
    return _blanks(lines[row - 1]) + " " * STEP if ends_line else own


class _Reading:
    """The state of reading a text token by token.

    Attributes:
        opened: The rows of the open brackets, from 1.
        last: The last significant token.
        behind: The indentation after the last complete statement.
    """

    def __init__(self, own: str) -> None:
        self.opened: list[int] = []
        self.last = ""
        self.behind = own
        self._first = ""
        self._base = own

    def take(self, token: tokenize.TokenInfo) -> None:
        """Read one token."""
        if token.type in _IGNORED:
            return
        if token.type == tokenize.NEWLINE:
            self.behind = _behind(self._base, self._first, self.last)
            self._first = ""
            return
        if not self._first:
            self._first, self._base = token.string, _blanks(token.line)
        if token.type == tokenize.OP and token.string in "([{":
            self.opened.append(token.start[0])
        elif token.type == tokenize.OP and token.string in ")]}" and self.opened:
            self.opened.pop()
        self.last = token.string


def _behind(base: str, first: str, last: str) -> str:
    if last == ":":
        return base + " " * STEP
    return base[:-STEP] if first in _LEAVES else base


def _blanks(line: str) -> str:
    return line[: len(line) - len(line.lstrip(" \t"))]
