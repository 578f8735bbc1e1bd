"""Detection of pastes, also where the terminal does not mark them.

A terminal with bracketed paste (xterm, DECSET 2004) marks the beginning and end of a paste. From
others a paste arrives as keys: each line would be indented once more and run as soon as it is
complete, with thousands of redraws. A user does not type `BURST_CHARACTERS` within one read, or a
block with its indentation, so such a burst is marked here as the terminal would have done.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from console.limits import PASTE_CHARACTERS

BEGIN, END = "\x1b[200~", "\x1b[201~"

BURST_CHARACTERS = 256
"""A longer read was pasted. A key held down is slower, even over slow lines."""

# A line that is continued, and the next one already indented: the editor indents typed lines.
_BLOCK = re.compile(r"[:,(\[{\\][ \t]*(?:#[^\r\n]*)?[\r\n]+[ \t]+\S")

_QUIET_SECONDS = 0.05
"""A paste arrives in pieces; it is complete when nothing has arrived for this time."""

# Control characters (arrow keys, Ctrl-C) are keys, not a part of a paste.
_KEYS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Pastes:
    """Delivers typed text, with pastes marked and bounded. Lives on the console's loop.

    Args:
        deliver: Called with the text, in order.
        refuse: Called when a paste is longer than `PASTE_CHARACTERS`, and is cut.
    """

    def __init__(self, deliver: Callable[[str], None], refuse: Callable[[], None]) -> None:
        self._deliver = deliver
        self._refuse = refuse
        self._marked = False
        self._marked_size = 0
        self._tail = ""
        self._burst: list[str] = []
        self._burst_size = 0
        self._timer: asyncio.TimerHandle | None = None

    def feed(self, text: str) -> None:
        """Take text as it arrives."""
        was_marked = self._marked
        after_end = self._follow_marks(text)
        if was_marked or self._marked:
            self.flush()
            self._deliver_marked(text, was_marked, after_end)
        elif _KEYS.search(text):
            self.flush()
            self._deliver(text)
        elif self._burst or len(text) > BURST_CHARACTERS or _BLOCK.search(text):
            self._gather(text)
        else:
            self._deliver(text)

    def flush(self) -> None:
        """Deliver the text that is held back as a possible beginning of a paste."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._burst:
            return
        text = "".join(self._burst)
        self._burst.clear()
        self._burst_size = 0
        lines = text.rstrip("\r\n")
        # A newline at the end was pasted too: it runs the paste as a typed Enter would. The one
        # within the marks ends the last block.
        enter = "\r" if len(lines) < len(text) else ""
        self._deliver(f"{BEGIN}{lines}{enter}{END}{enter}")

    def _gather(self, text: str) -> None:
        room = PASTE_CHARACTERS - self._burst_size
        if len(text) > room:
            text = text[:room]
            self._refuse()
        self._burst.append(text)
        self._burst_size += len(text)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(_QUIET_SECONDS, self.flush)

    def _follow_marks(self, text: str) -> str:
        """Update whether a marked paste is open after this text; return the text after its end."""
        seen = self._tail + text
        begin, end = seen.rfind(BEGIN), seen.rfind(END)
        if begin > end:
            self._marked = True
        elif end >= 0:
            self._marked = False
        self._tail = seen[-len(BEGIN) + 1 :]
        return seen[end + len(END) :] if end >= 0 else ""

    def _deliver_marked(self, text: str, was_marked: bool, after_end: str) -> None:
        if not was_marked:
            self._marked_size = 0
        self._marked_size += len(text)
        if self._marked_size <= PASTE_CHARACTERS:
            self._deliver(text)
        elif not self._marked:
            self._deliver(END + after_end)
        elif self._marked_size - len(text) <= PASTE_CHARACTERS:
            self._refuse()  # once; the rest of the paste is dropped
