"""Statements and their outcomes: what an evaluator runs, and where its input and output go."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class OutcomeKind(enum.Enum):
    """How a statement ended."""

    NOTHING = "nothing"
    VALUE = "value"
    EXCEPTION = "exception"
    INTERRUPTED = "interrupted"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a statement. Its text is ready to be shown: no user code runs any more.

    Attributes:
        kind: How it ended.
        text: The value's repr or the traceback, clipped and escaped, without a final newline.
        status: The exit status that ``ssh host 'statement'`` reports.
        error_id: Names an exception in the session and in the log; empty if there was none.
        note: What the console has to say about it, below the text: a hint, what was left behind.
        document: All of it as one line of JSON, where that was asked for: shown instead.
        secret: Its text quotes a secret, which is not for the log.
    """

    kind: OutcomeKind
    text: str = ""
    status: int = 0
    error_id: str = ""
    note: str = ""
    document: str = ""
    secret: bool = False


class OutputSink(Protocol):
    """Where text printed by a statement goes. Safe to call from any thread."""

    def write(self, text: str, *, error: bool = False) -> bool:
        """Take text. False once the session is over: the text is then the host's own."""


class InputSource(Protocol):
    """Where ``input()`` of a statement reads: the session's terminal. Safe from any thread."""

    def read_line(self, *, secret: bool = False) -> str:
        """Wait for a line and return it with its newline; empty at the end of input.

        Raises:
            io.UnsupportedOperation: On a thread that runs an event loop, which must not wait.
        """

    rest: str
    """What a read has left of a line, for the next read."""

    @property
    def page_rows(self) -> int:
        """Lines that fit the screen; 0 where no user turns pages, as with a pipe."""

    @property
    def page_columns(self) -> int:
        """Columns of the screen; 0 where a program reads, which wants plain results."""


class Evaluator(Protocol):
    """Runs the statements of one session, one at a time."""

    @property
    def names(self) -> Mapping[str, Any]:
        """What the session adds to the builtins, by name; nothing where no Python is evaluated."""

    async def evaluate(self, source: str, *, secret: bool = False) -> Outcome:
        """Run a statement and return what came of it. Never raises what user code raises.

        Args:
            source: The statement.
            secret: Show it to no other user: neither in the log nor in the list of statements.
        """

    async def run_file(
        self, source: str, file: str, *, private: bool, secret: bool = False
    ) -> Outcome:
        """Run the statements of a startup file, of which no value is shown.

        Args:
            source: What the file holds.
            file: Its name, for tracebacks.
            private: Whether the names that it binds are the session's own.
            secret: What comes of it is not for the log.
        """

    def interrupt(self) -> bool:
        """Ask the running statement to stop. True if there is one."""

    def close(self) -> None:
        """Release the session's worker and names. Can be called twice, and at any time."""
