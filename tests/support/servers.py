"""Processes to test against: a service of ours with a console, and the examples."""

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

from console import FileCredentials

SUPPORT = Path(__file__).parent
ROOT = SUPPORT.parents[1]
EXAMPLES = ROOT / "examples"
DEADLINE_SECONDS = 45
"""For what has to come, on a busy machine. What must not come in it takes 60 s or more."""


def clean_environment(directory):
    """Make an environment without the developer's files, display and agent."""
    # PYTHONPATH: the processes run the same sources as the tests.
    names = ("PATH", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {
        **kept,
        "HOME": str(directory),
        "XDG_STATE_HOME": str(directory / "state"),
        "XDG_DATA_HOME": str(directory / "data"),
        "TERM": "xterm-256color",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
    }


def wait_until(condition, what, seconds=DEADLINE_SECONDS):
    """Wait for a condition of another process or thread; return what made it true."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.01)
    return found


_LOGIN = " INFO console.audit: login: "


class Process:
    """A subprocess with its stdout and stderr in files."""

    def __init__(self, command, directory, *, env=None, **options):
        directory.mkdir(parents=True, exist_ok=True)
        self.stdout_file = directory / "stdout"
        self.stderr_file = directory / "stderr"
        with self.stdout_file.open("wb") as out, self.stderr_file.open("wb") as err:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=err,
                env={**clean_environment(directory), **(env or {})},
                **options,
            )

    @property
    def stdout(self):
        return self.stdout_file.read_text("utf-8", "backslashreplace")

    @property
    def stderr(self):
        return self.stderr_file.read_text("utf-8", "backslashreplace")

    @property
    def complaints(self):
        """What stands on stderr beside the record of logins."""
        return "".join(line for line in self.stderr.splitlines(keepends=True) if _LOGIN not in line)

    @property
    def alive(self):
        return self.popen.poll() is None

    def wait_for_stdout(self, pattern):
        """Wait until stdout matches; return the match."""

        def found():
            match = re.search(pattern, self.stdout)
            if match is None and not self.alive:
                raise AssertionError(f"ended early, status {self.popen.returncode}:\n{self.stderr}")
            return match

        return wait_until(found, f"{pattern!r} on stdout")

    def wait_for_stderr(self, pattern):
        """Wait until stderr matches; return the match."""
        return wait_until(lambda: re.search(pattern, self.stderr), f"{pattern!r} on stderr")

    def end(self, number=signal.SIGTERM, seconds=DEADLINE_SECONDS):
        """Send a signal and wait; return the exit status."""
        if self.alive:
            self.popen.send_signal(number)
        return self.wait(seconds)

    def wait(self, seconds=DEADLINE_SECONDS):
        """Wait for the end; return the exit status."""
        return self.popen.wait(seconds)

    def close(self):
        """Kill the process."""
        with contextlib.suppress(OSError):
            self.popen.stdin.close()
        if self.alive:
            self.popen.kill()
        self.popen.wait(DEADLINE_SECONDS)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Host(Process):
    """A service with a console, as in ``host_process.py``; users boss/sekrit, deputy/sekrit2.

    ``more`` is passed to it unchanged.
    """

    user = "boss"
    password = "sekrit"

    def __init__(self, directory, kind="asyncio", *, names=None, guarded=True, **more):
        directory.mkdir(parents=True, exist_ok=True)
        self.kind = kind
        self.keys = directory / "keys"
        self.history = directory / "history"
        mine, theirs = os.pipe()
        self._replies = os.fdopen(mine, "rb", buffering=0)
        self._unread = b""
        spec = {
            "kind": kind,
            "keys": str(self.keys),
            "history": str(self.history),
            "names": {"foo": 12} if names is None else names,
            "guarded": guarded,
            "reply": theirs,
            **more,
        }
        command = [
            sys.executable,
            "-W",
            "error",
            str(SUPPORT / "host_process.py"),
            json.dumps(spec),
        ]
        try:
            super().__init__(command, directory, pass_fds=[theirs])
        finally:
            os.close(theirs)
        try:
            self.key_file = make_key(directory / "id_boss")
            ready = self._reply()
        except BaseException:
            self.close()
            raise
        self.telnet_port = ready["telnet"]
        self.ssh_port = ready["ssh"]
        self.fingerprint = ready["fingerprint"]
        FileCredentials(self.keys).grant_key("boss", Path(f"{self.key_file}.pub").read_text())

    def ask(self, **command):
        """Send the service a command (see ``host_process.py``), and return the answer."""
        self.popen.stdin.write(json.dumps(command).encode() + b"\n")
        self.popen.stdin.flush()
        return self._reply()

    def statistics(self):
        """Return the service's current resources."""
        return self.ask(statistics=True)

    def stop(self):
        """Stop the service orderly; return the exit status."""
        self.popen.stdin.close()
        return self.wait()

    def close(self):
        super().close()
        self._replies.close()

    def _reply(self):
        deadline = time.monotonic() + DEADLINE_SECONDS
        while b"\n" not in self._unread:
            ready, _, _ = select.select(
                [self._replies], [], [], max(0, deadline - time.monotonic())
            )
            part = os.read(self._replies.fileno(), 65536) if ready else b""
            if not part:
                raise AssertionError(f"the service did not answer; its stderr:\n{self.stderr}")
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        return json.loads(line)


def make_key(path):
    """Make an SSH key without a passphrase; return its path."""
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "a test", "-f", str(path)],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    return path
