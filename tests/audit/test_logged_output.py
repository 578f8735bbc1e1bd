"""Output for which there is no terminal: whole lines in the log."""

import logging

import pytest

from console.audit.logged_output import LoggedOutput

logger = logging.getLogger("console.output")


@pytest.fixture
def lines(caplog):
    """The entries so far."""
    return lambda: [record.getMessage() for record in caplog.records]


def test_lines(lines):
    """Text is logged line by line, as soon as a line is whole, escaped and with its label."""
    output = LoggedOutput(logger, "here")
    output.write("one\ntw")
    assert lines() == ["here: one"]
    output.write("o\x1b[2J\n", error=True)
    assert lines() == ["here: one", r"here: two\x1b[2J"]


def test_a_limit(lines):
    """Beyond the limit nothing is logged but that there was more."""
    output = LoggedOutput(logger, "here", limit_characters=5)
    output.write("one\ntwo\n")
    output.write("three\n")
    assert lines() == ["here: one", "here: t", "here: (further output is dropped)"]


def test_a_line_without_an_end(lines):
    """A line that does not end is logged in parts: what is kept of it is bounded."""
    output = LoggedOutput(logger, "here")
    output.write("x" * 40_000)
    output.write("y" * 10_000 + "\n")
    first, second, last = lines()
    assert first == second == "here: " + "x" * 16384
    assert last == "here: " + "x" * (40_000 - 2 * 16384) + "y" * 10_000
