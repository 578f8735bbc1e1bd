"""The peers that are compared: console, its alternatives, and bare echo servers as floors.

A peer is one module with one `Peer`: how to start its server, how to reach its prompt, and what the
prompt looks like. A peer that cannot be installed or started raises `Unavailable`, and the report
has the reason.
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
    """One way to reach a prompt.

    Attributes:
        name: The name in the report.
        package: The package that provides it; empty for the floors.
        prompt: The text before the cursor when it waits for input; empty for an echo server.
        echoes: Whether the server echoes. Otherwise the client's terminal does.
        evaluates: Whether it evaluates; False for an echo server.
        clear: The keys that empty the typed line.
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
        """Connect and log in; return the terminal when its first prompt is shown."""
        raise NotImplementedError

    def shows(self, terminal: Terminal, typed: str) -> bool:
        """Whether the line is the prompt and the typed text, with the cursor at its end."""
        return terminal.line == self.prompt + typed

    async def echoed(self, terminal: Terminal, typed: str) -> float:
        """Wait until the typed text is shown; return that time."""
        return await terminal.wait(
            lambda: self.shows(terminal, typed), f"{typed!r} at a prompt of {self.name}"
        )

    async def at_prompt(self, terminal: Terminal) -> float:
        """Wait for an empty prompt; return the time at which it was shown."""
        return await self.echoed(terminal, "")

    @property
    def version(self) -> str:
        """The measured version."""
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
