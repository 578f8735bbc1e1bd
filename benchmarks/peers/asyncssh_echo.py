"""The floor over SSH: a bare asyncssh echo."""

from benchmarks.peers.common import SshPeer

PEER = SshPeer(
    name="floor: asyncssh echo",
    host="asyncssh_echo_host",
    package="asyncssh",
    prompt="",
    evaluates=False,
)
