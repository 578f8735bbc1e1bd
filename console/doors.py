"""Doors: each a socket that listens, and the transport behind it once somebody has knocked.

asyncssh and telnetlib3 are 100 to 300 ms of imports and 20 MB, which a service into which nobody
looks should not pay for. So a door only waits until its socket can be accepted from. Then the
library is loaded on a thread of the pool, while the kernel holds whoever has come, and the
transport begins to accept: to it, and to everybody who comes later, it has been there all the time.

What a door proves itself with is read before it listens, so that a start fails if it is no good.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, Protocol, TypeVar

from console.auth.host_key import HostKey, import_host_keys, load_host_keys, make_host_key
from console.auth.public_keys import fingerprint
from console.config.settings import ListenSettings, SshSettings, TelnetsSettings
from console.lazy_imports import load
from console.transports.tls import load_certificate

if TYPE_CHECKING:  # all that is behind the door
    import ssl

    from console.auth.authenticator import Authenticator
    from console.interfaces.credentials import Principal
    from console.interfaces.terminals import Admission
    from console.transports.drops import Drops
    from console.transports.ssh import SshListener
    from console.transports.strangers import Strangers
    from console.transports.telnet_listener import TelnetListener

logger = logging.getLogger("console")

_AGAIN_SECONDS: Final = 1.0
"""After a failure to load, before whoever comes next has it tried again, and logged again."""

_TURNS = 3
"""Turns of the loop in which an accepted connection is made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the transports of a console have in common."""

    authenticator: Authenticator
    strangers: Strangers
    admit: Admission
    drops: Drops
    grace_seconds: float
    banner: str
    too_many: Callable[[Principal, Sequence[Principal]], str]
    keepalive_seconds: float | None


class Transport(Protocol):
    """What all transports do."""

    @property
    def connections(self) -> Iterable[Any]:
        """The connections that are open, each with an ``abort()``."""

    async def listen(self, sock: socket.socket, backlog: int) -> None:
        """Accept connections on a bound socket."""

    def close(self) -> None:
        """Accept no more connections. Can be called twice."""

    async def wait_closed(self, seconds: float) -> None:
        """Wait until the last connection is gone, but no longer than this."""


T = TypeVar("T", bound=Transport)
R = TypeVar("R")


class Door(ABC, Generic[T]):
    """One address at which a transport listens. Lives on the console's loop.

    Args:
        settings: Where, and how.
        enter: Makes what is behind all doors, at the first call.
    """

    def __init__(self, settings: ListenSettings, enter: Callable[[], Awaitable[Shared]]) -> None:
        self.settings = settings
        self.fingerprint: str | None = None
        self._enter = enter
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
    async def _make(self, shared: Shared) -> T:
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
                self._transport = await self._make(await self._enter())
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


class SshDoor(Door["SshListener"]):
    """A door for SSH."""

    def __init__(
        self, settings: SshSettings, enter: Callable[[], Awaitable[Shared]], directory: Path
    ) -> None:
        super().__init__(settings, enter)
        self._named = settings.host_key
        self._directory = directory
        self._keys: list[HostKey] = []

    async def prepare(self) -> None:
        async with self._changing:
            keys = await _in_pool(self._read)
            if self._transport is not None:
                self._transport.use_host_keys(await _in_pool(import_host_keys, keys))
            self._keys, self.fingerprint = keys, fingerprint(keys[0].public_data)

    def describe(self) -> str:
        return f"ssh: host key {self.fingerprint}"

    def _read(self) -> list[HostKey]:
        """Read the host keys; make the one in the keys directory on first use."""
        path = self._directory / "host_key"
        if self._named is not None:
            path = Path(self._named)
        elif not path.exists():
            make_host_key(path)
        return load_host_keys(path)

    async def _make(self, shared: Shared) -> SshListener:
        await load("console.transports.ssh")
        from console.auth.ssh_keys import read_offer  # noqa: PLC0415 - loaded on another thread
        from console.transports.ssh import SshListener  # noqa: PLC0415 - as above

        listener = SshListener(
            authenticator=shared.authenticator,
            read_offer=read_offer,
            admit=shared.admit,
            strangers=shared.strangers,
            drops=shared.drops,
            grace_seconds=shared.grace_seconds,
            too_many=shared.too_many,
            keepalive_seconds=shared.keepalive_seconds,
        )
        listener.use_host_keys(await _in_pool(import_host_keys, self._keys))
        return listener


class TelnetDoor(Door["TelnetListener"]):
    """A door for telnet, in plain text or within TLS."""

    def __init__(self, settings: ListenSettings, enter: Callable[[], Awaitable[Shared]]) -> None:
        super().__init__(settings, enter)
        self._within = settings if isinstance(settings, TelnetsSettings) else None
        self._tls: ssl.SSLContext | None = None

    async def prepare(self) -> None:
        if self._within is None:
            return
        async with self._changing:
            self._tls = await _in_pool(load_certificate, self._within)
            if self._transport is not None:
                self._transport.use_certificate(self._tls)

    def describe(self) -> str:
        return "" if self._within is None else f"telnets: certificate {self._within.certificate}"

    async def _make(self, shared: Shared) -> TelnetListener:
        await load("console.transports.telnet_listener")
        from console.transports.telnet_listener import TelnetListener  # noqa: PLC0415 - as above

        return TelnetListener(
            transport=self.settings.name,
            banner=shared.banner,
            authenticator=shared.authenticator,
            admit=shared.admit,
            strangers=shared.strangers,
            drops=shared.drops,
            grace_seconds=shared.grace_seconds,
            keepalive_seconds=shared.keepalive_seconds,
            tls=self._tls,
        )


async def _in_pool(call: Callable[..., R], *arguments: Any) -> R:
    """Call what blocks on a thread of the loop's pool."""
    return await asyncio.get_running_loop().run_in_executor(None, call, *arguments)
