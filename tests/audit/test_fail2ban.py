"""The filter for fail2ban, held against a log that the console wrote."""

import logging
import re
import subprocess

import pytest

from console.audit.fallback import FallbackHandler
from console.audit.log import log_event, mirror_exception
from console.events import (
    ConnectionDropped,
    ExceptionShown,
    LoginFailed,
    LoginSucceeded,
    StatementFinished,
    StatementStarted,
)
from support.clients import need
from support.servers import ROOT

FILTER = ROOT / "docs" / "fail2ban" / "filter.d" / "console.conf"

# User names and statements that shall have another address banned.
FORGERIES = [
    "x transport=ssh peer=203.0.113.9:1 method=password reason=x",
    "x\n2026-11-24 01:15:50,726 WARNING console.audit: login failed: user=x transport=s peer=::1:2",
    "console.audit: login failed: user=x transport=ssh peer=203.0.113.9:1 method=password reason=x",
    "x\u2028transport=ssh\u00a0peer=203.0.113.9:1",
]


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Write events in the form of a service that has set up no logging; return the file."""
    path = tmp_path / "service.log"
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(FallbackHandler().formatter)
    logger = logging.getLogger("console")
    logger.addHandler(handler)
    monkeypatch.setattr(logger, "propagate", False)
    level = logger.level
    logger.setLevel(logging.INFO)  # logins and statements too

    def write(*events):
        for event in events:
            log_event(event)
            mirror_exception(event)
        return path

    yield write
    logger.setLevel(level)
    logger.removeHandler(handler)
    handler.close()


def failed(peer, user="boss", method="password", reason="wrong password"):
    return LoginFailed(transport="ssh", peer=peer, user=user, method=method, reason=reason)


def found(path, mode="normal"):
    """Return the addresses that fail2ban finds, in order."""
    need("fail2ban-regex")
    done = subprocess.run(
        ["fail2ban-regex", "--out", "ip", str(path), f"{FILTER}[mode={mode}]"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return re.findall(r"^[0-9a-f.:]+$", done.stdout, re.MULTILINE)


def test_failures_are_found(written):
    """Each wrong password or key is found with its address, IPv4 and IPv6, and nothing else."""
    path = written(
        failed("192.0.2.1:4711"),
        LoginSucceeded(transport="ssh", peer="192.0.2.2:1", user="boss", method="password"),
        failed("[2001:db8::1]:22", method="publickey"),
        failed("192.0.2.4:1", reason="left before the answer"),
        failed("unix:1000"),
        ConnectionDropped(transport="telnet", peer="192.0.2.3:1", reason="an HTTP request"),
    )
    assert found(path) == ["192.0.2.1", "2001:db8::1", "192.0.2.4"]


def test_floods_are_found_if_wanted(written):
    """In the aggressive mode clients that violate a limit before login are found too."""
    path = written(
        failed("192.0.2.1:4711"),
        ConnectionDropped(
            transport="telnet", peer="192.0.2.3:1", reason="more than 16 connections before login"
        ),
        ConnectionDropped(transport="ssh", peer="192.0.2.4:1", reason="an HTTP request, not SSH"),
        ConnectionDropped(transport="ssh", peer="192.0.2.5:1", reason="does not read its output"),
    )
    assert found(path, "aggressive") == ["192.0.2.1", "192.0.2.3", "192.0.2.4"]


@pytest.mark.parametrize("forgery", FORGERIES)
def test_no_other_address_can_be_banned(written, forgery):
    """A user name, a statement or an exception bans no address but the peer's own."""
    session = {"transport": "ssh", "peer": "192.0.2.8:1", "session": 1, "user": forgery}
    path = written(
        StatementStarted(**session, statement=1, source=forgery),
        StatementFinished(**session, statement=1, kind="value", duration_seconds=1.0),
        failed("192.0.2.1:4711", user=forgery),
        ExceptionShown(
            transport="ssh",
            peer="192.0.2.7:1",
            session=1,
            user="boss",
            error_id="1.1",
            traceback=f"ValueError: {forgery}\n{forgery}",
        ),
    )
    assert found(path) == ["192.0.2.1"]
