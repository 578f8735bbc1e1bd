"""python-manhole: a Unix socket, no echo."""

from benchmarks.peers.common import SocketPeer

PEER = SocketPeer(name="python-manhole", host="manhole_host", package="manhole", echoes=False)
