"""One short line at a terminal that moves its cursor: keys in, lines out, and what to draw. No I/O.

For sessions that understand a few words (a viewer's), in place of an editor. Everything is bounded
before it is begun: a line has at most `LINE_CHARACTERS`, what waits has at most
`PENDING_CHARACTERS`, and there are no counts, no macros and no undo. What does not fit is dropped,
with a bell.

How it works: `WordLine.feed` keeps text, `WordLine.next` takes it key by key up to the next event.
Keys change the line only. `WordLine.take_output` compares it with what has been drawn, and draws
the difference: a thousand keys at once cost one drawing. A line that is wider than the terminal is
shown in part, in one row, so that the cursor never wraps. Only printable ASCII is inserted: each
character takes one column.

The markers of a bracketed paste are escape sequences without a meaning here: a paste is typed text,
each of its lines is one.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from console.frontends.key_sequences import KeySequences
from console.line_discipline import EndOfFile, Interrupt, Line, LineEvent

LINE_CHARACTERS: Final = 256
"""The longest line. A word and a number have 41 characters."""

PENDING_CHARACTERS: Final = 4096
"""Kept of what has been fed and not been taken yet: some sixteen of the longest lines."""

HISTORY_LINES: Final = 100
"""Lines that the arrow keys go back to."""

_PLAIN: Final = re.compile("[ -~]+")

_BELL: Final = "\x07"
_ERASE_TO_END: Final = "\x1b[K"

_NARROWEST: Final = 8
"""Columns for the text, on a terminal however narrow."""

_CONTROLS: Final = {
    "\x00": "ignore",  # telnet's padding
    "\x01": "home",
    "\x04": "delete",
    "\x02": "left",
    "\x05": "end",
    "\x06": "right",
    "\b": "erase",
    "\x7f": "erase",
    "\t": "complete",
    "\x0b": "erase to end",
    "\x0e": "down",
    "\x10": "up",
    "\x15": "erase to start",
    "\x17": "erase word",
}

# The cursor's next place, from the one it has and the length of the line.
_MOVES: Final[dict[str, Callable[[int, int], int]]] = {
    "left": lambda at, _: max(0, at - 1),
    "right": lambda at, length: min(length, at + 1),
    "home": lambda _, __: 0,
    "end": lambda _, length: length,
}

# What is left of the text before the cursor, and of the text behind it.
_ERASES: Final[dict[str, Callable[[str, str], tuple[str, str]]]] = {
    "erase": lambda before, after: (before[:-1], after),
    "delete": lambda before, after: (before, after[1:]),
    "erase to end": lambda before, _: (before, ""),
    "erase to start": lambda _, after: ("", after),
    "erase word": lambda before, after: (before[: before.rstrip().rfind(" ") + 1], after),
}


class WordLine:
    """See the module's docstring.

    Args:
        prompt: What stands before the line, on its row. Plain ASCII.
        words: What Tab completes.
        history: Earlier lines, oldest first; the newest `HISTORY_LINES` are kept.
        columns: Of the terminal.
    """

    def __init__(
        self, prompt: str, words: Sequence[str], history: Sequence[str], columns: int
    ) -> None:
        self._prompt = prompt
        self._words = tuple(words)
        self._history: deque[str] = deque(maxlen=HISTORY_LINES)
        for line in history[-HISTORY_LINES:]:
            self._remember(line)
        self._columns = columns
        self._pending = ""
        self._position = 0
        self._eof = False
        self._after_cr = False
        self._keys = KeySequences()
        self._text = ""
        self._cursor = 0
        self._back = 0  # how many lines back in the history
        self._own = ""  # what was typed before going back
        self._tabs = 0  # in a row
        self._full = False
        # What the terminal shows; None where no prompt stands.
        self._drawn: tuple[str, int] | None = None
        self._output: list[str] = []
        self._bell = False
        self._list_words = False

    # ---- what comes in

    def feed(self, text: str) -> None:
        """Take typed text. What is more than `PENDING_CHARACTERS` is dropped, with a bell."""
        room = PENDING_CHARACTERS - (len(self._pending) - self._position)
        self._bell |= len(text) > room
        self._pending = self._pending[self._position :] + text[:room]
        self._position = 0

    def feed_eof(self) -> None:
        """No more text will come: once the pending text is used up, `next` ends."""
        self._eof = True

    def take_pending(self) -> str:
        """Give back text that was fed but not taken, and forget it."""
        pending = self._pending[self._position :]
        self._pending = ""
        self._position = 0
        if self._after_cr and pending[:1] in {"\n", "\x00"}:
            pending = pending[1:]  # the second half of an Enter; its next reader would see two
            self._after_cr = False
        return pending

    def next(self) -> LineEvent | None:
        """Take pending text up to the next event; None if there is none in it."""
        while self._position < len(self._pending):
            if not self._keys.inside and (run := _PLAIN.match(self._pending, self._position)):
                self._position = run.end()
                self._after_cr = False
                self._insert(run.group())
                continue
            character = self._pending[self._position]
            self._position += 1
            event = self._take(character)
            if event is not None:
                return event
        if not self._eof:
            return None
        return self._enter() if self._text else self._leave()

    # ---- what goes out

    def take_output(self) -> str:
        """Give back what makes the terminal show the prompt, and the line as it is now."""
        if self._list_words:
            self._list_words = False
            self._clear_row()
            self._output.append("  ".join(self._candidates()) + "\r\n")
        self._draw()
        if self._bell:
            self._bell = False
            self._output.append(_BELL)
        return self._taken()

    def release_row(self) -> str:
        """Give back what leaves the cursor at the start of an empty row, for other text.

        The next `take_output` draws the prompt and the line there.
        """
        self._clear_row()
        return self._taken()

    def resize(self, columns: int) -> None:
        """Draw anew for another width."""
        self._columns = columns
        self._clear_row()

    def discard(self) -> None:
        """Drop the line, as Ctrl-C does. Pending text stays."""
        self._draw()
        self._output.append("^C\r\n")
        self._drawn = None
        self._forget()

    # ---- keys

    def _take(self, character: str) -> LineEvent | None:
        second_half = self._after_cr and character in {"\n", "\x00"}
        self._after_cr = False
        if second_half:
            return None
        if self._keys.inside:
            belongs, meaning = self._keys.take(character)
            if meaning:
                self._do(meaning)
            if belongs:
                return None
        match character:
            case "\r" | "\n":
                self._after_cr = character == "\r"
                return self._enter()
            case "\x03":
                self.discard()
                return Interrupt()
            case "\x04" if not self._text:
                return self._leave()
            case "\x1b":
                self._keys.begin()
            case _:
                self._do(_CONTROLS.get(character, ""))
        return None

    def _do(self, meaning: str) -> None:
        if meaning != "complete":
            self._tabs = 0
        before, after = self._text[: self._cursor], self._text[self._cursor :]
        match meaning:
            case "complete":
                self._complete()
            case "up":
                self._go(self._back + 1)
            case "down":
                self._go(self._back - 1)
            case _ if meaning in _MOVES:
                self._cursor = _MOVES[meaning](len(before), len(self._text))
            case _ if meaning in _ERASES:
                before, after = _ERASES[meaning](before, after)
                self._text, self._cursor = before + after, len(before)
                self._full = False
            case "ignore":
                pass
            case _:
                self._bell = True  # no key of ours, or no ASCII

    def _insert(self, text: str) -> None:
        self._tabs = 0
        kept = text[: LINE_CHARACTERS - len(self._text)]
        self._text = self._text[: self._cursor] + kept + self._text[self._cursor :]
        self._cursor += len(kept)
        if len(kept) < len(text) and not self._full:  # once, not for each character of a paste
            self._full = self._bell = True

    def _go(self, back: int) -> None:
        if not 0 <= back <= len(self._history):
            self._bell = True
            return
        if self._back == 0:
            self._own = self._text
        self._back = back
        self._text = self._own if back == 0 else self._history[-back]
        self._cursor = len(self._text)
        self._full = False

    def _complete(self) -> None:
        self._tabs += 1
        found = self._candidates() if self._cursor == len(self._text) else []
        typed = self._text.lstrip(" ")
        # The words are few, and all begin with what is typed.
        common = min((_common(found[0], word) for word in found), default=0)
        if common > len(typed):
            self._insert(found[0][len(typed) : common])
        elif len(found) > 1 and self._tabs == 2:
            self._list_words = True
        else:
            self._bell = True

    def _candidates(self) -> list[str]:
        typed = self._text.lstrip(" ")
        return [word for word in self._words if word.startswith(typed)]

    def _enter(self) -> Line:
        self._end_row()
        line = Line(self._text)
        self._remember(self._text)
        self._forget()
        return line

    def _leave(self) -> EndOfFile:
        self._end_row()
        return EndOfFile()

    def _remember(self, line: str) -> None:
        fits = len(line) <= LINE_CHARACTERS and _PLAIN.fullmatch(line) is not None
        is_kept = fits and not line.startswith(" ")  # which also hides a line from shells
        if is_kept and (not self._history or self._history[-1] != line):
            self._history.append(line)

    def _forget(self) -> None:
        self._text = self._own = ""
        self._cursor = self._back = self._tabs = 0
        self._full = self._list_words = False
        self._keys = KeySequences()

    # ---- drawing

    def _taken(self) -> str:
        output = "".join(self._output)
        self._output.clear()
        return output

    def _window(self) -> tuple[str, int]:
        """Return the part of the line that fits, and the cursor's column in it."""
        # One column less: a cursor behind the last one is somewhere else on each terminal.
        width = max(_NARROWEST, self._columns - len(self._prompt) - 1)
        start = max(0, self._cursor - width)
        return self._text[start : start + width], self._cursor - start

    def _draw(self) -> None:
        text, cursor = self._window()
        if self._drawn is None:
            self._output.append(self._prompt)
            self._drawn = ("", 0)
        shown, at = self._drawn
        if (text, cursor) == (shown, at):
            return
        same = _common(text, shown)
        if text == shown:
            self._move(at, cursor, text)
        else:
            self._move(at, same, shown)
            erased = _ERASE_TO_END if len(text) < len(shown) else ""
            self._output.append(text[same:] + erased)
            self._move(len(text), cursor, text)
        self._drawn = (text, cursor)

    def _move(self, at: int, to: int, text: str) -> None:
        """Move the cursor in its row: to the right by writing what stands there."""
        self._output.append(text[at:to] if to >= at else "\b" * (at - to))

    def _clear_row(self) -> None:
        if self._drawn is not None:
            self._output.append("\r" + _ERASE_TO_END)
            self._drawn = None

    def _end_row(self) -> None:
        self._draw()
        self._output.append("\r\n")
        self._drawn = None


def _common(one: str, other: str) -> int:
    """Count the characters with which both begin."""
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))
