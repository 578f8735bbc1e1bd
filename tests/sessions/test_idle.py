"""Idle sessions, and clients that have gone silent."""

import contextlib
import signal
import socket
import struct
import threading

import pytest

from console import SessionSettings
from console.transports import keepalive as liveness
from support.clients import SSH_OPTIONS, Client, need
from support.servers import wait_until

ENDED = "nothing has been typed here for 0 s; goodbye\r\n"


@pytest.fixture
def idle(make):
    """Start a console whose sessions may be idle for less than a second."""

    def idle(seconds, **options):
        console = make(telnet=0, sessions=SessionSettings(idle_seconds=seconds), **options)
        console.start()
        return console

    return idle


def rest(client):
    """Read to the end of a connection."""
    with contextlib.suppress(ConnectionError):
        while data := client.socket.recv(65536):
            client.received += data
    return client.received.decode()


def test_an_idle_session_is_ended(idle, raw):
    """An idle session shows a notice above the prompt, and then ends below it."""
    client = raw(idle(0.6))
    assert rest(client) == (f"\r\nnothing is typed: this session ends in 0 s\r\n>>> \r\n{ENDED}")


def test_a_question_is_idle_too(idle, raw):
    """A statement that asks, and is not answered, does not keep its session open."""
    client = raw(idle(0.4))
    client.send("input('who? ')\n")
    shown = rest(client)
    assert shown.startswith("who? \r\nnothing is typed: this session ends in 0 s\r\n")
    assert ENDED in shown


def test_a_statement_that_runs_is_not_idle(idle, raw):
    """A session with a running statement is not ended, however long it had no input."""
    begun, gate = threading.Event(), threading.Event()
    console = idle(0.6, namespace={"begun": begun, "gate": gate})
    busy = raw(console)
    busy.send("begun.set(); gate.wait()\n")
    assert begun.wait(20)
    assert ENDED in rest(raw(console))  # another session, opened later
    gate.set()
    assert busy.wait_for(b">>> ") == "True\r\n"


def test_a_client_that_does_not_answer(make, raw, tmp_path):
    """The session of an SSH client that does not answer any more is ended."""
    need("ssh")
    console = make(ssh=0, telnet=0, sessions=SessionSettings(keepalive_seconds=0.1))
    console.start()
    line = ["ssh", *SSH_OPTIONS, "-p", str(console.ssh_port), "boss@127.0.0.1"]
    watcher = raw(console)
    with Client(line, tmp_path) as client:
        client.wait_for("assword:")
        client.line("sekrit")
        client.expect_prompt()
        assert watcher.run("len(who())") == "2\n"
        client.kill(signal.SIGSTOP)
        wait_until(lambda: watcher.run("len(who())") == "1\n", "the session ends")


def test_a_client_that_has_gone_behind_its_end(make, raw, monkeypatch):
    """A statement is interrupted when its client, which had closed one half, has gone."""
    monkeypatch.setattr(liveness, "LOOK_SECONDS", 0.02)
    names = {"begun": threading.Event(), "gate": threading.Event(), "ended": threading.Event()}
    console = make(telnet=0, namespace=names)
    console.start()
    client = raw(console)
    client.send("try:\n  begun.set()\n  while not gate.wait(0.02): pass\nfinally: ended.set()\n\n")
    client.socket.shutdown(socket.SHUT_WR)
    assert names["begun"].wait(20)
    other = raw(console)
    assert other.run("ended.wait(0.1)") == "False\n"  # it waits for its output
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    assert names["ended"].wait(20)
