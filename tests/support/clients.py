"""Real clients, driven through a pty with an emulated screen."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pexpect
import pyte
import pytest

from support.servers import DEADLINE_SECONDS, SUPPORT, clean_environment

ROWS, COLUMNS = 50, 120

# Those that most tests use, and some more that behave as they do.
WAYS = ("telnet", "nc", "ssh", "plink", "dbclient")
SSH_CLIENTS = ("ssh", "plink", "dbclient", "paramiko", "asyncssh")
TELNET_CLIENTS = ("telnet", "busybox", "plink -telnet", "telnetlib3", "nc", "curl")
ALL_CLIENTS = SSH_CLIENTS + TELNET_CLIENTS
LINE_CLIENTS = ("nc", "curl")
FULLSCREEN = ("telnet", "ssh", "plink", "dbclient")

# Nothing of the user's own configuration, agent or known hosts takes part.
SSH_OPTIONS = (
    *("-F", "/dev/null"),
    *("-o", "StrictHostKeyChecking=no"),
    *("-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "GlobalKnownHostsFile=/dev/null"),
    *("-o", "IdentityAgent=none"),
    *("-o", "LogLevel=ERROR"),
    *("-o", "SendEnv=COLORTERM NO_COLOR"),
)

PROMPT = ">>>"

# Reads of up to 64 KiB before a client looks at its screen again.
READS = 8


def need(program):
    """Skip the test without this program; fail it where the clients are required."""
    if shutil.which(program) is None:
        if os.environ.get("CONSOLE_REQUIRE_CLIENTS") == "1":
            pytest.fail(f"{program} is not installed, and CONSOLE_REQUIRE_CLIENTS=1 is set")
        pytest.skip(f"{program} is not installed")


def command(way, host, *arguments, user="boss", key=None):
    """Return the command line that opens a session, or runs ``arguments``."""
    address, who = "127.0.0.1", f"{user}@127.0.0.1"
    ssh_port = str(host.ssh_port)
    match way:
        case "telnet":
            return ["telnet", *(arguments or ["-E"]), address, str(host.telnet_port)]
        case "nc":
            return ["nc", *arguments, address, str(host.telnet_port)]
        case "ssh":
            identity = (
                ("-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes")
                if key
                else ("-o", "PubkeyAuthentication=no")
            )
            return ["ssh", *SSH_OPTIONS, *identity, "-p", ssh_port, who, *arguments]
        case "plink":
            fixed = ["-ssh", "-no-antispoof", "-hostkey", host.fingerprint, "-P", ssh_port]
            return ["plink", *fixed, who, *arguments]
        case "dbclient":
            return ["dbclient", "-y", "-y", "-p", ssh_port, who, *arguments]
        case "paramiko" | "asyncssh":
            script = str(SUPPORT / "library_client.py")
            return [sys.executable, script, way, address, ssh_port, user]
        case "busybox":
            return ["busybox", "telnet", address, str(host.telnet_port)]
        case "plink -telnet":
            return ["plink", *arguments, "-telnet", "-P", str(host.telnet_port), address]
        case "telnetlib3":
            program = Path(sys.executable).parent / "telnetlib3-client"
            return [str(program), address, str(host.telnet_port)]
        case "curl":
            # "." or it waits for the keyboard, and shows an answer when the next line is typed; and
            # a stdin of its own, or its stdout does not wait for the terminal either.
            program = 'exec curl --no-buffer --upload-file . "$0" </dev/tty 2>/dev/null'
            return ["sh", "-c", program, f"telnet://{address}:{host.telnet_port}"]
    raise ValueError(way)


def run_once(way, host, *arguments, input=b"", key=None, user="boss", timeout=DEADLINE_SECONDS):
    """Run a client without questions; return its CompletedProcess."""
    need(way)
    line = command(way, host, *arguments, key=key, user=user)
    env = clean_environment(host.keys.parent)
    if way == "plink":
        line[1:1] = ["-batch", "-pw", host.password]
    elif way == "dbclient":
        env["DROPBEAR_PASSWORD"] = host.password
    return subprocess.run(line, input=input, capture_output=True, timeout=timeout, env=env)


class Client:
    """A client program with a terminal of its own; the shell runs ``setup`` first."""

    def __init__(self, line, directory, *, rows=ROWS, columns=COLUMNS, env=None, setup=None):
        need(line[0])
        if setup:
            line = ["sh", "-c", f'{setup} && exec "$0" "$@"', *line]
        self.screen_state = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen_state)
        self.received = b""
        self._watched = True
        self.ended = False
        with warnings.catch_warnings():
            # Newer Pythons warn of a fork beside threads; the child becomes the client at once.
            warnings.simplefilter("ignore", DeprecationWarning)
            self._child = pexpect.spawn(
                line[0],
                list(line[1:]),
                dimensions=(rows, columns),
                env={**clean_environment(directory), **(env or {})},
                timeout=DEADLINE_SECONDS,
            )
        self._child.delaybeforesend = None
        self._child.delayafterclose = 0.01
        self._child.delayafterterminate = 0.01
        self._child.ptyproc.delayafterclose = 0.01
        self._child.ptyproc.delayafterterminate = 0.01

    # ---- the screen

    def screen(self):
        """Return the lines on the screen, without blanks at their ends."""
        self._read(0)
        return [line.rstrip() for line in self.screen_state.display]

    @property
    def text(self):
        """The screen as one text, wrapped lines joined where they were full."""
        return "\n".join(self.screen())

    @property
    def cursor_line(self):
        """The line that the cursor is on, up to the cursor."""
        cursor = self.screen_state.cursor
        return self.screen()[cursor.y]

    @contextlib.contextmanager
    def unseen(self):
        """Receive without drawing, which is slow for much output. The screen is lost."""
        self._watched = False
        yield

    def wait_until(self, condition, what, seconds=DEADLINE_SECONDS):
        """Wait until a condition holds for the received output."""
        deadline = time.monotonic() + seconds
        while not condition():
            remaining = deadline - time.monotonic()
            if remaining <= 0 or (self.ended and not condition()):
                state = "the client has ended" if self.ended else f"not within {seconds} s"
                shown = "\n".join(line for line in self.screen() if line)
                raise AssertionError(f"{state}: {what}\n---- the screen:\n{shown}\n----")
            self._read(min(remaining, 1.0))

    def wait_for(self, text, seconds=DEADLINE_SECONDS):
        """Wait until a text is on the screen."""
        self.wait_until(lambda: text in self.text, f"{text!r} on the screen", seconds)

    def expect_prompt(self, prompt=PROMPT, seconds=DEADLINE_SECONDS):
        """Wait until the cursor is at an empty prompt."""
        self.wait_until(
            lambda: self.cursor_line == prompt and self.screen_state.cursor.x == len(prompt) + 1,
            f"an empty {prompt!r}",
            seconds,
        )

    def expect_end(self, seconds=DEADLINE_SECONDS):
        """Wait until the client has ended by itself; return its exit status, None if killed."""
        deadline = time.monotonic() + seconds
        while not self.ended:
            if time.monotonic() > deadline:
                raise AssertionError(f"the client has not ended\n{self.text}")
            self._read(0.5)
        self._child.wait()
        return self._child.exitstatus

    def _read(self, seconds):
        """Read the available output, waiting for the first byte; a part, if it never ends."""
        for _ in range(READS):
            if self.ended:
                return
            try:
                data = self._child.read_nonblocking(65536, timeout=seconds)
            except pexpect.TIMEOUT:
                return
            except pexpect.EOF:
                self.ended = True
                return
            self.received += data
            if self._watched:
                self._stream.feed(data)
            seconds = 0

    # ---- the keyboard

    def type(self, text):
        """Type keys, without Enter."""
        self._child.send(text)

    def line(self, text=""):
        """Type a line and Enter."""
        self.type(text + "\r")

    def paste(self, text):
        """Paste as a terminal does with bracketed paste."""
        self.type("\x1b[200~" + text.replace("\n", "\r") + "\x1b[201~")

    def resize(self, rows, columns):
        """Resize the window."""
        self.screen_state.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    def run(self, statement, *, seconds=DEADLINE_SECONDS):
        """Type a one-line statement, and return the lines shown until the next prompt."""
        self.expect_prompt()
        self.type(statement)
        shown = f"{PROMPT} {statement}"
        self.wait_until(lambda: self.cursor_line == shown, f"the echo of {statement!r}", seconds)
        self.type("\r")
        self.expect_prompt(seconds=seconds)
        lines = self.screen()[: self.screen_state.cursor.y]
        begins = max(at for at, line in enumerate(lines) if line == shown)
        return lines[begins + 1 :]

    # ---- its end

    def close(self):
        """Kill the client."""
        with contextlib.suppress(pexpect.ExceptionPexpect, OSError):
            self._child.close(force=True)
        self.ended = True

    def kill(self, number=signal.SIGKILL):
        """Send the client a signal."""
        self._child.kill(number)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Session(Client):
    """A client that logs in to a `Host`, over one of its transports."""

    def __init__(self, way, host, *arguments, user="boss", key=None, **options):
        self.way = way
        self.dumb = (options.get("env") or {}).get("TERM") == "dumb"
        self.host = host
        self.user = user
        line = command(way, host, *arguments, user=user, key=key)
        if way == "curl":
            need(way)  # a shell starts it
        if self.dumb and line[0] == "plink":  # which does not ask its environment
            saved = host.keys.parent / ".putty" / "sessions" / "dumb"
            saved.parent.mkdir(parents=True, exist_ok=True)
            saved.write_text("TerminalType=dumb\n")
            line[1:1] = ["-load", "dumb"]
        super().__init__(line, host.keys.parent, **options)

    @property
    def fullscreen(self):
        """Whether the server's full-screen editor reads the input."""
        return self.way not in LINE_CLIENTS and not self.dumb

    def give_name(self, user=None):
        """Answer the question for the user name, if there is one."""
        if self.way in TELNET_CLIENTS:
            self.wait_until(lambda: self.cursor_line.endswith("username:"), "username:")
            self.line(self.user if user is None else user)

    def give_password(self, password):
        """Answer the question for the password."""
        self.wait_until(lambda: self.cursor_line.endswith("assword:"), "password:")
        before = len(self.received)
        self.line(password)
        # What comes next is the answer to this line.
        self.wait_until(lambda: len(self.received) > before, "anything after the password")

    def login(self, password="sekrit"):
        """Log in, and wait for the prompt."""
        self.give_name()
        self.give_password(password)
        self.expect_prompt()
        return self

    def enter_block(self, *lines):
        """Type a compound statement: the first line, the body without its indentation."""
        self.expect_prompt()
        first, *body = lines
        self.enter(first)
        indentation = "" if self.fullscreen else "    "
        for line in body:
            self.expect_continuation()
            self.enter(indentation + line)
        self.expect_continuation()
        self.line()
        self.expect_prompt()

    def enter(self, line):
        """Type a line, and Enter once it is shown: the next output is then its result."""
        self.type(line)
        self.wait_until(lambda: self.cursor_line.endswith(line), f"the echo of {line!r}")
        self.type("\r")

    def expect_end(self, seconds=DEADLINE_SECONDS):
        """Wait until the client has ended by itself; return its exit status, None if killed."""
        if self.way == "nc":
            # nc notices the end of the connection when it next sends.
            self.wait_until(self._ended_at_enter, "nc ends", seconds)
        return super().expect_end(seconds)

    def _ended_at_enter(self):
        if not self.ended:
            self._read(0.1)
            with contextlib.suppress(OSError):
                self.line()
        return self.ended

    def expect_continuation(self):
        """Wait until the cursor is at an empty continuation prompt."""
        self.wait_until(lambda: self.cursor_line == "...", "an empty '...'")
