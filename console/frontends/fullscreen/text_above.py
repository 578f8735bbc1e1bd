"""Text that is written while the prompt is shown: gathered, as each write costs a redraw."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

GATHER_SECONDS: Final = 0.05

_MOST_CHARACTERS: Final = 64 * 1024
"""More text than this is written at once, so that flow control applies to it."""


class TextAbove:
    """Gathers text and writes it in one piece. Lives on the console's loop.

    Args:
        write: Writes text above the prompt.
    """

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._parts: list[str] = []
        self._size = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, text: str) -> None:
        """Gather text; it is written within `GATHER_SECONDS`."""
        self._parts.append(text)
        self._size += len(text)
        if self._size > _MOST_CHARACTERS:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self.flush)

    def flush(self) -> None:
        """Write the gathered text now."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        text = "".join(self._parts)
        self._parts.clear()
        self._size = 0
        if text:
            self._write(text)
