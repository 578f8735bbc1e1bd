"""The one short line of sessions that understand a few words: keys, bounds, and the screen."""

from __future__ import annotations

import pyte
import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.frontends.key_sequences import SEQUENCE_CHARACTERS, STRING_CHARACTERS
from console.frontends.word_line import (
    HISTORY_LINES,
    LINE_CHARACTERS,
    PENDING_CHARACTERS,
    WordLine,
)
from console.line_discipline import EndOfFile, Interrupt, Line

WORDS = ("stack", "statements", "tasks", "threads", "who", "whoami")
UP, DOWN, LEFT, RIGHT, HOME, END, DELETE = (
    f"\x1b[{key}" for key in ("A", "B", "D", "C", "H", "F", "3~")
)


def word_line(*history, columns=80):
    return WordLine(">>> ", WORDS, history, columns)


def events_of(line, text):
    """Feed a text; return what came of it."""
    line.feed(text)
    found = []
    while (event := line.next()) is not None:
        found.append(event)
    return found


def typed(text, *history):
    """Return the line that these keys make."""
    (event,) = events_of(word_line(*history), text + "\r")
    return event.text


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        ("tasks", "tasks"),
        ("", ""),
        ("tak\x7fsks", "tasks"),
        ("tak\bsks", "tasks"),
        ("asks\x01t", "tasks"),
        (f"asks{HOME}t", "tasks"),
        ("asks\x1b[1~t\x1b[4~ \x1bOHx\x1bOF.", "xtasks ."),
        (f"tsks{LEFT}{LEFT}{LEFT}a", "tasks"),
        (f"taks{LEFT * 9}{RIGHT * 2}\x1b[3~\x05s", "tass"),
        (f"xtasks{HOME}{DELETE}", "tasks"),
        (f"xtasks{HOME}\x04", "tasks"),
        ("stack 12 \x1734", "stack 34"),
        ("stack 12\x17\x17who", "who"),
        ("one\x15who", "who"),
        (f"who me{LEFT * 3}\x0b", "who"),
        ("who\x1b[1;5C\x1b[15~\x1bOP\x1b[[A\x1b[<0;10;20M\x1bx", "who"),
        ("who\x1b]0;title\x07\x1b]11;rgb:0/0/0\x1b\\\x1bP1+r\x1b\\", "who"),
        ("wh\x1b(Bo", "who"),
        ("\x1b[200~who\x1b[201~", "who"),
        ("wh\u00e9o\u4e2d\u0301", "who"),
        ("w\x00h\x07o\x1f", "who"),
        ("who\x1b", "who"),
    ],
)
def test_keys(keys, line):
    """Keys edit the line as in a shell; unknown sequences and what is no ASCII change nothing."""
    assert typed(keys) == line


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (UP, "who"),
        (UP * 2, "tasks"),
        (UP * 9, "tasks"),
        (f"sta{UP}{UP}{DOWN}", "who"),
        (f"sta{UP}{UP}{DOWN}{DOWN}ck", "stack"),
        ("\x10\x10\x0e", "who"),
        (f"{UP}ami", "whoami"),
    ],
)
def test_history(keys, line):
    """The arrow keys go to earlier lines and come back to what was typed."""
    assert typed(keys, "tasks", "who") == line


def test_the_history_is_bounded_and_grows_with_each_line():
    """What is kept of it is short lines of ASCII, not twice in a row, none behind a space."""
    line = word_line(*(f"stack {n}" for n in range(1000)))
    events_of(line, "who\rwho\r threads\r\r")
    assert events_of(line, UP + "\r") == [Line("who")]
    assert events_of(line, UP * (HISTORY_LINES + 5) + "\r") == [
        Line(f"stack {1000 - HISTORY_LINES + 1}")
    ]
    odd = word_line("who", "def f():\n    pass", "x" * (LINE_CHARACTERS + 1), "\u00e9", "\x1b[2J")
    assert events_of(odd, UP + "\r") == [Line("who")]


@pytest.mark.parametrize(
    ("keys", "line", "bells", "listed"),
    [
        ("ta\t", "tasks", 0, False),
        ("  ta\t", "  tasks", 0, False),
        ("st\t", "sta", 0, False),
        ("st\t\t", "sta", 1, False),
        ("st\t|\t|\t", "sta", 1, True),
        ("who\t", "who", 1, False),
        ("who\t|\t|\t|\t|\t", "who", 4, True),
        ("zz\t", "zz", 1, False),
        (f"ta{LEFT}\t", "ta", 1, False),
        ("tasks\t", "tasks", 1, False),
    ],
)
def test_tab(keys, line, bells, listed):
    """Tab completes a word as far as it is sure, lists the words at the second time, and rings."""
    words = word_line()
    output = ""
    for part in keys.split("|"):
        assert events_of(words, part) == []
        output += words.take_output()
    assert output.count("\x07") == bells
    assert ("stack  statements\r\n" in output or "who  whoami\r\n" in output) is listed
    assert output.count("  ") <= 2 + keys.count("  ")
    assert events_of(words, "\x05\r") == [Line(line)]


