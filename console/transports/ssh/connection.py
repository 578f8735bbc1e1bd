"""One SSH connection: who it is, and a terminal for each of its channels."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import weakref
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import asyncssh
from asyncssh.packet import String

from console.interfaces.credentials import OfferedKey, Peer, Principal
from console.limits import (
    CHANNELS,
    KEY_OFFERS,
    LOGIN_TRIES,
    UNAUTHENTICATED_BYTES,
)
from console.text import escape_line
from console.transports.peers import (
    may_become_wrong,
    peer_of,
    wrong_protocol,
)
from console.transports.ssh.log import ConnectionLog
from console.transports.ssh.terminal import SshTerminal, take_any_command, take_few_variables

if TYPE_CHECKING:
    from console.transports.ssh.listener import SshListener

logger = logging.getLogger("console.ssh")
_protocol_logger = logging.getLogger("console.ssh.protocol")

CODE_PROMPT: Final = "Code (Enter if you have none): "


_GUESSES_ENDED = "too many tries"


IDLE_SECONDS: Final = 300.0
"""How long a connection may be open without a session, as a ControlMaster that waits for one."""


_FRESH_SECONDS: Final = 5.0
"""So long after a login its user need not be looked up again, for the first session."""


class Authenticator(Protocol):
    """What this transport asks of the authenticator."""

    @property
    def asks_for_code(self) -> bool:
        """Whether a code is asked for beside the password."""

    def refresh(self) -> Awaitable[None]:
        """Look again whether a code is asked for."""

    async def password(
        self, user: str, password: str, code: str, *, transport: str, peer: Peer
    ) -> Principal | None:
        """Return the principal whose password this is."""

    async def key(
        self, user: str, offered: OfferedKey, *, transport: str, peer: Peer
    ) -> Callable[[], Principal] | str:
        """Return what makes the principal once the key's holder has signed; or why not."""

    def key_refused(self, user: str, reason: str, *, transport: str, peer: Peer) -> None:
        """Tell that somebody was turned away who came with a key."""

    async def renew(
        self, principal: Principal, offered: OfferedKey | None, peer: Peer
    ) -> Principal | None:
        """Look up again somebody who came in a while ago; None if they are no longer let in."""


ReadOffer = Callable[[bytes], "tuple[OfferedKey, asyncssh.SSHKey] | None"]


