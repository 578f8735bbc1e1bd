"""Failures, counted by name and forgotten with time. No I/O."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

LAPSE_SECONDS: Final = 30.0
"""After this one failure is forgotten, after twice this the second, and so on."""

COUNTED: Final = 120.0
"""The most that are counted by one name: a source is forgotten an hour after its last guess, even
after days of guessing, and so is the user that it guessed at."""

REMEMBERED: Final = 4096
"""Names that are kept; beyond that the least recent one is evicted."""


class Failures:
    """Counters by name, which decay with time.

    Args:
        clock: A monotonic clock, in seconds.
        lapse_seconds: After this one failure is forgotten.
        most: The upper limit of each counter.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        lapse_seconds: float = LAPSE_SECONDS,
        most: float = COUNTED,
    ) -> None:
        self._clock = clock
        self._lapse_seconds = lapse_seconds
        self._most = most
        self._counts: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def count(self, name: str) -> float:
        """Return the failures that are not forgotten yet."""
        count, at = self._counts.get(name, (0.0, 0.0))
        return max(0.0, count - (self._clock() - at) / self._lapse_seconds)

    def add(self, name: str) -> None:
        """Count one more."""
        self._counts[name] = (min(self.count(name) + 1.0, self._most), self._clock())
        self._counts.move_to_end(name)
        if len(self._counts) > REMEMBERED:
            self._counts.popitem(last=False)
