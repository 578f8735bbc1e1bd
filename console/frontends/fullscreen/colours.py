"""Colours in values and tracebacks, on terminals that have colours.

A few patterns find them, not a lexer: that takes 4 ms of the console's loop for each KiB. Hex dumps
and long texts are not coloured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from console.interfaces.statements import Outcome, OutcomeKind

_LONGEST_CHARACTERS: Final = 16 * 1024

Colours = Mapping[str, str]
"""The escape sequence of each colour, by the names of the patterns' groups; `OFF` ends it."""

OFF: Final = "\x1b[0m"

NAMES: Final = ("text", "number", "constant", "head", "place", "marks", "error")

# An unclosed string ends at the end of its line: otherwise each of its quotes would be tried anew,
# and 16 KiB of them would hold the interpreter for half a second.
_VALUE = re.compile(
    r"(?P<text>(?<!\w)[brBR]{0,2}'(?:[^'\\\n]|\\.)*+'?"
    r'|(?<!\w)[brBR]{0,2}"(?:[^"\\\n]|\\.)*+"?)'
    r"|(?P<number>(?<![\w.])-?\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?j?(?![\w.]))"
    r"|(?P<constant>\b(?:True|False|None)\b)"
)
_TABLE = re.compile(r"\A +(?P<head>\S[^\n]*)(?=\n +-[- ]*$)", re.MULTILINE)
_DUMP = re.compile(r"[0-9a-f]{8}  ")

_TRACEBACK = re.compile(
    r"^[ |+-]*File (?P<place>\"[^\"\n]*\", line \d+)"
    r"|^[ |]*(?P<marks>[~^]++)$"
    r"|^(?: *\| )?(?P<error>[^\W\d][\w.]*)(?=: |$)",
    re.MULTILINE,
)


def painted(outcome: Outcome, colours: Colours) -> Outcome:
    """Return an outcome with colours in its text, or unchanged if it is not of a coloured kind.

    Args:
        outcome: As the evaluator returned it, its text escaped.
        colours: For each of `NAMES`; empty for no colours.
    """
    text = outcome.text
    if not colours or not text or len(text) > _LONGEST_CHARACTERS:
        return outcome
    if outcome.kind is not OutcomeKind.VALUE:
        pattern = _TRACEBACK
    elif text[0] == " ":
        pattern = _TABLE
    elif _DUMP.match(text):
        return outcome
    else:
        pattern = _VALUE
    return replace(outcome, text=_paint(pattern, text, colours))


def _paint(pattern: re.Pattern[str], text: str, colours: Colours) -> str:
    pieces = []
    done = 0
    for match in pattern.finditer(text):
        name = str(match.lastgroup)
        begin, end = match.span(name)
        pieces += [text[done:begin], colours[name], text[begin:end], OFF]
        done = end
    return "".join([*pieces, text[done:]])
