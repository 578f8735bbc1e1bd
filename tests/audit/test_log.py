"""Events as log entries, which no client can forge."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.audit.fallback import FallbackHandler
from console.audit.log import log_event, mirror_exception
from console.events import (
    ConnectionDropped,
    EventBus,
    ExceptionShown,
    LoginFailed,
    LoginSucceeded,
    SessionClosed,
    SessionKicked,
    SessionOpened,
    SessionRefused,
    StatementFinished,
    StatementStarted,
)

UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u061c\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)

HOSTILE = st.lists(
    st.sampled_from(
        [
            "\n",
            "\r\n",
            "\x1b[2J",
            "\x9b",
            "\u202e",
            "\u2028",
            "\ud800",
            "\x00",
            " peer=",
            " ",
            "\xa0",
        ]
    )
    | st.text(max_size=5)
).map("".join)


class Records(logging.Handler):
    """Keeps the entries of a logger, as they would be written."""

    def __init__(self):
        super().__init__()
        self.entries = []

    def emit(self, record):
        self.entries.append(self.format(record))


def logged(subscriber, event):
    """Return the entries that a subscriber makes of an event."""
    handler = Records()
    root = logging.getLogger("console")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        subscriber(event)
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
    return handler.entries


def events_with(text):
    """Make one event of each kind that is logged, with a text wherever a peer's may be."""
    where = {"transport": "ssh", "peer": text}
    session = {**where, "session": 1, "user": text}
    return [
        LoginSucceeded(**where, user=text, method="password", detail=text),
        LoginFailed(**where, user=text, method="password", reason=text),
        ConnectionDropped(**where, reason=text),
        SessionOpened(**session, role="viewer", frontend="line"),
        SessionClosed(**session, role="viewer", reason=text, duration_seconds=1.0),
        SessionKicked(**session, by=text, reason=text),
        SessionRefused(**where, user=text, role="viewer", reason=text),
        StatementStarted(**session, statement=1, source=text),
        StatementFinished(**session, statement=1, kind="value", duration_seconds=1.0),
    ]


@given(HOSTILE)
def test_each_event_is_one_safe_line(text):
    """An event is one entry of one line without control characters, whatever a peer sent."""
    for event in events_with(text):
        (entry,) = logged(log_event, event)
        assert not UNSAFE.search(entry), type(event).__name__


@given(HOSTILE)
def test_fields_cannot_be_forged(text):
    """The address found behind a user's name is the peer's own, whatever the name is."""
    where = {"transport": "ssh", "peer": "192.0.2.1"}
    for event in (
        LoginFailed(**where, user=text, method="password", reason="wrong password"),
        LoginSucceeded(**where, user=text, method="password"),
        SessionOpened(**where, session=1, user=text, role="viewer", frontend="line"),
        StatementStarted(**where, session=1, user=text, statement=1, source=text),
    ):
        (entry,) = logged(log_event, event)
        assert re.search(r"user=\S* transport=(\S+) peer=(\S+)", entry).groups() == (
            "ssh",
            "192.0.2.1",
        )


@given(HOSTILE)
def test_a_traceback_is_marked(text):
    """Behind its first line, each line of a mirrored exception is marked as a quotation."""
    event = ExceptionShown(
        transport="ssh", peer=text, session=1, user=text, error_id="1.1", traceback=text
    )
    (entry,) = logged(mirror_exception, event)
    first, *rest = entry.split("\n")
    assert first.startswith("error 1.1: user=")
    assert rest
    assert all(line.startswith("  | ") for line in rest)
    assert not UNSAFE.search(entry.replace("\n", "").replace("\t", ""))


