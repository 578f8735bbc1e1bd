"""The telnet listener: accepts connections, in plain text or within TLS, and knows them all."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Final, cast

from console import limits
from console.interfaces.terminals import Admission
from console.text import escape_line
from console.transports.drop_log import DropLog
from console.transports.peers import peer_of
from console.transports.telnet.connection import Authenticator, TelnetConnection
from console.transports.unauthenticated import UnauthenticatedConnections

logger = logging.getLogger("console.telnet")


class TelnetListener:
    """A telnet listener and its connections. Lives on the console's loop.

    Args:
        transport: What it is called in events and logs: ``telnet`` or ``telnets``.
        banner: What a client is shown above the first prompt.
        authenticator: Who decides.
        admit: Called once for each login, with the principal and the connection.
        strangers: Where connections are counted before login.
        drops: Who tells of connections that were ended.
        grace_seconds: From connection to login.
        keepalive_seconds: How long a client may be silent until TCP asks it; None for ever.
        tls: How to speak TLS; None for plain text.
    """

    def __init__(
        self,
        *,
        transport: str,
        banner: str,
        authenticator: Authenticator,
        admit: Admission,
        unauthenticated: UnauthenticatedConnections,
        drops: DropLog,
        grace_seconds: float,
        keepalive_seconds: float | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.transport = transport
        self.banner = banner
        self.authenticator = authenticator
        self.admit = admit
        self.unauthenticated = unauthenticated
        self.drops = drops
        self.grace_seconds = grace_seconds
        self.keepalive_seconds = keepalive_seconds
        self._tls = tls
        # A dict, because it keeps the order of arrival.
        self._connections: dict[TelnetConnection | _Handshake, None] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> tuple[TelnetConnection | _Handshake, ...]:
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

    def connected(self, connection: TelnetConnection | _Handshake) -> None:
        """Take a new connection in."""
        self._connections[connection] = None
        self._empty.clear()

    def lost(self, connection: TelnetConnection | _Handshake) -> None:
        """Forget a connection."""
        self._connections.pop(connection, None)
        if not self._connections:
            self._empty.set()

    def use_certificate(self, tls: ssl.SSLContext) -> None:
        """Prove ourselves with another certificate from the next connection on."""
        self._tls = tls

    def _protocol(self) -> asyncio.BaseProtocol:
        return TelnetConnection(self) if self._tls is None else _Handshake(self, self._tls)


_READ_BYTES: Final = 16 * 1024
"""Bytes of TLS that are taken at a time: 600 of its key updates, which cost 40 ms."""


class _Counted(asyncio.BufferedProtocol):
    """Stands below TLS and counts: its own messages cost us work, and bring no byte of a login.

    A stranger may ask for new keys, with a record of 22 bytes, as often as they like.
    """

    def __init__(self, inner: asyncio.BufferedProtocol, taken: Callable[[int], bool]) -> None:
        self._inner = inner
        self._taken = taken

    def get_buffer(self, sizehint: int) -> memoryview:
        """Say where to put what arrives: not too much at once."""
        return memoryview(self._inner.get_buffer(sizehint))[:_READ_BYTES]

    def buffer_updated(self, nbytes: int) -> None:
        """Count what has arrived, and hand it on unless it is too much."""
        if self._taken(nbytes):
            self._inner.buffer_updated(nbytes)

    def eof_received(self) -> bool | None:
        """Hand the end on."""
        return self._inner.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Hand the end on."""
        self._inner.connection_lost(exc)

    def pause_writing(self) -> None:
        """Hand it on."""
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        """Hand it on."""
        self._inner.resume_writing()


class _Handshake(asyncio.Protocol):
    """A connection that has not agreed on its keys yet: a stranger like others.

    Not asyncio's servers with TLS: they show us a connection only after the handshake, so that
    those who never begin one would not be counted.
    """

    _transport: asyncio.Transport

    def __init__(self, listener: TelnetListener, tls: ssl.SSLContext) -> None:
        self._listener = listener
        self._tls = tls
        self._task: asyncio.Task[None] | None = None
        self._early = bytearray()
        self._bytes = 0
        self._connection: TelnetConnection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._listener.connected(self)
        self._listener.unauthenticated.add(self, self._listener.transport, peer_of(transport))
        self._task = asyncio.get_running_loop().create_task(
            self._agree(), name="console telnets handshake"
        )
        # Not at the end of the task's own code: one that is cancelled at once never runs it.
        self._task.add_done_callback(lambda _: self._forget())

    def data_received(self, data: bytes) -> None:
        """Keep what comes with the end of the handshake."""
        self._early += data

    def abort(self) -> None:
        """End it now."""
        if self._task is not None:
            self._task.cancel()
        self._transport.abort()

    def _forget(self) -> None:
        self._listener.unauthenticated.remove(self)
        self._listener.lost(self)

    def _taken(self, count: int) -> bool:
        """Count bytes before the login. False if they are too many: the connection is ended."""
        connection = self._connection
        if connection is not None and connection.is_logged_in:
            return True
        self._bytes += count
        if self._bytes <= limits.UNAUTHENTICATED_BYTES:
            return True
        reason = f"more than {limits.UNAUTHENTICATED_BYTES} bytes before login"
        if connection is None:
            self._drop(reason)
        else:
            connection.drop(reason)
        return False

    def _drop(self, reason: str) -> None:
        self._listener.drops.tell(self._listener.transport, peer_of(self._transport), reason)
        self.abort()

    def _count(self) -> None:
        """Go below TLS. Called once it has been put on the transport, and has not begun."""
        tls = self._transport.get_protocol()
        if isinstance(tls, asyncio.BufferedProtocol):
            self._transport.set_protocol(_Counted(tls, self._taken))

    async def _agree(self) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._listener.grace_seconds
        loop.call_soon(self._count)
        try:
            within = await loop.start_tls(
                self._transport,
                self,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=self._listener.grace_seconds,
            )
        except (OSError, TimeoutError) as error:  # SSLError is an OSError
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            self._drop(f"no TLS: {escape_line(str(reason))}")
            return
        self._forget()
        if within is None or within.is_closing():
            return
        # One time for both, the handshake and the login.
        connection = TelnetConnection(self._listener, max(ends_at - loop.time(), 0.0))
        self._connection = connection
        within.set_protocol(connection)
        connection.connection_made(within)
        early = memoryview(bytes(self._early))
        while early:
            buffer = connection.get_buffer(-1)
            taken = early[: len(buffer)]
            buffer[: len(taken)] = taken
            connection.buffer_updated(len(taken))
            early = early[len(taken) :]
