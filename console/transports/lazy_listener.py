"""Lazy listeners: a socket that listens, and the transport that its first connection makes.

asyncssh and telnetlib3 are 100 to 300 ms of imports and 20 MB, which a service should not pay for
before a client connects. So a lazy listener only waits until its socket can be accepted from. Then
the library is loaded on a thread of the pool, while the kernel holds the connections that wait, and
the transport begins to accept: to these clients, and to all that come later, it has been there all
the time.

The host key or certificate is read before the socket listens, so that a start fails if it cannot be
used.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from console.config.settings import ListenSettings
from console.interfaces.transports import Transport
from console.transports.context import TransportContext

logger = logging.getLogger("console")

_AGAIN_SECONDS: Final = 1.0
"""After a failure to load, before whoever comes next has it tried again, and logged again."""

_TURNS = 3
"""Turns of the loop in which an accepted connection is made."""


T = TypeVar("T", bound=Transport)
R = TypeVar("R")

MakeContext = Callable[[], Awaitable[TransportContext]]
"""Makes what all transports of a console share; the same at each call."""


class LazyListener(ABC, Generic[T]):
    """One address at which a transport listens. Lives on the console's loop.

    Args:
        settings: Where, and how.
        assemble: Makes what all transports share, at the first call.
    """

    def __init__(self, settings: ListenSettings, assemble: MakeContext) -> None:
        self.settings = settings
        self.fingerprint: str | None = None
        self._assemble = assemble
        self._transport: T | None = None
        self._changing = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None

    @abstractmethod
    async def prepare(self) -> None:
        """Read what it proves itself with; anew, if it listens already.

        Raises:
            KeyFileError: If the host key cannot be used. The old one goes on.
            ConfigurationError: If the certificate cannot be used. The old one goes on.
        """

    @abstractmethod
    def describe(self) -> str:
        """Say in a line what it proves itself with; empty if with nothing."""

    @abstractmethod
    async def _make(self, shared: TransportContext) -> T:
        """Load the library on another thread, and make the transport."""

    def listen(self, sock: socket.socket) -> None:
        """Wait for somebody to come to a socket that listens already."""
        asyncio.get_running_loop().add_reader(sock, self._knocked, sock)

    async def stop_accepting(self, sock: socket.socket) -> None:
        """Let nobody more in; what has just been accepted becomes a connection.

        asyncio forgets a socket that is on the way from accept() to its transport when the server
        is closed: it would stay open until it is collected.
        """
        if self._opening is not None:
            self._opening.cancel()
        asyncio.get_running_loop().remove_reader(sock)
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Cut what is still connected, and give the transport a turn to say so."""
        transport = self._transport
        if transport is None:
            return
        transport.close()
        for connection in tuple(transport.connections):
            connection.abort()
        await transport.wait_closed(0.3)

    def _knocked(self, sock: socket.socket) -> None:
        # Else we would be told of it again and again, until it is accepted.
        asyncio.get_running_loop().remove_reader(sock)
        self._opening = asyncio.get_running_loop().create_task(
            self._open(sock), name=f"console {self.settings.name} opens"
        )

    async def _open(self, sock: socket.socket) -> None:
        try:
            async with self._changing:
                self._transport = await self._make(await self._assemble())
            await self._transport.listen(sock, self.settings.backlog)
        except Exception:  # the edge "connection": a library is broken, or there is no memory
            logger.exception("%s: nobody can be let in", self.settings.name)
        else:
            return
        self._transport = None
        self._turn_away(sock)
        await asyncio.sleep(_AGAIN_SECONDS)
        self.listen(sock)

    def _turn_away(self, sock: socket.socket) -> None:
        """End the connections that wait."""
        with contextlib.suppress(OSError):  # nobody is left
            for _ in range(self.settings.backlog):
                sock.accept()[0].close()


async def in_pool(call: Callable[..., R], *arguments: Any) -> R:
    """Call what blocks on a thread of the loop's pool."""
    return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)
