"""ptpython's command, started by OpenSSH's sshd at each login."""

import sys

from benchmarks.peers.sshd import SshdPeer

PEER = SshdPeer(
    name="ptpython, sshd",
    package="ptpython",
    program=f"{sys.executable} -m ptpython",
    fullscreen=True,
)
