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
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import asyncssh
from asyncssh.logging import SSHLogger
from asyncssh.packet import String

from console._version import __version__
from console.events import ConnectionDropped, EventBus
from console.interfaces import (
    Admission,
    OfferedKey,
    Peer,
    Principal,
    Size,
    TerminalKind,
    TerminalReceiver,
)
from console.limits import (
    CHANNELS,
    KEY_OFFERS,
    LOGIN_TRIES,
    TERMINAL_BUFFER_BYTES,
    UNAUTHENTICATED_BYTES,
)
from console.text import escape_line
from console.transports.peers import (
    clamp_size,
    may_become_wrong,
    peer_of,
    terminal_name,
    wrong_protocol,
)
from console.transports.strangers import Strangers

logger = logging.getLogger("console.ssh")
_protocol_logger = logging.getLogger("console.ssh.protocol")

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
_ENVIRONMENT = (
    *("COLORTERM", "LANG", "NO_COLOR", "TERM_PROGRAM"),
    *("CONSOLE_FORMAT", "CONSOLE_FRONTEND", "CONSOLE_TIMEOUT"),
)

CODE_PROMPT = "Code (Enter if you have none): "


_GUESSES_ENDED = "too many tries"


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


ReadOffer = Callable[[bytes], "tuple[OfferedKey, asyncssh.SSHKey] | None"]


class SshListener:
    """Accepts connections. Lives on the console's loop.

    Args:
        authenticator: Who decides.
        read_offer: Parses what a client offers as its public key.
        admit: Called with each principal and terminal.
        strangers: Where connections are counted before login.
        events: Where `ConnectionDropped` is published.
        grace_seconds: From connection to login.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        read_offer: ReadOffer,
        admit: Admission,
        strangers: Strangers,
        events: EventBus,
        grace_seconds: float,
    ) -> None:
        self.authenticator = authenticator
        self.read_offer = read_offer
        self.admit = admit
        self.strangers = strangers
        self.events = events
        self.grace_seconds = grace_seconds
        self.connections: set[Connection] = set()
        self._options: asyncssh.SSHServerConnectionOptions | None = None
        self._server: asyncio.Server | None = None
        self._idle = asyncio.Event()

    def use_host_keys(self, host_keys: Sequence[asyncssh.SSHKey]) -> None:
        """Prove ourselves with these from the next connection on.

        Of several keys of a kind the first is used, and the others are told to clients that have
        logged in, for the day when they replace it (OpenSSH: UpdateHostKeys).
        """
        self._options = asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: _Login(self),
            server_host_keys=list(host_keys),
            send_server_host_keys=True,
            kex_algs=KEY_EXCHANGES,
            encryption_algs=CIPHERS,
            mac_algs=MACS,
            compression_algs=("none",),
            server_version=f"console_{__version__}",
            login_timeout=self.grace_seconds,
            keepalive_interval=_KEEPALIVE_SECONDS,
            # On by default: it would open a socket in the file system for whoever asks.
            agent_forwarding=False,
            x11_forwarding=False,
            # On by default: it would look a name up while we start.
            gss_host=None,
            line_editor=False,
            encoding=None,
        )

    async def listen(self, sock: socket.socket, backlog: int) -> None:
        """Accept connections on a socket that is already bound. Call `use_host_keys` before."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self, self._options), sock=sock, backlog=backlog
        )

    def close(self) -> None:
        """Accept no more connections. Those that are open stay. Can be called twice."""
        if self._server is not None:
            self._server.close()

    async def wait_closed(self, seconds: float) -> None:
        """Wait until the last connection is gone, but no longer than this."""
        if self.connections:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), seconds)

    def drop(self, peer: str, reason: str) -> None:
        """Tell that a connection is ended for breaking a rule."""
        self.events.publish(ConnectionDropped(transport="ssh", peer=peer, reason=reason))

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        self.strangers.remove(connection)
        if not self.connections:
            self._idle.set()


_COMMAND = "Command: %s"
"""How asyncssh's log shows what is to be run."""


class _Log(SSHLogger):
    """asyncssh's log of one connection, on a logger of ours, and made safe.

    On its own it writes user names and messages as the peer sent them, and at its highest debug
    level whole packets, passwords included. Its half a dozen lines of each connection are news to
    who debugs the protocol; who came and what went wrong is in ``console.audit``.
    """

    def log(self, level: int, msg: object, *args: Any, **kwargs: Any) -> None:
        """Log a line, whatever the peer has sent."""
        level = logging.DEBUG if level == logging.INFO else level
        if self.isEnabledFor(level):
            if args and str(msg).endswith(_COMMAND):  # a statement, which may hold a secret
                args = (f"({len(str(args[0]))} characters)",)
            text = str(msg) % tuple(map(_shown, args)) if args else str(msg)
            super().log(level, "%s", escape_line(text, 500))

    def packet(self, *_arguments: Any, **_keywords: Any) -> None:
        """Log no packet."""


def _shown(argument: Any) -> Any:
    """Make of an argument what its place in the message takes: a number, or text."""
    if isinstance(argument, bytes):
        return argument.decode("utf-8", "backslashreplace")
    if isinstance(argument, (list, tuple)):
        return ",".join(str(_shown(item)) for item in argument)
    return argument


