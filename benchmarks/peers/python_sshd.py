"""Python's own prompt, with readline, started by OpenSSH's sshd at each login."""

import sys

from benchmarks.peers.sshd import SshdPeer

PEER = SshdPeer(name="python, sshd", program=f"{sys.executable} -q")
