"""Server processes: started, controlled and stopped by the harness."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DEADLINE_SECONDS = 60.0
ROOT = Path(__file__).parents[1]


class Unavailable(Exception):
    """A peer that cannot be measured here, and why."""


class Server:
    """A process of ``benchmarks.hosts``, or any other that takes no commands."""

    def __init__(self, command: list[str], directory: Path, **environment: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=directory,
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(directory),
                    "XDG_STATE_HOME": str(directory / "state"),
                    "XDG_DATA_HOME": str(directory / "data"),
                    "XDG_CONFIG_HOME": str(directory / "config"),
                    "PYTHONPATH": str(ROOT),
                    "TERM": "xterm-256color",
                    "LANG": "C.UTF-8",
                    **environment,
                },
            )
        self._unread = b""
        self.facts: dict[str, Any] = {}

    @classmethod
    def host(cls, name: str, directory: Path, **spec: Any) -> Server:
        """Start ``benchmarks/hosts/NAME.py`` and wait until it serves."""
        command = [sys.executable, "-m", f"benchmarks.hosts.{name}", json.dumps(spec)]
        server = cls(command, directory)
        try:
            server.facts = server.reply()
        except BaseException:
            server.close()
            raise
        return server

    @property
    def pid(self) -> int:
        """The process."""
        return self.popen.pid

    def ask(self, do: str, **values: Any) -> dict[str, Any]:
        """Send a command to a host; return its answer. Blocks."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(json.dumps({"do": do, **values}).encode() + b"\n")
        self.popen.stdin.flush()
        return self.reply()

    def reply(self) -> dict[str, Any]:
        """Read a JSON line."""
        assert self.popen.stdout is not None
        descriptor = self.popen.stdout.fileno()
        deadline = time.monotonic() + DEADLINE_SECONDS
        while b"\n" not in self._unread:
            left = max(0.0, deadline - time.monotonic())
            ready, _, _ = select.select([descriptor], [], [], left)
            part = os.read(descriptor, 1 << 20) if ready else b""
            if not part:
                tail = self.log.read_text("utf-8", "replace")[-2000:].strip()
                raise Unavailable(tail.splitlines()[-1] if tail else "the server did not answer")
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def wait_for_port(self, port: int) -> None:
        """Wait until the server listens on a port."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while self.popen.poll() is None and time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        self.close()
        tail = self.log.read_text("utf-8", "replace")[-2000:].strip()
        raise Unavailable(tail.splitlines()[-1] if tail else f"port {port}: no listener")

    def close(self) -> None:
        """End the process. Its forked children end with their connections."""
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self.popen.terminate()
        try:
            self.popen.wait(5)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


def free_port() -> int:
    """Return a port that was free just now, for servers that cannot take port 0."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def make_key(path: Path) -> str:
    """Make an SSH key without a passphrase; return its public line."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", str(path)],
            check=True,
            stdin=subprocess.DEVNULL,
        )
    return Path(f"{path}.pub").read_text().strip()
