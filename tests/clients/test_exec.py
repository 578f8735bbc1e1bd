"""`ssh host 'statement'`, scripts on stdin, and the choice of a frontend: with real clients."""

from __future__ import annotations

import json
import os
import subprocess

import pytest

from console import Console, EvaluationSettings, FileCredentials
from support.clients import SSH_OPTIONS, Client, command, need, run_once
from support.rawsession import Raw
from support.servers import DEADLINE_SECONDS, clean_environment, make_key


def ssh(host, *arguments, **options):
    """Run ssh with options before the host's name and a command behind it."""
    return run_once("ssh", host, *arguments, key=host.key_file, **options)


def ssh_with(host, *options, statement=None, input=b"", close_stdin=True):
    """Run ssh with options of its own."""
    need("ssh")
    line = command("ssh", host, *([] if statement is None else [statement]), key=host.key_file)
    line[1:1] = options
    return subprocess.run(
        line,
        input=input,
        capture_output=True,
        timeout=DEADLINE_SECONDS * 2,
        env=clean_environment(host.keys.parent),
    )


def with_variables(host, statement, input=b"", **variables):
    """Run a command with variables in the client's environment."""
    sent = " ".join(f"{name}={value}" for name, value in variables.items())
    return ssh_with(host, "-o", f"SetEnv={sent}", statement=statement, input=input)


def document(done):
    """Return the one JSON object that a command has written, and nothing else."""
    assert done.stderr == b""
    assert done.stdout.count(b"\n") == 1
    found = json.loads(done.stdout)
    assert found["status"] == done.returncode
    return found


# ---- statements


@pytest.mark.parametrize(
    ("statement", "stdout", "status"),
    [
        ("x = 1\nfor i in range(2):\n    print(i)\nx", b"0\n1\n1\n", 0),
        ("\n\n  foo\n", b"12\n", 0),
        ("if foo:\n  print(foo)", b"12\n", 0),
        ("import asyncio\nfor i in range(2):\n  await asyncio.sleep(0)\ni", b"1\n", 0),
        ("%loop foo", b"12\n", 0),
        ("import sys; sys.exit(256 + 7)", b"", 7),
        ("raise SystemExit(4)", b"", 4),
        ("# nothing", b"", 0),
    ],
)
def test_statements(host, statement, stdout, status):
    """A command may be several statements, on lines, with blocks, and await."""
    done = ssh(host, statement)
    assert (done.stdout, done.stderr, done.returncode) == (stdout, b"", status)


def test_both_streams_stay_apart(host):
    """Stdout and stderr of a statement arrive on ssh's own stdout and stderr."""
    done = ssh(host, "import sys; print('a'); print('b', file=sys.stderr); 'c'")
    assert (done.stdout, done.stderr, done.returncode) == (b"a\n'c'\n", b"b\n", 0)


def test_exit_with_a_text(host):
    """`sys.exit('text')` is the text on stderr and status 1, as with Python."""
    done = ssh(host, "import sys; sys.exit('why')")
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"why\n", 1)


def test_an_exception_is_in_the_log(host):
    """What a command raises is in the service's log, under the number that stderr shows."""
    done = ssh(host, "raise LookupError('of a command')")
    assert (done.stdout, done.returncode) == (b"", 1)
    number = done.stderr.decode().rpartition("(error ")[2].strip(")\n")
    logged = host.wait_for_stderr(rf"error {number}: user=boss (.|\n)*?LookupError: of a command")
    assert "transport=ssh" in logged[0]


def test_a_syntax_error(host):
    """A mistake in Python is Python's own SyntaxError, with status 1."""
    done = ssh(host, "for x in y")
    assert b"SyntaxError: expected ':'" in done.stderr
    assert done.returncode == 1


# ---- scripts


SCRIPT = b"""\


# two blank lines, a comment, and no blank line behind the block
def fail(value):
    return value / 0
for one in range(2):
    print("one is", one)
if one:
    text = '''

    kept'''
print(repr(text))
fail(one)
"""


