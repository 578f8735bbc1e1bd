"""The log handler for a service that has not configured logging."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import TextIO


class FallbackHandler(logging.StreamHandler[TextIO]):
    """Writes the console's warnings and errors to stderr where the host has no logging set up.

    As ``logging.lastResort`` does, but with the time, and with `log_login`'s entries. As soon as
    the host configures a handler that gets an entry, it is left to that.
    """

    def __init__(self) -> None:
        super().__init__()
        self.setLevel(logging.WARNING)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, unless another handler has it."""
        # The host's stderr of this moment: it may be redirected while we run, or be missing.
        if sys.stderr is not None and self._is_first() and not _has_handler(record.name):
            self.stream = sys.stderr
            super().emit(record)

    def _is_first(self) -> bool:
        """Whether this is the one of several consoles' that writes."""
        return self is next(_fallbacks(), self)


def log_login(logger: logging.Logger, message: str, *arguments: object) -> None:
    """Log a successful login at INFO, on stderr if the host has no logging set up.

    Failed ones are warnings, which need no such function: INFO is dropped by a logger without a
    level of its own, before any handler. A host that has a handler, or has set a higher level for
    this logger, decides itself. Safe to call from any thread.
    """
    if _has_handler(logger.name):
        logger.info(message, *arguments)
    elif logger.level <= logging.INFO and logger.manager.disable < logging.INFO:
        record = logger.makeRecord(
            logger.name, logging.INFO, "(console)", 0, message, arguments, None
        )
        handler = next(_fallbacks(), None)
        if handler is not None:  # a console runs
            # Not by the handler's level, which keeps everything else below WARNING out.
            handler.acquire()
            try:
                handler.emit(record)
            finally:
                handler.release()


def _fallbacks() -> Iterator[FallbackHandler]:
    for handler in logging.getLogger("console").handlers:
        if isinstance(handler, FallbackHandler):
            yield handler


def _has_handler(name: str) -> bool:
    """Whether a handler of the host gets the records of a logger."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if not all(isinstance(handler, FallbackHandler) for handler in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
