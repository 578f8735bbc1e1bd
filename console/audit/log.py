"""Events as log entries.

The loggers are ``console.audit`` (logins, sessions, statements) and ``console.exceptions`` (what a
session was shown of an exception, with its traceback). Refusals are warnings, all else in
``console.audit`` is INFO. What a peer sent or caused is escaped and cut, and the lines of a
traceback are marked, so that no text can pass for an entry of its own.
"""

from __future__ import annotations

import logging
import re

from console.audit.fallback import log_login
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
    StatementFinished,
    StatementStarted,
)
from console.text import escape_line, quoted

audit_logger = logging.getLogger("console.audit")
exception_logger = logging.getLogger("console.exceptions")

_BLANK = re.compile(r"\s")


def _name(user: str) -> str:
    """Make a user's name one word: a pattern that reads entries must not find fields in it."""
    return _BLANK.sub(lambda match: f"\\x{ord(match.group()):02x}", escape_line(user))


def _log_end(event: SessionKicked | AccessEnded, where: str) -> None:
    if isinstance(event, SessionKicked):
        audit_logger.warning(
            "session %d kicked: user=%s %s by=%s reason=%s",
            event.session,
            _name(event.user),
            where,
            _name(event.by),
            escape_line(event.reason),
        )
    else:
        audit_logger.warning(
            "session %d ended with its access: user=%s %s reason=%s",
            event.session,
            _name(event.user),
            where,
            escape_line(event.reason),
        )


def log_event(event: Event) -> None:
    """Write an event to ``console.audit``. An event subscriber; safe to call from any thread.

    ``dictConfig`` and ``fileConfig`` disable the loggers that exist, unless told otherwise, and the
    record of logins would end with a service's late configuration. So the logger is enabled again:
    a service that does not want an entry sets a level.
    """
    audit_logger.disabled = False
    if isinstance(event, StatementStarted | StatementFinished):
        # Two a statement: they cost nothing where the service does not log them.
        if audit_logger.isEnabledFor(logging.INFO):
            _log_statement(event)
        return
    where = f"transport={event.transport} peer={escape_line(event.peer)}"
    match event:
        case LoginSucceeded():
            log_login(
                audit_logger,
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
        case SessionKicked() | AccessEnded():
            _log_end(event, where)
        case _:
            pass


def _log_statement(event: StatementStarted | StatementFinished) -> None:
    where = f"transport={event.transport} peer={escape_line(event.peer)}"
    named = (event.session, event.statement, _name(event.user), where)
    if isinstance(event, StatementStarted):
        # The source comes last: it may look like any field.
        audit_logger.info(
            "session %d statement %d started: user=%s %s source=%s",
            *named,
            escape_line(event.source),
        )
    else:
        audit_logger.info(
            "session %d statement %d ended: user=%s %s kind=%s after %.3f s",
            *named,
            event.kind,
            event.duration_seconds,
        )


def mirror_exception(event: Event) -> None:
    """Write an exception that a session was shown to ``console.exceptions``.

    An event subscriber; safe to call from any thread.
    """
    if not isinstance(event, ExceptionShown):
        return
    exception_logger.error(
        "error %s: user=%s transport=%s peer=%s session=%d\n%s",
        event.error_id,
        _name(event.user),
        event.transport,
        escape_line(event.peer),
        event.session,
        quoted(event.traceback),
    )