def test_what_the_entries_say():
    """An entry names the user, the transport, the address, and what was decided and why."""
    where = {"transport": "telnet", "peer": "127.0.0.1:5"}
    failed = LoginFailed(**where, user="boss", method="password", reason="wrong one")
    assert logged(log_event, failed) == [
        "login failed: user=boss transport=telnet peer=127.0.0.1:5 method=password reason=wrong one"
    ]
    succeeded = LoginSucceeded(**where, user="boss", method="publickey", detail="SHA256:abc laptop")
    assert logged(log_event, succeeded) == [
        "login: user=boss transport=telnet peer=127.0.0.1:5 method=publickey SHA256:abc laptop"
    ]
    session = {**where, "user": "boss", "session": 3}
    closed = SessionClosed(**session, role="admin", reason="left", duration_seconds=1.25)
    assert logged(log_event, closed) == [
        (
            "session 3 closed: user=boss transport=telnet peer=127.0.0.1:5 role=admin reason=left"
            " after 1.2 s"
        )
    ]
    kicked = SessionKicked(**session, by="ada", reason="an upgrade")
    assert logged(log_event, kicked) == [
        "session 3 kicked: user=boss transport=telnet peer=127.0.0.1:5 by=ada reason=an upgrade"
    ]
    refused = SessionRefused(**where, user="boss", role="viewer", reason="too many")
    assert logged(log_event, refused) == [
        "session refused: user=boss transport=telnet peer=127.0.0.1:5 role=viewer reason=too many"
    ]


STATEMENT = {"transport": "ssh", "peer": "127.0.0.1:5", "session": 3, "user": "boss"}


def test_what_the_entries_of_statements_say():
    """A statement has an entry before it runs, with its source as one line, and one behind it."""
    started = StatementStarted(**STATEMENT, statement=7, source="for x in y:\n\tprint(x)")
    (entry,) = logged(log_event, started)
    assert entry == (
        "session 3 statement 7 started: user=boss transport=ssh peer=127.0.0.1:5"
        r" source=for x in y:\n\tprint(x)"
    )
    ended = StatementFinished(**STATEMENT, statement=7, kind="exception", duration_seconds=1.5)
    (entry,) = logged(log_event, ended)
    assert entry == (
        "session 3 statement 7 ended: user=boss transport=ssh peer=127.0.0.1:5"
        " kind=exception after 1.500 s"
    )


def test_a_long_statement_is_cut():
    """The entry of a statement of a million characters is bounded, whatever the characters are."""
    for character in ("x", "\n", "\u202e"):
        event = StatementStarted(**STATEMENT, statement=1, source=character * 1_000_000)
        (entry,) = logged(log_event, event)
        assert len(entry) < 1500
        assert entry.endswith("...")


class Untouched(str):
    """Text that must not be looked at."""

    __slots__ = ()

    def __len__(self):
        raise AssertionError


def test_statements_cost_nothing_where_they_are_not_logged(caplog):
    """Where the service logs no INFO, the source of a statement is not even looked at."""
    caplog.set_level(logging.WARNING, "console.audit")
    event = StatementStarted(**STATEMENT, statement=1, source=Untouched("x"))
    log_event(event)
    caplog.set_level(logging.INFO, "console.audit")
    with pytest.raises(AssertionError):
        log_event(event)


def test_a_broken_subscriber_of_ours(caplog):
    """A subscriber that raises is logged, no forged line with it, and the next one is called."""
    got = []

    def broken(event):
        raise RuntimeError("the disk is full\nWARNING console.audit: login failed")

    bus = EventBus()
    bus.subscribe(broken)
    bus.subscribe(got.append)
    event = ConnectionDropped(transport="ssh", peer="x", reason="y")
    bus.publish(event)
    assert got == [event]
    assert "  | RuntimeError: the disk is full\n  | WARNING" in caplog.text


# ---- FallbackHandler


@contextlib.contextmanager
def unconfigured_logging():
    """A process without logging configuration; yields its stderr.

    No fixture: pytest configures logging, and replaces stderr, between a fixture and its test.
    """
    root, logger = logging.getLogger(), logging.getLogger("console")
    handlers, root.handlers = root.handlers, []
    stderr, sys.stderr = sys.stderr, io.StringIO()
    assert logger.handlers == []
    handler = FallbackHandler()
    logger.addHandler(handler)
    try:
        yield sys.stderr
    finally:
        logger.removeHandler(handler)
        root.handlers, sys.stderr = handlers, stderr


def test_fallback_writes_warnings():
    """Without logging configuration, warnings go to stderr with time, level and logger."""
    with unconfigured_logging() as stderr:
        logging.getLogger("console.audit").warning("turned away")
        assert re.fullmatch(
            r"[\d-]+ [\d:,]+ WARNING console\.audit: turned away\n", stderr.getvalue()
        )