def test_a_script(host):
    """A script runs as Python runs a file, and its traceback has the file's line numbers."""
    done = ssh_with(host, "-T", input=SCRIPT)
    assert done.stdout == b"one is 0\none is 1\n'\\n\\n    kept'\n"
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert [line for line in lines if "line" in line and "File" in line] == [
        line for line in lines if ", line 13, in <module>" in line or ", line 5, in fail" in line
    ]
    assert "    return value / 0" in lines
    assert "ZeroDivisionError: division by zero" in lines


@pytest.mark.parametrize(
    ("script", "stdout", "status"),
    [
        (b"foo", b"12\n", 0),
        (b"foo\nfoo + 1\n", b"13\n", 0),
        (b"", b"", 0),
        (b"\n  \n", b"", 0),
        (b"print(1)\r\nprint(2)\r\n", b"1\n2\n", 0),
        (b"\xef\xbb\xbfprint('marked')", b"marked\n", 0),
        (b"#!/usr/bin/env python3\n# -*- coding: latin-1 -*-\nprint('\xc3\xa9')", b"\xc3\xa9\n", 0),
        (b"import sys\nsys.exit(5)\nprint('never')", b"", 5),
        (b"input()", b"", 1),
        (b"%timeout 5\n%json\nfoo", None, 0),
    ],
)
def test_scripts(host, script, stdout, status):
    """All of stdin is one script, whatever its line ends, and its status is the command's."""
    done = ssh_with(host, "-T", input=script)
    assert done.returncode == status
    if stdout is None:
        assert document(done)["value"] == 12
    else:
        assert done.stdout == stdout


def test_line_numbers_below_options(host):
    """Options on lines of their own count as lines of the script."""
    done = ssh_with(host, "-T", input=b"\n%timeout 5\n%thread\n\n1/0\n")
    assert b'", line 5, in <module>' in done.stderr
    assert b"    1/0\n" in done.stderr


@pytest.mark.parametrize(
    ("script", "line"),
    [(b" x = 1\n\n1/0\n", 3), (b" \n\nx = 1\n1/0\n", 4), (b" %timeout 5\n\n1/0\n", 3)],
)
def test_line_numbers_behind_a_space(host, script, line):
    """A space that keeps a script out of the log moves none of its lines."""
    done = ssh_with(host, "-T", input=script)
    assert b'", line %d, in <module>' % line in done.stderr


def test_a_script_is_run_when_it_is_whole(host):
    """A script that breaks off with a syntax error does nothing at all."""
    done = ssh_with(host, "-T", input=b"print('begun')\nif x\n")
    assert (done.stdout, done.returncode) == (b"", 1)
    assert b"line 2" in done.stderr


def test_a_script_that_is_too_long(host):
    """What is longer than a statement may be is refused in a line, and not held in memory."""
    done = ssh_with(host, "-T", input=b"#" * (3 * 2**20))
    assert done.stderr == b"console: the script is longer than 1048576 characters\n"
    assert done.returncode == 2


def test_one_by_one_over_a_pipe(host):
    """With CONSOLE_FRONTEND=line a program gets each answer before it sends the next statement."""
    need("ssh")
    line = command("ssh", host, key=host.key_file)
    line[1:1] = ["-T", "-o", "SetEnv=CONSOLE_FRONTEND=line"]
    process = subprocess.Popen(
        line,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=clean_environment(host.keys.parent),
    )
    with process:
        try:
            for number in range(3):
                process.stdin.write(b"foo + %d\n" % number)
                process.stdin.flush()
                assert process.stdout.readline() == b"%d\n" % (12 + number)
            process.stdin.write(b"import sys; sys.exit(6)\n")
            process.stdin.close()
            assert process.wait(DEADLINE_SECONDS) == 6
        finally:
            process.kill()


# ---- with a terminal, and on shared connections


