"""A telnet client's own commands: its modes, and the telnet commands that it sends."""

import re

import pytest

from support.clients import PROMPT, Session


@pytest.fixture
def telnet(host):
    """A telnet client whose escape character works, logged in."""
    with Session("telnet", host, "-K") as client:
        yield client.login()


def tell(client, command):
    """Give the client itself a command."""
    client.type("\x1d")
    client.wait_until(lambda: client.cursor_line == "telnet>", "the client's own prompt")
    client.line(command)


def test_mode_line_and_back(telnet):
    """`mode line` gives plain lines that the client shows, once; `mode character` the editor."""
    telnet.run("foo")
    for _ in range(2):
        telnet.type("half")
        telnet.wait_until(lambda: telnet.cursor_line == ">>> half", "the echo")
        begins = len(telnet.received)
        tell(telnet, "mode line")
        assert telnet.run("'é漢'") == ["'é漢'"]
        for line, prompt in (("if foo:", "..."), ("    print('in it')", "..."), ("", PROMPT)):
            telnet.enter(line)
            telnet.wait_until(lambda p=prompt: telnet.cursor_line == p, prompt)
        lines = [line for line in telnet.screen() if line]
        assert lines[-5:] == [">>> if foo:", "...     print('in it')", "...", "in it", PROMPT]
        assert b"\x1b[?2004h" not in telnet.received[begins:]
        tell(telnet, "mode character")
        telnet.expect_prompt()
        telnet.type("guar\t")
        telnet.wait_until(lambda: telnet.cursor_line == ">>> guarded", "the whole name")
        telnet.type("\x03")
        assert telnet.run("foo") == ["12"]


def test_mode_line_while_a_statement_runs(telnet):
    """A mode that changes while a statement runs holds from then on, for its questions too."""
    telnet.line("input('who? '), input('and? ')")
    telnet.wait_until(lambda: telnet.cursor_line == "who?", "the question")
    tell(telnet, "mode line")
    telnet.line("me")
    # Indented, if the answers to the change of mode come only behind Enter.
    telnet.wait_until(lambda: telnet.cursor_line.strip() == "and?", "the second question")
    telnet.line("you")
    telnet.wait_for("and? you\n('me', 'you')\n")  # shown by the client, and not again by us
    telnet.expect_prompt()
    assert telnet.run("foo") == ["12"]


def test_ctrl_c_in_line_mode(telnet):
    """Ctrl-C in line mode, which comes as a command of telnet, ends a statement."""
    tell(telnet, "mode line")
    telnet.run("import asyncio")
    telnet.line("print('it ' + 'runs'); await asyncio.sleep(60)")
    telnet.wait_for("\nit runs")
    telnet.type("\x03")
    telnet.wait_for("KeyboardInterrupt")
    telnet.expect_prompt()


def test_are_you_there(telnet):
    """AYT is answered above the prompt, which stays with what is typed, and by a busy session."""
    telnet.type("fo")
    telnet.wait_until(lambda: telnet.cursor_line == ">>> fo", "the echo")
    tell(telnet, "send ayt")
    telnet.wait_until(lambda: telnet.cursor_line == ">>> fo", "the line again")
    assert re.search(r"telnet> send ayt\n\[yes\]\n>>> fo\n", telnet.text)
    telnet.line("o")
    telnet.wait_for("\n12\n")
    telnet.expect_prompt()
    telnet.line("import time; time.sleep(60)")
    tell(telnet, "send ayt")
    telnet.wait_until(lambda: telnet.text.count("[yes]") == 2, "another answer")
    telnet.type("\x03")
    telnet.expect_prompt()


def test_synch(telnet):
    """A Synch, which is urgent data, takes nothing away from what is typed behind it."""
    tell(telnet, "mode line")
    telnet.expect_prompt()
    tell(telnet, "send synch")
    telnet.line("foo")
    telnet.wait_for("\n12\n")


@pytest.mark.parametrize("way", ["telnet", "busybox", "plink -telnet", "telnetlib3"])
def test_no_window_and_no_terminal_type(way, host):
    """A window of 0x0 and a terminal without a type make a session like others."""
    with Session(way, host, env={"TERM": ""}, setup="stty rows 0 columns 0") as client:
        client.login()
        assert client.run("foo") == ["12"]
