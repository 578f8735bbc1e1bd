"""How many right codes a login takes: rules without I/O.

A code has six digits, and three codes are right at any moment. An attacker who knows a user's
password and guesses from many addresses, which no delay stops, would hit one within hours. So wrong
codes after a right password are counted. After some of them one right code is not enough: the
next login from the same source needs a right code too, and that is another one, as each is valid
once. A guess then succeeds once in a hundred thousand million instead of once in 300,000.

No user is locked out, and the attacker learns nothing: an operator who sees "login incorrect"
tries again with the next code and succeeds.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from console.auth.guessing.failures import REMEMBERED, Failures

FREE_WRONG_CODES: Final = 10
"""Wrong codes after the right password that count as typing errors."""

LAPSE_SECONDS: Final = 3600.0
"""After this one wrong code is forgotten: an attacker who stays below the limit has one try an
hour."""

COUNTED: Final = 20.0
"""The most that are counted: one code is enough again ten hours after the last wrong one."""

NEXT_SECONDS: Final = 300.0
"""The second right code must follow the first within this time."""


class Codes:
    """Counts the codes that were tried. Not thread-safe.

    Args:
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong = Failures(clock, LAPSE_SECONDS, COUNTED)
        self._first_right: OrderedDict[tuple[str, str], float] = OrderedDict()

    def wrong(self, user: str, source: str) -> None:
        """Count a wrong code after the right password. It voids a right one before it."""
        self._first_right.pop((user, source), None)
        self._wrong.add(user)

    def right(self, user: str, source: str) -> bool:
        """Take a right code after the right password. Whether the user is authenticated."""
        now = self._clock()
        first = self._first_right.pop((user, source), None)
        if self._wrong.count(user) <= FREE_WRONG_CODES:
            return True
        if first is not None and now - first <= NEXT_SECONDS:
            return True
        self._first_right[user, source] = now
        if len(self._first_right) > REMEMBERED:
            self._first_right.popitem(last=False)
        return False
