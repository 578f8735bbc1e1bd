"""twisted.conch's manhole over SSH."""

from benchmarks.peers.common import SshPeer

PEER = SshPeer(name="conch manhole, ssh", host="conch_host", package="twisted", clear="\x03")
