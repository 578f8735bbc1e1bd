"""ptpython in prompt_toolkit's telnet server; it has no login."""

from benchmarks.peers.common import SocketPeer

PEER = SocketPeer(
    name="ptpython, telnet",
    host="ptpython_telnet_host",
    package="ptpython",
    telnet=True,
    fullscreen=True,
)
