"""Transports: the interface that each implements, and the objects that each gets.

A transport speaks a protocol on a listening socket, authenticates its peers and hands the terminal
of each principal to the session manager. All transports of a console get the same
`TransportContext`. To add a transport, add a folder below ``transports/``, a class of settings and
a line in ``transports/registry.py``.

All objects here live on the console's loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from console.interfaces.credentials import Access, OfferedKey, Peer, Principal
from console.interfaces.terminals import Admission


class Authenticator(Protocol):
    """Decides about credentials, in the same way for each transport.

    A waiting call can be cancelled, for example because the peer has disconnected.
    """

    @property
    def asks_for_code(self) -> bool:
        """Whether users are asked for a code with the password, as of the last `refresh`."""

    def refresh(self) -> asyncio.Future[None]:
        """Update `asks_for_code` from the store. Returns at once; the future ends the update."""

    async def password(
        self, user: str, password: str, code: str = "", *, transport: str, peer: Peer
    ) -> Principal | None:
        """Check a password, and the code of a user who has a second factor.

        Returns:
            The principal; None if the credentials are refused. The refusal has been published as
            an event by then.
        """

    async def key(
        self, user: str, offered: OfferedKey, *, transport: str, peer: Peer
    ) -> Callable[[], Principal] | str:
        """Look a public key or certificate up among those of the user.

        This does not authenticate the peer: clients ask which key is accepted before they sign.

        Returns:
            A function to call once the signature has been verified, which publishes the login and
            returns the principal; or the reason why the key is refused.
        """

    def key_refused(self, user: str, reason: str, *, transport: str, peer: Peer) -> None:
        """Publish that a login by key was refused."""


class Connection(Protocol):
    """A connection of any transport, with the one method that other parts call."""

    def abort(self) -> None:
        """End the connection now and drop unsent bytes. Can be called twice."""


class UnauthenticatedConnections(Protocol):
    """Limits the unauthenticated connections of all transports together."""

    def add(self, connection: Connection, transport: str, peer: Peer) -> None:
        """Count a new connection. May evict an older one by its ``abort()``."""

    def remove(self, connection: Connection) -> None:
        """Stop counting a connection: it has logged in, or is lost. Can be called twice."""


class DropLog(Protocol):
    """Publishes that connections were ended for breaking a rule, limited for each source."""

    def tell(self, transport: str, peer: Peer, reason: str) -> None:
        """Publish that a connection has been ended for breaking a rule, or count it."""


class LoggedInConnection(Protocol):
    """A connection that may be open without a session, as far as it is listed and ended."""

    @property
    def principal(self) -> Principal | None:
        """The user who has logged in; None once the connection is closed."""

    @property
    def has_session(self) -> bool:
        """Whether a session is open on it. May be asked from any thread."""

    def use_proof(self, proof: bytes) -> None:
        """Stand for the password of today from now on."""

    def end_access(self, words: str) -> None:
        """End the connection with a reason for the client. Can be called twice."""


class LoggedInConnections(Protocol):
    """The connections that have logged in and may be open without a session, to be listed."""

    def add(self, connection: LoggedInConnection) -> None:
        """List a connection that has logged in."""

    def remove(self, connection: LoggedInConnection) -> None:
        """List it no more: it is gone. Can be called twice."""

    async def look_up(self, principal: Principal) -> Access:
        """Look up whether a login would still succeed, before it gets another session.

        Returns:
            HELD, EXPIRED, ENDED or UNKNOWN: a password that a session of this login has changed
            itself is HELD, one that was changed elsewhere is ENDED.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class TransportContext:
    """The objects and limits that all transports of a console share.

    Attributes:
        authenticator: Decides about credentials.
        unauthenticated: Each connection is added to it when it is accepted, and removed once it
            has logged in or is gone.
        drops: Is told of each connection that is ended for breaking a rule.
        logged_in: For transports whose connections may be open without a session: each is added
            after its login, and removed when it is gone.
        admit: Called once with each principal and its terminal.
        too_many: Called with a principal and the principals of the transport's other connections;
            returns the reason to refuse one more connection, empty if it is accepted. For
            transports whose connections may be open without a session.
        grace_seconds: The most time from the connection to the login; traffic does not extend it.
        keepalive_seconds: How long a peer may be silent before it is probed; None: it never is.
        banner: The lines above the first prompt, where the transport shows any.
    """

    authenticator: Authenticator
    unauthenticated: UnauthenticatedConnections
    drops: DropLog
    logged_in: LoggedInConnections
    admit: Admission
    too_many: Callable[[Principal, Sequence[Principal]], str]
    grace_seconds: float
    keepalive_seconds: float | None
    banner: str


class Transport(Protocol):
    """A listener of one protocol, and the connections that it has accepted."""

    @property
    def connections(self) -> Iterable[Connection]:
        """The connections that are open, before login and after."""

    async def listen(self, sock: socket.socket, backlog: int) -> None:
        """Accept connections on a bound socket.

        Raises:
            OSError: If the socket cannot listen.
        """

    def close(self) -> None:
        """Accept no more connections. Open connections stay open. Can be called twice."""

    async def wait_closed(self, seconds: float) -> None:
        """Wait until the last connection is gone, but no longer than this."""
