"""The TLS handshake of a telnet connection, counted among the unauthenticated connections."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Final, cast

from console.text import escape_line
from console.transports.peers import peer_of
from console.transports.screening import Screening
from console.transports.telnet.connection import Owner, TelnetConnection

_READ_BYTES: Final = 16 * 1024
"""Bytes of TLS that are taken at a time: 600 of its key updates, which cost 40 ms."""


class _Counted(asyncio.BufferedProtocol):
    """Stands below TLS and counts: its own messages cost us work, and bring no byte of a login.

    A peer may ask for new keys, with a record of 22 bytes, as often as it likes.
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


class TlsHandshake(asyncio.Protocol):
    """A connection that has not agreed on its keys yet: an unauthenticated one like others.

    Not asyncio's servers with TLS: they show us a connection only after the handshake, so that
    those that never begin one would not be counted.

    Args:
        owner: The listener.
        tls: The certificate, and how to speak TLS.
    """

    _transport: asyncio.Transport

    def __init__(self, owner: Owner, tls: ssl.SSLContext) -> None:
        self._owner = owner
        self._context = owner.context
        self._tls = tls
        self._task: asyncio.Task[None] | None = None
        self._early = bytearray()
        self._screening = Screening("a TLS handshake")
        self._connection: TelnetConnection | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin the handshake."""
        self._transport = cast("asyncio.Transport", transport)
        self._owner.connected(self)
        self._context.unauthenticated.add(self, self._owner.name, peer_of(transport))
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
        self._context.unauthenticated.remove(self)
        self._owner.lost(self)

    def _taken(self, count: int) -> bool:
        """Count bytes before the login. False if they are too many: the connection is ended."""
        connection = self._connection
        if connection is not None and connection.is_logged_in:
            return True
        reason = self._screening.count(count)
        if reason is None:
            return True
        if connection is None:
            self._drop(reason)
        else:
            connection.drop(reason)
        return False

    def _drop(self, reason: str) -> None:
        self._context.drops.tell(self._owner.name, peer_of(self._transport), reason)
        self.abort()

    def _count(self) -> None:
        """Go below TLS. Called once it has been put on the transport, and has not begun."""
        tls = self._transport.get_protocol()
        if isinstance(tls, asyncio.BufferedProtocol):
            self._transport.set_protocol(_Counted(tls, self._taken))

    async def _agree(self) -> None:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + self._context.grace_seconds
        loop.call_soon(self._count)
        try:
            within = await loop.start_tls(
                self._transport,
                self,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=self._context.grace_seconds,
            )
        except (OSError, TimeoutError) as error:  # SSLError is an OSError
            reason = getattr(error, "reason", None) or str(error) or type(error).__name__
            self._drop(f"no TLS: {escape_line(str(reason))}")
            return
        self._forget()
        if within is None or within.is_closing():
            return
        # One time for both, the handshake and the login.
        connection = TelnetConnection(self._owner, max(ends_at - loop.time(), 0.0))
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
