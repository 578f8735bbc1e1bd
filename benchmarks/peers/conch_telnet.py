"""twisted.conch's manhole over telnet."""

from benchmarks.peers.common import SocketPeer

PEER = SocketPeer(
    name="conch manhole, telnet",
    host="conch_host",
    package="twisted",
    clear="\x03",
    telnet=True,
    asks=("Username: ", "Password: "),
    login_enter="\r\n",
)
