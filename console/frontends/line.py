"""The frontend for terminals without cursor control: nc, ``TERM=dumb``, pipes.

No escape sequence is ever written. The server echoes only if the client does not.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable

from console.context.scope import muted
from console.frontends.rendering import render_outcome, terminal_bytes
from console.interfaces.frontends import FrontendHost
from console.interfaces.statements import Outcome
from console.limits import STATEMENT_CHARACTERS
from console.line_discipline import EndOfFile, Interrupt, LineDiscipline
from console.syntax.cells import is_complete

_FIRST_PROMPT = ">>> "
_NEXT_PROMPT = "... "

_LONG_LINES = 64
"""A statement with more lines was pasted, not typed."""

_LINES_IN_A_TURN = 64

_COMPOUND = re.compile(
    r"\s*(?:%\w+\s+(?:[\d.]+s?\s+)?)*(@|(async|class|def|for|if|match|try|while|with)\b(?!\s*[=.(,\[]))"
)
"""The beginning of a statement that an empty line ends; ``match = 1`` is not one."""


class LineFrontend:
    """Reads statements line by line, as Python's plain prompt does. Follows `Frontend`."""

    name = "line"

    def __init__(self, host: FrontendHost) -> None:
        kind = host.terminal.kind
        self._terminal = host.terminal
        self._history = host.history
        self._interactive = kind.interactive
        self._is_python = not host.commands
        self._carriage_return = kind.interactive and kind.carriage_return
        self._lines: list[str] = []
        self._size = 0
        self._next_try = 0
        self._discipline = LineDiscipline(echo=kind.server_echo)
        self._arrived = asyncio.Event()
        self._closed = False
        self._at_line_start = True
        self._prompt = ""

    async def read(self) -> str | None:
        """Return the next complete statement; None at the end of input."""
        self._lines.clear()
        self._size = 0
        self._show_prompt(_FIRST_PROMPT)
        count = 0
        while not self._closed:
            count += 1
            if count % _LINES_IN_A_TURN == 0:
                await asyncio.sleep(0)  # a paste of thousands of lines must not hold the loop
            event = self._discipline.next()
            self._echo()
            if event is None:
                self._arrived.clear()
                await self._arrived.wait()
            elif isinstance(event, Interrupt):
                self._drop_lines()
            elif isinstance(event, EndOfFile):
                return self._last_lines()
            elif self._take(event.text):
                return "\n".join(self._lines)
        return None

    def feed(self, text: str) -> None:
        """Take typed text."""
        self._discipline.echo = self._terminal.kind.server_echo  # telnet clients change it
        self._discipline.feed(text)
        self._arrived.set()

    def feed_eof(self) -> None:
        """Note the end of input: the text that was fed is still used."""
        self._discipline.feed_eof()
        self._arrived.set()

    def interrupt(self) -> None:
        """Drop the lines typed so far and show a new prompt."""
        self._discipline.discard()
        self._echo()
        self._drop_lines()

    def take_typeahead(self) -> str:
        """Return and forget the text that was fed after the statement."""
        return self._discipline.take_pending()

    def render(self, outcome: Outcome) -> Iterable[tuple[bool, str]]:
        """Show values and tracebacks as Python's plain prompt does."""
        return render_outcome(outcome)

    def write(self, text: str, *, error: bool = False) -> None:
        """Write text. While a prompt is shown, the text gets lines of its own.

        The prompt is then shown again, with the text typed so far.
        """
        if not text:
            return
        prompt, self._prompt = self._prompt, ""
        if prompt:
            text = f"\n{text}" if text.endswith("\n") else f"\n{text}\n"
        self._send(text, error=error)
        self._at_line_start = text.endswith("\n")
        if prompt:
            self._show_prompt(prompt)
            if self._prompt:
                self._send(self._discipline.shown)

    def resized(self) -> None:
        """Do nothing: the terminal wraps lines."""

    def close(self) -> None:
        """End a pending read."""
        self._closed = True
        self._arrived.set()

    def _take(self, line: str) -> bool:
        """Add a line. Whether the statement is complete."""
        self._prompt = ""
        self._at_line_start = True
        if not self._lines and not line.strip():
            self._show_prompt(_FIRST_PROMPT)
            return False
        self._lines.append(line)
        self._size += len(line) + 1
        if self._size > STATEMENT_CHARACTERS:
            self._drop_lines(f"this statement is longer than {STATEMENT_CHARACTERS} characters")
            return False
        if not self._is_python:  # each line is a command, and nothing is compiled
            return self._keep(line)
        if not self._may_be_complete(line):
            self._show_prompt(_NEXT_PROMPT)
            return False
        source = "\n".join(self._lines)
        with muted():  # the parser's warnings are shown when the statement runs
            complete = is_complete(source)
        if not complete:
            self._show_prompt(_NEXT_PROMPT)
            return False
        return self._keep(source)

    def _keep(self, source: str) -> bool:
        """Keep a complete statement in the history if a user typed it."""
        if self._interactive:
            self._history.append(source.rstrip("\n"))
        return True

    def _may_be_complete(self, line: str) -> bool:
        """Whether to compile the statement after this line.

        Compiling a long block after each of its lines would take minutes of the console's loop. A
        compound statement ends with an empty line. Others are tried after each line at first, then
        each time that they have grown by half.
        """
        if not line.strip() or len(self._lines) == 1:
            self._next_try = len(self._lines) + 1
            return True
        if _COMPOUND.match(self._lines[0]) or len(self._lines) < self._next_try:
            return False
        self._next_try = max(len(self._lines) + 1, len(self._lines) * 3 // 2 - _LONG_LINES)
        return True

    def _last_lines(self) -> str | None:
        """Return the lines typed so far as the last statement, at the end of input."""
        source = "\n".join(self._lines)
        self._lines.clear()
        if source.strip():
            return source
        if self._interactive:
            self._send("\n")
        return None

    def _drop_lines(self, reason: str = "KeyboardInterrupt") -> None:
        self._lines.clear()
        self._size = 0
        self._prompt = ""
        self._send(f"{reason}\n", error=not self._interactive)
        self._at_line_start = True
        self._show_prompt(_FIRST_PROMPT)

    def _show_prompt(self, prompt: str) -> None:
        if not self._interactive or self._closed:
            return
        if not self._at_line_start:
            self._send("\n")
        self._send(prompt)
        self._prompt = prompt
        self._at_line_start = True

    def _echo(self) -> None:
        echo = self._discipline.take_output()
        if echo:
            # The line discipline ends lines with CR LF.
            text = echo if self._carriage_return else echo.replace("\r\n", "\n")
            self._terminal.write(terminal_bytes(text, carriage_return=False))

    def _send(self, text: str, *, error: bool = False) -> None:
        data = terminal_bytes(text, carriage_return=self._carriage_return)
        self._terminal.write(data, error=error)
