"""Whose code is running: the context variable that output and private names follow.

A statement runs in its session's context, where `current_scope` is set. Tasks inherit it by
themselves (PEP 567); threads get it from ``evaluation/hooks.py``. Code of the host has none.
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
    """

    __slots__ = ("may_read", "names", "session", "sink", "source")

    def __init__(
        self,
        session: int,
        sink: OutputSink,
        source: InputSource | None,
        names: MutableMapping[str, Any],
    ) -> None:
        self.session = session
        self.sink = sink
        self.source = source
        self.names = names
        self.may_read = True
        """Whether its statement runs: once the prompt is back, what is typed is for the prompt."""


class _Mute:
    """An `OutputSink` that takes what nobody asked for."""

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
