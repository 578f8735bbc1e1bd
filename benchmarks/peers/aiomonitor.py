"""aiomonitor over telnet: the Python prompt behind its monitor's; no login."""

from benchmarks.peers.common import SocketPeer
from benchmarks.processes import Server
from benchmarks.terminals import Terminal, open_socket


class _Aiomonitor(SocketPeer):
    def shows(self, terminal: Terminal, typed: str) -> bool:
        # The cursor is mostly in the first column, over the prompt: keys overwrite it.
        return terminal.line.endswith(typed) if typed else terminal.line in {"", self.prompt}

    async def connect(self, server: Server, *, screen: bool = True) -> Terminal:
        terminal = await open_socket(server.facts["telnet"], telnet=True, screen=screen)
        await terminal.wait(lambda: terminal.line == "monitor >>> ", "its monitor's prompt")
        terminal.type("console\r")
        await terminal.wait(
            lambda: terminal.line == "" and terminal.above() == "---", "its Python prompt"
        )
        return terminal


PEER = _Aiomonitor(name="aiomonitor", host="aiomonitor_host", package="aiomonitor", telnet=True)
