"""The read-eval-print loop of one session.

The frontend reads a statement, the evaluator runs it, and the frontend shows the outcome. An event
is published for the start and for the end of each statement; of a statement that may hold a secret
it has only the length.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Mapping
from dataclasses import replace
from typing import Any, Final

from console.events import source_shown
from console.interfaces.frontends import HistoryLog
from console.interfaces.statements import Evaluator, Outcome, OutcomeKind
from console.sessions.publisher import SessionPublisher
from console.sessions.startup import StartupFile
from console.sessions.terminal import SessionTerminal
from console.text import escape_line

logger = logging.getLogger("console.sessions")

_LINE_CHARACTERS: Final = 200
"""The length of a running statement's first line in the list of sessions."""

_KEPT_OUT: Final = "(kept out of the history and the log: it looks like a secret)"


class Repl:
    """See the module's docstring. Lives on the console's loop.

    Attributes:
        status: The exit status of the last statement.
        refused: Whether a frontend has refused a statement, which ends the loop.
        statement: The name and the first line of the statement that runs; empty if none does.
    """

    def __init__(
        self,
        *,
        session: int,
        terminal: SessionTerminal,
        evaluator: Evaluator,
        history: HistoryLog,
        publisher: SessionPublisher,
    ) -> None:
        self.status = 0
        self.refused = False
        self.statement = ("", "")
        self._session = session
        self._terminal = terminal
        self._evaluator = evaluator
        self._history = history
        self._publisher = publisher
        self._count = 0

    @property
    def names(self) -> Mapping[str, Any]:
        """The names that the session adds to the builtins."""
        return self._evaluator.names

    async def run(self) -> None:
        """Read and run statements until the input ends or one of them ends the session."""
        while not self._terminal.ended:
            source = await self._terminal.read()
            if source is None:
                return
            if isinstance(source, Outcome):
                outcome = self._refuse(source)
                await self._terminal.show(outcome)
            else:
                outcome = await self._run_statement(source)
            self.status = outcome.status
            if outcome.kind is OutcomeKind.EXIT:
                return

    async def run_startup(self, file: StartupFile) -> None:
        """Run the user's startup file. However it ends, the prompt comes next."""
        secret = self._history.is_secret(file.source)
        run = self._evaluator.run_file(file.source, str(file.path), private=True, secret=secret)
        outcome = await self._watch(run, file.source, secret=secret)
        await self._terminal.show(outcome)
        if outcome.kind is OutcomeKind.EXIT:
            await self._terminal.say(f"startup file {file.path}: exit() has ended it")

    def interrupt(self) -> bool:
        """Interrupt the running statement. False if none runs."""
        return self._evaluator.interrupt()

    def close(self) -> None:
        """Release the evaluator. Can be called twice."""
        self._evaluator.close()

    async def _run_statement(self, source: str) -> Outcome:
        self._count += 1
        secret = self._history.is_secret(source)
        self._terminal.interrupt_at_once()
        run = self._evaluator.evaluate(source, secret=secret)
        outcome = await self._watch(run, source, secret=secret)
        await self._terminal.show(outcome)
        if secret and not source.startswith(" ") and self._terminal.has_user:
            await self._terminal.say(_KEPT_OUT)
        return outcome

    def _refuse(self, outcome: Outcome) -> Outcome:
        """Log a statement that the frontend refused; return the outcome that ends the session."""
        self.refused = True
        text = "(not shown, as it is a secret)" if outcome.secret else escape_line(outcome.text)
        logger.info("session %d: not run: %s", self._session, text)
        return replace(outcome, kind=OutcomeKind.EXIT)

    async def _watch(self, run: Awaitable[Outcome], source: str, *, secret: bool) -> Outcome:
        """Publish the start of a statement or file, wait for its outcome, and publish that."""
        shown = source_shown(source, secret=secret)
        self._publisher.statement_started(self._count, shown)
        self.statement = (
            f"{self._session}.{self._count}",
            shown.strip().partition("\n")[0][:_LINE_CHARACTERS],
        )
        began = time.monotonic()
        kind = "abandoned"  # if this session ends first
        try:
            outcome = await run
            kind = outcome.kind.value
        finally:
            self.statement = ("", "")
            self._publisher.statement_finished(self._count, kind, time.monotonic() - began)
        if outcome.error_id:
            text = "(not shown, as its statement is a secret)" if secret else outcome.text
            self._publisher.exception_shown(outcome.error_id, text)
        return outcome
