"""How the text in the editor is shown: any length, any characters, at a bounded price."""

from __future__ import annotations

import types

import pytest
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text.utils import fragment_list_to_text
from prompt_toolkit.output.color_depth import ColorDepth

from console.frontends.fullscreen.lexing import BoundedLexer, LongLine, SpecialCharacters
from console.frontends.fullscreen.terminal_io import color_depth
from console.interfaces.frontends import THEMES
from console.interfaces.terminals import TerminalKind

CODE = "def function(argument):\n    text = 'string'  # comment\n    return text\n\n" * 200


def transform(processor, text, column=0):
    document = Document(text, column)
    return processor.apply_transformation(
        types.SimpleNamespace(fragments=[("", text)], document=document, lineno=0)
    )


def test_long_texts_are_highlighted_where_they_are_looked_at():
    """Every line of a long text has all of its characters, and its colours as in a short one."""
    line_of = BoundedLexer().lex_document(Document(CODE))
    short = BoundedLexer().lex_document(Document(CODE[:300]))
    lines = CODE.split("\n")
    for number in (0, 1, 2, 3, 33, 401, len(lines) - 2, len(lines) - 1):
        assert fragment_list_to_text(line_of(number)) == lines[number]
        assert line_of(number) == short(number % 4) or not lines[number]
    assert line_of(len(lines)) == []


def test_lines_that_are_too_long_are_not_highlighted():
    """A very long line keeps its characters, and so do its neighbours."""
    text = CODE[:3000] + "\nx = '" + "y" * 100_000 + "'\nz = 1"
    line_of = BoundedLexer().lex_document(Document(text))
    lines = text.split("\n")
    assert [fragment_list_to_text(line_of(n)) for n in range(len(lines))] == lines
    assert len(line_of(len(lines) - 2)) == 1
    assert len(line_of(len(lines) - 1)) > 1


@pytest.mark.parametrize("column", [0, 1, 499, 500, 1999, 2000, 50_000, 99_999, 100_000])
def test_a_long_line_is_shown_around_the_cursor(column):
    """Of a long line a part is shown, the cursor in it, and its places map to and fro."""
    text = "".join(chr(ord("a") + number % 26) for number in range(100_000))
    shown = transform(LongLine(), text, column)
    line = fragment_list_to_text(shown.fragments)
    assert len(line) < 2100
    at = shown.source_to_display(column)
    assert line[at : at + 3] == text[column : column + 3] or column > 99_990
    assert shown.display_to_source(at) == column


def test_a_usual_line_is_left_alone():
    """A line of usual length without special characters is not touched."""
    for processor in (LongLine(), SpecialCharacters()):
        shown = transform(processor, "x" * 2000)
        assert shown.fragments == [("", "x" * 2000)]
        assert shown.source_to_display(7) == shown.display_to_source(7) == 7


def test_special_characters():
    """Joiners are left out, what reorders is named, and each place maps to its own."""
    text = "a\u202eb\u200dc\ufe0f"
    shown = transform(SpecialCharacters(), text)
    assert fragment_list_to_text(shown.fragments) == "a<202e>bc"
    places = [shown.source_to_display(at) for at in range(len(text) + 2)]
    assert places == [0, 1, 7, 8, 8, 9, 9, 10]
    assert [shown.display_to_source(at) for at in (0, 1, 7, 8)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "environment", "depth"),
    [
        ("vt100", {}, ColorDepth.DEPTH_1_BIT),
        ("vt102", {}, ColorDepth.DEPTH_1_BIT),
        ("vt320", {}, ColorDepth.DEPTH_1_BIT),
        ("xterm-mono", {}, ColorDepth.DEPTH_1_BIT),
        ("linux", {}, ColorDepth.DEPTH_4_BIT),
        ("rxvt", {}, ColorDepth.DEPTH_4_BIT),
        ("xterm-16color", {}, ColorDepth.DEPTH_4_BIT),
        ("xterm", {}, ColorDepth.DEPTH_8_BIT),
        ("tmux-256color", {}, ColorDepth.DEPTH_8_BIT),
        ("xterm-direct", {}, ColorDepth.DEPTH_24_BIT),
        ("alacritty", {}, ColorDepth.DEPTH_24_BIT),
        ("vt100", {"COLORTERM": "truecolor"}, ColorDepth.DEPTH_1_BIT),
        ("xterm-256color", {"COLORTERM": "24bit"}, ColorDepth.DEPTH_24_BIT),
        ("xterm-256color", {"NO_COLOR": "0"}, ColorDepth.DEPTH_1_BIT),
        ("xterm-256color", {"NO_COLOR": ""}, ColorDepth.DEPTH_8_BIT),
    ],
)
def test_colour_depth(name, environment, depth):
    """A terminal's name and variables tell how many colours it has."""
    assert color_depth(TerminalKind(name, environment=tuple(environment.items()))) is depth


def test_styles_are_made_once():
    """Each theme has a style of its own, the same for every session."""
    from console.frontends.fullscreen.themes import style_of

    styles = [style_of(theme) for theme in THEMES]
    assert [style_of(theme) for theme in THEMES] == styles
    assert len({id(style) for style in styles}) == len(THEMES)