def test_with_a_terminal(host):
    """`ssh -tt` runs the command with CR LF, both streams in one, and never the editor."""
    done = ssh_with(
        host, "-tt", statement="print('a'); import sys; print('b', file=sys.stderr); foo"
    )
    assert (done.stdout, done.stderr, done.returncode) == (b"a\r\nb\r\n12\r\n", b"", 0)
    done = ssh_with(host, "-tt", statement="1/0")
    assert done.returncode == 1
    assert b"\r\nZeroDivisionError: division by zero\r\n" in done.stdout
    assert b"\x1b" not in done.stdout


def test_ctrl_c_at_a_terminal(host):
    """Ctrl-C ends a command that has a terminal, with status 130."""
    line = command(
        "ssh", host, "print('be' + 'gun'); __import__('time').sleep(60)", key=host.key_file
    )
    line[1:1] = ["-tt"]
    with Client(line, host.keys.parent) as client:
        client.wait_for("begun")
        client.type("\x03")
        assert client.expect_end() == 130
        assert "KeyboardInterrupt" in client.text


def test_a_shared_connection(host, tmp_path):
    """Commands over one ControlMaster run at once, each with its own streams and status."""
    need("ssh")
    # A path in a socket's address has a hundred characters at the most.
    place = f"/tmp/control-{os.getpid()}"
    options = ("-o", f"ControlPath={place}", "-o", "ControlMaster=auto", "-o", "ControlPersist=60")
    assert ssh_with(host, *options, statement="foo").stdout == b"12\n"
    try:
        running = []
        for number in range(8):
            line = command("ssh", host, f"print({number}); exit({number})", key=host.key_file)
            line[1:1] = ["-o", f"ControlPath={place}", "-n"]
            environment = clean_environment(host.keys.parent)
            running.append(subprocess.Popen(line, stdout=subprocess.PIPE, env=environment))
        for number, process in enumerate(running):
            output, _ = process.communicate(timeout=DEADLINE_SECONDS)
            assert (output, process.returncode) == (b"%d\n" % number, number)
    finally:
        ssh_with(host, "-o", f"ControlPath={place}", "-O", "exit")


# ---- the time limit


@pytest.mark.parametrize(
    "statement",
    [
        "while True: pass",
        "import time; time.sleep(60)",
        "import asyncio; await asyncio.sleep(60)",
        "%loop import asyncio; await asyncio.sleep(60)",
        "input()",
        "try:\n    while True: pass\nexcept KeyboardInterrupt: pass",
    ],
)
def test_time_limit(host, statement):
    """What takes longer than its limit is given up, with status 124, whatever it does."""
    need("ssh")
    reading, writing = os.pipe()  # a stdin that is open, and silent
    try:
        done = subprocess.run(
            command("ssh", host, f"%timeout 0.2 {statement}", key=host.key_file),
            stdin=reading,
            capture_output=True,
            timeout=DEADLINE_SECONDS,
            env=clean_environment(host.keys.parent),
        )
    finally:
        os.close(reading)
        os.close(writing)
    assert done.returncode == 124
    assert b"given up: it ran for more than 0.2 s\n" in done.stderr


def test_time_limit_that_is_not_reached(host):
    """A statement that ends in time is not affected by its limit."""
    done = ssh(host, "%timeout 60 foo")
    assert (done.stdout, done.stderr, done.returncode) == (b"12\n", b"", 0)


def test_time_limit_from_the_environment(host):
    """CONSOLE_TIMEOUT is a limit for commands that are passed on unchanged; %timeout wins."""
    done = with_variables(host, "import time; time.sleep(60)", CONSOLE_TIMEOUT="0.2")
    assert done.returncode == 124
    done = with_variables(host, "%timeout 60 foo", CONSOLE_TIMEOUT="0.000001")
    assert (done.stdout, done.returncode) == (b"12\n", 0)


def test_time_limit_at_a_prompt(host, login):
    """The limit holds for one statement at a prompt as well, and the session goes on."""
    for way in ("ssh", "nc"):
        client = login(way, host)
        shown = client.run("%timeout 0.2 exec('while True: pass')")
        assert "given up: it ran for more than 0.2 s" in shown
        assert client.run("foo") == ["12"]


# ---- JSON


