"""Whose code is running: the context variable that output and private names follow.

A statement runs in its session's context, where `current_scope` is set. Tasks inherit it by
themselves (PEP 567); threads get it from `console.evaluation.hooks`. Code of the host has none.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from console.interfaces.statements import InputSource, OutputSink


class Scope:
    """What running code has of its session: its output, its input, the session's own names.

    Each statement has a scope of its own, which the tasks and threads that it starts share. It
    holds neither session nor terminal, so that a task or an exception that outlives its session
    keeps nothing else alive.

    Attributes:
        session: The session's number.
        sink: Where its output goes. Replaced when the statement is left behind.
        source: Where its input comes from; None without a terminal.
        names: The session's own names.
        may_read: Whether its statement runs: once the prompt is back, what is typed is for the
            prompt.
    """

    __slots__ = ("_captured", "may_read", "names", "session", "sink", "source")

    def __init__(
        self,
        session: int,
        sink: OutputSink,
        source: InputSource | None,
        names: MutableMapping[str, Any],
        *,
        captured: bool = False,
    ) -> None:
        self.session = session
        self.sink = sink
        self.source = source
        self.names = names
        self.may_read = True
        self._captured = captured

    @property
    def page_source(self) -> InputSource | None:
        """Where to ask for the next screen of a long text; None where text is not paged.

        That is without a screen, where the output is kept for a program, so that a question would
        not be seen, and once the prompt is back, which reads the answers.
        """
        source = self.source
        if source is None or self._captured or not self.may_read or not source.page_rows:
            return None
        return source


class _Mute:
    """An `OutputSink` that drops what it is given."""

    def write(self, text: str, *, error: bool = False) -> bool:
        """Drop it."""
        return True


@contextmanager
def muted() -> Iterator[None]:
    """Drop what is printed within: warnings of a parser that looks at half-typed statements."""
    token = current_scope.set(Scope(0, _Mute(), None, {}))
    try:
        yield
    finally:
        current_scope.reset(token)


current_scope: ContextVar[Scope | None] = ContextVar("console_scope", default=None)
