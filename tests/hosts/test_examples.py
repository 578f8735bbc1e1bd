"""The examples run, and end as a service should."""

import ast
import difflib
import signal
import socket

import pytest

from support.clients import Client, command
from support.example import QUOTE, Example, ask_quote
from support.servers import EXAMPLES

NAMES = ("manhole1.py", "manhole2.py")
SIGNALS = (signal.SIGINT, signal.SIGTERM)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", SIGNALS)
def test_runs_and_ends(name, number, tmp_path):
    """An example serves its quote, and ends on Ctrl-C and SIGTERM without a traceback."""
    with Example(name, tmp_path) as example:
        assert ask_quote(example.qotd_port) == QUOTE
        assert example.end(number) == 0
        assert example.complaints == ""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("way", ["telnet", "ssh"])
def test_ends_with_an_open_session(way, number, tmp_path):
    """With a session open the example ends as well, and tells the session."""
    with Example("manhole2.py", tmp_path) as example:
        with Client(command(way, example), tmp_path) as client:
            example.log_in(client, way)
            assert client.run("foo") == ["12"]
            assert example.end(number) == 0
            client.expect_end()
            assert "demo is stopping this console." in client.text
        assert example.complaints == ""


def test_ends_in_mid_statement(tmp_path):
    """A statement that does not end keeps the example from ending no longer than a few seconds."""
    with Example("manhole2.py", tmp_path) as example:
        with Client(command("telnet", example), tmp_path) as client:
            example.log_in(client, "telnet")
            client.line("print('sta' + 'rted'); import time; time.sleep(300)")
            client.wait_for("started")
            assert example.end() == 0
        assert "Traceback" not in example.stderr


def test_says_what_to_try(tmp_path):
    """manhole2.py prints the commands to try, with the ports on which it really listens."""
    with Example("manhole2.py", tmp_path) as example:
        for line in (
            f"telnet localhost {example.telnet_port}",
            f"nc localhost {example.telnet_port}",
            f"ssh -p {example.ssh_port} boss@localhost",
            f"ssh -p {example.ssh_port} boss@localhost foo",
            f"nc localhost {example.qotd_port}",
        ):
            assert f"  {line}\n" in example.stdout
        assert "boss, password sekrit" in example.stdout
        assert example.fingerprint in example.stdout


def test_listens_on_loopback_only(tmp_path):
    """The examples are reached from this machine alone."""
    with Example("manhole2.py", tmp_path) as example:
        for port in (example.qotd_port, example.telnet_port, example.ssh_port):
            with socket.socket() as sock:
                sock.settimeout(5)
                # Another address of the same machine; on Linux all of 127/8 is.
                assert sock.connect_ex(("127.0.0.2", port)) != 0


def test_password_of_a_second_run(tmp_path):
    """A second run uses the users file and the host key that the first one wrote."""
    with Example("manhole2.py", tmp_path) as example:
        fingerprint = example.fingerprint
        assert (example.keys / "users").stat().st_mode & 0o777 == 0o600
        assert (example.keys / "host_key").stat().st_mode & 0o777 == 0o600
        example.end()
    with Example("manhole2.py", tmp_path) as example:
        assert example.fingerprint == fingerprint


def test_embedding_costs_a_few_lines():
    """manhole2.py is manhole1.py with a console: nothing else is changed."""
    one, two = ((EXAMPLES / name).read_text() for name in NAMES)
    changes = [line for line in difflib.ndiff(one.split("\n"), two.split("\n")) if line[0] in "+-"]
    removed = [line for line in changes if line.startswith("-")]
    assert len(removed) == 2  # the docstring, and what is entered with `async with`
    assert "async with server" in removed[1]
    assert len(changes) - len(removed) <= 26
    assert ast.get_docstring(ast.parse(one))
