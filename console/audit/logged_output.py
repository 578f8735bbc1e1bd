"""Logs output for which there is no terminal."""

from __future__ import annotations

import logging
import threading
from typing import Final

from console.text import escape_controls

_LINE_CHARACTERS: Final = 16 * 1024
"""A longer line is logged in parts of this length: what waits for its end is bounded."""


class LoggedOutput:
    """An `OutputSink` that logs whole lines, as warnings.

    Args:
        logger: Where.
        label: What each entry begins with.
        limit_characters: How much is logged at most; None for all.
    """

    def __init__(
        self, logger: logging.Logger, label: str, limit_characters: int | None = None
    ) -> None:
        self._logger = logger
        self._label = label
        self._room = limit_characters
        # Re-entrant: a finaliser that prints may run while this thread holds it.
        self._lock = threading.RLock()
        self._line = ""

    def write(self, text: str, *, error: bool = False) -> bool:
        """Log what is a whole line by now. Safe to call from any thread."""
        with self._lock:
            lines = self._take(text)
        for line in lines:
            self._logger.warning("%s: %s", self._label, escape_controls(line))
        return True

    def _take(self, text: str) -> list[str]:
        room = self._room
        if room is not None:
            if room <= 0:
                return []
            self._room = room - len(text)
            text = text[:room]
        *lines, self._line = (self._line + text).split("\n")
        if self._room is not None and self._room <= 0:
            lines += [self._line, "(further output is dropped)"]
            self._line = ""
        size = _LINE_CHARACTERS
        whole = len(self._line) // size * size
        lines += [self._line[at : at + size] for at in range(0, whole, size)]
        self._line = self._line[whole:]
        return lines