class Connection(asyncssh.SSHServerConnection):
    """asyncssh's connection with our rules in front: bytes before login, keys, the log."""

    _owner: _Login

    def __init__(self, listener: SshListener, options: Any) -> None:
        super().__init__(asyncio.get_running_loop(), options)
        self._logger = _Log(_protocol_logger).get_child(context=f"conn={self._get_next_conn()}")
        self._listener = listener
        self._early_bytes = 0
        self._beginning: bytes | None = b""
        self.peer = Peer("")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count it among the strangers, and let the protocol begin."""
        self.peer = peer_of(transport)
        self._listener.connections.add(self)
        self._listener.strangers.add(self, "ssh", self.peer)
        super().connection_made(transport)

    def data_received(self, data: bytes, datatype: Any = None) -> None:
        """Take bytes; before login not many, and only such as an SSH client sends."""
        login: _Login | None = self._owner  # None once it is closed
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

    def drop(self, reason: str) -> None:
        """End the connection for breaking a rule."""
        self._listener.drop(str(self.peer), reason)
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


class _Login(asyncssh.SSHServer):
    """Who a connection is, and a terminal for each of its channels."""

    def __init__(self, listener: SshListener) -> None:
        self._listener = listener
        self._connection: Connection | None = None
        self._peer = Peer("")
        self._tries = 0
        self._offers = 0
        self._key_refusal: tuple[str, str] | None = None
        self._terminals: weakref.WeakSet[SshTerminal] = weakref.WeakSet()
        self._candidate: tuple[str, Callable[[], Principal]] | None = None
        self.principal: Principal | None = None

    # ---- its life

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        assert isinstance(conn, Connection)  # noqa: S101 - narrows the type; it made us
        self._connection = conn
        self._peer = conn.peer

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is None:
            return
        self._listener.lost(self._connection)
        if self.principal is None:
            if isinstance(exc, asyncssh.ConnectionLost) and "timeout" in str(exc):
                self._listener.drop(
                    str(self._peer), f"no login within {self._listener.grace_seconds:g} seconds"
                )
            if self._key_refusal is not None and not self._tries:
                user, reason = self._key_refusal
                self._listener.authenticator.key_refused(
                    user, reason, transport="ssh", peer=self._peer
                )
        if exc is not None:
            logger.debug("%s: connection lost: %s", self._peer, escape_line(str(exc)))

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
            self._candidate = (username, answer)
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
        return "", "", "", prompts

    async def validate_kbdint_response(self, username: str, responses: Sequence[str]) -> bool:
        """Check the answers."""
        if not 1 <= len(responses) <= 2:
            self._count_try()
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
        self._candidate = (username, lambda: principal)
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
            self._listener.drop(str(self._peer), reason)
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
        self.principal = self._candidate[1]()
        self._listener.strangers.remove(connection)

    # ---- what it asks for

    def session_requested(self) -> Any:
        """Open a channel for a shell or a command, in bytes."""
        if self._connection is None or self.principal is None:
            return False
        if sum(terminal.is_open for terminal in self._terminals) >= CHANNELS:
            logger.info("%s: more than %d sessions on one connection", self._peer, CHANNELS)
            return False
        terminal = SshTerminal(self.principal, self._listener)
        self._terminals.add(terminal)
        channel = self._connection.create_server_channel(encoding=None)
        _take_any_command(channel)
        return channel, terminal


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
        if not self._principal.pty:
            return False
        # Emacs, for one, shows what is typed by itself and wants LF: its terminal says so.
        self._kind = TerminalKind(
            name=terminal_name(term_type),
            server_echo=bool(term_modes.get(asyncssh.PTY_ECHO, 1)),
            carriage_return=bool(
                term_modes.get(asyncssh.PTY_OPOST, 1) and term_modes.get(asyncssh.PTY_ONLCR, 1)
            ),
        )
        self._size = clamp_size(rows=term_size[1], columns=term_size[0])
        return True

    def shell_requested(self) -> bool:
        self._command = self._principal.command
        return True

    def exec_requested(self, command: str) -> bool:
        forced = self._principal.command
        self._command = command if forced is None else forced
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
        self._kind = replace(self._kind, environment=tuple(_environment(channel)))
        if not self._kind.interactive:
            # A script must not run with other characters in it than its author wrote: what cannot
            # be decoded stays recognisable (PEP 383).
            self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
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
        self._tell(lambda receiver: receiver.writing_paused())

    def resume_writing(self) -> None:
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


def _take_any_command(channel: asyncssh.SSHServerChannel[bytes]) -> None:
    """Let a command that is not UTF-8 through, with the bytes recognisable, to be told why.

    asyncssh refuses its channel request without a word, and ssh says "exec request failed" then.
    Requests are found by name on the channel, where this comes before the method of its class.
    """
    weakly = weakref.ref(channel)  # or each channel would live until it is found by the collector

    def process(packet: Any) -> bool:
        command = packet.get_string().decode("utf-8", "surrogateescape")
        packet.check_end()
        requested = weakly()
        return requested is not None and requested._start_session(command=command)  # noqa: SLF001

    channel._process_exec_request = process  # type: ignore[method-assign]  # noqa: SLF001


def _environment(channel: asyncssh.SSHServerChannel[bytes]) -> Iterable[tuple[str, str]]:
    """Return the few variables that describe the terminal."""
    sent = channel.get_environment_bytes()
    for name in _ENVIRONMENT:
        value = sent.get(name.encode())
        if value is not None:
            yield name, escape_line(value[:64].decode("utf-8", "replace"), 64)
