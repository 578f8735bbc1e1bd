"""The telnet listener: accepts connections, in plain text or within TLS, and knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from console import limits
from console.interfaces.transports import Connection, TransportContext
from console.transports.telnet.connection import TelnetConnection
from console.transports.telnet.handshake import TlsHandshake


class TelnetListener:
    """A telnet listener and its connections. Lives on the console's loop.

    Args:
        name: What it is called in events and logs: ``telnet`` or ``telnets``.
        context: What all transports get.
        tls: The certificate, and how to speak TLS; None for plain text.
    """

    def __init__(
        self, name: str, context: TransportContext, tls: ssl.SSLContext | None = None
    ) -> None:
        self.name = name
        self.context = context
        self._tls = tls
        # A dict, because it keeps the order of arrival.
        self._connections: dict[Connection, None] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> tuple[Connection, ...]:
        """The connections that are not lost yet, oldest first, before login and after."""
        return tuple(self._connections)

    async def listen(self, sock: socket.socket, backlog: int) -> None:
        """Accept connections on a socket that is already bound.

        Raises:
            OSError: If the socket cannot listen.
        """
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, sock=sock, backlog=backlog
        )

    def close(self) -> None:
        """Accept nothing more. The connections go on. Can be called twice."""
        if self._server is not None:
            self._server.close()
            self._server = None

    async def wait_closed(self, seconds: float = limits.STOP_SECONDS) -> None:
        """Wait until the last connection is gone; abort those that are left after ``seconds``.

        Not asyncio's: from Python 3.12 on that waits for ever for a client that does not read.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        for connection in self.connections:
            connection.abort()
        # An aborted connection is lost in the loop's next turn, whatever its peer does.
        await self._empty.wait()

    def connected(self, connection: Connection) -> None:
        """Know a new connection."""
        self._connections[connection] = None
        self._empty.clear()

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self._connections.pop(connection, None)
        if not self._connections:
            self._empty.set()

    def use_certificate(self, tls: ssl.SSLContext) -> None:
        """Prove ourselves with another certificate from the next connection on."""
        self._tls = tls

    def _protocol(self) -> asyncio.BaseProtocol:
        return TelnetConnection(self) if self._tls is None else TlsHandshake(self, self._tls)