def test_json(host):
    """A program gets one object: value, output, and how it ended."""
    found = document(
        ssh(host, "%json print('out'); import sys; print('err', file=sys.stderr); [foo]")
    )
    assert (found["value"], found["value_is_repr"]) == ([12], False)
    assert (found["output"], found["errors"]) == ("out\n", "err\n")
    assert found["error"] is None
    assert found["duration_seconds"] > 0


def test_json_of_what_is_no_data(host):
    """A value that JSON cannot express is its repr."""
    found = document(ssh(host, "%json {1, 2}"))
    assert (found["value"], found["value_is_repr"]) == ("{1, 2}", True)


def test_json_of_an_error(host):
    """An exception is an object of its own, and is in the log under the same number."""
    found = document(ssh(host, "%json print('out'); {}['key']"))
    assert found["status"] == 1
    assert found["output"] == "out\n"
    error = found["error"]
    assert (error["type"], error["message"]) == ("KeyError", "'key'")
    assert error["traceback"].startswith("Traceback (most recent call last):\n")
    host.wait_for_stderr(rf"error {error['id']}: user=boss (.|\n)*?KeyError: 'key'")


@pytest.mark.parametrize(
    ("statement", "kind", "status"),
    [
        ("import sys; sys.exit(3)", "SystemExit", 3),
        ("import sys; sys.exit('why')", "SystemExit", 1),
        ("(", "SyntaxError", 1),
        ("raise KeyboardInterrupt", "KeyboardInterrupt", 130),
        ("%timeout 0.2 while True: pass", "TimeoutError", 124),
        ("%timeout 0.2 __import__('time').sleep(5)", "TimeoutError", 124),
        ("ls -la", "Refused", 127),
        ("%what", "Refused", 2),
        (b"'\xff'", "Refused", 2),
    ],
)
def test_json_of_every_end(host, statement, kind, status):
    """However it ends, stdout has one object, and stderr nothing."""
    found = document(with_variables(host, statement, CONSOLE_FORMAT="json"))
    assert (found["error"]["type"], found["status"]) == (kind, status)


def test_json_at_a_prompt(host, login):
    """JSON is available at a prompt too."""
    shown = "".join(login("nc", host).run("%json foo"))
    assert json.loads(shown)["value"] == 12


def test_much_output_in_json(host):
    """Output beyond the limit is counted, and the object stays whole."""
    found = document(ssh(host, "%json print('x' * (3 * 2**20))"))
    assert len(found["output"]) == 2**20
    assert found["dropped_characters"] == 2 * 2**20 + 1


# ---- what is not run


@pytest.mark.parametrize(
    ("statement", "line", "status"),
    [
        ("%what 1", b"console: unknown option %what; there are %json, %loop, %thread, %timeout", 2),
        ("%timeout x 1", b"console: %timeout: 'x' must be a number of seconds over 0", 2),
        (b"print('\xff')", b"console: the command is not UTF-8: byte 0xff in line 1", 2),
        (b"x = 1\n'\xed\xa0\x80'", b"console: the command is not UTF-8: byte 0xed in line 2", 2),
        ("cd /tmp", b"console: this is Python, not a shell; nothing was run of: cd /tmp", 127),
        ("ls -la", b"console: this is Python, not a shell; nothing was run of: ls -la", 127),
        (
            "export A=b",
            b"console: this is Python, not a shell; nothing was run of: export A=b",
            127,
        ),
        ("sudo id", b"console: this is Python, not a shell; nothing was run of: sudo id", 127),
        (
            "/bin/sh -c 'foo'",
            b"console: this is Python, not a shell; nothing was run of: /bin",
            127,
        ),
    ],
)
def test_what_is_not_run(host, statement, line, status):
    """What cannot be a statement is answered with one line on stderr and a status."""
    done = ssh(host, statement)
    assert (done.stdout, done.returncode) == (b"", status)
    assert done.stderr.startswith(line)
    assert done.stderr.count(b"\n") == 1


