"""console's full-screen editor over SSH, with a password."""

from benchmarks.peers.common import SshPeer

PEER = SshPeer(
    name="console, ssh, password",
    host="console_host",
    package="admin-console",
    fullscreen=True,
    password=True,
)
