"""What peers say of themselves, made harmless: addresses, window sizes, terminal types."""

from __future__ import annotations

from typing import Any

from console.interfaces import Size
from console.limits import TERMINAL_COLUMNS, TERMINAL_ROWS
from console.text import escape_line

_NAME_CHARACTERS = 40
"""The longest terminal type that is believed (RFC 1091 has 40)."""


def format_peer(address: Any) -> str:
    """Write a socket's address as people do: ``127.0.0.1:5`` or ``[::1]:5``."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = escape_line(str(address[0])), address[1]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return "unknown"  # gone before we could ask


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