def test_a_script_that_is_not_utf8(host):
    """A script with a byte that is not UTF-8 is not run with another character in its place."""
    done = ssh_with(host, "-T", input=b"\nprint('begun')\nx = 'caf\xe9'\n")
    assert done.stdout == b""
    assert done.stderr == b"console: the script is not UTF-8: byte 0xe9 in line 3\n"
    assert done.returncode == 2


def test_a_connection_survives_a_command_that_is_not_utf8(host):
    """Other sessions of a connection go on when one sends bytes that are not UTF-8."""
    need("ssh")
    # A path in a socket's address has a hundred characters at the most.
    shared = ("-o", f"ControlPath=/tmp/control-bytes-{os.getpid()}", "-o", "ControlMaster=auto")
    assert ssh_with(host, *shared, "-o", "ControlPersist=60", statement="foo").returncode == 0
    try:
        assert ssh_with(host, *shared, statement=b"'\xff'").returncode == 2
        assert ssh_with(host, *shared, statement="foo").stdout == b"12\n"
    finally:
        ssh_with(host, *shared, "-O", "exit")


def test_a_shells_word_that_is_a_name(host):
    """A name of the service is Python, even one that a shell knows."""
    assert ssh(host, "ls, la = 7, 3").returncode == 0
    try:
        assert ssh(host, "ls -la").stdout == b"4\n"
        assert ssh(host, "ls").stdout == b"7\n"
    finally:
        ssh(host, "del ls, la")


@pytest.mark.parametrize(
    ("variables", "line"),
    [
        ({"CONSOLE_TIMEOUT": "soon"}, b"console: CONSOLE_TIMEOUT: 'soon' must be a number"),
        ({"CONSOLE_FORMAT": "xml"}, b"console: CONSOLE_FORMAT: 'xml' must be text or json"),
    ],
)
def test_variables_that_mean_nothing(host, variables, line):
    """A variable that cannot be obeyed is said, and nothing is run."""
    done = with_variables(host, "foo", **variables)
    assert (done.stdout, done.returncode) == (b"", 2)
    assert done.stderr.startswith(line)


# ---- frontends


class Emacs(Client):
    """ssh at a terminal as Emacs makes it: no echo, no CR LF, no cursor."""

    def __init__(self, host, *options):
        line = command("ssh", host, key=host.key_file)
        line[1:1] = options
        super().__init__(line, host.keys.parent, env={"TERM": "dumb"}, setup="stty -echo -onlcr")

    def raw(self, text):
        """Wait for a text; return everything that has been received."""
        self.wait_until(lambda: text in self.received, repr(text))
        return self.received


def test_emacs(host):
    """A terminal whose echo is off is not echoed to, and one without CR LF gets LF alone."""
    need("ssh")
    with Emacs(host) as client:
        client.raw(b">>> ")
        client.type("for i in range(2):\n")
        client.raw(b"... ")
        client.type("    print('n', i)\n\n")
        client.raw(b"n 1\n")
        client.type("input('who? ')\nme\n")
        client.raw(b"'me'\n")
        client.type("__import__('time').sleep(60)\n")
        client.type("\x03")
        client.raw(b"KeyboardInterrupt\n")
        client.type("\x04")
        client.expect_end()
    received = client.received
    for unwanted in (b"\x1b", b"\r", b"range(2)", b"print("):
        assert unwanted not in received, received


DUMB = ("dumb", "emacs", "unknown", "network", "dumb-emacs-ansi", "vt52")


@pytest.mark.parametrize("term", DUMB)
def test_terminals_without_a_cursor(host, term):
    """A terminal that cannot move its cursor gets the plain prompt and no escape sequence."""
    need("ssh")
    line = ["env", f"TERM={term}", *command("ssh", host, key=host.key_file)]
    with Client(line, host.keys.parent) as client:
        client.expect_prompt()
        client.line("if foo:")
        client.wait_until(lambda: client.cursor_line == "...", "the continuation prompt")
        client.line("    print(foo + 1)")
        client.line()
        client.wait_for("13")
        client.expect_prompt()
        client.type("half a line\x03")
        client.wait_for("KeyboardInterrupt")
        client.type("\x04")
        assert client.expect_end() == 0
    assert b"\x1b" not in client.received


