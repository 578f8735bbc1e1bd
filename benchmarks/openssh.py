"""OpenSSH's own client, as a process."""

from __future__ import annotations

import asyncio
import subprocess
from asyncio.subprocess import DEVNULL, PIPE
from pathlib import Path

from benchmarks.measure import now

_OPTIONS = (
    *("-F", "/dev/null"),
    *("-o", "StrictHostKeyChecking=no"),
    *("-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "GlobalKnownHostsFile=/dev/null"),
    *("-o", "IdentityAgent=none"),
    *("-o", "IdentitiesOnly=yes"),
    *("-o", "BatchMode=yes"),
    *("-o", "LogLevel=ERROR"),
)


class Openssh:
    """``ssh`` to one server, directly or over a master connection (ControlMaster)."""

    def __init__(self, port: int, key: Path, user: str) -> None:
        self._to = ("-i", str(key), "-p", str(port), f"{user}@127.0.0.1")
        self._socket = key.parent / f"master-{port}"
        self._master: subprocess.Popen[bytes] | None = None

    async def start_master(self) -> None:
        """Open the master connection."""
        self._master = subprocess.Popen(
            ["ssh", *_OPTIONS, "-M", "-S", str(self._socket), "-N", *self._to],
            stdin=subprocess.DEVNULL,
        )
        async with asyncio.timeout(20):
            while not self._socket.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.01)

    async def run(self, command: str, expected: bytes, *, master: bool = False) -> float:
        """Run a command; return the seconds that the whole process took."""
        via = ("-S", str(self._socket)) if master else ("-S", "none")
        began = now()
        process = await asyncio.create_subprocess_exec(
            "ssh", *_OPTIONS, *via, *self._to, command, stdin=DEVNULL, stdout=PIPE
        )
        output, _ = await process.communicate()
        taken = now() - began
        if process.returncode != 0 or output != expected:
            message = f"ssh {command!r}: status {process.returncode}, {output[:100]!r}"
            raise ConnectionError(message)
        return taken

    async def count(self, command: str, byte: bytes) -> tuple[float, int]:
        """Run a command over the master connection; return the seconds, and a byte's count."""
        began = now()
        process = await asyncio.create_subprocess_exec(
            *("ssh", *_OPTIONS, "-S", str(self._socket), *self._to, command),
            stdin=DEVNULL,
            stdout=PIPE,
            limit=1 << 20,
        )
        assert process.stdout is not None
        count = 0
        while part := await process.stdout.read(1 << 20):
            count += part.count(byte)
        await process.wait()
        return now() - began, count

    def close(self) -> None:
        """Close the master connection."""
        if self._master is not None:
            self._master.terminate()
            self._master.wait(10)
