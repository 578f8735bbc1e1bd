"""Python's own prompt, with readline, started by OpenSSH's sshd for whoever logs in."""

import sys

from benchmarks.peers.sshd import SshdPeer

PEER = SshdPeer(name="python, sshd", program=f"{sys.executable} -q")
