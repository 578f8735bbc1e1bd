"""How far the next line is indented, as a person would do it. Rules without I/O."""

from __future__ import annotations

import io
import tokenize
from typing import Final

STEP: Final = 4

_LOOK_AT_CHARACTERS: Final = 4096
"""Tokens of a longer text cost too much at an Enter: 1 ms for each KiB."""

_LEAVES: Final = frozenset({"break", "continue", "pass", "raise", "return"})
"""What nothing in the same block can come behind."""

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
    """Return the blanks with which the line behind a text begins.

    Within brackets a line stands below the one before, or one step in where a bracket ends that;
    behind a whole statement, below its first line; behind a colon one step in; behind what leaves
    a block, one step out.
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
        # It ends within brackets or within a text, or is no Python.
        if not reading.opened:
            return own
    if not reading.opened:
        return reading.behind
    row = reading.opened[-1]
    ends_line = reading.last in {"(", "[", "{"} and row == len(lines)
    return _blanks(lines[row - 1]) + " " * STEP if ends_line else own


class _Reading:
    """What has been read of a text.

    Attributes:
        opened: The rows of the brackets that are open, from 1.
        last: The last token that means something.
        behind: The indentation behind the last whole statement.
    """

    def __init__(self, own: str) -> None:
        self.opened: list[int] = []
        self.last = ""
        self.behind = own
        self._first = ""
        self._base = own

    def take(self, token: tokenize.TokenInfo) -> None:
        """Read on."""
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
