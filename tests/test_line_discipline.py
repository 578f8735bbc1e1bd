"""The line discipline: input, lines and echo."""

import itertools
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.line_discipline import EndOfFile, Interrupt, Line, LineDiscipline

# Text in which keys and control characters are as frequent as letters.
KEYS = st.lists(
    st.one_of(
        st.sampled_from(
            ["\r", "\n", "\r\n", "\r\x00", "\x7f", "\b", "\x15", "\x17", "\x03", "\x04"]
        ),
        st.sampled_from(["\x1b", "\x1b[", "\x1bO", "\x1b[A", "\x1b[200~", "\x1b[[B", "\t", " "]),
        st.sampled_from(["a", "é", "e\u0301", "\u0301", "日", "👩\u200d💻", "\x85", "\x9b1m"]),
        st.text(max_size=5),
    )
).map("".join)

PRINTABLE = st.text(st.characters(exclude_categories=("C",), include_characters="\t"))


def events_of(discipline):
    """Take every event that the pending text holds."""
    events = []
    while (event := discipline.next()) is not None:
        events.append(event)
    return events


def typed(*texts, echo=True, mask=None, limit=100, eof=False):
    """Type texts one after the other; return the events and the echo."""
    discipline = LineDiscipline(echo=echo, limit=limit)
    discipline.mask = mask
    events = []
    for text in texts:
        discipline.feed(text)
        events += events_of(discipline)
    if eof:
        discipline.feed_eof()
        while not events or events[-1] != EndOfFile():
            events.append(discipline.next())
    return events, discipline.take_output()


class Screen:
    """As much of a terminal as the echo may use: text, BS, CR LF, BEL."""

    def __init__(self):
        self.cells = []
        self.column = 0

    def show(self, echo):
        for character in echo:
            if character == "\b":
                assert self.column > 0, "the echo backs over the prompt"
                self.column -= 1
            elif character != "\x07":
                assert character.isprintable()
                self.cells[self.column : self.column + 1] = [character]
                self.column += 1
        return "".join(self.cells[: self.column])


@pytest.mark.parametrize("enter", ["\r", "\n", "\r\n", "\r\x00"])
def test_each_form_of_enter_ends_a_line(enter):
    """CR, LF, CR LF and CR NUL each end one line, echoed as CR LF."""
    events, echo = typed(f"one{enter}two{enter}{enter}")
    assert events == [Line("one"), Line("two"), Line("")]
    assert echo == "one\r\ntwo\r\n\r\n"


@given(
    text=KEYS,
    cuts=st.lists(st.integers(0, 200)),
    eof=st.booleans(),
    limit=st.integers(0, 8) | st.just(100),
)
def test_borders_between_feeds_change_nothing(text, cuts, eof, limit):
    """However typed text is split, the events and the echo are the same."""
    borders = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    pieces = [text[a:b] for a, b in itertools.pairwise(borders)]
    whole = typed(text, limit=limit, eof=eof)
    assert typed(*pieces, limit=limit, eof=eof) == whole
    assert typed(*text, limit=limit, eof=eof) == whole


@given(text=st.text(), echo=st.booleans(), mask=st.sampled_from([None, "*", ""]))
def test_arbitrary_text_never_raises(text, echo, mask):
    """Any text is taken without an exception, and the lines have no line breaks or escapes."""
    events, _ = typed(text, echo=echo, mask=mask, limit=20, eof=True)
    for event in events:
        if isinstance(event, Line):
            assert len(event.text) <= 20
            assert not set(event.text) & set("\r\n\x1b\x00\x03\x9b")


@given(lines=st.lists(PRINTABLE.map(lambda text: text[:100])))
def test_printable_lines_round_trip(lines):
    """Lines of printable characters come out as they went in."""
    events, echo = typed("".join(line + "\r\n" for line in lines))
    assert events == [Line(line) for line in lines]
    assert echo == "".join(line.replace("\t", "    ") + "\r\n" for line in lines)


@given(text=KEYS)
def test_without_echo_nothing_is_sent(text):
    """A client that echoes by itself is sent nothing at all."""
    assert typed(text, echo=False)[1] == ""


@given(text=KEYS)
def test_echo_does_not_change_the_events(text):
    """Echo and mask change what is shown, not what is read, erase keys apart."""
    assert typed(text, mask="*")[0] == typed(text)[0]
    kept = "".join(character for character in text if character not in "\x7f\b\x15\x17")
    if kept == text:
        assert typed(text, echo=False)[0] == typed(text)[0]


def test_a_client_that_echoes_has_no_erase_keys():
    """Ctrl-U in the value of an HTTP header leaves the header's name in the line."""
    assert typed("X-A: \x15boss\r\n", echo=False)[0] == [Line("X-A: boss")]
    assert typed("ab\x7f\b\x17c\r\n", echo=False)[0] == [Line("abc")]


@given(
    text=st.text(st.sampled_from("ab \t\x7f\b\x17\x15"), max_size=40),
    limit=st.integers(0, 10),
)
def test_the_screen_shows_the_line(text, limit):
    """After any typing and erasing, the screen shows exactly the line that Enter will deliver."""
    discipline = LineDiscipline(echo=True, limit=limit)
    discipline.feed(text)
    assert events_of(discipline) == []
    shown = Screen().show(discipline.take_output())
    discipline.feed("\r")
    (line,) = events_of(discipline)
    assert shown == line.text.replace("\t", "    ")


