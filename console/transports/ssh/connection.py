"""One SSH connection: asyncssh's, with our rules in front, a login, and its session channels."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Collection, Sequence
from typing import Any, Protocol

import asyncssh
from asyncssh.packet import String

from console.interfaces.credentials import Peer, Principal
from console.interfaces.transports import TransportContext
from console.text import escape_line
from console.transports.peers import peer_of
from console.transports.screening import Screening
from console.transports.ssh.channels import SessionChannels
from console.transports.ssh.log import ConnectionLog
from console.transports.ssh.login import Login

logger = logging.getLogger("console.ssh")
_protocol_logger = logging.getLogger("console.ssh.protocol")


class Owner(Protocol):
    """The listener that has accepted a connection, as far as the connection uses it."""

    @property
    def context(self) -> TransportContext:
        """What all transports get."""

    @property
    def connections(self) -> Collection[Connection]:
        """The connections that are open."""

    def connected(self, connection: Connection) -> None:
        """Know a new connection."""

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""


class Connection(asyncssh.SSHServerConnection):
    """asyncssh's connection with our rules in front: bytes before login, keys, the log.

    Lives on the loop that it was accepted on. asyncssh keeps its `Callbacks` in ``_owner``, and
    forgets them when the connection is closed, so that the two are no cycle for the collector.

    Args:
        listener: What has accepted it.
        options: Of asyncssh; `Callbacks` are its ``server_factory``.

    Attributes:
        context: What all transports get.
        peer: The other end.
    """

    _owner: Callbacks

    def __init__(self, listener: Owner, options: asyncssh.SSHServerConnectionOptions) -> None:
        super().__init__(asyncio.get_running_loop(), options)
        self._logger = ConnectionLog(_protocol_logger).get_child(
            context=f"conn={self._get_next_conn()}"
        )
        self._listener = listener
        self._screening = Screening("SSH")
        self.context = listener.context
        self.peer = Peer("")

    @property
    def callbacks(self) -> Callbacks | None:
        """What asyncssh asks; None once the connection is closed."""
        return self._owner

    @property
    def principal(self) -> Principal | None:
        """The user who has logged in; None before that, and once the connection is closed."""
        callbacks = self.callbacks
        return None if callbacks is None else callbacks.channels.principal

    @property
    def has_session(self) -> bool:
        """Whether a session is open on it. May be asked from any thread."""
        callbacks = self.callbacks
        return callbacks is not None and callbacks.channels.has_session

    def use_proof(self, proof: bytes) -> None:
        """Stand for the password of today from now on."""
        if self.callbacks is not None:
            self.callbacks.channels.use_proof(proof)

    def end_access(self, words: str) -> None:
        """End the connection with a reason for the client. Can be called twice."""
        if self.callbacks is not None:
            self.disconnect(asyncssh.DISC_BY_APPLICATION, words)

    # ---- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it among the unauthenticated connections, and let the protocol begin."""
        self.peer = peer_of(transport)
        self._listener.connected(self)
        self.context.unauthenticated.add(self, "ssh", self.peer)
        super().connection_made(transport)

    def data_received(self, data: bytes, datatype: Any = None) -> None:
        """Take bytes; before login not many, and only such as an SSH client sends."""
        if self.callbacks is not None and self.principal is None:
            reason = self._screening.take(data)
            if reason is not None:
                self.log_drop(reason)
                self.abort()
                return
        super().data_received(data, datatype)

    # asyncssh counts what waits for a channel's window, and leaves these two empty: a client that
    # opens a window of 2 GB and reads nothing would be given memory without end.

    def pause_writing(self) -> None:
        """Hold output back: the client takes nothing more."""
        if self.callbacks is not None:
            self.callbacks.channels.hold_writing()

    def resume_writing(self) -> None:
        """Let output go on."""
        if self.callbacks is not None:
            self.callbacks.channels.release_writing()

    # ---- what its parts ask

    def others(self) -> list[Principal]:
        """Return the users who have logged in on other connections."""
        others = [one.principal for one in self._listener.connections if one is not self]
        return [one for one in others if one is not None]

    def log_drop(self, reason: str) -> None:
        """Tell that the connection, or a channel of it, is ended for breaking a rule."""
        self.context.drops.tell("ssh", self.peer, reason)

    def end(self, reason: str | None, words: str) -> None:
        """End the connection for breaking a rule.

        Args:
            reason: For our log; None if it is there already.
            words: For the client.
        """
        if reason is not None:
            self.log_drop(reason)
        self.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, words)

    def lost(self) -> None:
        """Leave the lists."""
        self.context.logged_in.remove(self)
        self._listener.lost(self)

    # ---- keys

    async def validate_public_key(
        self, username: str, key_data: bytes, msg: bytes, signature: bytes
    ) -> bool:
        """Decide on a public key or certificate, and on the signature if there is one.

        In place of asyncssh's: that accepts a certificate without principals for any user, and
        signatures with SHA-1.
        """
        login = self._owner.login
        key = await login.key_offered(username, key_data, signed=bool(msg))
        if key is None:
            return False
        if not msg:
            return True
        with contextlib.suppress(ValueError):  # the signature is malformed
            if key.verify(String(self._session_id) + msg, signature):
                return True
        login.signature_refused(username)
        return False


class Callbacks(asyncssh.SSHServer):
    """What asyncssh asks about one connection: answered by its login, and by its channels.

    Attributes:
        login: What the peer has proved.
        channels: What it opens after that.
    """

    _connection: Connection
    login: Login
    channels: SessionChannels

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert isinstance(conn, Connection)  # noqa: S101 - narrows the type; the listener made it
        self._connection = conn
        self.login = Login(conn.context.authenticator, conn.peer, conn.end)
        self.channels = SessionChannels(conn, conn.context)

    def connection_lost(self, exc: Exception | None) -> None:
        connection = self._connection
        was_logged_in = self.channels.principal is not None
        self.channels.close()
        connection.lost()
        if not was_logged_in:
            if isinstance(exc, asyncssh.ConnectionLost) and "timeout" in str(exc):
                connection.log_drop(f"no login within {connection.context.grace_seconds:g} seconds")
            self.login.failed()
        if exc is not None:
            logger.debug("%s: connection lost: %s", connection.peer, escape_line(str(exc)))

    # ---- the login

    def begin_auth(self, username: str) -> bool:
        """Ask each user for a proof: False would mean that this user needs none."""
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Check a password alone: a user who has a second factor is not let in by it."""
        return await self.login.password(username, password)

    def kbdint_auth_supported(self) -> bool:
        return True

    async def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        return "", "", "", await self.login.prompts()

    async def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        return await self.login.answered(username, responses)

    def auth_completed(self) -> None:
        """Keep the principal. What was checked last is what the proof was given for."""
        connection = self._connection
        make_principal = self.login.proven(connection.get_extra_info("username"))
        if make_principal is None:
            logger.error("%s: login without a checked proof; ended", connection.peer)
            connection.abort()
            return
        others = connection.others()
        principal = make_principal()
        reason = connection.context.too_many(principal, others)
        if reason:
            connection.end(reason, reason)
            return
        connection.context.unauthenticated.remove(connection)
        self.channels.logged_in(principal)
        connection.context.logged_in.add(connection)

    # ---- the sessions

    def session_requested(self) -> Any:
        return self.channels.open() or False
