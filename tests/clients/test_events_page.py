"""docs/events.md: its programs run as they stand there, and its table has every event and field.

A block that is named ``python FILE`` is a program, whose console is started on another port.
"""

from __future__ import annotations

import inspect
import json
import logging
import re
import runpy
from itertools import islice

import pytest

from console import events
from support.pages import blocks_of
from support.rawclients import line_login
from support.servers import ROOT, wait_until

PAGE = ROOT / "docs" / "events.md"


@pytest.fixture
def page():
    """The page's text."""
    if not PAGE.is_file():
        pytest.skip(f"{PAGE} is not here: the tests run without the documentation")
    return PAGE.read_text("utf-8")


@pytest.fixture
def play(page, tmp_path, monkeypatch):
    """Run a program of the page, which makes a console; return its names."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))

    def play(name):
        (lines,) = [lines for info, lines, _ in blocks_of(page) if info == f"python {name}"]
        source = "\n".join(lines)
        assert source.count("telnet=8007") == 1
        file = tmp_path / name
        file.write_text(source.replace("telnet=8007", "telnet=0"))
        return runpy.run_path(str(file))

    return play


def test_logins_are_counted(play):
    """The first program counts the logins in a name that sessions see."""
    names = play("logins.py")
    with names["console"] as console, line_login(console.telnet_port) as client:
        wait_until(lambda: names["logins"], "a login is counted")
        assert client.run("logins") == "Counter({'telnet password': 1})"


def test_events_are_shipped(play):
    """The second program ships each event as a line of JSON."""
    names = play("shipping.py")
    with names["console"] as console, line_login(console.telnet_port):
        first, second = map(json.loads, islice(names["ship"](), 2))
    assert (first["event"], first["user"], first["method"]) == (
        "LoginSucceeded",
        "boss",
        "password",
    )
    assert (second["event"], second["transport"], second["session"]) == (
        "SessionOpened",
        "telnet",
        1,
    )


def test_the_table_has_every_event_and_field(page):
    """Each public event has a row with the fields that it adds to its base, in their order."""
    rows = re.findall(r"^\| `(\w+)` \| .* \| (`.*`) \|$", page, re.MULTILINE)
    found = {name: re.findall(r"`(\w+)`", fields) for name, fields in rows}
    public = [getattr(events, name) for name in events.__all__ if name != "Subscriber"]
    expected = {kind.__name__: list(inspect.get_annotations(kind)) for kind in public}
    assert found == expected


def test_the_filter_leaves_statements_out(page, caplog):
    """The page's filter keeps the entries of statements out of the log, and no others."""
    (line,) = re.findall(r"^`(logging\.getLogger.*)`\.$", page, re.MULTILINE)
    caplog.set_level(logging.INFO, "console.audit")
    logger = logging.getLogger("console.audit")
    before = logger.filters[:]
    exec(line, {"logging": logging})
    try:
        logger.info("session %d statement %d started: user=%s", 1, 1, "boss")
        logger.info("session %d opened: user=%s", 1, "a statement b")
    finally:
        logger.filters[:] = before
    assert caplog.messages == ["session 1 opened: user=a statement b"]
