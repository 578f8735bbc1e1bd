"""Untrusted text, made safe to show."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.text import escape_controls, escape_line

# Text in which what must not survive is frequent; st.text() leaves surrogates out by itself.
HOSTILE = st.lists(
    st.one_of(
        st.sampled_from("\x00\x07\x08\x1b\r\x7f\x9b\x9d\u2028\u2029\u202e\u2066\u200f\u061c\ud800"),
        st.sampled_from(["\x1b[2J", "\x1b]0;owned\x07", "\n", "\t", "\r\n", "\\", "\\x1b"]),
        st.characters(),
        st.characters(categories=("Cs", "Cc", "Cf", "Zl", "Zp")),
    )
).map("".join)

BIDIRECTIONAL = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def is_unsafe(character):
    """Whether a character moves the cursor, ends a line, reorders text, or cannot be encoded."""
    return (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or unicodedata.bidirectional(character) in BIDIRECTIONAL
        or character in "\u200e\u200f\u061c"
    )


@given(HOSTILE)
def test_no_unsafe_character_survives(text):
    """Of control characters, only newline and tab come through; the rest can be encoded."""
    shown = escape_controls(text)
    assert not [c for c in shown if c not in "\n\t" and is_unsafe(c)]
    shown.encode()


@given(HOSTILE, st.integers(1, 300))
def test_a_line_is_one_safe_line(text, limit):
    """A line is one line without any control character, whatever it was made of."""
    line = escape_line(text, limit)
    assert not [c for c in line if is_unsafe(c)]
    assert len(line.splitlines()) <= 1


@given(st.text(st.characters(exclude_categories=("C", "Z"), include_characters=" \n\t")))
def test_harmless_text_is_kept(text):
    """Text without control characters is shown as it is."""
    assert escape_controls(text) == text


@pytest.mark.parametrize(
    ("character", "escape"),
    [
        ("\x1b", "\\x1b"),
        ("\r", "\\x0d"),
        ("\x9b", "\\x9b"),
        ("\u202e", "\\u202e"),
        ("\u2028", "\\u2028"),
        ("\udcff", "\\udcff"),
    ],
)
def test_escapes_name_the_character(character, escape):
    """A control character is shown as Python would write it."""
    assert escape_controls(f"a{character}b") == f"a{escape}b"


def test_newlines_and_tabs_of_a_line_are_escaped():
    """A line shows the newlines and tabs that were in it."""
    assert escape_line("a\nb\tc") == "a\\nb\\tc"


@pytest.mark.parametrize(("length", "expected"), [(200, 200), (201, 203), (10_000, 203)])
def test_a_long_line_is_clipped(length, expected):
    """A line is cut at its limit, and the cut is marked."""
    line = escape_line("x" * length)
    assert len(line) == expected
    assert line.endswith("...") == (length > 200)
