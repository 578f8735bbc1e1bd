"""Bytes as ``hexdump -C`` shows them."""

from __future__ import annotations

from typing import Any, Final

from console.results.shapes import is_shown_by

_WIDE: Final = 16
_NARROW: Final = 8

_WIDE_COLUMNS: Final = 78
"""The width of a line of 16 bytes."""


def octets(value: Any, start: int, most: int) -> tuple[bytes, int] | None:
    """Copy a piece of bytes, a bytearray or a memoryview.

    A copy, because the service cannot resize a bytearray that has an open memoryview.

    Returns:
        The piece and the length of the whole; None for other values.
    """
    piece = slice(start, start + most)
    for kind in (bytes, bytearray):
        if is_shown_by(value, kind):
            return bytes(kind.__getitem__(value, piece)), kind.__len__(value)
    return buffer_octets(value, start, most) if type(value) is memoryview else None


def buffer_octets(value: Any, start: int, most: int) -> tuple[bytes, int] | None:
    """Copy a piece of an object's buffer; None if it has none, or one that is not contiguous."""
    try:
        with memoryview(value) as view, view.cast("B") as data:
            return bytes(data[start : start + most]), len(data)
    except (TypeError, ValueError):
        return None


def hex_lines(data: bytes, columns: int, start: int = 0) -> list[str]:
    """Return the lines of a dump of bytes, the first of which has the offset ``start``."""
    size = bytes_a_line(columns)
    return [_line(start + at, data[at : at + size], size) for at in range(0, len(data), size)]


def bytes_a_line(columns: int) -> int:
    """Return how many bytes a line shows."""
    return _WIDE if columns >= _WIDE_COLUMNS else _NARROW


def _line(at: int, data: bytes, size: int) -> str:
    halves = [data[:8].hex(" "), data[8:].hex(" ")]
    digits = "  ".join(half.ljust(23) for half in halves[: size // 8])
    text = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in data)
    return f"{at:08x}  {digits}  |{text}|"
