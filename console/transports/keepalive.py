"""Whether a TCP client is still there, although it says nothing.

A client whose machine has died, or whose way here has been cut, sends nothing, not even an end. TCP
asks by itself (keepalive, RFC 9293, 3.8.4), which no program at the other end sees; telnet's own
NOP would stand on the screen of clients that speak no telnet, like nc.

A client that has closed one half (``printf ... | nc -N``) waits for its output, and one that has
gone has closed the other half too, which looks the same: TCP tells of it when it is next sent
something. So keepalive is sooner then, and `has_gone` looks at what came of it, which asyncio does
not: it no longer listens to a socket whose end it has read.
"""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Final

PROBES: Final = 3
"""Questions without an answer after which a client counts as gone; within SSH it is the same."""

HALF_CLOSED_SECONDS: Final = 10.0
"""How long a client that has closed one half may be silent before it is asked."""

LOOK_SECONDS: Final = 5.0
"""How often one looks at a client that has closed one half."""

_MOST_SECONDS = 32767
"""The most that Linux takes (tcp(7))."""


def tune(sock: socket.socket | None, keepalive_seconds: float | None) -> None:
    """Make a connection's socket prompt, and have it find out when its peer is gone."""
    if sock is None:
        return
    for level, option in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY),  # else Enter costs 40 ms
        (socket.SOL_SOCKET, socket.SO_OOBINLINE),  # else a Synch (RFC 854) leaves a stray byte
    ):
        with contextlib.suppress(OSError):
            sock.setsockopt(level, option, 1)
    keep_alive(sock, keepalive_seconds)


def keep_alive(sock: socket.socket | None, seconds: float | None) -> None:
    """Have a silent peer asked each so many seconds; never if it is None."""
    if sock is None or sock.family == socket.AF_UNIX:
        return  # the other end is a process of this machine, and the system knows of its end
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, int(seconds is not None))
        if seconds is not None:
            whole = max(1, min(round(seconds), _MOST_SECONDS))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, whole)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, whole)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, PROBES)


def has_gone(sock: socket.socket | None) -> bool:
    """Whether the peer has closed both halves, or has been found to be gone."""
    if sock is None:
        return False
    looking = select.poll()
    looking.register(sock.fileno(), 0)  # errors and hang-ups are always told
    return bool(looking.poll(0))
