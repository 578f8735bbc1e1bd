"""The context variable that tells which session's code runs; output and names depend on it.

A statement runs in its session's context, where `current_scope` is set. Tasks inherit the context
(PEP 567); threads get it from `console.evaluation.hooks`. In the host's code it is not set.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from console.interfaces.statements import InputSource, OutputSink


class Scope:
    """The access of running code to its session's output, input and own names.

    Each statement has its own scope, which the tasks and threads that it starts share. It refers
    to neither session nor terminal, so that a task or an exception that outlives its session does
    not keep these alive.

    Attributes:
        session: The session's number.
        sink: The destination of output. Replaced when the statement is left behind.
        source: The source of input; None without a terminal.
        names: The session's own names.
        may_read: Whether the statement still runs. Once it has ended, input is for the prompt.
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
        """The input for the pager of a long text; None if text must not be paged.

        Text is not paged without a screen, if the output is captured for a program, or once the
        statement has ended and the prompt reads the input.
        """
        source = self.source
        if source is None or self._captured or not self.may_read or not source.page_rows:
            return None
        return source


class _Mute:
    """An `OutputSink` that drops all text."""

    def write(self, text: str, *, error: bool = False) -> bool:
        """Drop it."""
        return True


@contextmanager
def muted() -> Iterator[None]:
    """Drop the output of the block: warnings of a parser about unfinished statements."""
    token = current_scope.set(Scope(0, _Mute(), None, {}))
    try:
        yield
    finally:
        current_scope.reset(token)


current_scope: ContextVar[Scope | None] = ContextVar("console_scope", default=None)
