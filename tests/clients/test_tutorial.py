"""docs/tutorial.md, played block by block by real processes and the programs that it names.

The word after the fences says what a block is:

- ``sh``: commands that end; a ``text`` block behind it has all that they print.
- ``sh service``: a command that goes on, at a terminal of its own; ``text service`` has all that
  has appeared there since. ``^C`` at its beginning is typed.
- ``pycon telnet``, ``pycon ssh``, ``pycon python``: what stands on the terminal of that program. It
  begins with the command behind ``$``; without one it goes on where the last one stopped. What
  stands behind a prompt is typed.
- ``python FILE``: is written to that file. ``toml FILE``: stands in that file.
"""

import contextlib
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from support.clients import Client, need
from support.pages import blocks_of
from support.servers import ROOT, clean_environment

PAGE = ROOT / "docs" / "tutorial.md"
PORTS = ("4040", "8007", "8022", "8123")
PASSWORDS = {"admin": "admin", "boss": "sekrit"}
ROWS, COLUMNS = 120, 300  # nothing scrolls away, no line is wrapped
SECONDS = 60

# What differs from run to run: each of the two sides has to have something of this shape.
VARIABLE = (
    (r"0x[0-9a-f]{6,}", "0xADDRESS"),
    (r"SHA256:[A-Za-z0-9+/]{43}", "SHA256:FINGERPRINT"),
    (r"\bfingerprint is: ", "fingerprint is "),  # as releases of ssh differ
    (r"^\(\w+@localhost\) Password:", "Password:"),
    (r"^>>> \^D$", ">>>"),  # our editor shows nothing for it
    (r"\bconsole \d+\.\d+\.\d+\S*", "console VERSION"),
    (r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d{3})?", "DATE"),
    (r"\b[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d \d{4}\b", "CTIME"),
    (r"\b127\.0\.0\.1:\d+", "PEER"),
    (r"undoes itself in [45]\.\d min", "undoes itself in N min"),
    (r"\bon \S+, process \d+, up .*", "on HOST, process N, up TIME"),
    (r"\blast login \w+ \d\d:\d\d by", "last login DAY by"),
)
# The system may try ::1 for localhost first, where nothing of ours listens; releases of ssh differ
# in the line on names; our editor takes the empty line that ends a block away again; on a busy
# machine the service's loop may answer late.
OPTIONAL = re.compile(
    r"Trying ::1\.\.\.|telnet: .*::1.*|This key is not known by any other names?\.?|\.\.\."
    r"|WARNING: the service's loop has been blocked .*"
)

PATCH = (
    "<patch 2: <Factory>.protocol = <class 'console.application.protocols.Daytime'>,"
    " was <class 'console.application.protocols.QOTD'>;"
    " 2026-11-24 01:23:42 by boss over telnet from 127.0.0.1:49280>"
)
# After the page: what was saved comes back a second time.
AGAIN = f"""
```sh service
console run demo-shutdown.tap
```

```text service
2026-11-24 01:24:01,303 WARNING console.application: applied again: {PATCH}
console.application.shell.ShellFactory starting on 8007
console.application.protocols.Factory starting on 8123
```

```pycon telnet
$ telnet localhost 8007
Trying 127.0.0.1...
Connected to localhost.
Escape character is '^]'.

demo
console 0.1.0
username: boss
password: ******
on myhost, process 4783, up 1 s
you are boss (admin), last login today 01:24 by telnet from 127.0.0.1
1 patch applied: patches() tells which
Type help() for help, exit() or Ctrl-D to leave.
>>> foo
12
>>> twice()
24
>>> current().tcp_ports[0][1] is f
True
>>> f.protocol
<class 'console.application.protocols.Daytime'>
>>> exit()
Connection closed by foreign host.
```

```sh
nc localhost 8123
```

```text
Sat Sep 28 09:11:37 2002
```

```sh
kill $(cat console.pid)
```
"""


def normal(lines):
    """Return lines with what differs from run to run replaced, empty ones left out."""
    shown = []
    for line in lines:
        text = line.rstrip()
        for pattern, name in VARIABLE:
            text = re.sub(pattern, name, text)
        if text and not OPTIONAL.fullmatch(text):
            shown.append(text)
    return shown


def free_ports():
    """Return ports that are free now, below the system's ephemeral ports."""
    chosen = set()
    candidates = iter(random.sample(range(20000, 32000), 1000))
    while len(chosen) < len(PORTS):
        port = next(candidates)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            chosen.add(str(port))
    return list(chosen)


