"""SSH (RFC 4251 to 4254) by asyncssh, cut down to what a console is for.

A shell or a command, on a session channel, for somebody who has proved who they are. Everything
else that the protocol offers (forwarding of ports, sockets, agents and X11, subsystems such as
sftp) is refused.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
import socket
import weakref
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import asyncssh

from console._version import __version__
from console.events import ConnectionDropped, EventBus
from console.interfaces import (
    Admission,
    AuthorizedKey,
    Principal,
    Size,
    TerminalKind,
    TerminalReceiver,
)
from console.limits import (
    CHANNELS,
    KEY_OFFERS,
    LOGIN_GRACE_SECONDS,
    LOGIN_TRIES,
    TERMINAL_BUFFER_BYTES,
    UNAUTHENTICATED_CONNECTIONS,
)
from console.text import escape_line
from console.transports.peers import clamp_size, format_peer, terminal_name
from console.transports.ssh_log import ASYNCSSH, EscapingFilter

logger = logging.getLogger("console.ssh")

# Modern and cheap: a finite-field exchange costs 16 ms of the loop for each stranger who knocks.
# The client's order decides (RFC 4253, 7.1), so that one that knows ML-KEM gets it. Ours matters
# to Dropbear alone: it sends a first packet for its favourite, curve25519, and loses count of the
# packets when that is not the first here.
KEY_EXCHANGES = ("curve25519-sha256", "curve25519-sha256@libssh.org", "mlkem768x25519-sha256")
CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
)
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")

_KEEPALIVE_SECONDS = 60.0
_ENVIRONMENT = ("COLORTERM", "LANG", "NO_COLOR", "TERM_PROGRAM")


class KeyAuthenticator(Protocol):
    """What this transport asks of the authenticator."""

    async def password(
        self, user: str, password: str, *, transport: str, peer: str
    ) -> Principal | None:
        """Return the principal whose password this is."""

    async def authorized_key(self, user: str, blob: bytes) -> AuthorizedKey | None:
        """Return the entry that lets this key in."""

    def key_accepted(
        self, user: str, key: AuthorizedKey, *, transport: str, peer: str
    ) -> Principal:
        """Return the principal who proved to hold the key."""


class SshListener:
    """Accepts connections. Lives on the console's loop."""

    def __init__(self, authenticator: KeyAuthenticator, admit: Admission, events: EventBus) -> None:
        self.authenticator = authenticator
        self.admit = admit
        self.events = events
        self.connections: set[asyncssh.SSHServerConnection] = set()
        # A dict, because it keeps the order of arrival.
        self._strangers: dict[asyncssh.SSHServerConnection, str] = {}
        self._acceptor: asyncssh.SSHAcceptor | None = None
        self._idle = asyncio.Event()
        self._log_filter = EscapingFilter()

    async def listen(self, sock: socket.socket, host_key: asyncssh.SSHKey, backlog: int) -> None:
        """Accept connections on a socket that is already bound."""
        self._acceptor = await asyncssh.listen(
            sock=sock,
            backlog=backlog,
            server_factory=lambda: _Connection(self),
            server_host_keys=[host_key],
            kex_algs=KEY_EXCHANGES,
            encryption_algs=CIPHERS,
            mac_algs=MACS,
            compression_algs=("none",),
            server_version=f"console_{__version__}",
            login_timeout=LOGIN_GRACE_SECONDS,
            keepalive_interval=_KEEPALIVE_SECONDS,
            # On by default: it would open a socket in the file system for whoever asks.
            agent_forwarding=False,
            x11_forwarding=False,
            # On by default: it would look a name up while we start.
            gss_host=None,
            line_editor=False,
            encoding=None,
        )
        ASYNCSSH.addFilter(self._log_filter)

    def close(self) -> None:
        """Accept no more connections. Those that are open stay. Can be called twice."""
        if self._acceptor is not None:
            self._acceptor.close()

    async def wait_closed(self, seconds: float) -> None:
        """Wait until the last connection is gone, but no longer than this."""
        if self.connections:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), seconds)
        ASYNCSSH.removeFilter(self._log_filter)

    def connected(self, connection: asyncssh.SSHServerConnection, peer: str) -> None:
        """Take a new connection in. May end the oldest of those that have not logged in."""
        self.connections.add(connection)
        self._strangers[connection] = peer
        if len(self._strangers) > UNAUTHENTICATED_CONNECTIONS:
            oldest = next(iter(self._strangers))
            self.drop(
                self._strangers.pop(oldest),
                f"more than {UNAUTHENTICATED_CONNECTIONS} connections before login",
            )
            oldest.abort()

    def logged_in(self, connection: asyncssh.SSHServerConnection) -> None:
        """Count a connection no more among those that may be ended for a new one."""
        self._strangers.pop(connection, None)

    def drop(self, peer: str, reason: str) -> None:
        """Tell that a connection is ended for breaking a rule."""
        self.events.publish(ConnectionDropped(transport="ssh", peer=peer, reason=reason))

    def lost(self, connection: asyncssh.SSHServerConnection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        self._strangers.pop(connection, None)
        if not self.connections:
            self._idle.set()


class _Connection(asyncssh.SSHServer):
    """One connection: who it is, and a terminal for each of its channels."""

    def __init__(self, listener: SshListener) -> None:
        self._listener = listener
        self._connection: asyncssh.SSHServerConnection | None = None
        self._peer = "unknown"
        self._tries = 0
        self._offers = 0
        self._clogged = False
        self._terminals: weakref.WeakSet[SshTerminal] = weakref.WeakSet()
        self._candidate: tuple[str, Callable[[], Principal]] | None = None
        self._principal: Principal | None = None

    # ---- its life

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._peer = format_peer(conn.get_extra_info("peername"))
        # asyncssh counts what waits for a channel's window, and leaves these empty: a client that
        # opens a window of 2 GB and reads nothing would be given memory without end.
        conn.pause_writing = self._pause_writing  # type: ignore[method-assign]  # as said
        conn.resume_writing = self._resume_writing  # type: ignore[method-assign]  # as said
        self._listener.connected(conn, self._peer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._listener.lost(self._connection)
        if exc is not None:
            logger.info("%s: connection lost: %s", self._peer, escape_line(str(exc)))

    def _pause_writing(self) -> None:
        self._clogged = True
        for terminal in tuple(self._terminals):
            terminal.hold_writing("connection")

    def _resume_writing(self) -> None:
        self._clogged = False
        for terminal in tuple(self._terminals):
            terminal.release_writing("connection")

    # ---- who it is

    def begin_auth(self, username: str) -> bool:
        """Ask everybody for a proof: False would mean that this user needs none."""
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Tell whether a key opens this account. The signature is checked by asyncssh."""
        authenticator = self._listener.authenticator
        self._offers += 1
        if self._offers > KEY_OFFERS and self._connection is not None:
            self._listener.drop(self._peer, f"more than {KEY_OFFERS} keys offered")
            self._connection.disconnect(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "too many keys"
            )
            return False
        found = await authenticator.authorized_key(username, key.public_data)
        if found is None:
            return False
        self._candidate = (
            username,
            lambda: authenticator.key_accepted(username, found, transport="ssh", peer=self._peer),
        )
        return True

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        """Check a password, typed at a password or a keyboard-interactive prompt alike."""
        if self._tries >= LOGIN_TRIES:
            return False
        self._tries += 1
        principal = await self._listener.authenticator.password(
            username, password, transport="ssh", peer=self._peer
        )
        if principal is None:
            if self._tries >= LOGIN_TRIES and self._connection is not None:
                self._connection.disconnect(
                    asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "too many tries"
                )
            return False
        self._candidate = (username, lambda: principal)
        return True

    def auth_completed(self) -> None:
        """Keep the principal. What was checked last is what the proof was given for."""
        connection = self._connection
        if connection is None:
            return
        if self._candidate is None or self._candidate[0] != connection.get_extra_info("username"):
            logger.error("%s: login without a checked proof; ended", self._peer)
            connection.abort()
            return
        self._principal = self._candidate[1]()
        self._listener.logged_in(connection)

    # ---- what it asks for

    def session_requested(self) -> Any:
        """Open a channel for a shell or a command, in bytes."""
        if self._connection is None or self._principal is None:
            return False
        if sum(terminal.is_open for terminal in self._terminals) >= CHANNELS:
            logger.info("%s: more than %d sessions on one connection", self._peer, CHANNELS)
            return False
        terminal = SshTerminal(self._principal, self._listener)
        self._terminals.add(terminal)
        if self._clogged:
            terminal.hold_writing("connection")
        return self._connection.create_server_channel(encoding=None), terminal


class SshTerminal(asyncssh.SSHServerSession[bytes]):
    """A session channel as a `Terminal`."""

    def __init__(self, principal: Principal, listener: SshListener) -> None:
        self._principal = principal
        self._listener = listener
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._receiver: TerminalReceiver | None = None
        self._attached = False
        # asyncssh's own decoder is strict and ends the connection at one bad byte.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._waiting: list[Callable[[TerminalReceiver], None]] = []
        self._size = Size()
        self._kind = TerminalKind(interactive=False, server_echo=False)
        self._command: str | None = None
        self._reading_paused = False
        self._held_by: set[str] = set()
        self._ended = False

    # ---- what the session sees (Terminal)

    @property
    def is_open(self) -> bool:
        """Whether the channel is there, or is just being opened."""
        return not self._ended

    @property
    def kind(self) -> TerminalKind:
        return self._kind

    @property
    def size(self) -> Size:
        return self._size

    @property
    def command(self) -> str | None:
        return self._command

    def attach(self, receiver: TerminalReceiver) -> None:
        self._receiver = receiver
        self._attached = True
        waiting, self._waiting = self._waiting, []
        for tell in waiting:
            tell(receiver)

    def write(self, data: bytes, *, error: bool = False) -> None:
        channel = self._channel
        if channel is None or self._ended:
            return
        # A terminal has one stream; only a pipe tells stdout from stderr.
        # asyncssh raises once the client has closed its end; we are told of that next.
        with contextlib.suppress(BrokenPipeError):
            if error and not self._kind.interactive:
                channel.write_stderr(data)
            else:
                channel.write(data)
        if channel.get_write_buffer_size() > TERMINAL_BUFFER_BYTES:
            self._listener.drop(self._principal.peer, "does not read its output")
            self.abort()

    def pause_reading(self) -> None:
        if self._channel is not None and not self._reading_paused:
            self._reading_paused = True
            self._channel.pause_reading()

    def resume_reading(self) -> None:
        if self._channel is not None and self._reading_paused:
            self._reading_paused = False
            self._channel.resume_reading()

    def close(self, status: int = 0) -> None:
        if self._channel is not None and not self._ended:
            self._ended = True
            # An exit-status request, and the end once everything is sent (RFC 4254, 6.10).
            self._channel.exit(status)

    def abort(self) -> None:
        self._ended = True
        if self._channel is not None:
            self._channel.abort()

    # ---- what the client says (SSHServerSession)

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan

    def pty_requested(self, term_type: str, term_size: Any, term_modes: Any) -> bool:
        self._kind = TerminalKind(name=terminal_name(term_type))
        self._size = clamp_size(rows=term_size[1], columns=term_size[0])
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def subsystem_requested(self, subsystem: str) -> bool:
        logger.info(
            "%s: subsystem %s refused: a console has none",
            self._principal.peer,
            escape_line(subsystem),
        )
        return False

    def session_started(self) -> None:
        channel = self._channel
        if channel is None:
            return
        self._kind = TerminalKind(
            name=self._kind.name,
            interactive=self._kind.interactive,
            server_echo=self._kind.server_echo,
            environment=tuple(_environment(channel)),
        )
        self._listener.admit(self._principal, self)

    def data_received(self, data: bytes, datatype: Any) -> None:
        text = self._decoder.decode(data)
        if text:
            self._tell(lambda receiver: receiver.data_received(text))

    def eof_received(self) -> bool:
        self._tell(lambda receiver: receiver.eof_received())
        return True  # output can still go: echo 'foo' | ssh host

    def break_received(self, msec: int) -> bool:
        self._tell(lambda receiver: receiver.interrupt_received())
        return True

    def signal_received(self, signal: str) -> None:
        if signal in {"INT", "TERM", "HUP", "QUIT"}:
            self._tell(lambda receiver: receiver.interrupt_received())

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        self._size = clamp_size(rows=height, columns=width)
        self._tell(lambda receiver: receiver.resized())

    def pause_writing(self) -> None:
        self.hold_writing("channel")

    def resume_writing(self) -> None:
        self.release_writing("channel")

    def hold_writing(self, reason: str) -> None:
        """Hold output back until no reason is left to do so."""
        if not self._held_by:
            self._tell(lambda receiver: receiver.writing_paused())
        self._held_by.add(reason)

    def release_writing(self, reason: str) -> None:
        """Take a reason to hold output back away."""
        if reason in self._held_by:
            self._held_by.remove(reason)
            if not self._held_by:
                self._tell(lambda receiver: receiver.writing_resumed())

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended = True
        self._channel = None
        self._tell(lambda receiver: receiver.connection_lost())
        self._receiver = None

    def _tell(self, tell: Callable[[TerminalReceiver], None]) -> None:
        if self._receiver is not None:
            tell(self._receiver)
        elif not self._attached:
            self._waiting.append(tell)


def _environment(channel: asyncssh.SSHServerChannel[bytes]) -> Iterable[tuple[str, str]]:
    """Return the few variables that describe the terminal."""
    sent = channel.get_environment_bytes()
    for name in _ENVIRONMENT:
        value = sent.get(name.encode())
        if value is not None:
            yield name, escape_line(value[:64].decode("utf-8", "replace"), 64)