def test_erase_takes_a_character_with_its_marks():
    """DEL erases a base character with its combining marks, in one column."""
    events, echo = typed("ae\u0301\u0323\x7fb\r")
    assert events == [Line("ab")]
    assert echo == "ae\u0301\u0323\b \bb\r\n"


def test_erase_takes_two_columns_of_a_wide_character():
    """DEL erases a wide character in two columns."""
    assert typed("日\x7f\r") == ([Line("")], "日\b\b  \b\b\r\n")


def test_erasing_an_empty_line_sends_nothing():
    """DEL, ^U and ^W on an empty line do not back over the prompt."""
    assert typed("\x7f\b\x15\x17") == ([], "")


def test_word_and_line_erase():
    """^W erases the last word with the blanks behind it, ^U the line."""
    assert typed("one two  \x17three\r")[0] == [Line("one three")]
    assert typed("one two\x15three\r")[0] == [Line("three")]


def test_mask_shows_one_star_for_each_character():
    """A secret is echoed as one star for each character, and erased star by star."""
    assert typed("sé日\t\x7f\x7f\r", mask="*") == ([Line("sé")], "****\b \b\b \b\r\n")


def test_interrupt_drops_the_line():
    """^C drops the line typed so far and shows ^C."""
    assert typed("abc\x03def\r") == ([Interrupt(), Line("def")], "abc^C\r\ndef\r\n")


def test_control_d_is_the_end_on_an_empty_line_only():
    """^D is an end of file on an empty line and nothing elsewhere."""
    assert typed("\x04a\x04b\r")[0] == [EndOfFile(), Line("ab")]


def test_eof_delivers_the_unfinished_line():
    """The end of the input delivers a last line without Enter, and then the end for ever."""
    discipline = LineDiscipline(echo=False)
    discipline.feed("one\ntwo")
    discipline.feed_eof()
    assert [discipline.next() for _ in range(4)] == [
        Line("one"),
        Line("two"),
        EndOfFile(),
        EndOfFile(),
    ]


@pytest.mark.parametrize(
    "keys",
    ["\x1b[A", "\x1b[1;5C", "\x1bOP", "\x1bx", "\x1b[[A", "\x1b[200~", "\x1b\x1b[A", "\x1bé"],
)
def test_escape_sequences_are_swallowed(keys):
    """Arrow keys, function keys, Alt and paste markers leave nothing in the line or the echo."""
    assert typed(f"a{keys}b\r") == ([Line("ab")], "ab\r\n")


def test_controls_end_an_escape_sequence():
    """Enter and ^C work even in the middle of an escape sequence."""
    assert typed("a\x1b\rb\x1b[1\r\x1b[\x03")[0] == [Line("a"), Line("b"), Interrupt()]


def test_an_endless_sequence_is_given_up():
    """A CSI sequence without an end swallows 64 characters and no more."""
    assert typed("\x1b[" + "1" * 70 + "\r")[0] == [Line("1" * 8)]


def test_a_line_over_the_limit_is_cut_with_one_bell():
    """Characters over the limit are dropped; the bell rings once, and again after an erase."""
    assert typed("abcdef", "gh", "\x7f", "xyz\r", limit=4) == (
        [Line("abcx")],
        "abcd\x07\b \bx\x07\r\n",
    )
    assert typed("abcdef\r", limit=4, echo=False) == ([Line("abcd")], "")


def test_pending_text_is_given_back_unread():
    """Text behind an event is given back as it was typed, less the second half of an Enter."""
    discipline = LineDiscipline(echo=True)
    discipline.feed("one\r")
    discipline.feed("\ntwo\x1b[A")
    discipline.feed("three")
    assert discipline.next() == Line("one")
    assert discipline.take_pending() == "two\x1b[Athree"
    assert discipline.take_pending() == ""
    assert discipline.next() is None
    assert discipline.take_output() == "one\r\n"


def test_discard_forgets_the_line_and_keeps_pending_text():
    """discard() drops the line typed so far and says so; what is not yet read stays."""
    discipline = LineDiscipline(echo=True)
    discipline.feed("gone")
    assert discipline.next() is None
    discipline.feed("kept\r")
    discipline.discard()
    assert discipline.next() == Line("kept")
    assert discipline.take_output() == "gone^C\r\nkept\r\n"


MEGABYTE = 1_000_000


@pytest.mark.parametrize(
    "texts",
    [
        ["x" * MEGABYTE],
        "x" * MEGABYTE,
        ["ab\n" * (MEGABYTE // 3)],
        ["\x1b[" * (MEGABYTE // 2)],
        ["e" + "\u0301" * MEGABYTE + "\x7f" * 10],
        ["x" * 65_000 + "\x7f" * MEGABYTE],
        [("x" * 100 + "\x15") * 10_000],
    ],
    ids=["one feed", "single characters", "lines", "escapes", "marks", "erase", "kill"],
)
def test_a_megabyte_costs_seconds_at_most(texts):
    """A megabyte of anything is scanned in linear time: a quadratic scan would take minutes."""
    began = time.process_time()
    discipline = LineDiscipline(echo=True)
    for text in texts:
        discipline.feed(text)
        events_of(discipline)
        discipline.take_output()
    assert time.process_time() - began < 20


def test_many_feeds_before_one_scan_are_linear():
    """Text typed ahead in single characters is not copied again for each of them."""
    discipline = LineDiscipline(echo=True, limit=MEGABYTE)
    began = time.process_time()
    for _ in range(MEGABYTE):
        discipline.feed("x")
    discipline.feed("\r")
    assert discipline.next() == Line("x" * MEGABYTE)
    assert time.process_time() - began < 20
