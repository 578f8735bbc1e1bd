"""Detects that a silent TCP client is gone.

A client whose machine or network has failed sends nothing, not even a FIN. TCP probes such a peer
(keepalive, RFC 9293, 3.8.4) without any program at the other end noticing. Telnet's own NOP would
show on the screen of clients that do not speak telnet, like nc.

A client that has half-closed its connection (``printf ... | nc -N``) waits for output. A client
that is gone has closed both halves, which looks the same until TCP next sends it a segment. So
keepalive probes start sooner after a half-close, and `has_gone` checks their result. asyncio does
not: it no longer polls a socket after it has read EOF.
"""

from __future__ import annotations

import contextlib
import select
import socket
from typing import Final

PROBES: Final = 3
"""Probes without an answer after which a client counts as gone; for SSH's own probes too."""

HALF_CLOSED_SECONDS: Final = 10.0
"""How long a client that has half-closed its connection may be silent before it is probed."""

LOOK_SECONDS: Final = 5.0
"""The interval of the checks of a client that has half-closed its connection."""

_MOST_SECONDS = 32767
"""The most that Linux takes (tcp(7))."""


def tune(sock: socket.socket | None, keepalive_seconds: float | None) -> None:
    """Set a connection's socket options: no delay, out-of-band data in line, keepalive."""
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
    """Have TCP probe a silent peer at this interval; never if it is None."""
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
