"""What peers say of themselves, made harmless: addresses, window sizes, terminal types."""

from __future__ import annotations

import re
import socket
import struct
from typing import Any

from console.interfaces.credentials import Peer
from console.interfaces.terminals import Size
from console.limits import TERMINAL_COLUMNS, TERMINAL_ROWS
from console.text import escape_line

_NAME_CHARACTERS = 40
"""The longest terminal type that is believed (RFC 1091 has 40)."""

_HTTP_REQUEST = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT|PRI) ")
_TLS_HANDSHAKE = b"\x16\x03"
_LONGEST_BEGINNING = len(b"OPTIONS ")


def peer_of(transport: Any) -> Peer:
    """Name the other end of an asyncio transport."""
    address = transport.get_extra_info("peername")
    if isinstance(address, tuple) and len(address) >= 2:
        return Peer(escape_line(str(address[0])), address[1])
    return Peer("", uid=_uid(transport.get_extra_info("socket")))


def _uid(sock: Any) -> int | None:
    """Ask the system who is at the other end of a Unix socket (unix(7), SO_PEERCRED)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if sock is None or option is None or sock.family != socket.AF_UNIX:
        return None  # gone before we could ask, or another system than Linux
    try:
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, 12))
    except OSError:
        return None
    return int(uid)


def wrong_protocol(beginning: bytes) -> str | None:
    """Tell what a client speaks that has come to the wrong port.

    A web page can make a browser on this machine post to a loopback port, with whatever it likes
    in the request's body.

    Returns:
        A reason for the log; None if there is nothing wrong with it, so far.
    """
    if _HTTP_REQUEST.match(beginning):
        return "an HTTP request"
    if beginning.startswith(_TLS_HANDSHAKE):
        return "a TLS handshake"
    return None


def may_become_wrong(beginning: bytes) -> bool:
    """Whether it is too early to tell with `wrong_protocol`."""
    return len(beginning) < _LONGEST_BEGINNING


def clamp_size(*, rows: int, columns: int) -> Size:
    """Make a size that can be drawn: 0 means unknown, and huge windows are cut."""
    unknown = Size()
    return Size(
        rows=min(rows, TERMINAL_ROWS) or unknown.rows,
        columns=min(columns, TERMINAL_COLUMNS) or unknown.columns,
    )


def terminal_name(name: str) -> str:
    """Keep of a terminal's type what such a name is made of, in lower case."""
    kept = (c for c in name.lower() if c.isascii() and (c.isalnum() or c in "-._+"))
    return "".join(kept)[:_NAME_CHARACTERS]
