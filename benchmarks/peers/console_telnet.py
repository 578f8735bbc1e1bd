"""console's full-screen editor over telnet."""

from benchmarks.peers.common import SocketPeer

PEER = SocketPeer(
    name="console, telnet",
    host="console_host",
    package="admin-console",
    telnet=True,
    asks=("username: ", "password: "),
    fullscreen=True,
)
