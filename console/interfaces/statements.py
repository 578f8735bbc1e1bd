"""Statements and their outcomes, the evaluator that runs them, and its input and output."""

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
    """The outcome of a statement. Its text is final: showing it runs no user code.

    Attributes:
        kind: How it ended.
        text: The value's repr or the traceback, clipped and escaped, without a final newline.
        status: The exit status that ``ssh host 'statement'`` reports.
        error_id: Names an exception in the session and in the log; empty if there was none.
        note: The console's own remark, shown below the text: a hint, or that the statement was
            left behind.
        document: The whole outcome as one line of JSON, if the user asked for JSON; it is shown
            instead of the text.
        secret: Whether the text quotes a secret, and so must not be logged.
    """

    kind: OutcomeKind
    text: str = ""
    status: int = 0
    error_id: str = ""
    note: str = ""
    document: str = ""
    secret: bool = False


class OutputSink(Protocol):
    """The destination of text that a statement prints. Safe to call from any thread."""

    def write(self, text: str, *, error: bool = False) -> bool:
        """Take text. False once the session has ended: the host's stream then gets the text."""


class InputSource(Protocol):
    """The source of a statement's ``input()``: the session's terminal. Safe from any thread."""

    def read_line(self, *, secret: bool = False) -> str:
        """Wait for a line and return it with its newline; empty at the end of input.

        Raises:
            io.UnsupportedOperation: On a thread that runs an event loop, which must not wait.
        """

    rest: str
    """The unread remainder of a line, for the next read."""

    @property
    def page_rows(self) -> int:
        """Rows of the screen; 0 where output is not paged, as for a pipe."""

    @property
    def page_columns(self) -> int:
        """Columns of the screen; 0 where a program reads the output and needs plain results."""


class Evaluator(Protocol):
    """Runs the statements of one session, one at a time."""

    @property
    def names(self) -> Mapping[str, Any]:
        """The names that the session adds to the builtins; empty if it evaluates no Python."""

    async def evaluate(self, source: str, *, secret: bool = False) -> Outcome:
        """Run a statement and return its outcome. An exception of user code is an outcome too.

        Args:
            source: The statement.
            secret: Whether the statement is kept out of the log and the list of statements.
        """

    async def run_file(
        self, source: str, file: str, *, private: bool, secret: bool = False
    ) -> Outcome:
        """Run the statements of a startup file, without showing the value of the last one.

        Args:
            source: The file's content.
            file: The file's name, for tracebacks.
            private: Whether names that it binds are visible in this session only.
            secret: Whether its outcome is kept out of the log.
        """

    def interrupt(self) -> bool:
        """Interrupt the running statement. False if none runs."""

    def close(self) -> None:
        """Release the session's worker and names. Can be called twice, and at any time."""
