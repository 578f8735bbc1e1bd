"""Outcomes as JSON: what is plain data, what errors are called, what was printed."""

from __future__ import annotations

import json
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.interfaces.statements import Outcome, OutcomeKind
from console.results.json_document import (
    CapturedOutput,
    Facts,
    facts_of_error,
    facts_of_value,
    write_document,
)

LIMIT = 10_000
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)
KEYS = [
    "status",
    "value",
    "value_is_repr",
    "output",
    "errors",
    "dropped_characters",
    "error",
    "note",
    "duration_seconds",
]


class Sink:
    def __init__(self):
        self.texts = []

    def write(self, text, *, error=False):
        self.texts.append((text, error))
        return True


@given(PLAIN)
def test_plain_data_is_read_back(value):
    """A program reads back the value itself, in one line of ASCII."""
    facts = facts_of_value(value, LIMIT)
    text = write_document(Outcome(OutcomeKind.VALUE, repr(value)), facts)
    assert text.isascii()
    assert "\n" not in text
    document = json.loads(text)
    assert list(document) == KEYS
    assert document["value_is_repr"] is False
    assert document["value"] == value
    assert json.dumps(document["value"]) == json.dumps(value)


class Text(str):
    __slots__ = ()


def cycle():
    value = []
    value.append(value)
    return value


def deep():
    value = []
    for _ in range(300):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        object(),
        {1, 2},
        {1: 2},
        {None: 1},
        {"a": {(1,): 2}},
        b"x",
        1j,
        float("nan"),
        [float("inf")],
        Text("x"),
        type("D", (dict,), {})(),
        True.__class__,
        cycle(),
        deep(),
        10**5000,
        "x" * LIMIT,
        {"x" * LIMIT: 1},
        [0] * LIMIT,
        ["\n" * 1000] * 9,
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain(value):
    """A value that JSON cannot express without loss, or within the limit, is its repr."""
    assert facts_of_value(value, LIMIT) == Facts()
    document = json.loads(write_document(Outcome(OutcomeKind.VALUE, "<it>"), Facts()))
    assert (document["value"], document["value_is_repr"]) == ("<it>", True)


def test_a_tuple_is_an_array():
    """Rows of a database, which are tuples, arrive as arrays."""
    assert facts_of_value([(1, "a"), (2, "b")], LIMIT).data == '[[1, "a"], [2, "b"]]'


def test_user_code_is_not_run():
    """Looking whether a value is plain data calls no method of it."""

    class Meta(type):
        def __eq__(cls, other):
            raise AssertionError

        __hash__ = __eq__

    class Hostile(list, metaclass=Meta):
        def __iter__(self):
            raise AssertionError

        __len__ = __getattribute__ = __class__ = __iter__

    assert facts_of_value([Hostile()], LIMIT) == Facts()


class Custom(Exception):
    def __str__(self):
        raise ValueError


def test_errors_have_names():
    """An exception has type and message, whatever its own code does."""
    assert facts_of_error(ValueError("no")) == Facts("", "ValueError", "no")
    found = facts_of_error(json.JSONDecodeError("bad", "x", 0))
    assert found.error_type == "json.decoder.JSONDecodeError"
    assert facts_of_error(Custom()).error_message == "<its str() failed: ValueError>"
    assert len(facts_of_error(ValueError("x" * 100_000)).error_message) <= 2000


@pytest.mark.parametrize(
    ("outcome", "facts", "error"),
    [
        (Outcome(OutcomeKind.NOTHING), Facts(), None),
        (Outcome(OutcomeKind.VALUE, "1"), Facts("1"), None),
        (Outcome(OutcomeKind.EXIT), Facts(), None),
        (
            Outcome(OutcomeKind.EXCEPTION, "Traceback", 1, "4.2"),
            Facts("", "ValueError", "no"),
            ("ValueError", "no", "Traceback", "4.2"),
        ),
        (Outcome(OutcomeKind.EXCEPTION, "no", 2), Facts(), ("Refused", "no", "", "")),
        (Outcome(OutcomeKind.EXIT, "", 3), Facts(), ("SystemExit", "3", "", "")),
        (Outcome(OutcomeKind.EXIT, "why", 1), Facts(), ("SystemExit", "why", "", "")),
        (
            Outcome(OutcomeKind.INTERRUPTED, "KeyboardInterrupt", 130),
            Facts(),
            ("KeyboardInterrupt", "", "", ""),
        ),
        (Outcome(OutcomeKind.INTERRUPTED, "late", 124), Facts(), ("TimeoutError", "late", "", "")),
        (Outcome(OutcomeKind.VALUE, "1", 124), Facts("1"), ("TimeoutError", "", "", "")),
    ],
)
def test_what_went_wrong(outcome, facts, error):
    """The error is null, or says what went wrong in the same four words each time."""
    document = json.loads(write_document(outcome, facts, duration_seconds=0.5))
    names = ("type", "message", "traceback", "id")
    assert document["error"] == (None if error is None else dict(zip(names, error, strict=True)))
    assert document["status"] == outcome.status
    assert document["duration_seconds"] == 0.5


def test_output_is_captured_up_to_a_limit():
    """Both streams are kept apart, up to a limit; what is too much is counted."""
    sink = Sink()
    captured = CapturedOutput(sink, 10)
    captured.write("12345")
    captured.write("abc", error=True)
    captured.write("678901")
    captured.write("more", error=True)
    assert captured.release() == ("1234567", "abc", 8)
    assert sink.texts == []


def test_what_comes_later_is_the_sessions():
    """A task that goes on printing reaches the session."""
    sink = Sink()
    captured = CapturedOutput(sink, 10)
    captured.release()
    assert captured.write("late", error=True) is True
    assert sink.texts == [("late", True)]


def test_many_threads_write():
    """Whatever many threads write is kept or counted, and nothing is lost."""
    captured = CapturedOutput(Sink(), 1000)
    threads = [
        threading.Thread(target=lambda: [captured.write("x") for _ in range(200)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    output, _, dropped = captured.release()
    assert (len(output), dropped) == (1000, 600)