def test_enter_and_the_end():
    """Each kind of Enter is one line; Ctrl-C drops the line; Ctrl-D leaves where nothing stands."""
    line = word_line()
    assert events_of(line, "a\rb\nc\r\nd\r\x00e") == [Line(x) for x in "abcd"]
    assert events_of(line, "\x03f\r") == [Interrupt(), Line("f")]
    assert events_of(line, "x\x04\x15") == []
    line.feed("\x04rest")
    assert line.next() == EndOfFile()
    assert line.take_pending() == "rest"
    line.feed("who")
    line.feed_eof()
    assert [line.next(), line.next()] == [Line("who"), EndOfFile()]


def test_an_enter_between_two_readers_is_one():
    """The line feed of a CR LF is not left for the next reader of the text."""
    line = word_line()
    line.feed("who\r\ntasks\r\n")
    assert line.next() == Line("who")
    assert line.take_pending() == "tasks\r\n"


def test_a_line_is_bounded():
    """Of a longer one the beginning is kept, with one bell; erasing makes room again."""
    line = word_line()
    assert events_of(line, "x" * 300 + "y" * 300) == []
    assert line.take_output().count("\x07") == 1
    assert events_of(line, "\x7fz\r") == [Line("x" * (LINE_CHARACTERS - 1) + "z")]


def test_a_paste_is_lines_or_is_cut():
    """Each line of a paste is one; what is more than is kept at once is dropped, with a bell."""
    line = word_line()
    found = events_of(line, "who\n" * 1_000_000)
    assert found == [Line("who")] * (PENDING_CHARACTERS // 4)
    assert line.take_output().count("\x07") == 1
    assert events_of(line, "tasks\r") == [Line("tasks")]


@pytest.mark.parametrize("start", ["\x1b[", "\x1b[1;", "\x1b]0;", "\x1bP", "\x1b", "\x1bO"])
def test_a_sequence_without_an_end_ends(start):
    """Neither Ctrl-C nor Enter is swallowed by one, and typed text not for ever."""
    assert events_of(word_line(), f"{start}\x03") == [Interrupt()]
    (event,) = events_of(word_line(), f"{start}\r")
    assert event == Line("")
    line = word_line()
    text = "0" * (SEQUENCE_CHARACTERS + STRING_CHARACTERS)
    assert events_of(line, start + text) == []
    assert events_of(line, "\x15who\r") == [Line("who")]


def test_a_thousand_keys_are_drawn_once():
    """What is written does not grow with the keys that came at once."""
    line = word_line("who", "tasks")
    line.take_output()
    assert events_of(line, (UP + DOWN + "\t\t" + LEFT) * 200) == []
    assert len(line.take_output()) < 300


# ---- the screen

KEYS = st.sampled_from(
    [
        *(UP, DOWN, LEFT, RIGHT, HOME, END, DELETE, "\x1b[200~", "\u4e2d", "\x1b]0;x\x07"),
        *"\x01\x05\x0b\x15\x17\x7f\t\x02\x06\x0e\x10 ",
    ]
) | st.text(alphabet="stackwho (1) ", min_size=1, max_size=20)


@given(
    st.lists(st.tuples(KEYS, st.booleans())),
    st.sampled_from([1, 10, 20, 80]),
    st.lists(st.sampled_from(["above", "narrow"]), max_size=3),
)
def test_the_screen_shows_the_line(keys, columns, between):
    """Whatever is typed, with drawings at any time, the row shows the line and the cursor in it."""
    screen = pyte.Screen(max(columns, 14), 10)
    stream = pyte.Stream(screen)
    line = word_line("tasks", "stack 140000000000000", "w" * 200, columns=columns)
    stream.feed(line.take_output())
    for key, draws in keys:
        assert events_of(line, key) == []
        if draws:
            stream.feed(line.take_output())
            if between and between.pop() == "above":
                stream.feed(line.release_row() + "from above\r\n" + line.take_output())
    stream.feed(line.take_output())
    shown = screen.display[screen.cursor.y].rstrip()
    at = screen.cursor.x
    # The model: what Enter gives, and where a mark that is typed stands.
    assert shown.startswith(">>>")
    before = events_of(line, "!\r") if len(line._text) < LINE_CHARACTERS else None
    if before is None:
        return
    marked = before[0].text
    text, cursor = marked.replace("!", "", 1), marked.index("!")
    width = max(8, columns - 5)
    start = max(0, cursor - width)
    assert shown[4:] == text[start : start + width].rstrip()
    assert at == 4 + cursor - start


@given(st.text() | st.lists(KEYS | st.sampled_from(["\r", "\x03", "\x1b", "[", "]"])).map("".join))
def test_borders_between_feeds_change_nothing(text):
    """Text means the same whether it comes at once or character by character."""
    text = text[:PENDING_CHARACTERS]
    at_once, one_by_one = word_line("who"), word_line("who")
    found = events_of(at_once, text)
    assert [event for one in text for event in events_of(one_by_one, one)] == found
    assert events_of(at_once, "\x03\r") == events_of(one_by_one, "\x03\r")


@given(st.text(alphabet=st.characters(max_codepoint=0x2FF), max_size=200), st.booleans())
def test_nothing_but_our_own_sequences_is_written(text, resized):
    """Typed controls never reach the terminal, and the cursor moves in its row only."""
    line = word_line()
    output = line.take_output()
    for one in text:
        events_of(line, one)
        output += line.take_output()
        if resized:
            line.resize(20)
    plain = output.replace("\x1b[K", "").replace("\r\n", "").replace("\x07", "")
    assert all(" " <= one <= "~" or one in "\b\r" for one in plain)
