"""console's full-screen editor over SSH."""

from benchmarks.peers.common import SshPeer

PEER = SshPeer(name="console, ssh", host="console_host", package="admin-console", fullscreen=True)
