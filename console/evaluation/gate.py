"""Limits how many statements begin at once.

When many sessions press Enter at the same moment, as many threads compete for the interpreter lock
(GIL), and the service's own thread competes with them: with a thousand threads it waited 150 ms.
Most statements take less than a millisecond, so beginning a few at a time costs no throughput.

A statement holds its slot until it ends, but no longer than `HOLD_SECONDS`; then it goes on
without a slot, and the next one begins. So a statement that waits for the result of another one
never keeps that from beginning.
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
        """Call ``begin`` as soon as a slot is free. ``owner`` holds the slot until `leave`."""
        self._waiting.append((owner, begin))
        self._admit()

    def leave(self, owner: object) -> None:
        """Free the slot of a statement that has ended."""
        self._running.pop(owner, None)
        if self._waiting:
            self._admit()

    def withdraw(self, owner: object) -> bool:
        """Remove a statement that has not begun. False if it has begun."""
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
                longest = next(iter(self._running))  # the dict is in the order of beginning
                until = self._running[longest] + self._hold_seconds
                if until > now:
                    self._timer = loop.call_at(until, self._admit)
                    return
                del self._running[longest]
            owner, begin = self._waiting.popleft()
            self._running[owner] = now
            begin()
