"""What is compared: console, what a user would pick instead, and the floors below which none gets.

A peer is one module with one `Peer`: how its server is started, how one comes to its prompt, and
what its prompt looks like. A peer that cannot be installed or started raises `Unavailable`, and
the report says why.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Server, Unavailable
from benchmarks.terminals import Terminal

NAMES = (
    "console_ssh",
    "console_telnet",
    "console_ssh_line",
    "console_nc",
    "console_ssh_password",
    "ptpython_sshd",
    "python_sshd",
    "ptpython_telnet",
    "ptpython_asyncssh",
    "conch_ssh",
    "conch_telnet",
    "aiomonitor",
    "aioconsole",
    "manhole",
    "asyncssh_echo",
    "asyncio_echo",
)
"""In the order of the report."""


@dataclass
class Peer:
    """One way to a prompt. Its module says what is behind it.

    Attributes:
        name: As in the report.
        package: What is installed for it; empty for the floors.
        prompt: The text before the cursor when something can be typed; empty for an echo.
        echoes: Whether the server shows what is typed. Else the client's terminal does.
        evaluates: Whether it is a prompt at all; False for an echo.
        clear: The keys that empty the line that has been typed.
    """

    name: str
    package: str = ""
    prompt: str = ">>> "
    echoes: bool = True
    evaluates: bool = True
    clear: str = "\x15"
    fullscreen: bool = False

    async def start(self, directory: Path) -> Server:
        """Start the server."""
        raise NotImplementedError

    async def connect(self, server: Server, *, screen: bool = True) -> Terminal:
        """Connect and log in; return the terminal when its first prompt stands there."""
        raise NotImplementedError

    def shows(self, terminal: Terminal, typed: str) -> bool:
        """Whether the cursor stands behind what has been typed at the prompt, and nothing more."""
        return terminal.line == self.prompt + typed

    async def echoed(self, terminal: Terminal, typed: str) -> float:
        """Wait until what has been typed shows; return the time at which it did."""
        return await terminal.wait(
            lambda: self.shows(terminal, typed), f"{typed!r} at a prompt of {self.name}"
        )

    async def at_prompt(self, terminal: Terminal) -> float:
        """Wait for an empty prompt; return the time at which it was there."""
        return await self.echoed(terminal, "")

    @property
    def version(self) -> str:
        """The version that is measured."""
        return importlib.metadata.version(self.package) if self.package else ""


def load(name: str) -> Peer:
    """Return a peer by its module's name."""
    try:
        peer: Peer = importlib.import_module(f"benchmarks.peers.{name}").PEER
    except ImportError as error:
        raise Unavailable(str(error)) from error
    if peer.package:
        try:
            importlib.metadata.version(peer.package)
        except importlib.metadata.PackageNotFoundError as error:
            raise Unavailable(f"{peer.package} is not installed") from error
    return peer
