"""Failures of one session in the log: a traceback at most once a minute, and how many there were.

A user can cause the same failure with each key. The first one is logged whole; of those that follow
within a minute the next entry has the number.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

SILENT_SECONDS: Final = 60.0
"""From one entry to the next."""


class FailureLog:
    """See the module's docstring. Used on one thread.

    Args:
        logger: Takes a warning for each entry.
        clock: A monotonic clock, in seconds.
    """

    def __init__(self, logger: logging.Logger, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logger
        self._clock = clock
        self._silent_until = -SILENT_SECONDS
        self._untold = 0

    def tell(self, what: str, error: BaseException) -> None:
        """Log that something failed, or count it.

        Args:
            what: The name of the failed operation, with no text of a peer in it.
            error: The exception that it raised.
        """
        now = self._clock()
        if now < self._silent_until:
            self._untold += 1
            return
        more = f" ({self._untold} more failures since the last entry)" if self._untold else ""
        self._silent_until, self._untold = now + SILENT_SECONDS, 0
        self._logger.warning("%s failed; the session goes on%s", what, more, exc_info=error)
