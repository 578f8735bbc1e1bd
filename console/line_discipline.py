"""Typed text to lines: echo, erase, Ctrl-C and Ctrl-D, as a terminal driver does it.

For clients that leave line editing to us (telnet in character mode) and for those that send whole
lines (nc, a pipe). No I/O: text goes in with `LineDiscipline.feed`, events come out of
`LineDiscipline.next`, and what the client should see is collected for
`LineDiscipline.take_output`.

How it works: fed text stays in a queue and is scanned once, from left to right, and only as far
as the next event, so what was typed ahead can be handed to another reader unread. All that must be
known about text already scanned is two facts, whether it ended in CR and whether it ended inside
an escape sequence. So no border between two feeds can change the result, and the cost is linear.
"""

from __future__ import annotations

import enum
import re
from collections import deque
from dataclasses import dataclass

from wcwidth import wcwidth

from console import limits

__all__ = ["EndOfFile", "Interrupt", "Line", "LineDiscipline", "LineEvent"]


@dataclass(frozen=True, slots=True)
class Line:
    """A line was ended by Enter, or by the end of the input. ``text`` is without the newline."""

    text: str


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Ctrl-C was typed; the line typed so far is dropped."""


@dataclass(frozen=True, slots=True)
class EndOfFile:
    """Ctrl-D was typed on an empty line, or the input has ended."""


LineEvent = Line | Interrupt | EndOfFile

# Runs of these need no decision. C1 controls are left out: U+009B is CSI to many terminals.
_PLAIN = re.compile("[^\x00-\x1f\x7f-\x9f]+")

_BELL = "\x07"
_ERASE_KEYS = frozenset("\x7f\b\x15\x17")

# A tab's width depends on a column that we do not know, and erasing must know the width.
_TAB_ECHO = "    "

# The longest CSI sequence that is swallowed. Mouse and key reports have up to 20 characters; a
# longer one is no key, and an unfinished one must not swallow what is typed for ever.
_SEQUENCE_CHARACTERS = 64


class _Escape(enum.Enum):
    """Where in an escape sequence (ECMA-48, section 5.4) the scanned text has ended."""

    NONE = enum.auto()
    BEGUN = enum.auto()  # after ESC
    SINGLE = enum.auto()  # after ESC O (SS3), or the Linux console's ESC [ [: one more character
    CONTROL = enum.auto()  # after ESC [ (CSI): parameters, up to a final character


class LineDiscipline:
    r"""See the module's docstring.

    Enter is CR, LF, CR LF or CR NUL. DEL and BS erase a character with its combining marks, Ctrl-W
    a word, Ctrl-U the line; a client that echoes by itself has no erase keys. Tab is kept. Escape
    sequences (arrow keys, the markers of a bracketed paste) and all other control characters are
    dropped.

    Attributes:
        echo: Whether to show what is typed. False: the client does it by itself, and nothing at
            all is to be sent, not even the newline.
        mask: What to show for each character of a secret; None for the character itself.
            Change it between lines.
    """

    def __init__(self, *, echo: bool, limit: int = limits.LINE_CHARACTERS) -> None:
        self.echo = echo
        self.mask: str | None = None
        self._limit = limit
        self._queue: deque[str] = deque()
        self._chunk = ""
        self._position = 0
        self._eof = False
        self._line: list[str] = []
        self._output: list[str] = []
        self._after_cr = False
        self._rung = False
        self._escape = _Escape.NONE
        self._sequence_length = 0

    def feed(self, text: str) -> None:
        """Take typed text. It waits until `next` asks for it."""
        if text:
            self._queue.append(text)

    def feed_eof(self) -> None:
        """No more text will come.

        Once the pending text is used up, a last line without Enter is delivered, and from then on
        nothing but `EndOfFile`.
        """
        self._eof = True

    def next(self) -> LineEvent | None:
        """Scan pending text up to the next event; None if there is none in it."""
        while True:
            if self._position >= len(self._chunk):
                if not self._queue:
                    return self._ended() if self._eof else None
                self._chunk = self._queue.popleft()
                self._position = 0
            if (
                self._escape is _Escape.NONE
                and (run := _PLAIN.match(self._chunk, self._position)) is not None
            ):
                self._position = run.end()
                self._after_cr = False
                self._type(run.group())
                continue
            character = self._chunk[self._position]
            self._position += 1
            if self._escape is not _Escape.NONE and self._in_sequence(character):
                continue
            event = self._control(character)
            if event is not None:
                return event

    def take_output(self) -> str:
        """Give back what the client should see since the last call."""
        output = "".join(self._output)
        self._output.clear()
        return output

    @property
    def shown(self) -> str:
        """The line typed so far, as it stands on the screen; empty if the client shows it."""
        if not self.echo:
            return ""
        if self.mask is not None:
            return self.mask * len(self._line)
        return "".join(self._line).replace("\t", _TAB_ECHO)

    def take_pending(self) -> str:
        """Give back text that was fed but not scanned, and forget it."""
        pending = self._chunk[self._position :] + "".join(self._queue)
        self._chunk = ""
        self._position = 0
        self._queue.clear()
        if self._after_cr and pending[:1] in {"\n", "\x00"}:
            # The second half of an Enter that has been delivered, or its new reader sees two.
            pending = pending[1:]
            self._after_cr = False
        return pending

    def discard(self) -> None:
        """Drop the line typed so far, as Ctrl-C does. Pending text stays."""
        self._show("^C\r\n")
        self._forget_line()

    # ---- scanning

    def _ended(self) -> LineEvent:
        return self._enter() if self._line else EndOfFile()

    def _in_sequence(self, character: str) -> bool:
        """Follow an escape sequence. False if ``character`` is not part of it and ends it."""
        if character < " " or "\x7f" <= character <= "\x9f":
            # ESC Enter is Enter and ESC DEL is DEL: no sequence that a key sends holds a control.
            self._escape = _Escape.NONE
            return False
        if self._escape is _Escape.BEGUN:
            self._escape = {"[": _Escape.CONTROL, "O": _Escape.SINGLE}.get(character, _Escape.NONE)
            self._sequence_length = 2
            return True
        self._sequence_length += 1
        if self._escape is _Escape.SINGLE:
            self._escape = _Escape.NONE
        elif character == "[" and self._sequence_length == 3:
            self._escape = _Escape.SINGLE
        elif character >= "@" or self._sequence_length >= _SEQUENCE_CHARACTERS:
            self._escape = _Escape.NONE
        return True

    def _control(self, character: str) -> LineEvent | None:
        second_half = self._after_cr and character in {"\n", "\x00"}
        self._after_cr = character == "\r"
        # A client that echoes edits its lines itself. A web page's request could else erase the
        # names of its headers, and what is left of them could be a login.
        if second_half or (character in _ERASE_KEYS and not self.echo):
            return None
        match character:
            case "\r" | "\n":
                return self._enter()
            case "\x03":
                self.discard()
                return Interrupt()
            case "\x04":
                return None if self._line else EndOfFile()
            case "\x7f" | "\b":
                self._erase(self._last_character())
            case "\x15":
                self._erase(len(self._line))
            case "\x17":
                self._erase(self._last_word())
            case "\t":
                self._type(character)
            case "\x1b":
                self._escape = _Escape.BEGUN
            case _:
                pass  # no meaning here; shown, it could move the cursor
        return None

    # ---- the line

    def _enter(self) -> Line:
        self._show("\r\n")
        line = Line("".join(self._line))
        self._forget_line()
        return line

    def _forget_line(self) -> None:
        self._line.clear()
        self._rung = False
        self._escape = _Escape.NONE

    def _type(self, text: str) -> None:
        room = self._limit - len(self._line)
        kept = text[:room]
        self._line.extend(kept)
        if self.mask is not None:
            self._show(self.mask * len(kept))
        else:
            self._show(_TAB_ECHO if kept == "\t" else kept)
        if len(text) > room and not self._rung:  # once, not for each character of a paste
            self._rung = True
            self._show(_BELL)

    def _last_character(self) -> int:
        """Count the characters that were typed last and look like one."""
        index = len(self._line)
        while index > 0:
            index -= 1
            if _columns(self._line[index]) > 0:
                break
        return len(self._line) - index

    def _last_word(self) -> int:
        """Count the characters of the last word and of the blanks behind it."""
        index = len(self._line)
        while index > 0 and self._line[index - 1].isspace():
            index -= 1
        while index > 0 and not self._line[index - 1].isspace():
            index -= 1
        return len(self._line) - index

    def _erase(self, count: int) -> None:
        if count == 0:
            return
        erased = self._line[-count:]
        del self._line[-count:]
        self._rung = False
        if not self.echo:
            return
        mask = self.mask
        columns = sum(map(_columns, erased)) if mask is None else len(mask) * count
        # A backspace only moves the cursor: go back, wipe, go back.
        self._show("\b" * columns + " " * columns + "\b" * columns)

    def _show(self, text: str) -> None:
        if self.echo:
            self._output.append(text)


def _columns(character: str) -> int:
    """Return how many columns the echo of a character takes."""
    if character == "\t":
        return len(_TAB_ECHO)
    if character.isascii():
        return 1
    return max(0, wcwidth(character))
