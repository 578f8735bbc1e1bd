"""The frontend of ``ssh host 'statement'`` and ``ssh host <script``: one run, one exit status.

Both follow one contract (docs/exec.md). Text that cannot be a statement is refused with one line on
stderr and a status of its own; nothing is run.
"""

from __future__ import annotations

import asyncio
import builtins
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from console.context.scope import muted
from console.frontends.rendering import render_outcome, terminal_bytes
from console.interfaces.frontends import FrontendHost
from console.interfaces.statements import Outcome, OutcomeKind
from console.limits import STATEMENT_CHARACTERS
from console.results.json_document import Facts, write_document
from console.syntax.cells import count_lines, normalise
from console.syntax.options import OptionError, Options, parse_seconds, split_options
from console.syntax.shell_idioms import shell_idiom

USAGE_STATUS: Final = 2
"""The status of a malformed command, as ``python`` has it for its own options."""

NO_PYTHON_STATUS: Final = 127
"""The status of a shell's command line: "command not found" in sh(1)."""

FORMATS: Final = ("text", "json")


class OnceFrontend:
    """Reads the command of the exec request, or all of stdin, as its only statement.

    Follows `Frontend`. Lives on the console's loop.

    Args:
        host: The session.
        command: The command; None to read a script from stdin.
    """

    name = "once"

    def __init__(self, host: FrontendHost, command: str | None) -> None:
        self._host = host
        self._terminal = host.terminal
        self._is_command = command is not None
        self._source = command or ""
        self._input: list[str] = []
        self._size = 0
        self._interrupted = False
        self._complete = asyncio.Event()
        self._done = False  # read, or closed before it was
        if self._is_command:
            self._complete.set()

    async def read(self) -> str | Outcome | None:
        """Return the command or the script, then None."""
        await self._complete.wait()
        if self._done:
            return None
        self._done = True
        if self._interrupted:
            return Outcome(OutcomeKind.INTERRUPTED, "KeyboardInterrupt", status=130)
        if not self._is_command:
            self._source = "".join(self._input).removeprefix("\ufeff")
            self._input.clear()
        if not self._source.strip():
            return None
        # A viewer's commands are not Python: they must not reach the parser.
        return self._source if self._host.commands else self._statement()

    def _statement(self) -> str | Outcome:
        """Return the statement to run, with its options and those of the client's environment."""
        options = Options()
        try:
            options = replace(options, as_json=self._wants_json())
            limit = self._terminal.kind.variable("CONSOLE_TIMEOUT")
            if limit:
                seconds = parse_seconds(limit, "CONSOLE_TIMEOUT")
                options = replace(options, timeout_seconds=seconds)
            own, rest = split_options(normalise(self._source))
        except OptionError as error:
            return self._refusal(str(error), USAGE_STATUS, options)
        # The statement's own options win.
        options = Options(
            mode=own.mode,
            timeout_seconds=own.timeout_seconds or options.timeout_seconds,
            as_json=own.as_json or options.as_json,
        )
        what = "command" if self._is_command else "script"
        if len(self._source) > STATEMENT_CHARACTERS:
            problem = f"the {what} is longer than {STATEMENT_CHARACTERS} characters"
            return self._refusal(problem, USAGE_STATUS, options)
        place = _undecodable(self._source)
        if place:
            return self._refusal(f"the {what} is not UTF-8: {place}", USAGE_STATUS, options)
        with muted():  # the parser's warnings are shown when the statement runs
            idiom = shell_idiom(rest, self._is_defined)
        if idiom:
            problem = f"this is Python, not a shell; nothing was run of: {idiom}"
            return self._refusal(problem, NO_PYTHON_STATUS, options)
        # Blank lines replace those dropped above the source, so that its lines keep their numbers.
        source = normalise(rest)
        above = count_lines(self._source) - count_lines(source)
        # A leading space marks a secret (`HistoryLog.is_secret`).
        space = " " if self._source.startswith(" ") else ""
        return space + "\n" * above + str(options) + source

    def _refusal(self, problem: str, status: int, options: Options) -> Outcome:
        """Return the outcome of a refused command. Its text quotes the command."""
        outcome = Outcome(
            OutcomeKind.EXCEPTION,
            f"console: {problem}",
            status=status,
            secret=self._host.history.is_secret(self._source),
        )
        if options.as_json:
            return replace(outcome, document=write_document(outcome, Facts()))
        return outcome

    def _wants_json(self) -> bool:
        wanted = self._terminal.kind.variable("CONSOLE_FORMAT") or "text"
        if wanted not in FORMATS:
            raise OptionError(f"CONSOLE_FORMAT: {wanted!r} must be {' or '.join(FORMATS)}")
        return wanted == "json"

    def _is_defined(self, name: str) -> bool:
        namespace = self._host.namespace
        if type(namespace) is not dict:
            return True  # unknown: a look-up may run code of the service
        return name in namespace or hasattr(builtins, name) or name in self._host.names()

    def feed(self, text: str) -> None:
        """Take a part of the script, or of the command's stdin."""
        if self._is_command or self._size <= STATEMENT_CHARACTERS:
            self._input.append(text)
            self._size += len(text)
        if self._size > STATEMENT_CHARACTERS:
            self._complete.set()

    def feed_eof(self) -> None:
        """End the script. A command is complete from the start."""
        self._complete.set()

    def interrupt(self) -> None:
        """Stop reading the script."""
        self._interrupted = not self._is_command
        self._complete.set()

    def take_typeahead(self) -> str:
        """Return and forget the input, for the command to read."""
        text = "".join(self._input)
        self._input.clear()
        return text

    def render(self, outcome: Outcome) -> Iterable[tuple[bool, str]]:
        """Show the value on stdout, an exception on stderr."""
        return render_outcome(outcome)

    def write(self, text: str, *, error: bool = False) -> None:
        """Write text, with CR LF if the client requested a terminal (``ssh -tt``)."""
        kind = self._terminal.kind
        data = terminal_bytes(text, carriage_return=kind.interactive and kind.carriage_return)
        self._terminal.write(data, error=error)

    def resized(self) -> None:
        """Do nothing: nothing is drawn."""

    def close(self) -> None:
        """End a pending read."""
        self._done = True
        self._complete.set()


def _undecodable(text: str) -> str:
    """Name the first byte that is not UTF-8; empty if there is none."""
    bad = _BAD_BYTE.search(text)
    if bad is None:
        return ""
    line = text.count("\n", 0, bad.start()) + 1
    return f"byte 0x{ord(bad[0]) - 0xDC00:02x} in line {line}"


# A byte that cannot be decoded is a lone surrogate (PEP 383).
_BAD_BYTE = re.compile("[\udc80-\udcff]")
