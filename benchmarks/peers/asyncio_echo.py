"""The floor over TCP: a bare asyncio echo."""

from benchmarks.peers.common import SocketPeer

PEER = SocketPeer(name="floor: asyncio echo", host="asyncio_echo_host", prompt="", evaluates=False)
