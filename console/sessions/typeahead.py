"""Typeahead: input that arrives while nothing reads, kept for the next reader. Bounded. No I/O.

Ctrl-C flushes the input typed before it, as a terminal driver does.
"""

from __future__ import annotations

import enum
from typing import Final

from console.limits import PASTE_CHARACTERS, TYPEAHEAD_CHARACTERS

INTERRUPT: Final = "\x03"
"""Ctrl-C, as a key sends it."""


class Room(enum.Enum):
    """Whether text could be kept, and how the caller has to react."""

    ENOUGH = "enough"
    FULL = "full"
    """All text was kept, and the caller has to stop reading from the peer (flow control)."""
    CUT = "cut"
    """The end of the text was dropped, and the caller should ring the bell."""


class Typeahead:
    """See the module's docstring. Lives on the console's loop."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def has_interrupt(self) -> bool:
        """Whether the kept text contains Ctrl-C."""
        return any(INTERRUPT in piece for piece in self._pieces)

    def keep(self, text: str, *, typed: bool) -> Room:
        """Append text.

        Args:
            text: The text that has arrived.
            typed: Whether the text was typed or pasted. If so, reading must go on, so that Ctrl-C
                and the end of the connection are noticed, and the excess is dropped. Piped text is
                kept whole, and reading stops.
        """
        room = Room.ENOUGH
        if typed:
            left = PASTE_CHARACTERS - self._size
            if len(text) > left:
                text, room = text[:left], Room.CUT
        elif self._size + len(text) > TYPEAHEAD_CHARACTERS:
            room = Room.FULL
        if text:
            self._pieces.append(text)
            self._size += len(text)
        return room

    def take(self) -> str:
        """Return all the text and forget it."""
        text = "".join(self._pieces)
        self.clear()
        return text

    def clear(self) -> None:
        """Drop all the text."""
        self._pieces.clear()
        self._size = 0

    def interrupt(self) -> None:
        """Drop the text up to the last Ctrl-C in it; all of it if there is none."""
        text = self.take()
        if INTERRUPT in text:
            text = text.rpartition(INTERRUPT)[2]
            if text:
                self._pieces.append(text)
                self._size = len(text)
