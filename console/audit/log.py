"""Events as log entries, for people who look for them later.

The loggers are ``console.audit`` (who came, who was turned away) and ``console.exceptions`` (what
went wrong in a session, with its traceback). Everything that a peer sent or caused is escaped, and
the lines of a traceback are marked, so that no text can pass for an entry of its own.
"""

from __future__ import annotations

import logging
import re

from console.events import (
    AccessEnded,
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
        case AccessEnded():
            audit_logger.warning(
                "session %d ended with its access: user=%s %s reason=%s",
                event.session,
                _name(event.user),
                where,
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
