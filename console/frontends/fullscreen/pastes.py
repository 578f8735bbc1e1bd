"""Pastes found in what is typed, also where the terminal does not mark them.

A terminal that knows bracketed paste (xterm, DECSET 2004) marks where a paste begins and ends.
From others a paste comes as keys, and would be typed: each line indented once more, each line run
as soon as it is complete, thousands of redraws. Nobody types `BURST_CHARACTERS` within one read, or
a block with its indentation, so that such a burst is marked here as the terminal would have done.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from console.limits import PASTE_CHARACTERS

BEGIN, END = "\x1b[200~", "\x1b[201~"

BURST_CHARACTERS = 256
"""What comes at once and is longer was pasted. A key held down is slower, even over slow lines."""

# A line that goes on, and the next one indented already, which the editor does for who types.
_BLOCK = re.compile(r"[:,(\[{\\][ \t]*(?:#[^\r\n]*)?[\r\n]+[ \t]+\S")

_QUIET_SECONDS = 0.05
"""A paste arrives in pieces; it is whole when nothing has come for so long."""

# Arrow keys, Ctrl-C and their like are keys wherever they are.
_KEYS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


class Pastes:
    """Passes typed text on, with pastes marked and bounded. Lives on the console's loop.

    Args:
        deliver: Takes text, in order.
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
        """Pass on what is held back as the possible beginning of more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._burst:
            return
        text = "".join(self._burst)
        self._burst.clear()
        self._burst_size = 0
        lines = text.rstrip("\r\n")
        # An Enter at the end was pasted too: it runs the paste, as it would run what is typed. The
        # newline before it says that the last block has ended.
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
        """See whether a marked paste is open after this text; return what follows its end."""
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
            self._refuse()  # once; what comes up to the end of the paste is dropped