class Terminal(Client):
    """A program at a terminal, of which a part of what it shows has been read."""

    def __init__(self, kind, line, here):
        self.kind = kind
        self._begin = 0
        in_here = ["sh", "-c", 'cd "$0" && exec "$@"', str(here), *line]
        super().__init__(in_here, here.parent, rows=ROWS, columns=COLUMNS)

    def fresh(self):
        """Return the lines that were not read yet, without a waiting prompt."""
        lines = self.screen()[self._begin : self.screen_state.cursor.y + 1]
        return lines[:-1] if lines and lines[-1] == ">>>" and not self.ended else lines

    def expect(self, lines):
        """Wait until the fresh lines are these, and count them as read."""
        assert normal(lines), "it shows nothing, which says nothing"

        def are_shown():
            # Not while the last one is still being typed: Enter has not been taken then.
            typing = lines[-1].startswith(">>> ") and self.cursor_line == lines[-1]
            return normal(self.fresh()) == normal(lines) and (self.ended or not typing)

        with contextlib.suppress(AssertionError):
            self.wait_until(are_shown, "", SECONDS)
        compare(self.fresh(), lines)
        cursor = self.screen_state.cursor
        self._begin = cursor.y
        assert cursor.y < ROWS - 1, "the terminal is full"

    def play(self, lines):
        """Type what the lines show as typed."""
        user = None
        for line in lines:
            prompt, _, typed = line.partition(" ")
            if line.startswith("^C"):
                self.type("\x03")
            elif prompt == "username:":
                self.wait_until(lambda: self.cursor_line == "username:", "username:", SECONDS)
                self.line(typed)
                user = typed
            elif prompt == "password:":
                self.wait_until(lambda: self.cursor_line == "password:", "password:", SECONDS)
                assert typed == "*" * len(PASSWORDS[user]), line
                self.line(PASSWORDS[user])
            elif found := re.fullmatch(r"\((\w+)@localhost\) Password:", line):
                self.wait_until(lambda: self.cursor_line.endswith("Password:"), line, SECONDS)
                self.line(PASSWORDS[found[1]])
            elif found := re.fullmatch(r"(Are you sure .*\?) (yes)", line):
                self.wait_until(lambda: self.cursor_line == found[1], line, SECONDS)
                self.line(found[2])
            elif line == ">>> ^D":
                self.expect_prompt(seconds=SECONDS)
                self.type("\x04")
            elif prompt == ">>>":
                self.expect_prompt(seconds=SECONDS)
                self.type(typed)
                self.wait_until(lambda: self.cursor_line == line, line, SECONDS)  # noqa: B023
                self.line()
            elif prompt == "...":
                self.wait_until(lambda: self.cursor_line == "...", "an empty '...'", SECONDS)
                # Our editor indents by itself.
                self.line(typed if self.kind == "python" else typed.removeprefix("    "))


def compare(appeared, shown):
    """Fail with both sides if what appeared is not what the page shows."""
    if normal(appeared) != normal(shown):
        page, real = "\n".join(shown), "\n".join(appeared)
        raise AssertionError(f"---- the page shows:\n{page}\n---- what appeared:\n{real}\n----")


