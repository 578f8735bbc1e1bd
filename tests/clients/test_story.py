"""The howto of 2002 as one story, on examples/manhole2.py and with the programs that it names."""

import re
import subprocess
import time

import pytest

from support.clients import Client, command, need
from support.example import QUOTE, Example, ask_quote

CTIME = re.compile(r"[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\r\n")


def quote_by_nc(example):
    """Return what `nc localhost 8123` shows."""
    need("nc")
    line = ["nc", "127.0.0.1", str(example.qotd_port)]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    return done.stdout.decode()


@pytest.fixture
def example(tmp_path):
    with Example("manhole2.py", tmp_path) as example:
        yield example
        assert example.alive
        assert example.end() == 0


def test_the_howto(example, tmp_path):
    """Everything that the howto shows of a live service works, over telnet and SSH at once."""
    assert quote_by_nc(example) == QUOTE
    with (
        Client(command("telnet", example), tmp_path) as telnet,
        Client(command("ssh", example), tmp_path) as ssh,
    ):
        # Log in by telnet, with the banner and the stars of the howto.
        example.log_in(telnet, "telnet")
        seen = telnet.screen()
        assert seen.index("demo") < seen.index("username: boss") < seen.index("password: ******")

        # The namespace that the service gave is there, and is shared.
        assert telnet.run("foo") == ["12"]
        assert telnet.run("bar = foo * 2") == []
        example.log_in(ssh, "ssh")
        assert ssh.run("bar") == ["24"]

        # An exception is seen in the session and in the service's stderr, under one id.
        shown = ssh.run("bar / 0")
        assert shown[-2] == "ZeroDivisionError: division by zero"
        error_id = re.fullmatch(r"\(error (\S+)\)", shown[-1])[1]
        example.wait_for_stderr(rf"error {re.escape(error_id)}: user=boss transport=ssh ")
        assert "  | ZeroDivisionError: division by zero\n" in example.stderr

        # The quote server becomes a daytime server, and a quote server again.
        assert telnet.run("f.protocol") == ["<class '__main__.QOTD'>"]
        assert telnet.run("from __main__ import Daytime") == []
        assert telnet.run("f.protocol = Daytime") == []
        said = quote_by_nc(example)
        assert CTIME.fullmatch(said)
        assert abs(time.mktime(time.strptime(said.strip())) - time.time()) < 60
        assert ssh.run("import __main__; f.protocol = __main__.QOTD") == []
        assert ask_quote(example.qotd_port) == QUOTE

        # Leave, each its own way; the service goes on.
        telnet.type("\x04")
        telnet.expect_end()
        ssh.line("exit()")
        assert ssh.expect_end() == 0
    assert quote_by_nc(example) == QUOTE


def test_leaving_by_the_telnet_escape(example, tmp_path):
    """Ctrl-] and `quit` leave the telnet client, as the howto advises."""
    line = [word for word in command("telnet", example) if word != "-E"]
    with Client(line, tmp_path) as telnet:
        example.log_in(telnet, "telnet")
        telnet.type("\x1d")
        telnet.wait_for("telnet>")
        telnet.line("quit")
        telnet.expect_end()
    assert ask_quote(example.qotd_port) == QUOTE
