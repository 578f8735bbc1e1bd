"""Long text, screen by screen, on a session's terminal.

A line is read after each screen, so that it works on every client, nc included: a key alone would
need a terminal in character mode. The words are those of ``more`` and ``less``.
"""

from __future__ import annotations

import asyncio
from typing import Final

from console.context.scope import current_scope
from console.interfaces.statements import InputSource
from console.results.pretty import columns_of

_HELP: Final = """\
  Enter  the next screen     b      the screen before
  /word  the next line with that word, capitals or not unless it has any
  n      the next such line  N      the one before
  12     from line 12 on     G      the last screen
  q      end"""


def page_text(text: str) -> None:
    """Print text screen by screen, where there is a screen and a thread that may wait for it."""
    page_lines(text.split("\n"))


def page_lines(lines: list[str]) -> None:
    """Print lines as `page_text` does."""
    scope = current_scope.get()
    source = None if scope is None else scope.page_source
    # A thread that runs a loop must not wait for a key.
    waits = asyncio._get_running_loop() is None  # noqa: SLF001 - the cheap way to ask
    if source is None or not waits:
        print("\n".join(lines))  # noqa: T201 - the session's stdout
    else:
        _Pager(lines, source).run()


class _Pager:
    """One run through the lines."""

    def __init__(self, lines: list[str], source: InputSource) -> None:
        self._lines = lines
        self._source = source
        self._word = ""

    def run(self) -> None:
        """Show screens until the end, or until the user has seen enough."""
        start = 0
        answer: str | None = ""
        while True:
            end = self._end_of_screen(start)
            print("\n".join(self._lines[start:end]))  # noqa: T201 - the session's stdout
            if end == len(self._lines) and not answer:
                return  # as more(1): a user who only turns pages is at the end
            following = None
            while following is None:
                answer = self._ask(start, end)
                if answer is None or (not answer and end == len(self._lines)):
                    return
                following = self._obey(answer, start, end)
            start = following

    def _ask(self, start: int, end: int) -> str | None:
        """Ask what to do; None for nothing more."""
        total = len(self._lines)
        place = f"lines {start + 1:,}-{end:,} of {total:,}"
        way = "Enter ends" if end == total else "Enter goes on, q ends"
        print(f"--more-- {place} ({way}, /word finds, h helps) ", end="")  # noqa: T201 - as above
        answer = self._source.read_line()
        if not answer or answer.strip().lower().startswith("q"):
            return None
        return answer.rstrip("\r\n") if answer.startswith("/") else answer.strip()

    def _obey(self, answer: str, start: int, end: int) -> int | None:
        """Return the line to go on from; None to ask again."""
        if not answer:
            return end
        if answer.isascii() and answer.isdigit():
            return min(max(int(answer[:9]) - 1, 0), len(self._lines) - 1)
        if answer == "b":
            return self._start_of_screen(start)
        if answer == "G":
            return self._start_of_screen(len(self._lines))
        if answer.startswith("/") or answer in {"n", "N"}:
            self._word = answer[1:] if answer.startswith("/") and answer != "/" else self._word
            return self._find(start, backward=answer == "N")
        print(_HELP)  # noqa: T201 - as above
        return None

    def _find(self, start: int, *, backward: bool) -> int | None:
        """Return the next line with the word, from the other end if there is none."""
        if not self._word:
            print("no word to look for: type /word")  # noqa: T201 - as above
            return None
        count = len(self._lines)
        exactly = self._word != self._word.lower()
        step = -1 if backward else 1
        for distance in range(1, count + 1):
            at = (start + step * distance) % count
            line = self._lines[at] if exactly else self._lines[at].lower()
            if self._word in line:
                return at
        print(f"not found: {self._word}")  # noqa: T201 - as above
        return None

    def _end_of_screen(self, start: int) -> int:
        """Return the line behind the last that fits on a screen."""
        room = max(self._source.page_rows - 1, 1)  # the terminal may have been resized
        end = start
        while end < len(self._lines):
            room -= self._rows(end)
            if room < 0 and end > start:
                break
            end += 1
        return end

    def _start_of_screen(self, end: int) -> int:
        """Return the first line of the screen that ends before a line."""
        room = max(self._source.page_rows - 1, 1)
        start = end
        while start > 0:
            room -= self._rows(start - 1)
            if room < 0 and start < end:
                break
            start -= 1
        return start

    def _rows(self, number: int) -> int:
        """Return how many rows a line takes, once the terminal has wrapped it."""
        columns = self._source.page_columns
        return max(1, -(-columns_of(self._lines[number]) // columns)) if columns else 1
