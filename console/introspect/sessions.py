"""The facts of a session, for ``who``, ``whoami`` and ``kick``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.introspect.listing import Listing, duration, moment, short_moment
from console.text import escape_line


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """A session at one moment.

    Attributes:
        number: Its number for ``kick(n)``.
        role: The role of its user.
        method: How its user authenticated.
        opened_at: When it was opened (time.time).
        idle_seconds: The time since the last input.
        statement: The name of the running statement; empty if none runs.
        source: The first line of that statement.
    """

    number: int
    user: str
    role: str
    transport: str
    peer: str
    method: str
    frontend: str
    opened_at: float
    idle_seconds: float
    statement: str = ""
    source: str = ""

    def __repr__(self) -> str:
        return (
            f"{escape_line(self.user)} ({self.role}) over {self.transport}"
            f" from {escape_line(self.peer)}, by {self.method},"
            f" session {self.number} since {moment(self.opened_at)}"
        )


def list_sessions(rows: Sequence[SessionFacts], *, sources: bool) -> Listing[SessionFacts]:
    """Make the table of ``who``.

    Args:
        rows: The open sessions.
        sources: Whether to show statements' source. It may contain a password, so a viewer sees
            the statement's name, as ``statements`` lists it.
    """
    return Listing(
        rows,
        {
            "SESSION": lambda row: row.number,
            "USER": lambda row: row.user,
            "ROLE": lambda row: row.role,
            "FROM": lambda row: f"{row.transport} {row.peer}",
            "FRONTEND": lambda row: row.frontend,
            "SINCE": lambda row: short_moment(row.opened_at),
            "IDLE": lambda row: duration(row.idle_seconds),
            "RUNS": lambda row: (escape_line(row.source, 60) if sources else row.statement) or "-",
        },
        "no sessions",
    )
