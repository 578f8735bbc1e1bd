"""The frontend for sessions that understand a few words, on capable terminals: a viewer's.

One line with history and Tab (`WordLine`), in place of the editor: whatever is typed costs little,
and nothing of the editor's libraries is loaded for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Final

from console.frontends.rendering import render_outcome, terminal_bytes
from console.frontends.word_line import WordLine
from console.interfaces.frontends import FrontendHost
from console.interfaces.statements import Outcome
from console.line_discipline import EndOfFile, Interrupt

_PROMPT: Final = ">>> "

_LINES_IN_A_TURN: Final = 16
"""Blank lines and interrupts that are answered before others have their turn."""


class WordsFrontend:
    """Reads a line at a time. Follows `Frontend`; lives on the console's loop."""

    name = "words"

    def __init__(self, host: FrontendHost) -> None:
        self._terminal = host.terminal
        self._history = host.history
        self._line = WordLine(
            _PROMPT, host.commands, host.history.entries(), host.terminal.size.columns
        )
        self._arrived = asyncio.Event()
        self._reading = False
        self._closed = False
        self._at_line_start = True

    async def read(self) -> str | None:
        """Return the next line that is not blank; None at the end of input."""
        if not self._at_line_start:
            self._send("\n")
        self._at_line_start = True
        self._reading = True
        count = 0
        try:
            while not self._closed:
                event = self._line.next()
                if event is None:
                    self._show()
                    self._arrived.clear()
                    await self._arrived.wait()
                    continue
                self._release()
                if isinstance(event, EndOfFile):
                    return None
                if isinstance(event, Interrupt):
                    self._send("KeyboardInterrupt\n")
                elif event.text.strip():
                    self._history.append(event.text)
                    return event.text
                count += 1
                if count % _LINES_IN_A_TURN == 0:
                    await asyncio.sleep(0)
            return None
        finally:
            self._reading = False

    def feed(self, text: str) -> None:
        """Take typed text; what is too much at once is dropped, with a bell."""
        self._line.feed(text)
        self._arrived.set()

    def feed_eof(self) -> None:
        """End the input after what it has."""
        self._line.feed_eof()
        self._arrived.set()

    def interrupt(self) -> None:
        """Drop the line typed so far, and begin anew."""
        self._line.discard()
        self._release()
        self._send("KeyboardInterrupt\n")
        self._show()

    def take_typeahead(self) -> str:
        """Give back what was typed behind the line."""
        return self._line.take_pending()

    def render(self, outcome: Outcome) -> Iterable[tuple[bool, str]]:
        """Show answers and refusals, as the other frontends do."""
        return render_outcome(outcome)

    def write(self, text: str, *, error: bool = False) -> None:
        """Write text, above the prompt if one is up. What has been typed stays."""
        if not text:
            return
        if not self._reading:
            self._send(text)
            self._at_line_start = text.endswith("\n")
            return
        self._release()
        self._send(text if text.endswith("\n") else text + "\n")
        self._show()

    def resized(self) -> None:
        """Draw anew for the new width."""
        self._line.resize(self._terminal.size.columns)
        if self._reading:
            self._show()

    def close(self) -> None:
        """End a pending read. Can be called twice."""
        self._closed = True
        self._arrived.set()

    def _show(self) -> None:
        if not self._closed:
            self._send(self._line.take_output())

    def _release(self) -> None:
        self._send(self._line.release_row())

    def _send(self, text: str) -> None:
        if text:
            self._terminal.write(terminal_bytes(text, carriage_return=True))
