"""The log handler for a service that has not configured logging."""

from __future__ import annotations

import logging
import sys
from typing import TextIO


class FallbackHandler(logging.StreamHandler[TextIO]):
    """Writes the console's warnings and errors to stderr where the host has no logging set up.

    As ``logging.lastResort`` does, but with the time. As soon as the host configures a handler it
    steps back, so that no entry stands there twice.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setLevel(logging.WARNING)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless another handler has it."""
        # The host's stderr of this moment: it may be redirected while we run, or be missing.
        if sys.stderr is not None and self._is_first() and not self._has_another(record.name):
            self.stream = sys.stderr
            super().emit(record)

    def _is_first(self) -> bool:
        """Whether this is the one of several consoles' that writes."""
        handlers = logging.getLogger("console").handlers
        return self is next((one for one in handlers if isinstance(one, FallbackHandler)), self)

    def _has_another(self, name: str) -> bool:
        """Whether a handler of the host gets the records of a logger."""
        logger: logging.Logger | None = logging.getLogger(name)
        while logger is not None:
            if not all(isinstance(handler, FallbackHandler) for handler in logger.handlers):
                return True
            logger = logger.parent if logger.propagate else None
        return False
