"""The frontend of ``ssh host 'statement'``: one statement, its output, an exit status."""

from __future__ import annotations

from collections.abc import Iterable

from console.frontends.rendering import render_outcome, terminal_bytes
from console.interfaces import FrontendHost, Outcome


class OnceFrontend:
    """Reads the command of the exec request as its only statement. Follows `Frontend`."""

    name = "once"

    def __init__(self, host: FrontendHost, command: str) -> None:
        self._terminal = host.terminal
        self._command: str | None = command if command.strip() else None
        self._input: list[str] = []

    async def read(self) -> str | None:
        """Return the command, then None."""
        command, self._command = self._command, None
        return command

    def feed(self, text: str) -> None:
        """Keep it for the statement, which may read it: ``echo 5 | ssh host 'input()'``."""
        self._input.append(text)

    def feed_eof(self) -> None:
        """Nothing to end: the command is known from the start."""

    def interrupt(self) -> None:
        """Nothing is typed here."""

    def take_typeahead(self) -> str:
        """Give back the input, for the statement to read."""
        text = "".join(self._input)
        self._input.clear()
        return text

    def render(self, outcome: Outcome) -> Iterable[tuple[bool, str]]:
        """Show the value on stdout, an exception on stderr."""
        return render_outcome(outcome)

    def write(self, text: str, *, error: bool = False) -> None:
        """Write as it is; with CR LF where a terminal was asked for (``ssh -tt``)."""
        data = terminal_bytes(text, carriage_return=self._terminal.kind.interactive)
        self._terminal.write(data, error=error)

    def resized(self) -> None:
        """Nothing is drawn here."""

    def close(self) -> None:
        """Read nothing more."""
        self._command = None