@pytest.mark.parametrize(
    ("term", "wanted", "escapes"),
    [
        ("xterm", "line", False),
        ("xterm", "LINE", False),
        ("xterm", "auto", True),
        ("xterm", "fullscreen", True),
        ("dumb", "fullscreen", True),
        ("dumb", "auto", False),
    ],
)
def test_the_clients_choice(host, term, wanted, escapes):
    """CONSOLE_FRONTEND from the client's environment overrides what its terminal suggests."""
    need("ssh")
    line = ["env", f"TERM={term}", *command("ssh", host, key=host.key_file)]
    line[3:3] = ["-o", f"SetEnv=CONSOLE_FRONTEND={wanted}"]
    with Client(line, host.keys.parent) as client:
        client.expect_prompt()
        client.line("foo")
        client.wait_for("\n12\n")
        client.type("\x04")
        assert client.expect_end() == 0
    assert (b"\x1b[" in client.received) == escapes


def test_a_choice_that_there_is_not(host):
    """A choice that does not exist is said above the first prompt, and the session goes on."""
    need("ssh")
    line = command("ssh", host, key=host.key_file)
    line[1:1] = ["-o", "SetEnv=CONSOLE_FRONTEND=gui"]
    with Client(line, host.keys.parent) as client:
        client.expect_prompt()
        assert "CONSOLE_FRONTEND: 'gui' is not one of auto, fullscreen, line" in client.text
        client.line("foo")
        client.wait_for("\n12\n")


def test_the_clients_choice_over_telnet(host):
    """A telnet client chooses by a variable of its environment (RFC 1572)."""
    need("telnet")
    with Client(["telnet", "-E"], host.keys.parent) as client:
        lines = [
            "environ define CONSOLE_FRONTEND line",
            "environ export CONSOLE_FRONTEND",
        ]
        for count, line in enumerate(lines, 1):
            client.wait_until(lambda: client.text.count("telnet>") == count, "its prompt")  # noqa: B023
            client.line(line)
        client.wait_until(lambda: client.text.count("telnet>") == 3, "its prompt")
        client.line(f"open 127.0.0.1 {host.telnet_port}")
        client.wait_until(lambda: client.cursor_line.endswith("username:"), "username:")
        client.line("boss")
        client.wait_until(lambda: client.cursor_line.endswith("password:"), "password:")
        begins = len(client.received)
        client.line("sekrit")
        client.expect_prompt()
        client.line("foo")
        client.wait_for("\n12\n")
        assert b"\x1b" not in client.received[begins:]


def test_the_consoles_choice(tmp_path):
    """A console whose setting says line has plain prompts, unless the client chooses the editor."""
    need("ssh")
    key = make_key(tmp_path / "id")
    store = FileCredentials(tmp_path / "keys", initial={"boss": "sekrit"})
    settings = EvaluationSettings(frontend="line")
    with Console(
        "lines",
        namespace={"foo": 12},
        credentials=store,
        ssh=0,
        keys=tmp_path / "keys",
        history=tmp_path / "history",
        evaluation=settings,
    ) as console:
        store.grant_key("boss", (tmp_path / "id.pub").read_text())
        address = ("-i", str(key), "-p", str(console.ssh_port), "boss@127.0.0.1")
        for choice, escapes in (((), False), (("-o", "SetEnv=CONSOLE_FRONTEND=auto"), True)):
            line = ["ssh", *SSH_OPTIONS, *choice, *address]
            with Client(line, tmp_path) as client:
                client.expect_prompt()
                client.line("foo")
                client.wait_for("\n12\n")
                assert (b"\x1b[" in client.received) == escapes


def test_telnet_in_line_mode_and_nc(host):
    """A client that echoes by itself is not echoed to, and gets no escape sequence."""
    raw = Raw(host.telnet_port)
    try:
        raw.send("if foo:\n")
        assert raw.wait_for(b"... ") == ""
        raw.send("    print(foo)\n\n")
        assert raw.wait_for(b">>> ") == "... 12\r\n"
    finally:
        raw.close()
