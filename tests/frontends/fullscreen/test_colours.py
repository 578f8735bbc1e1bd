"""Colours in values and tracebacks."""

import re
import time
import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.frontends.fullscreen.colours import NAMES, OFF, painted
from console.interfaces.statements import Outcome, OutcomeKind
from support.servers import Host


@pytest.fixture
def history_host(tmp_path):
    """A service whose preferences are this test's alone."""
    with Host(tmp_path / "host") as host:
        yield host


MARKS = {name: f"<{name}>" for name in NAMES}


def paint(text, kind=OutcomeKind.VALUE):
    """Return a text with the names of its colours."""
    return painted(Outcome(kind, text), MARKS).text.replace(OFF, "</>")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12", "<number>12</>"),
        ("-1.5e-07", "<number>-1.5e-07</>"),
        ("'it'", "<text>'it'</>"),
        (r"'a \' b'", r"<text>'a \' b'</>"),
        ('"it\'s"', '<text>"it\'s"</>'),
        ("b'x'", "<text>b'x'</>"),
        ("{'a': None}", "{<text>'a'</>: <constant>None</>}"),
        ("Order(id=4711)", "Order(id=<number>4711</>)"),
        ("<Shop object at 0x7f12>", "<Shop object at 0x7f12>"),
        ("v1.2.3", "v1.2.3"),
        ("   name  n\n   ----  -\n0  a    1", "   <head>name  n</>\n   ----  -\n0  a    1"),
        ("   name  n\n0  a    1", "   name  n\n0  a    1"),
        ("00000000  47 45  |GE|", "00000000  47 45  |GE|"),
    ],
)
def test_values(text, shown):
    """Texts, numbers, constants and a table's head have colours; cells and dumps have none."""
    assert paint(text) == shown


def test_a_traceback():
    """Files, marks and the exception's name have colours, and nothing else."""
    try:
        {}["a: b"] / 1
    except KeyError as error:
        text = "".join(traceback.format_exception(error)).rstrip("\n")
    shown = paint(text, OutcomeKind.EXCEPTION).splitlines()
    assert shown[0] == "Traceback (most recent call last):"
    assert shown[1].startswith('  File <place>"')
    assert "</>, in test_a_traceback" in shown[1]
    assert re.fullmatch(r" +<marks>~*\^+</>", shown[3])
    assert shown[-1] == "<error>KeyError</>: 'a: b'"


@given(
    st.text("a1'\"\\\n .,-e<F:^~|ilNo") | st.text(),
    st.sampled_from((OutcomeKind.VALUE, OutcomeKind.EXCEPTION, OutcomeKind.INTERRUPTED)),
)
def test_only_colours_are_added(text, kind):
    """Without its colours a painted text is what it was."""
    colours = dict.fromkeys(NAMES, "\x1b[1m")
    shown = painted(Outcome(kind, text), colours).text
    if "\x1b" not in text:
        assert re.sub(r"\x1b\[[01]m", "", shown) == text


def test_what_is_not_painted():
    """Without colours, or with very much text, an outcome is unchanged."""
    for outcome, colours in (
        (Outcome(OutcomeKind.VALUE, "12"), {}),
        (Outcome(OutcomeKind.VALUE, "12, " * 5000), MARKS),
        (Outcome(OutcomeKind.NOTHING), MARKS),
    ):
        assert painted(outcome, colours) is outcome


@pytest.mark.parametrize(
    ("environment", "theme", "coloured"),
    [
        ({}, "terminal", True),
        ({}, "light", True),
        ({}, "plain", False),
        ({"NO_COLOR": "1"}, "terminal", False),
        ({"TERM": "vt100"}, "terminal", False),
    ],
)
def test_colours_of_results(environment, theme, coloured, history_host, connect):
    """A value and an exception are shown in the theme's colours, where there are any."""
    client = connect("ssh", history_host, env=environment).login()
    client.run(f"theme('{theme}')")
    assert client.run("['text']") == ["['text']"]
    value = client.screen_state.buffer[client.screen_state.cursor.y - 1][1]
    assert client.run("1/0")[-2].startswith("ZeroDivisionError: ")
    error = client.screen_state.buffer[client.screen_state.cursor.y - 2][0]
    assert (value.fg != "default") == (error.fg != "default") == coloured


@pytest.mark.parametrize("unit", ["\\'", "'\\", "\\'\\\"", "b'\\", '"\\', "'\\\\\\\\\\\\\\"])
def test_texts_that_are_not_closed(unit):
    """Quotes without an end cost no more than others: no other thread runs meanwhile."""
    text = (unit * 16_000)[: 16 * 1024]
    began = time.process_time()
    for _ in range(20):
        painted(Outcome(OutcomeKind.VALUE, text), MARKS)
    assert time.process_time() - began < 2  # 0.02 s; if each quote is tried to the end, 4 to 14 s
