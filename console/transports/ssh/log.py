"""asyncssh's log of one connection, on a logger of ours, and made safe."""

from __future__ import annotations

import logging
from typing import Any

from asyncssh.logging import SSHLogger

from console.text import escape_line

_COMMAND = "Command: %s"
"""How asyncssh's log shows what is to be run."""


class ConnectionLog(SSHLogger):
    """asyncssh's log of one connection, on a logger of ours, and made safe.

    On its own it writes user names and messages as the peer sent them, and at its highest debug
    level whole packets, passwords included. Its half a dozen lines of each connection are for
    debugging the protocol; logins, and what went wrong, are in ``console.audit``.
    """

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log a line, whatever the peer has sent."""
        level = logging.DEBUG if level == logging.INFO else level
        if self.isEnabledFor(level):
            if args and str(msg).endswith(_COMMAND):  # a statement, which may hold a secret
                args = (f"({len(str(args[0]))} characters)",)
            text = str(msg) % tuple(map(_shown, args)) if args else str(msg)
            super().log(level, "%s", escape_line(text, 500))

    def packet(self, *_arguments: Any, **_keywords: Any) -> None:
        """Log no packet."""


def _shown(argument: Any) -> Any:
    """Make of an argument what its place in the message takes: a number, or text."""
    if isinstance(argument, bytes):
        return argument.decode("utf-8", "backslashreplace")
    if isinstance(argument, (list, tuple)):
        return ",".join(str(_shown(item)) for item in argument)
    return argument
