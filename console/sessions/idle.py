"""Ends a session that has been idle for too long, after a warning.

A session is idle while its prompt or its statement waits for input. A session whose statement
computes is not idle.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from console.introspect.listing import duration

_NOTICE_SECONDS = 60.0
"""The warning comes this long before the end, or half of the limit if that is shorter."""


class Watched(Protocol):
    """The methods of a session that `IdleLimit` calls."""

    @property
    def waiting_seconds(self) -> float:
        """How long it has waited for the user to type; 0 while it does not."""

    def warn(self, text: str) -> None:
        """Show a person a line above the prompt."""

    def end(self, notice: str) -> None:
        """End in order."""


class IdleLimit:
    """See the module's docstring. Lives on the console's loop."""

    def __init__(self, session: Watched, limit_seconds: float) -> None:
        self._session = session
        self._limit = limit_seconds
        self._notice = min(_NOTICE_SECONDS, limit_seconds / 2)
        self._warned = False
        self._timer: asyncio.TimerHandle | None = None
        self._wait(limit_seconds - self._notice)

    def close(self) -> None:
        """Stop watching. Can be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._look)

    def _look(self) -> None:
        left = self._limit - self._session.waiting_seconds
        if left <= 0:
            self.close()
            self._session.end(f"nothing has been typed here for {duration(self._limit)}; goodbye")
        elif left > self._notice:
            self._warned = False
            self._wait(left - self._notice)
        else:
            if not self._warned:
                self._warned = True
                self._session.warn(
                    f"nothing is typed: this session ends in {duration(round(left))}"
                )
            self._wait(left)
