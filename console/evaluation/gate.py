"""Statements begin a few at a time.

Where many sessions press Enter in one moment, as many threads would ask for the interpreter, and
the service's own thread would stand in line with them at each of its steps: with a thousand of
them it waited 150 ms. Most statements are done in less than a millisecond, so that a few at a time
are no slower, all in all.

A statement keeps its place until it ends, but no longer than `HOLD_SECONDS`: it computes or waits
then, and the next one begins beside it. So one that waits for another's result never keeps that
from beginning.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

AT_ONCE: Final = 4

HOLD_SECONDS: Final = 0.005


class Gate:
    """See the module's docstring. Lives on the console's loop."""

    def __init__(self, hold_seconds: float = HOLD_SECONDS) -> None:
        self._hold_seconds = hold_seconds
        self._running: dict[object, float] = {}
        self._waiting: deque[tuple[object, Callable[[], None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, owner: object, begin: Callable[[], None]) -> None:
        """Call ``begin`` as soon as there is room, for ``owner``, which `leave` names again."""
        self._waiting.append((owner, begin))
        self._admit()

    def leave(self, owner: object) -> None:
        """Give back the place of what has ended."""
        self._running.pop(owner, None)
        if self._waiting:
            self._admit()

    def withdraw(self, owner: object) -> bool:
        """Let what has not begun never begin. False if it has."""
        for entry in self._waiting:
            if entry[0] is owner:
                self._waiting.remove(entry)
                return True
        return False

    def _admit(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        loop = asyncio.get_running_loop()
        while self._waiting:
            now = loop.time()
            if len(self._running) >= AT_ONCE:
                longest = next(iter(self._running))  # they are in the order in which they began
                until = self._running[longest] + self._hold_seconds
                if until > now:
                    self._timer = loop.call_at(until, self._admit)
                    return
                del self._running[longest]
            owner, begin = self._waiting.popleft()
            self._running[owner] = now
            begin()
