"""Events as log entries, for people who look for them later.

The loggers are ``console.audit`` (who came, who was turned away) and ``console.exceptions`` (what
went wrong in a session, with its traceback). Everything that a peer sent or caused is escaped, and
the lines of a traceback are marked, so that no text can pass for an entry of its own.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TextIO

from console.events import (
    ConnectionDropped,
    Event,
    ExceptionShown,
    LoginFailed,
    LoginSucceeded,
    SessionClosed,
    SessionKicked,
    SessionOpened,
    SessionRefused,
)
from console.text import escape_controls, escape_line

audit_logger = logging.getLogger("console.audit")
exception_logger = logging.getLogger("console.exceptions")

_MARK = "  | "

_BLANK = re.compile(r"\s")


def _name(user: str) -> str:
    """Make a user's name one word: who reads entries by a pattern must not find fields in it."""
    return _BLANK.sub(lambda match: f"\\x{ord(match.group()):02x}", escape_line(user))


def log_event(event: Event) -> None:
    """Write an event to the log, if it is one that belongs there. An event subscriber."""
    where = f"transport={event.transport} peer={escape_line(event.peer)}"
    match event:
        case LoginSucceeded():
            audit_logger.info(
                "login: user=%s %s method=%s %s",
                _name(event.user),
                where,
                event.method,
                escape_line(event.detail),
            )
        case LoginFailed():
            audit_logger.warning(
                "login failed: user=%s %s method=%s reason=%s",
                _name(event.user),
                where,
                event.method,
                escape_line(event.reason),
            )
        case ConnectionDropped():
            audit_logger.warning(
                "connection dropped: %s reason=%s", where, escape_line(event.reason)
            )
        case SessionOpened():
            audit_logger.info(
                "session %d opened: user=%s %s role=%s frontend=%s",
                event.session,
                _name(event.user),
                where,
                event.role,
                event.frontend,
            )
        case SessionClosed():
            audit_logger.info(
                "session %d closed: user=%s %s role=%s reason=%s after %.1f s",
                event.session,
                _name(event.user),
                where,
                event.role,
                escape_line(event.reason),
                event.duration_seconds,
            )
        case SessionRefused():
            audit_logger.warning(
                "session refused: user=%s %s role=%s reason=%s",
                _name(event.user),
                where,
                event.role,
                escape_line(event.reason),
            )
        case SessionKicked():
            audit_logger.warning(
                "session %d kicked: user=%s %s by=%s reason=%s",
                event.session,
                _name(event.user),
                where,
                _name(event.by),
                escape_line(event.reason),
            )
        case _:
            pass


def mirror_exception(event: Event) -> None:
    """Mirror an exception that a session was shown. An event subscriber."""
    if not isinstance(event, ExceptionShown):
        return
    marked = "\n".join(_MARK + line for line in escape_controls(event.traceback).split("\n"))
    exception_logger.error(
        "error %s: user=%s transport=%s peer=%s session=%d\n%s",
        event.error_id,
        _name(event.user),
        event.transport,
        escape_line(event.peer),
        event.session,
        marked,
    )


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
