"""console's plain lines over SSH, as a dumb terminal gets them."""

from benchmarks.peers.common import SshPeer

PEER = SshPeer(
    name="console, ssh, lines", host="console_host", package="admin-console", term="dumb"
)
