"""How many right codes it takes: rules without I/O.

A code has six digits, and three of them are right at any moment. Whoever knows a user's password
and comes from many addresses, so that no delay stops them, would hit one within hours. So codes
that are wrong behind a right password are counted, and when there have been some, one right code
is not enough: the next try from there has to have a right one too, which is then another, as each
is good once. That makes a hit of one in 300,000 one of one in a hundred thousand million.

It locks nobody out, and tells a guesser nothing: an operator who is told "login incorrect" tries
again with the next code, and is in.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from console.auth.guessing.failures import REMEMBERED, Failures

FREE_WRONG_CODES: Final = 10
"""Wrong codes behind the right password that are taken for slips."""

LAPSE_SECONDS: Final = 3600.0
"""After this one of them is forgotten: whoever keeps to slips has one try an hour."""

COUNTED: Final = 20.0
"""So that one code is enough again ten hours after the last wrong one."""

NEXT_SECONDS: Final = 300.0
"""How long the first right code waits for the second."""


class Codes:
    """What is known of the codes that were tried. Its methods are called on one thread.

    Args:
        clock: Seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong = Failures(clock, LAPSE_SECONDS, COUNTED)
        self._first_right: OrderedDict[tuple[str, str], float] = OrderedDict()

    def wrong(self, user: str, source: str) -> None:
        """Count a wrong code behind the right password; a right one before it is in vain."""
        self._first_right.pop((user, source), None)
        self._wrong.add(user)

    def right(self, user: str, source: str) -> bool:
        """Tell whether a right code behind the right password is enough."""
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
