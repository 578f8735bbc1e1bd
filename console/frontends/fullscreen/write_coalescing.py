"""What follows closely goes in one piece: the end of a line, the value below it, the next prompt.

Each write is a packet of its own, encrypted here and decrypted there, and most statements take less
time than the three that their newline, value and prompt would be.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

HOLD_SECONDS: Final = 0.002
"""Shorter than anybody sees; longer than nearly all statements take."""

_MOST_BYTES: Final = 4096
"""More than this is a packet by itself."""


class WriteCoalescing:
    """Writes to one terminal. Lives on the console's loop.

    Args:
        write: Writes to the terminal.
        hold_seconds: What is held is written after this, if nothing follows.
    """

    def __init__(self, write: Callable[[bytes], None], hold_seconds: float = HOLD_SECONDS) -> None:
        self._write = write
        self._hold_seconds = hold_seconds
        self._held: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes) -> None:
        """Write now, behind what is held."""
        if self._held:
            self._held.append(data)
            self.flush()
        else:
            self._write(data)

    def hold(self, data: bytes) -> None:
        """Write with what follows, if that comes soon."""
        self._held.append(data)
        self._size += len(data)
        if self._size > _MOST_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._hold_seconds, self.flush)

    def flush(self) -> None:
        """Write what is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._size = 0
            self._write(data)
