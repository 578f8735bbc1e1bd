"""Sanitises data from peers: addresses, window sizes, terminal types."""

from __future__ import annotations

import socket
import struct
from typing import Any

from console.interfaces.credentials import Peer
from console.interfaces.terminals import Size
from console.limits import TERMINAL_COLUMNS, TERMINAL_ROWS
from console.text import escape_line

_NAME_CHARACTERS = 40
"""The longest terminal type that is believed (RFC 1091 has 40)."""


def peer_of(transport: Any) -> Peer:
    """Name the other end of an asyncio transport."""
    address = transport.get_extra_info("peername")
    if isinstance(address, tuple) and len(address) >= 2:
        return Peer(escape_line(str(address[0])), address[1])
    return Peer("", uid=_uid(transport.get_extra_info("socket")))


def _uid(sock: Any) -> int | None:
    """Return the system user at the other end of a Unix socket (unix(7), SO_PEERCRED)."""
    option = getattr(socket, "SO_PEERCRED", None)
    if sock is None or option is None or sock.family != socket.AF_UNIX:
        return None  # gone before we could ask, or another system than Linux
    try:
        _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, option, 12))
    except OSError:
        return None
    return int(uid)


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
