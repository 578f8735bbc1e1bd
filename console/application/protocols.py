"""Two small services to look into, and the factory that makes their connections.

As in Twisted: a factory remembers a protocol class, and uses it for each new connection. Assigning
another class changes what the next client meets.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import ClassVar, cast


class QOTD(asyncio.Protocol):
    """The quote of the day (RFC 865): says it, and leaves."""

    quote: ClassVar[bytes] = b"An apple a day keeps the doctor away.\r\n"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say the quote."""
        _say(transport, self.quote)


class Daytime(asyncio.Protocol):
    """The time of day (RFC 867): says it, and leaves."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what time it is."""
        _say(transport, time.ctime().encode() + b"\r\n")


class Factory:
    """Makes a protocol for each new connection.

    Attributes:
        protocol: Called without arguments for each connection. It finds the factory as its
            attribute ``factory``, if it can take one.
    """

    def __init__(self, protocol: Callable[[], asyncio.BaseProtocol] | None = None) -> None:
        if protocol is not None:
            self.protocol = protocol

    protocol: Callable[[], asyncio.BaseProtocol] = QOTD

    def __call__(self) -> asyncio.BaseProtocol:
        """Make the protocol of a connection."""
        made = self.protocol()
        with contextlib.suppress(AttributeError):  # it has slots, and none for us
            made.factory = self  # type: ignore[attr-defined]  # as Twisted does
        return made

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__} instance at {id(self):#x}>"


def _say(transport: asyncio.BaseTransport, text: bytes) -> None:
    both = cast("asyncio.Transport", transport)
    both.write(text)
    both.close()
