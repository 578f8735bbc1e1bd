"""Lazy listeners: a socket that listens, and the transport that its first connection makes.

asyncssh and telnetlib3 are 100 to 300 ms of imports and 20 MB, which a service should not pay for
before a client connects. So a lazy listener only waits until its socket can be accepted from. Then
the library is loaded on a thread of the pool, while the kernel holds the connections that wait, and
the transport begins to accept: these clients, and all that come later, see no difference.

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
from pathlib import Path
from typing import Any, ClassVar, Final, Generic, TypeVar

from console.config.settings import ListenSettings
from console.interfaces.transports import Transport, TransportContext

logger = logging.getLogger("console")

_AGAIN_SECONDS: Final = 1.0
"""After a failure to load, until the next connection has it tried again, and logged again."""

_TURNS = 3
"""Turns of the loop in which an accepted connection is made."""


S = TypeVar("S", bound=ListenSettings)
T = TypeVar("T", bound=Transport)
R = TypeVar("R")

MakeContext = Callable[[], Awaitable[TransportContext]]
"""Makes what all transports of a console get; the same at each call."""


class LazyListener(ABC, Generic[S, T]):
    """One address at which a transport listens. Lives on the console's loop.

    A transport derives from this, in a module that does not import the transport's library.

    Args:
        settings: The address, and the transport's own settings.
        make_context: Makes what all transports of a console get, at the first call.
        keys: The keys directory.

    Attributes:
        fingerprint: Of the host key, as ``ssh-keygen -l`` prints it; None if there is none.
    """

    command: ClassVar[str] = "nc {host} {port}"
    """What a user types to connect by TCP, with ``{host}`` and ``{port}``, or ``{address}``."""

    socket_command: ClassVar[str] = "nc -U {socket}"
    """What a user types to connect to the Unix socket at the path ``{socket}``."""

    def __init__(self, settings: S, make_context: MakeContext, keys: Path) -> None:
        self.settings = settings
        self.keys = keys
        self.fingerprint: str | None = None
        self._make_context = make_context
        self._transport: T | None = None
        self._changing = asyncio.Lock()
        self._opening: asyncio.Task[None] | None = None

    async def prepare(self) -> None:
        """Read the host key or certificate; anew, if it listens already. By default there is none.

        Raises:
            KeyFileError: If the host key cannot be used. The old one stays in use.
            ConfigurationError: If the certificate cannot be used. The old one stays in use.
        """
        return

    def describe(self) -> str:
        """Return a line that names the host key or certificate; empty if there is none."""
        return ""

    @abstractmethod
    async def _make(self, context: TransportContext) -> T:
        """Load the library on another thread, and make the transport."""

    def client_command(self, *, host: str, port: int, socket: str) -> str:
        """Return what a user types to connect.

        Args:
            host: The address that is listened on.
            port: The TCP port.
            socket: The path of a Unix socket in place of both; empty for TCP.
        """
        command = self.socket_command if socket else self.command
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        return command.format(host=host, port=port, address=address, socket=socket)

    def listen(self, sock: socket.socket) -> None:
        """Wait for the first connection to a socket that listens already."""
        asyncio.get_running_loop().add_reader(sock, self._connection_waits, sock)

    async def stop_accepting(self, sock: socket.socket) -> None:
        """Accept nothing more; what has just been accepted becomes a connection.

        asyncio forgets a socket that is on the way from accept() to its transport when the server
        is closed: it would stay open until it is collected.
        """
        if self._opening is not None:
            self._opening.cancel()
        asyncio.get_running_loop().remove_reader(sock)
        for _ in range(_TURNS):
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Abort the open connections, and wait for the loop to report them as lost."""
        transport = self._transport
        if transport is None:
            return
        transport.close()
        for connection in tuple(transport.connections):
            connection.abort()
        await transport.wait_closed(0.3)

    def _connection_waits(self, sock: socket.socket) -> None:
        # Else the loop would call this again and again, until the connection is accepted.
        asyncio.get_running_loop().remove_reader(sock)
        self._opening = asyncio.get_running_loop().create_task(
            self._open(sock), name=f"console {self.settings.name} opens"
        )

    async def _open(self, sock: socket.socket) -> None:
        try:
            async with self._changing:
                self._transport = await self._make(await self._make_context())
            await self._transport.listen(sock, self.settings.backlog)
        except Exception:  # the edge "connection": a library is broken, or there is no memory
            logger.exception("%s: no connection can be served", self.settings.name)
        else:
            return
        self._transport = None
        self._refuse_waiting(sock)
        await asyncio.sleep(_AGAIN_SECONDS)
        self.listen(sock)

    def _refuse_waiting(self, sock: socket.socket) -> None:
        """End the connections that wait."""
        with contextlib.suppress(OSError):  # none is left
            for _ in range(self.settings.backlog):
                sock.accept()[0].close()


async def in_pool(call: Callable[..., R], *arguments: Any) -> R:
    """Call what blocks on a thread of the loop's pool."""
    return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)
