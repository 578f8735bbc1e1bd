"""Whose code is running: the context variable that output and private names follow.

A statement runs in its session's context, where `current_scope` is set. Tasks inherit it by
themselves (PEP 567); threads get it from ``evaluation/threads.py``. Code of the host has none.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from console.interfaces import OutputSink


class Scope:
    """What running code has of its session: where its output goes, and the session's own names.

    It holds neither session nor terminal, so that a task or an exception that outlives its
    session keeps nothing else alive.
    """

    __slots__ = ("names", "session", "sink")

    def __init__(self, session: int, sink: OutputSink, names: MutableMapping[str, Any]) -> None:
        self.session = session
        self.sink = sink
        self.names = names


current_scope: ContextVar[Scope | None] = ContextVar("console_scope", default=None)
