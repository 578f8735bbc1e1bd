"""Write coalescing: a newline, the value below it and the next prompt are sent as one packet.

Each write is a packet, to be encrypted and decrypted. Most statements take less time than the
packets of their newline, value and prompt would.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

HOLD_SECONDS: Final = 0.002
"""Too short for a user to notice; longer than nearly all statements take."""

_MOST_BYTES: Final = 4096
"""More than this is sent at once."""


class WriteCoalescing:
    """Writes to one terminal. Lives on the console's loop.

    Args:
        write: Writes to the terminal.
        hold_seconds: Held data is written after this time, if no other write follows.
    """

    def __init__(self, write: Callable[[bytes], None], hold_seconds: float = HOLD_SECONDS) -> None:
        self._write = write
        self._hold_seconds = hold_seconds
        self._held: list[bytes] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, data: bytes) -> None:
        """Write now, after the held data."""
        if self._held:
            self._held.append(data)
            self.flush()
        else:
            self._write(data)

    def hold(self, data: bytes) -> None:
        """Write together with the next write, or after ``hold_seconds``."""
        self._held.append(data)
        self._size += len(data)
        if self._size > _MOST_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._hold_seconds, self.flush)

    def flush(self) -> None:
        """Write the held data."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._held:
            data = b"".join(self._held)
            self._held.clear()
            self._size = 0
            self._write(data)
