"""ptpython as it comes, started by OpenSSH's sshd for whoever logs in."""

import sys

from benchmarks.peers.sshd import SshdPeer

PEER = SshdPeer(
    name="ptpython, sshd",
    package="ptpython",
    program=f"{sys.executable} -m ptpython",
    fullscreen=True,
)
