"""Screening of what a peer sends before it has logged in, before any parser sees it. No I/O."""

from __future__ import annotations

import re
from typing import Final

from console.limits import UNAUTHENTICATED_BYTES

_HTTP_REQUEST: Final = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS|TRACE|CONNECT|PRI) ")
_HTTP_LINE: Final = re.compile(rb"[^\r\n]* HTTP/\d(?:\.\d)?[ \t]*[\r\n]")
_HOST_LINE: Final = re.compile(rb"[\r\n]host[ \t]*:", re.IGNORECASE)
_TLS_HANDSHAKE: Final = b"\x16\x03"

_BEGINNING_BYTES: Final = 4096
"""Looked at: the first line of a request whose method we do not know, and its ``Host`` line."""


class Screening:
    """Screens what one connection sends until it has logged in.

    The bytes are limited, and the first of them must not be of another protocol: a web page can
    make a browser on this machine post to a loopback port, with any content in the request's body.

    A reason that `take` or `count` returns is for the log, where fail2ban's filter
    (docs/fail2ban) reads it.

    Args:
        expected: What the peer should send, for the reason: ``SSH``, ``a login``.

    Attributes:
        bytes: Counted so far.
    """

    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._beginning = b""
        self.bytes = 0

    def take(self, data: bytes) -> str | None:
        """Count and look at what has arrived; return why the connection has to be ended."""
        reason = self.count(len(data))
        if reason is None and len(self._beginning) < _BEGINNING_BYTES:
            self._beginning += data[:_BEGINNING_BYTES]
            protocol = _other_protocol(self._beginning)
            if protocol is not None:
                return f"{protocol}, not {self._expected}"
        return reason

    def count(self, count: int) -> str | None:
        """Count bytes that cannot be looked at; return why the connection has to be ended."""
        self.bytes += count
        if self.bytes > UNAUTHENTICATED_BYTES:
            return f"more than {UNAUTHENTICATED_BYTES} bytes before login"
        return None


def _other_protocol(beginning: bytes) -> str | None:
    if (
        _HTTP_REQUEST.match(beginning)
        or _HTTP_LINE.match(beginning)
        or (not beginning.startswith(b"SSH-") and _HOST_LINE.search(beginning))
    ):
        return "an HTTP request"
    if beginning.startswith(_TLS_HANDSHAKE):
        return "a TLS handshake"
    return None
