"""ptpython's own SSH server: ptpython.contrib.asyncssh_repl."""

from benchmarks.peers.common import SshPeer

PEER = SshPeer(
    name="ptpython, asyncssh", host="ptpython_asyncssh_host", package="ptpython", fullscreen=True
)
