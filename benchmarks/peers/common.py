"""Peers by transport."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.peers import Peer
from benchmarks.processes import Server, make_key
from benchmarks.terminals import Terminal, open_socket, open_ssh

USER, PASSWORD = "boss", "sekrit"


@dataclass
class HostPeer(Peer):
    """A peer whose server is a module of ``benchmarks.hosts``."""

    host: str = ""

    async def start(self, directory: Path) -> Server:
        public = make_key(directory / "id")
        make_key(directory / "host_key")
        return Server.host(
            self.host,
            directory / "host",
            public_key=public,
            host_key=str(directory / "host_key"),
            keys=str(directory / "keys"),
            history=str(directory / "history"),
            path=str(directory / "socket"),
            **self.spec(),
        )

    def spec(self) -> dict[str, Any]:
        """Return more of the host's specification."""
        return {}


@dataclass
class SshPeer(HostPeer):
    """Reached by SSH with a public key."""

    term: str = "xterm-256color"
    password: bool = False

    async def connect(self, server: Server, *, screen: bool = True) -> Terminal:
        terminal = await open_ssh(
            server.facts["ssh"],
            key=None if self.password else str(server.directory.parent / "id"),
            user=USER,
            password=PASSWORD if self.password else None,
            term=self.term,
            screen=screen,
        )
        await self.at_prompt(terminal)
        return terminal


@dataclass
class SocketPeer(HostPeer):
    """Reached by telnet, plain TCP or a Unix socket."""

    telnet: bool = False
    asks: tuple[str, str] | None = None
    login_enter: str = "\r\0"

    async def connect(self, server: Server, *, screen: bool = True) -> Terminal:
        facts = server.facts
        terminal = (
            await open_socket(path=facts["path"], screen=screen)
            if "path" in facts
            else await open_socket(self.port(facts), telnet=self.telnet, screen=screen)
        )
        if self.asks:
            for question, answer in zip(self.asks, (USER, PASSWORD), strict=True):
                await terminal.wait(lambda asked=question: terminal.line.endswith(asked))
                terminal.send(f"{answer}{self.login_enter if self.telnet else chr(10)}".encode())
        await self.at_prompt(terminal)
        return terminal

    def port(self, facts: dict[str, Any]) -> int:
        """Return the port to connect to."""
        found: int = facts["telnet" if self.telnet else "tcp"]
        return found