class Reader:
    """A reader who follows a page, in a directory."""

    def __init__(self, directory, stack):
        self._here = directory / "here"
        self._here.mkdir()
        self._stack = stack
        self._ports = dict(zip(PORTS, free_ports(), strict=True))
        self._service = None
        self._terminals = {}

    def read(self, text):
        """Play every block of a page."""
        blocks = blocks_of(text)
        neighbours = zip([None, *blocks], blocks, [*blocks[1:], None], strict=False)
        for previous, (info, lines, number), following in neighbours:
            try:
                if info == "text":  # it has been compared with the output of the block before it
                    assert previous is not None and previous[0] == "sh", "nothing was run before it"
                else:
                    shown = following[1] if following and following[0] == "text" else []
                    self._play(info.split(), self._here_and_now(lines), self._here_and_now(shown))
            except AssertionError as error:
                raise AssertionError(f"the block of line {number} ({info}): {error}") from error
        self.expect_ends()

    def expect_ends(self):
        """Wait until every program has ended, in order."""
        for terminal in [*self._terminals.values(), self._service]:
            # telnet's status says only which side closed the connection.
            assert terminal.expect_end(SECONDS) == 0 or terminal.kind == "telnet"

    def _here_and_now(self, lines):
        """Return lines with the ports replaced."""
        ports = rf"\b({'|'.join(PORTS)})\b"
        return [re.sub(ports, lambda found: self._ports[found[0]], line) for line in lines]

    def _play(self, info, lines, shown):
        match info:
            case ["sh"]:
                compare(self._output("\n".join(lines)), shown)
            case ["sh", "service"]:
                (line,) = lines
                if self._service is not None:
                    assert self._service.expect_end(SECONDS) == 0
                self._service = self._start("service", line)
            case ["text", "service"]:
                self._service.play(lines)
                self._service.expect(lines)
            case ["pycon", ("telnet" | "ssh" | "python") as kind]:
                if lines[0].startswith("$ "):
                    assert lines[0].split()[1] == kind
                    self._terminals[kind] = self._start(kind, lines.pop(0).removeprefix("$ "))
                self._terminals[kind].play(lines)
                self._terminals[kind].expect(lines)
            case ["python", name]:
                (self._here / name).write_text("\n".join([*lines, ""]))
            case ["toml", name]:
                compare((self._here / name).read_text().splitlines(), lines)
            case _:
                raise AssertionError("it is of no kind that this test can play")

    def _start(self, kind, line):
        return self._stack.enter_context(Terminal(kind, shlex.split(line), self._here))

    def _output(self, script):
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=self._here,
            env=clean_environment(self._here.parent),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout.splitlines()


def our_programs(directory):
    """Make the commands that are not the system's own: ours, Python, and a careful ssh."""
    python = shlex.join([sys.executable, "-W", "error"])
    script = Path(sys.executable).with_name("console")
    as_module = [sys.executable, "-m", "console.cli", "--help"]
    if subprocess.run(as_module, capture_output=True, timeout=SECONDS).returncode == 0:
        console = f"{python} -m console.cli"
    else:
        console = f"{python} {shlex.quote(str(script))}"
    options = {
        "UserKnownHostsFile": directory / "known_hosts",  # ssh does not look at HOME
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "ask",
        "IdentityAgent": "none",
        "PubkeyAuthentication": "no",
    }
    line = [shutil.which("ssh"), "-F", "/dev/null"]
    for name, value in options.items():
        line += ["-o", f"{name}={value}"]
    programs = {
        "console": console,
        "python": f"env PYTHON_BASIC_REPL=1 {python}",  # the one that types as the page shows
        "ssh": shlex.join(line),
    }
    place = directory / "bin"
    place.mkdir()
    for name, start in programs.items():
        (place / name).write_text(f'#!/bin/sh\nexec {start} "$@"\n')
        (place / name).chmod(0o755)
    return place


@pytest.mark.timeout(600)
def test_the_tutorial(tmp_path, monkeypatch):
    """Each block of the page does what the page shows, and the state it saves can be run again."""
    if not PAGE.is_file():
        pytest.skip(f"{PAGE} is not here: the tests run without the documentation")
    for program in ("telnet", "nc", "ssh"):
        need(program)
    bin_directory = our_programs(tmp_path)
    monkeypatch.setenv("PATH", str(bin_directory), prepend=":")
    with contextlib.ExitStack() as stack:
        reader = Reader(tmp_path, stack)
        reader.read(PAGE.read_text("utf-8"))
        reader.read(AGAIN)


@pytest.mark.parametrize(
    ("page", "problem"),
    [
        ("```ruby\nputs 1\n```\n", "line 1 (ruby): it is of no kind"),
        ("```\nls\n```\n", "line 1 (): it is of no kind"),
        ("```sh\ntrue\n```\n\n```text\nanything\n```\n", "line 1 (sh): ---- the page shows:"),
        ("```sh\necho anything\n```\n", "line 1 (sh): ---- the page shows:"),
        ("```sh\nfalse\n```\n", "line 1 (sh): "),
        ("```text\nalone\n```\n", "line 1 (text): nothing was run before it"),
        ("- ```sh\n  ls\n  ```\n", "line 1: a block that this test does not find"),
        ("```sh\nls\n", "the last block does not end"),
    ],
)
def test_what_is_no_tutorial(tmp_path, page, problem):
    """A block that is of no known kind, or shows what does not happen, fails the test."""
    with contextlib.ExitStack() as stack, pytest.raises(AssertionError) as caught:
        Reader(tmp_path, stack).read(page)
    assert problem in str(caught.value)
