"""aioconsole's interactive server: plain TCP, no login, no echo."""

from benchmarks.peers.common import SocketPeer

PEER = SocketPeer(name="aioconsole", host="aioconsole_host", package="aioconsole", echoes=False)