class Connection(asyncssh.SSHServerConnection):
    """asyncssh's connection with our rules in front: bytes before login, keys, the log."""

    _owner: Login

    def __init__(self, listener: SshListener, options: Any) -> None:
        super().__init__(asyncio.get_running_loop(), options)
        self._logger = ConnectionLog(_protocol_logger).get_child(
            context=f"conn={self._get_next_conn()}"
        )
        self._listener = listener
        self._early_bytes = 0
        self._beginning: bytes | None = b""
        self.peer = Peer("")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it among the strangers, and let the protocol begin."""
        self.peer = peer_of(transport)
        self._listener.connections.add(self)
        self._listener.unauthenticated.add(self, "ssh", self.peer)
        super().connection_made(transport)

    def data_received(self, data: bytes, datatype: Any = None) -> None:
        """Take bytes; before login not many, and only such as an SSH client sends."""
        login: Login | None = self._owner  # None once it is closed
        if login is not None and login.principal is None:
            self._early_bytes += len(data)
            if self._early_bytes > UNAUTHENTICATED_BYTES:
                self.drop(f"more than {UNAUTHENTICATED_BYTES} bytes before login")
                return
            if self._beginning is not None:
                self._beginning += data[:16]
                problem = wrong_protocol(self._beginning)
                if problem is not None:
                    self.drop(f"{problem}, not SSH")
                    return
                if not may_become_wrong(self._beginning):
                    self._beginning = None
        super().data_received(data, datatype)

    # asyncssh counts what waits for a channel's window, and leaves these two empty: a client that
    # opens a window of 2 GB and reads nothing would be given memory without end.

    def pause_writing(self) -> None:
        """Hold output back: the client takes nothing more."""
        if self._owner is not None:
            self._owner.hold_writing()

    def resume_writing(self) -> None:
        """Let output go on."""
        if self._owner is not None:
            self._owner.release_writing()

    @property
    def principal(self) -> Principal | None:
        """Who has logged in."""
        login: Login | None = self._owner  # None once it is closed
        return None if login is None else login.principal

    def drop(self, reason: str) -> None:
        """End the connection for breaking a rule."""
        self._listener.drop(self.peer, reason)
        self.abort()

    async def validate_public_key(
        self, username: str, key_data: bytes, msg: bytes, signature: bytes
    ) -> bool:
        """Decide on a public key or certificate, and on the signature if there is one.

        In place of asyncssh's: that accepts a certificate without principals for anybody, and
        signatures with SHA-1.
        """
        login = self._owner
        key = await login.key_offered(username, key_data, signed=bool(msg))
        if key is None:
            return False
        if not msg:
            return True
        with contextlib.suppress(ValueError):  # the signature has no form
            if key.verify(String(self._session_id) + msg, signature):
                return True
        login.signature_refused(username)
        return False


class Login(asyncssh.SSHServer):
    """Who a connection is, and a terminal for each of its channels."""

    def __init__(self, listener: SshListener) -> None:
        self._listener = listener
        self._connection: Connection | None = None
        self._peer = Peer("")
        self._tries = 0
        self._offers = 0
        self._questions = 0
        self._key_refusal: tuple[str, str] | None = None
        self._clogged = False
        self._terminals: weakref.WeakSet[SshTerminal] = weakref.WeakSet()
        self._candidate: tuple[str, Callable[[], Principal]] | None = None
        self._offered: OfferedKey | None = None
        self._logged_in_at = 0.0
        self._has_opened = False
        self._idle: asyncio.TimerHandle | None = None
        self.principal: Principal | None = None

    # ---- its life

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert isinstance(conn, Connection)  # noqa: S101 - narrows the type; it made us
        self._connection = conn
        self._peer = conn.peer

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is None:
            return
        self._stop_idling()
        self._listener.lost(self._connection)
        if self.principal is None:
            if isinstance(exc, asyncssh.ConnectionLost) and "timeout" in str(exc):
                self._listener.drop(
                    self._peer, f"no login within {self._listener.grace_seconds:g} seconds"
                )
            if self._key_refusal is not None and not self._tries:
                user, reason = self._key_refusal
                self._listener.authenticator.key_refused(
                    user, reason, transport="ssh", peer=self._peer
                )
        if exc is not None:
            logger.debug("%s: connection lost: %s", self._peer, escape_line(str(exc)))

    def hold_writing(self) -> None:
        """Hold output back: the client takes nothing more."""
        self._clogged = True
        for terminal in tuple(self._terminals):
            terminal.hold_writing("connection")

    def release_writing(self) -> None:
        """Let output go on."""
        self._clogged = False
        for terminal in tuple(self._terminals):
            terminal.release_writing("connection")

    # ---- who it is

    def begin_auth(self, username: str) -> bool:
        """Ask everybody for a proof: False would mean that this user needs none."""
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    async def key_offered(
        self, username: str, data: bytes, *, signed: bool
    ) -> asyncssh.SSHKey | None:
        """Tell whether a key opens this account: the key that verifies the signature, or None."""
        self._candidate = None
        self._offers += 1
        if self._offers > KEY_OFFERS:
            self._end(f"more than {KEY_OFFERS} keys offered", "too many keys")
            return None
        offer = self._listener.read_offer(data)
        if offer is None:
            self._key_refusal = username, "no usable key"
            return None
        answer = await self._listener.authenticator.key(
            username, offer[0], transport="ssh", peer=self._peer
        )
        if isinstance(answer, str):
            self._key_refusal = username, answer
            return None
        if signed:
            self._candidate, self._offered = (username, answer), offer[0]
        return offer[1]

    def signature_refused(self, username: str) -> None:
        """Tell of a key that opens the account, shown by somebody who does not hold it."""
        self._candidate = None
        self._key_refusal = None
        self._listener.authenticator.key_refused(
            username, "wrong signature", transport="ssh", peer=self._peer
        )
        self._count_try()

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Check a password, which is all there is: somebody who has a code is not let in by it."""
        return await self._guess(username, password, "")

    def kbdint_auth_supported(self) -> bool:
        return True

    async def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
        """Ask for the password, and for the code where somebody has one: all in one question.

        Two would tell after the first whether the password was right.
        """
        await asyncio.shield(self._listener.authenticator.refresh())
        prompts = [("Password: ", False)]
        if self._listener.authenticator.asks_for_code:
            prompts.append((CODE_PROMPT, False))
        self._questions = len(prompts)
        return "", "", "", prompts

    async def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        """Check the answers."""
        if len(responses) != self._questions:
            self._end("answers to questions that were not asked", "wrong number of answers")
            return False
        return await self._guess(username, responses[0], "".join(responses[1:]))

    async def _guess(self, username: str, password: str, code: str) -> bool:
        self._candidate = None
        if self._tries >= LOGIN_TRIES:  # asked again without waiting for the answers
            self._end(None, _GUESSES_ENDED)
            return False
        self._tries += 1
        principal = await self._listener.authenticator.password(
            username, password, code, transport="ssh", peer=self._peer
        )
        if principal is None:
            if self._tries >= LOGIN_TRIES:
                self._end(None, _GUESSES_ENDED)
            return False
        self._candidate, self._offered = (username, lambda: principal), None
        return True

    def _count_try(self) -> None:
        self._tries += 1
        if self._tries >= LOGIN_TRIES:
            self._end(None, _GUESSES_ENDED)

    def _end(self, reason: str | None, words: str) -> None:
        """End the connection: ``reason`` for our log, if it is not there yet, ``words`` for it."""
        if self._connection is None:
            return
        if reason is not None:
            self._listener.drop(self._peer, reason)
        self._connection.disconnect(asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, words)

    def auth_completed(self) -> None:
        """Keep the principal. What was checked last is what the proof was given for."""
        connection = self._connection
        if connection is None:
            return
        if self._candidate is None or self._candidate[0] != connection.get_extra_info("username"):
            logger.error("%s: login without a checked proof; ended", self._peer)
            connection.abort()
            return
        others = [one.principal for one in self._listener.connections if one is not connection]
        principal = self._candidate[1]()
        reason = self._listener.too_many(principal, [one for one in others if one is not None])
        if reason:
            self._end(reason, reason)
            return
        self.principal = principal
        self._logged_in_at = asyncio.get_running_loop().time()
        self._listener.unauthenticated.remove(connection)
        self._begin_to_idle()

    # ---- its time without a session

    def _begin_to_idle(self) -> None:
        """End a connection on which nothing is open for a while: nobody sees it, or can kick it."""
        self._stop_idling()
        if self._connection is not None and not any(one.is_open for one in self._terminals):
            self._idle = asyncio.get_running_loop().call_later(
                IDLE_SECONDS, self._connection.disconnect, asyncssh.DISC_BY_APPLICATION, "idle"
            )

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    # ---- what it asks for

    def session_requested(self) -> Any:
        """Open a channel for a shell or a command, in bytes."""
        if self._connection is None or self.principal is None:
            return False
        if sum(terminal.is_open for terminal in self._terminals) >= CHANNELS:
            logger.info("%s: more than %d sessions on one connection", self._peer, CHANNELS)
            return False
        self._stop_idling()
        channel = self._connection.create_server_channel(encoding=None)
        take_any_command(channel)
        take_few_variables(channel)
        is_first, self._has_opened = not self._has_opened, True
        is_fresh = (
            is_first and asyncio.get_running_loop().time() < self._logged_in_at + _FRESH_SECONDS
        )
        return channel, self._terminal(self.principal) if is_fresh else self._renewed()

    async def _renewed(self) -> SshTerminal:
        """Open another terminal for somebody who came in a while ago, if they still may."""
        principal = self.principal
        if principal is not None:
            principal = await self._listener.authenticator.renew(
                principal, self._offered, self._peer
            )
        if principal is None:
            self._end(
                "the user, the key or the password has been taken out",
                "you are not let in any more",
            )
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "you are not let in any more"
            )
        self.principal = principal
        return self._terminal(principal)

    def _terminal(self, principal: Principal) -> SshTerminal:
        assert self._connection is not None  # noqa: S101 - a channel was opened on it
        terminal = SshTerminal(
            principal,
            self._listener.admit,
            functools.partial(self._listener.drop, self._peer),
            self._connection,
            self._begin_to_idle,
        )
        self._terminals.add(terminal)
        if self._clogged:
            terminal.hold_writing("connection")
        return terminal
