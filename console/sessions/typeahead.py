"""What is typed while no frontend reads: kept for the next reader, within bounds. No I/O.

As a terminal driver does it, Ctrl-C takes with it what was typed before it.
"""

from __future__ import annotations

import enum
from typing import Final

from console.limits import PASTE_CHARACTERS, TYPEAHEAD_CHARACTERS

INTERRUPT: Final = "\x03"
"""Ctrl-C, as a key sends it."""


class Room(enum.Enum):
    """What has to be done after text was kept."""

    ENOUGH = "enough"
    FULL = "full"
    """All of it was kept, and the peer has to be held back."""
    CUT = "cut"
    """Its end was dropped, and the user should hear that."""


class Typeahead:
    """See the module's docstring. Lives on the console's loop."""

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self._size = 0

    def __bool__(self) -> bool:
        return bool(self._pieces)

    @property
    def has_interrupt(self) -> bool:
        """Whether Ctrl-C is in it."""
        return any(INTERRUPT in piece for piece in self._pieces)

    def keep(self, text: str, *, typed: bool) -> Room:
        """Keep text behind what waits already.

        Args:
            text: What has come.
            typed: It comes from keys, or is pasted. Reading goes on then, or neither Ctrl-C nor
                the end of the connection would be seen any more, so that what is too much is
                dropped. What is piped in is kept whole: the peer waits.
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
        """Give back all of it, and keep nothing."""
        text = "".join(self._pieces)
        self.clear()
        return text

    def clear(self) -> None:
        """Drop all of it."""
        self._pieces.clear()
        self._size = 0

    def interrupt(self) -> None:
        """Drop what was typed up to the last Ctrl-C in it; all of it if there is none."""
        text = self.take()
        if INTERRUPT in text:
            text = text.rpartition(INTERRUPT)[2]
            if text:
                self._pieces.append(text)
                self._size = len(text)
