"""Highlighting of the edited text, in a time that does not grow with it.

prompt_toolkit lexes the whole text after each key, and lays a line out character by character: with
200 KB in the editor one key would hold the console's loop for half a second.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.formatted_text.utils import fragment_list_to_text, split_lines
from prompt_toolkit.layout.processors import (
    Processor,
    Transformation,
    TransformationInput,
)
from prompt_toolkit.lexers import Lexer, PygmentsLexer
from pygments.lexers import Python3Lexer  # type: ignore[import-untyped]

_WHOLE_CHARACTERS = 2048
"""A text up to this length is lexed as a whole: 4 ms."""

_BLOCK_LINES = 32
_BACK_LINES = 32
"""A longer text is lexed in blocks of lines, each from the nearest line that may begin a
statement."""

_LINE_CHARACTERS = 2000
_STEP_CHARACTERS = 500
"""Of a longer line, only this much is shown, around the cursor."""

_STATEMENT = re.compile(r"[^\W\d]|[@#]")

# Joiners and presentation selectors, whose width differs between terminals, and bidirectional
# controls, which reorder the text (CVE-2021-42574).
_JOINERS = "\u200d\ufe0e\ufe0f"
_REORDERING = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
_SPECIAL = re.compile(f"[{_JOINERS}{_REORDERING}]")


_PYTHON = PygmentsLexer(Python3Lexer)
"""Stateless, so that all editors share it; making the first lexer takes 50 ms."""


class BoundedLexer(Lexer):
    """Highlights Python; of a long text only the visible part."""

    def lex_document(self, document: Document) -> Callable[[int], StyleAndTextTuples]:
        """Return a function that returns a line's fragments."""
        if len(document.text) <= _WHOLE_CHARACTERS:
            return _PYTHON.lex_document(document)
        lines = document.lines
        blocks: dict[int, list[StyleAndTextTuples]] = {}

        def get_line(number: int) -> StyleAndTextTuples:
            if number >= len(lines):
                return []
            if len(lines[number]) > _LINE_CHARACTERS:
                return [("", lines[number])]
            block = number // _BLOCK_LINES
            if block not in blocks:
                blocks[block] = self._lex_block(lines, block * _BLOCK_LINES)
            return blocks[block][number % _BLOCK_LINES]

        return get_line

    def _lex_block(self, lines: Sequence[str], first: int) -> list[StyleAndTextTuples]:
        begin = first
        while begin > max(0, first - _BACK_LINES) and not _STATEMENT.match(lines[begin]):
            begin -= 1
        # Lines that are too long to lex keep their place.
        text = "\n".join(
            line if len(line) <= _LINE_CHARACTERS else ""
            for line in lines[begin : first + _BLOCK_LINES]
        )
        tokens = _PYTHON.pygments_lexer.get_tokens_unprocessed(text)
        fragments = [(_class_of(kind), value) for _, kind, value in tokens]
        found: list[StyleAndTextTuples] = list(split_lines(fragments))[first - begin :]
        return found + [[]] * (_BLOCK_LINES - len(found))


def _class_of(kind: tuple[str, ...]) -> str:
    return "class:" + ".".join(("pygments", *kind)).lower()


class LongLine(Processor):
    """Shows a part of a very long line, around the cursor."""

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Cut the line, and show how much was cut."""
        fragments = transformation_input.fragments
        if sum(len(one[1]) for one in fragments) <= _LINE_CHARACTERS:
            return Transformation(fragments)
        text = fragment_list_to_text(fragments)
        document = transformation_input.document
        column = 0
        if document.cursor_position_row == transformation_input.lineno:
            column = document.cursor_position_col
        # In steps, so that the text does not move with each key.
        begin = max(0, column // _STEP_CHARACTERS - 1) * _STEP_CHARACTERS
        if begin + _STEP_CHARACTERS > len(text):
            begin = max(0, begin - _STEP_CHARACTERS)
        end = begin + _LINE_CHARACTERS
        before = f"[{begin} characters] " if begin else ""
        after = f" [{len(text) - end} characters]" if len(text) > end else ""
        shown = text[begin:end]
        return Transformation(
            [("class:cut", before), ("", shown), ("class:cut", after)],
            source_to_display=lambda at: len(before) + min(max(at - begin, 0), len(shown)),
            display_to_source=lambda at: begin + min(max(at - len(before), 0), len(shown)),
        )


class SpecialCharacters(Processor):
    """Replaces characters that reorder the line or join others, in the display only.

    An emoji of several parts takes two columns on one terminal and six on another, so the cursor's
    column would be unknown. Its parts have the same width everywhere.
    """

    def apply_transformation(self, transformation_input: TransformationInput) -> Transformation:
        """Replace the characters, if there are any."""
        fragments = transformation_input.fragments
        if not any(_SPECIAL.search(one[1]) for one in fragments):
            return Transformation(fragments)
        shown: StyleAndTextTuples = []
        places = [0]
        for style, text, *_ in fragments:
            for character in text:
                if character in _JOINERS:
                    piece = ""
                elif _SPECIAL.match(character):
                    piece = f"<{ord(character):x}>"
                else:
                    piece = character
                shown.append(
                    (f"{style} class:control-character" if piece != character else style, piece)
                )
                places.append(places[-1] + len(piece))

        def source_to_display(at: int) -> int:
            return places[at] if at < len(places) else places[-1] + at - len(places) + 1

        def display_to_source(at: int) -> int:
            return next(
                (source for source, display in enumerate(places) if display >= at), len(places)
            )

        return Transformation(shown, source_to_display, display_to_source)
