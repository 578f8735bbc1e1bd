"""aiomonitor over telnet: the Python prompt behind its monitor's; no login."""

from benchmarks.peers.common import SocketPeer
from benchmarks.processes import Server
from benchmarks.terminals import Terminal, open_socket


class _Aiomonitor(SocketPeer):
    async def connect(self, server: Server, *, screen: bool = True) -> Terminal:
        terminal = await open_socket(server.facts["telnet"], telnet=True, screen=screen)
        await terminal.wait(lambda: terminal.line == "monitor >>> ")
        terminal.type("console\r")
        await terminal.wait(lambda: terminal.line == "" and terminal.above() == "---")
        return terminal


# The cursor stands at the first column, over its prompt: what is typed overwrites it.
PEER = _Aiomonitor(
    name="aiomonitor", host="aiomonitor_host", package="aiomonitor", telnet=True, prompt=""
)
