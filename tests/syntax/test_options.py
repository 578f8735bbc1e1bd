"""Options in front of a statement: what they say, and what is left of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.syntax.options import (
    LONGEST_SECONDS,
    OptionError,
    Options,
    parse_seconds,
    split_options,
)

TEXTS = st.text() | st.lists(
    st.sampled_from(["%loop", "%thread", "%json", "%timeout", "%", "5", "x", " ", "\n", "\t", "%x"])
).map("".join)


@pytest.mark.parametrize(
    ("source", "options", "rest"),
    [
        ("foo", Options(), "foo"),
        ("", Options(), ""),
        ("%json foo", Options(as_json=True), "foo"),
        ("%timeout 5 foo", Options(timeout_seconds=5.0), "foo"),
        ("%timeout 0.25s foo", Options(timeout_seconds=0.25), "foo"),
        ("%timeout\t.5\nfoo", Options(timeout_seconds=0.5), "foo"),
        ("%loop %json %timeout 5 foo", Options("loop", 5.0, as_json=True), "foo"),
        (" %json\n%thread\n  foo\nbar", Options("thread", as_json=True), "  foo\nbar"),
        ("%timeout 5 %timeout 6 %loop %thread foo", Options("thread", 6.0), "foo"),
        ("%json", Options(as_json=True), ""),
        ("%d", None, ""),
        ("%.5 foo", Options(), "%.5 foo"),
        ("%json.x", Options(), "%json.x"),
        ("foo %json", Options(), "foo %json"),
    ],
)
def test_split(source, options, rest):
    """Options in front are split off, in any order; the last of a kind counts."""
    if options is None:
        with pytest.raises(OptionError):
            split_options(source)
    else:
        assert split_options(source) == (options, rest)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("%jsn foo", "unknown option %jsn; there are %json, %loop, %thread, %timeout"),
        ("%json %what foo", "unknown option %what"),
        ("%timeout", "%timeout needs a number of seconds: %timeout 5 STATEMENT"),
        ("%timeout\n5 foo", "%timeout needs a number of seconds"),
        ("%timeout foo", "%timeout: 'foo' must be a number of seconds over 0"),
        ("%timeout 0 foo", "%timeout: '0' must be"),
        ("%timeout -1 foo", "%timeout: '-1' must be"),
        ("%timeout nan foo", "%timeout: 'nan' must be"),
        ("%timeout 1e400 foo", "%timeout: '1e400' must be"),
        ("%timeout ٣ foo", "%timeout: '٣' must be"),
        (f"%timeout {'9' * 5000} foo", "must be"),
    ],
)
def test_what_is_no_option(source, problem):
    """An option that does not exist, or a limit that cannot be waited for, is refused in a line."""
    with pytest.raises(OptionError) as caught:
        split_options(source)
    assert problem in str(caught.value)
    assert len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


@given(TEXTS)
def test_the_rest_is_the_end(text):
    """What is left is the end of the text, untouched, and no option stands in front of it."""
    try:
        options, rest = split_options(text)
    except OptionError as error:
        assert str(error).isprintable()
        return
    assert text.endswith(rest)
    assert split_options(rest) == (Options(), rest)
    assert bool(str(options)) == (options != Options())


@given(
    st.builds(
        Options,
        st.sampled_from(["", "thread", "loop"]),
        st.none() | st.floats(1e-300, LONGEST_SECONDS).filter(lambda x: "e" not in repr(x)),
        as_json=st.booleans(),
    ),
    st.text(alphabet="abc =\n").filter(lambda text: text.strip()),
)
def test_written_and_read_again(options, statement):
    """Options as they are written in front of a statement are read as the same options."""
    statement = statement.strip()
    assert split_options(f"{options}{statement}") == (options, statement)


@given(st.text())
def test_seconds(text):
    """A time limit is a positive number that a timer takes, or an error."""
    try:
        assert 0 < parse_seconds(text, "here") <= LONGEST_SECONDS
    except OptionError as error:
        assert str(error).startswith("here: ")