LOGIN = LoginSucceeded(transport="ssh", peer="192.0.2.1:1", user="boss", method="publickey")


def test_a_login_is_on_stderr_without_configuration():
    """User, method and address are recorded where nothing else is set up."""
    with unconfigured_logging() as stderr:
        log_event(LOGIN)
        assert re.fullmatch(
            r"[\d-]+ [\d:,]+ INFO console\.audit: login: user=boss transport=ssh"
            r" peer=192\.0\.2\.1:1 method=publickey \n",
            stderr.getvalue(),
        )


def test_a_login_is_logged_where_the_service_says():
    """With a handler of the service it is not on stderr; the service's level decides."""
    with unconfigured_logging() as stderr:
        assert len(logged(log_event, LOGIN)) == 1
        theirs = Records()
        logging.getLogger().addHandler(theirs)  # its level is WARNING
        log_event(LOGIN)
        logging.getLogger().removeHandler(theirs)
        assert theirs.entries == []
        logging.getLogger("console.audit").setLevel(logging.WARNING)
        try:
            log_event(LOGIN)
        finally:
            logging.getLogger("console.audit").setLevel(logging.NOTSET)
        assert stderr.getvalue() == ""


@pytest.mark.parametrize("handlers", [["theirs"], []])
def test_the_record_survives_a_late_configuration(handlers):
    """DictConfig's default disables each logger that exists."""
    program = """
import logging.config, sys
from console.audit.fallback import FallbackHandler
from console.audit.log import log_event
from console.events import LoginFailed, LoginSucceeded
where = {"transport": "ssh", "peer": "192.0.2.1:1", "user": "boss", "method": "password"}
logging.getLogger("console").addHandler(FallbackHandler())
theirs = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}
root = {"level": "INFO", "handlers": HANDLERS}
logging.config.dictConfig({"version": 1, "handlers": {"theirs": theirs}, "root": root})
log_event(LoginSucceeded(**where))
log_event(LoginFailed(**where, reason="wrong"))
"""
    done = subprocess.run(
        [sys.executable, "-c", program.replace("HANDLERS", repr(handlers))],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    theirs, ours = (done.stdout, done.stderr) if handlers else (done.stderr, done.stdout)
    assert theirs.count("login: user=boss") == 1
    assert theirs.count("login failed: user=boss") == 1
    assert ours == ""


def test_fallback_leaves_information_out():
    """Below WARNING nothing is written to stderr without logging configuration."""
    with unconfigured_logging() as stderr:
        logging.getLogger("console.audit").info("came in")
        assert stderr.getvalue() == ""


@pytest.mark.parametrize("name", ["", "console", "console.audit"])
def test_fallback_steps_back(name):
    """As soon as the host has a handler that gets the entry, the entry stands there only."""
    with unconfigured_logging() as stderr:
        theirs = Records()
        logger = logging.getLogger(name)
        logger.addHandler(theirs)
        logging.getLogger("console.audit").warning("turned away")
        logger.removeHandler(theirs)
        assert theirs.entries == ["turned away"]
        assert stderr.getvalue() == ""
        logging.getLogger("console.audit").warning("again")
        assert "again" in stderr.getvalue()


def test_fallback_stays_for_other_loggers():
    """A handler of another part of the console does not hide what it does not get."""
    with unconfigured_logging() as stderr:
        theirs = Records()
        logging.getLogger("console.exceptions").addHandler(theirs)
        logging.getLogger("console.audit").warning("turned away")
        logging.getLogger("console.exceptions").removeHandler(theirs)
        assert "turned away" in stderr.getvalue()


def test_fallback_follows_stderr():
    """A stderr that is replaced later is used; a missing one is not an error."""
    with unconfigured_logging() as stderr:
        later = io.StringIO()
        sys.stderr = later
        logging.getLogger("console").warning("here")
        sys.stderr = None
        logging.getLogger("console").warning("nowhere")
        assert "here" in later.getvalue()
        assert stderr.getvalue() == ""
