r"""Telnet (RFC 854): connections that ask for a login and then are terminals.

How it works: `TelnetConnection` is an asyncio protocol. What arrives goes through `_Codec`, which
is telnetlib3's IAC interpreter and option tables with nearly everything switched off, and comes
out as typed bytes and a few signals. Before login they feed a `LoginDialogue`, after it the
session that has attached itself. What is sent is collected by `_Output`, one write a turn of the
loop.

What was tried and does not work: telnetlib3's own server protocol. It closes at EOF (``printf ... |
nc -N`` loses its output), its ``drain()`` hangs after a disconnect, its shell task is not
cancelled, a client that answers no negotiation waits four seconds, and its reader has no flow
control. Its decoders of MUD options can be made to loop for ever and its compression to expand
without limit by one packet before login, so no subnegotiation reaches them here.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import enum
import logging
import re
import socket
import struct
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, cast

from telnetlib3 import TelnetWriter
from telnetlib3.telopt import (
    ABORT,
    AO,
    AYT,
    BINARY,
    BRK,
    DO,
    DONT,
    EC,
    ECHO,
    EL,
    EOF,
    IP,
    NAWS,
    NEW_ENVIRON,
    SB,
    SEND,
    SGA,
    SUSP,
    TM,
    TTYPE,
    WILL,
    WONT,
)

from console import limits
from console.events import ConnectionDropped, EventBus
from console.interfaces import Admission, Principal, Size, TerminalKind, TerminalReceiver
from console.transports.login import Attempt, Ended, LoginDialogue

__all__ = ["TelnetConnection", "TelnetServer", "listen"]

logger = logging.getLogger("console.telnet")

Authenticate = Callable[[str, str, str], Awaitable[Principal | None]]

READ_BYTES: Final = 4 * 1024
"""The most that is read at once. A flood of commands costs 3 to 7 us a byte in telnetlib3 5.0.1
(measured), so the other sessions wait less than 30 ms for their turn."""

LINGER_SECONDS: Final = 1.0
"""How long a closed connection may go without taking output or closing its end."""

TERMINAL_TYPE_SECONDS: Final = 0.5
"""How long a login waits for the terminal type that the client has promised."""

TERMINAL_TYPE_CHARACTERS: Final = 40
"""The longest terminal type that is believed (RFC 1091 has 40)."""

ENVIRONMENT: Final = ("COLORTERM", "LANG", "TERM_PROGRAM")
"""All that is asked of the client's environment. Never USER: who somebody is, is proved by the
login alone (CVE-2026-24061: a telnetd that believed USER let everybody in as root)."""

ENVIRONMENT_CHARACTERS: Final = 64
"""What is kept of each variable."""

UNAUTHENTICATED_CONNECTIONS: Final = 100
"""Connections that have not logged in yet; beyond them the oldest is ended, so that a flood does
not lock out who comes next (sshd: MaxStartups, where 100 refuses everybody)."""

_IAC = 0xFF

# WILL SGA and WILL ECHO before the prompt: inetutils telnet changes to character mode in time for
# the user name. BINARY both ways is what makes UTF-8 legal (RFC 856).
_OFFERS: Final = (
    (WILL, SGA),
    (WILL, ECHO),
    (DO, TTYPE),
    (DO, NAWS),
    (WILL, BINARY),
    (DO, BINARY),
    (DO, NEW_ENVIRON),
)
_ENTER = re.compile("\r[\n\x00]")

_SUBNEGOTIATIONS: Final = frozenset({NAWS, TTYPE, NEW_ENVIRON})

# telnetlib3 wants sets to be asked, not changed: one of each serves all connections.
_OPTIONS = {bytes([code]) for code in range(256)}
_REFUSED_OF_US = _OPTIONS - {ECHO, SGA, BINARY, TM}
_REFUSED_OF_PEER = _OPTIONS - {SGA, BINARY, NAWS, TTYPE, NEW_ENVIRON}

# telnetlib3 logs what peers send, unescaped and up to eleven WARNING lines for seven bytes. This
# logger is known to nobody and above every level, so the application's own logging is untouched.
_MUTE = logging.Logger("console.telnet.codec", logging.CRITICAL + 1)  # noqa: LOG001 - as said


class _Signal(enum.Enum):
    """What a client tells beside typed bytes."""

    INTERRUPT = enum.auto()
    RESIZED = enum.auto()
    TERMINAL_TYPE = enum.auto()


class _Output(asyncio.Transport):
    """Collects what is written, and sends it in one piece a turn of the loop.

    CPython 3.12 and 3.13 keep each write to a client that does not read as a chunk of its own, and
    go through all of them again and again: 40,000 small writes freeze the loop for a minute.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._pending = bytearray()
        self._scheduled = False
        self._finished = False
        self.held = False

    @property
    def unsent(self) -> int:
        """The bytes that the kernel has not taken yet."""
        return len(self._pending) + self._transport.get_write_buffer_size()

    def is_closing(self) -> bool:
        """Whether writing is in vain."""
        return self._finished or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        """Send soon. A no-op once nothing can be sent any more."""
        if self.is_closing():
            return
        self._pending += data
        if not self._scheduled and not self.held:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Send now, unless the client is behind."""
        self._scheduled = False
        if self._pending and not self.held and not self.is_closing():
            data = bytes(self._pending)
            self._pending.clear()
            self._transport.write(data)

    def finish(self) -> None:
        """Send everything, and then the end of the stream."""
        self.held = False
        self.flush()
        self._finished = True
        with contextlib.suppress(OSError):  # the peer has reset the connection already
            self._transport.write_eof()


class _Codec(TelnetWriter):
    """The telnet protocol, reduced to what a terminal session needs."""

    # Else each typed byte is looked up in a table of special characters: 110 times slower.
    slc_simulated = False

    def __init__(self, output: _Output) -> None:
        super().__init__(transport=output, protocol=None, server=True)
        self.log = _MUTE
        for options in (self.pending_option, self.local_option, self.remote_option):
            options.log = _MUTE
        self.always_wont = _REFUSED_OF_US
        self.always_dont = _REFUSED_OF_PEER
        self.size = Size()
        self.terminal_type: str | None = None
        self.environment: dict[str, str] = {}
        self._received: list[bytearray | _Signal] = []
        self.set_ext_callback(NAWS, self._on_size)
        self.set_ext_callback(TTYPE, self._on_terminal_type)
        self.set_ext_callback(NEW_ENVIRON, self._on_environment)
        self.set_ext_offer_callback(NEW_ENVIRON, lambda: list(ENVIRONMENT))
        for command in (IP, BRK, ABORT):
            self.set_iac_callback(command, self._on_interrupt)
        for command, key in ((EC, b"\x7f"), (EL, b"\x15"), (EOF, b"\x04")):
            self.set_iac_callback(command, lambda _, key=key: self._take(key))
        for command in (AO, SUSP):
            self.set_iac_callback(command, lambda _: None)
        self.set_iac_callback(AYT, lambda _: self.write(b"\r\n[yes]\r\n"))

    @property
    def answered(self) -> bool:
        """Whether the peer has answered any negotiation, so that it is a telnet client."""
        return bool(self.local_option or self.remote_option)

    @property
    def terminal_type_pending(self) -> bool:
        """Whether the client has promised its terminal type and not sent it yet."""
        return self.terminal_type is None and self.remote_option.enabled(TTYPE)

    def negotiate(self) -> None:
        """Offer and ask for everything at once; nobody waits for the answers."""
        for command, option in _OFFERS:
            self.iac(command, option)

    def feed(self, data: bytes) -> list[bytearray | _Signal]:
        """Take bytes off the wire. Returns what was typed, and signals between it, in order."""
        received = self._received = []
        position = 0
        while position < len(data):
            if not self.is_oob or (self.cmd_received == SB and not self.iac_received):
                command = data.find(_IAC, position)
                run = data[position : command if command >= 0 else len(data)]
                if run:
                    position += len(run)
                    if self.is_oob:
                        self._collect_subnegotiation(run)
                    else:
                        self._take(run)
                    continue
            byte = data[position : position + 1]
            position += 1
            # telnetlib3 raises for what the protocol forbids; its state is sound afterwards.
            with contextlib.suppress(ValueError):
                if self.feed_byte(byte):
                    self._take(byte)
            while len(self._sb_buffer) > limits.SUBNEGOTIATION_BYTES:  # IAC IAC in one
                self._sb_buffer.pop()
        return received

    def _take(self, typed: bytes) -> None:
        last = self._received[-1] if self._received else None
        if isinstance(last, bytearray):
            last += typed
        else:
            self._received.append(bytearray(typed))

    def _collect_subnegotiation(self, run: bytes) -> None:
        # telnetlib3 would keep a megabyte, byte by byte. Here: the option's code, and up to the
        # limit of those that are understood. One that is full is ignored at its end.
        if not self._sb_buffer:
            self.feed_byte(run[:1])
            run = run[1:]
        if self._sb_buffer[0] in _SUBNEGOTIATIONS:
            for code in run[: limits.SUBNEGOTIATION_BYTES - len(self._sb_buffer)]:
                self.feed_byte(bytes((code,)))

    def handle_subnegotiation(self, buf: deque[bytes]) -> None:
        """Look at the few that are understood, if they have a sane length."""
        if buf[0] not in _SUBNEGOTIATIONS or len(buf) >= limits.SUBNEGOTIATION_BYTES:
            return
        if buf[0] != NAWS and len(buf) > 1 and buf[1] == SEND:
            return  # a question; those are ours
        # A malformed one: as if the client had not sent it.
        with contextlib.suppress(ValueError, LookupError, struct.error):
            super().handle_subnegotiation(buf)

    def handle_dont(self, opt: bytes) -> None:
        """Confirm that an option is off now (RFC 1143); telnetlib3 does not."""
        if self.local_option.enabled(opt):
            self.iac(WONT, opt)
        super().handle_dont(opt)

    def handle_wont(self, opt: bytes) -> None:
        """Confirm that the peer's option is off now (RFC 1143)."""
        if self.remote_option.enabled(opt):
            self.iac(DONT, opt)
        super().handle_wont(opt)

    def _on_interrupt(self, _: bytes) -> None:
        self._received.append(_Signal.INTERRUPT)

    def _on_size(self, rows: int, columns: int) -> None:
        default = Size()  # 0 is a real answer: "I have no such thing"
        self.size = Size(
            min(rows, limits.TERMINAL_ROWS) or default.rows,
            min(columns, limits.TERMINAL_COLUMNS) or default.columns,
        )
        self._received.append(_Signal.RESIZED)

    def _on_terminal_type(self, name: str) -> None:
        if self.terminal_type is None:
            kept = (c for c in name.lower() if c.isalnum() or c in "-._+")
            self.terminal_type = "".join(kept)[:TERMINAL_TYPE_CHARACTERS]
            self._received.append(_Signal.TERMINAL_TYPE)

    def _on_environment(self, variables: dict[str, str]) -> None:
        for name in ENVIRONMENT:
            value = "".join(filter(str.isprintable, variables.get(name, "")))
            if value:
                self.environment[name] = value[:ENVIRONMENT_CHARACTERS]


class _Decoder:
    """Typed bytes to text. Enter arrives as CR NUL, CR LF or CR, and leaves as CR."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._after_cr = False

    def decode(self, data: bytes | bytearray) -> str:
        """Decode what can be decoded; half a character waits for its other half."""
        text = self._utf8.decode(data)
        if not text:
            return ""
        after_cr, self._after_cr = self._after_cr, text[-1] == "\r"
        if after_cr and text[0] in "\n\x00":
            text = text[1:]
        return _ENTER.sub("\r", text)


class _State(enum.Enum):
    """The life of a connection; it only goes down, but for VERIFYING back to LOGIN."""

    LOGIN = "login"
    VERIFYING = "verifying"
    OPEN = "open"
    CLOSING = "closing"
    LOST = "lost"


class TelnetConnection(asyncio.BufferedProtocol):
    """One client, from connection to login to session. Follows `Terminal`.

    Lives on the loop it was accepted on.
    """

    _transport: asyncio.Transport
    _output: _Output
    _codec: _Codec
    peer = "unknown"
    command: str | None = None

    def __init__(self, server: TelnetServer) -> None:
        self._server = server
        self._state = _State.LOGIN
        self._buffer = bytearray(READ_BYTES)
        self._decoder = _Decoder()
        self._dialogue = LoginDialogue(
            server.banner, client_speaks_telnet=lambda: self._codec.answered
        )
        self._early_bytes = 0
        self._eof = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._terminal_type_known = asyncio.Event()
        self._kind = TerminalKind(server_echo=False)
        self._receiver: TerminalReceiver | None = None
        self._waiting: list[str] = []
        self._writing_paused = False

    def __repr__(self) -> str:
        return f"<telnet connection from {self.peer}, {self._state.value}>"

    # ---- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Negotiate and ask for the user name, both at once."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = _address(transport.get_extra_info("peername"))
        _tune(transport.get_extra_info("socket"))
        self._output = _Output(self._transport)
        self._codec = _Codec(self._output)
        self._timer = asyncio.get_running_loop().call_later(
            limits.LOGIN_GRACE_SECONDS, self._login_timed_out
        )
        self._server.connected(self)
        with self._edge():
            self._codec.negotiate()
            self._send(self._dialogue.take_output())

    def get_buffer(self, sizehint: int) -> bytearray:
        """Say where to put what arrives."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has arrived."""
        with self._edge():
            self._received(bytes(memoryview(self._buffer)[:nbytes]))

    def eof_received(self) -> bool:
        """Keep the write half open, for ``printf ... | nc -N`` waits for its output.

        Not for a telnet client in character mode: those never close one half, so it is gone.
        """
        with self._edge():
            self._eof = True
            if self._state is _State.CLOSING:
                self._transport.close()
            elif self._codec.will_echo:
                self.close()
            elif self._receiver is not None:
                self._receiver.eof_received()
            elif self._state is not _State.OPEN:
                self._dialogue.feed_eof()
                self._advance_login()
        return True

    def pause_writing(self) -> None:
        """Hold output back: the client does not keep up."""
        self._output.held = True
        if not self._writing_paused:
            self._writing_paused = True
            with self._edge():
                if self._receiver is not None:
                    self._receiver.writing_paused()

    def resume_writing(self) -> None:
        """Let output go on."""
        self._output.held = False
        self._output.flush()  # may be too much again, and call pause_writing() before it returns
        if not self._output.held and self._writing_paused:
            self._writing_paused = False
            with self._edge():
                if self._receiver is not None:
                    self._receiver.writing_resumed()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release everything."""
        self._enter(_State.LOST)
        self._cancel_login()
        self._server.lost(self)
        self._waiting.clear()
        receiver, self._receiver = self._receiver, None
        with self._edge():
            if receiver is not None:
                receiver.connection_lost()

    # ---- Terminal

    @property
    def kind(self) -> TerminalKind:
        """What the terminal can do, as far as the client had said at the end of the login."""
        return self._kind

    @property
    def size(self) -> Size:
        """The size now, clamped to sane values."""
        return self._codec.size

    def attach(self, receiver: TerminalReceiver) -> None:
        """Send what arrives to ``receiver``, beginning with what has waited.

        The first call to it comes after this one has returned.
        """
        asyncio.get_running_loop().call_soon(self._begin, receiver)

    def write(self, data: bytes, *, error: bool = False) -> None:
        """Write bytes; telnet has no error stream. A no-op once the connection is closed."""
        if self._state in {_State.CLOSING, _State.LOST}:
            return
        self._codec.write(data)
        self._drop_if_dead()

    def pause_reading(self) -> None:
        """Hold the peer back until `resume_reading`."""
        if self._state is not _State.LOST:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the peer send again."""
        # After EOF asyncio would read it again, and again.
        if self._state is not _State.LOST and not self._eof:
            self._transport.resume_reading()

    def close(self, status: int = 0) -> None:
        """Send what was written and close; abort when the client takes nothing for a second."""
        if self._state in {_State.CLOSING, _State.LOST}:
            return
        self._enter(_State.CLOSING)
        self._cancel_login()
        self._output.finish()
        # A socket closed with unread input resets the connection, and the client loses output
        # that is on the way: read on, and close when the client does.
        self.resume_reading()
        if self._eof:
            self._transport.close()
        self._linger()

    def abort(self) -> None:
        """End now, whatever is still unsent."""
        if self._state is not _State.LOST:
            self._enter(_State.CLOSING)
            self._transport.abort()

    # ---- what arrives

    def _received(self, data: bytes) -> None:
        if self._state in {_State.CLOSING, _State.LOST}:
            return
        if self._receiver is None:
            self._early_bytes += len(data)
            if self._early_bytes > limits.UNAUTHENTICATED_BYTES:
                self.drop(f"more than {limits.UNAUTHENTICATED_BYTES} bytes before login")
                return
            if (
                self._state is _State.VERIFYING
                and self._early_bytes > limits.UNAUTHENTICATED_BYTES // 2
            ):
                # `cat script | nc`: the rest can wait in the kernel for the verdict. Not sooner,
                # as a connection that does not read does not notice that its peer has gone.
                self._transport.pause_reading()
        for item in self._codec.feed(data):
            if isinstance(item, bytearray):
                self._typed(self._decoder.decode(item))
            elif item is _Signal.INTERRUPT:
                self._interrupted()
            elif item is _Signal.TERMINAL_TYPE:
                self._terminal_type_known.set()
            elif self._receiver is not None:
                self._receiver.resized()
        self._advance_login()
        self._drop_if_dead()

    def _typed(self, text: str) -> None:
        if not text:
            return
        if self._state in {_State.LOGIN, _State.VERIFYING}:
            self._dialogue.feed(text)
        elif self._receiver is None:
            self._waiting.append(text)
        elif self._state is _State.OPEN:
            self._receiver.data_received(text)

    def _interrupted(self) -> None:
        if self._receiver is None:
            self._typed("\x03")
        elif self._state is _State.OPEN:
            self._receiver.interrupt_received()

    def _begin(self, receiver: TerminalReceiver) -> None:
        with self._edge():
            if self._state is _State.LOST:
                receiver.connection_lost()
                return
            self._receiver = receiver
            text = "".join(self._waiting)
            self._waiting.clear()
            if self._state is not _State.OPEN:
                return
            self.resume_reading()
            if self._writing_paused:
                receiver.writing_paused()
            if text:
                receiver.data_received(text)
            if self._eof:
                receiver.eof_received()

    # ---- login

    def _advance_login(self) -> None:
        if self._state is not _State.LOGIN:
            return
        self._dialogue.echo = self._codec.will_echo
        step = self._dialogue.next()
        self._send(self._dialogue.take_output())
        if isinstance(step, Attempt):
            self._enter(_State.VERIFYING)
            self._task = asyncio.get_running_loop().create_task(
                self._verify(step.user, step.password), name=f"console telnet login {self.peer}"
            )
        elif step is not None:
            self._login_ended(step)

    async def _verify(self, user: str, password: str) -> None:
        with self._edge():
            principal = await self._server.authenticate(user, password, self.peer)
            if principal is not None and self._codec.terminal_type_pending:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TERMINAL_TYPE_SECONDS):
                        await self._terminal_type_known.wait()
            self._task = None
            if self._state is not _State.VERIFYING:
                return
            if principal is None:
                self._rejected()
            else:
                self._accepted(principal)

    def _rejected(self) -> None:
        self._enter(_State.LOGIN)
        ended = self._dialogue.rejected()
        self._send(self._dialogue.take_output())
        if ended is not None:
            self._login_ended(ended)
            return
        self.resume_reading()
        self._advance_login()

    def _accepted(self, principal: Principal) -> None:
        self._enter(_State.OPEN)
        self._cancel_login()
        self._server.logged_in(self)
        self._kind = TerminalKind(
            name=self._codec.terminal_type or "",
            server_echo=self._codec.will_echo,
            environment=tuple(sorted(self._codec.environment.items())),
        )
        self._typed(self._dialogue.accepted())
        # Until the session is attached: uvloop would read 256 KB before it gets to run that.
        self._transport.pause_reading()
        self._server.admit(principal, self)

    def _login_ended(self, ended: Ended) -> None:
        if ended.broken_rule:
            self._publish_drop(ended.reason)
        self.close()

    def _login_timed_out(self) -> None:
        self._timer = None
        with self._edge():
            self._publish_drop(f"no login within {limits.LOGIN_GRACE_SECONDS:g} seconds")
            self._send("\r\nlogin timed out\r\n")
            self.close()

    def _cancel_login(self) -> None:
        """Stop the timer and the verification, whichever runs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    # ---- the end

    def drop(self, reason: str) -> None:
        """End a connection that breaks a rule, now, and tell the event bus."""
        if self._state not in {_State.CLOSING, _State.LOST}:
            self._publish_drop(reason)
            self.abort()

    def _drop_if_dead(self) -> None:
        if self._output.unsent > limits.TERMINAL_BUFFER_BYTES:
            self.drop(f"{limits.TERMINAL_BUFFER_BYTES} bytes of output unread")

    def _linger(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(
            LINGER_SECONDS, self._lingered, self._output.unsent
        )

    def _lingered(self, unsent: int) -> None:
        if 0 < self._output.unsent < unsent:
            self._linger()  # slow, but alive
        else:
            self.abort()

    def _publish_drop(self, reason: str) -> None:
        self._server.events.publish(
            ConnectionDropped(transport="telnet", peer=self.peer, reason=reason)
        )

    def _send(self, text: str) -> None:
        self.write(text.encode("utf-8", "replace"))

    def _enter(self, state: _State) -> None:
        if state is not self._state:
            logger.debug("%s: %s -> %s", self.peer, self._state.value, state.value)
            self._state = state

    @contextlib.contextmanager
    def _edge(self) -> Iterator[None]:
        """Keep a failure of one connection from being lost, or from ending the others."""
        try:
            yield
        except Exception:  # the edge "connection"
            logger.exception("%s: the telnet connection failed", self.peer)
            self.abort()


class TelnetServer:
    """A telnet listener and its connections. Made by `listen`; lives on the console's loop."""

    def __init__(
        self, *, banner: str, authenticate: Authenticate, admit: Admission, events: EventBus
    ) -> None:
        self.banner = banner
        self.authenticate = authenticate
        self.admit = admit
        self.events = events
        # Dicts, because they keep the order of arrival.
        self._connections: dict[TelnetConnection, None] = {}
        self._strangers: dict[TelnetConnection, None] = {}
        self._empty = asyncio.Event()
        self._empty.set()
        self._server: asyncio.Server | None = None

    @property
    def connections(self) -> tuple[TelnetConnection, ...]:
        """The connections that are not lost yet, oldest first, before login and after."""
        return tuple(self._connections)

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

    async def start(self, sock: socket.socket, backlog: int) -> None:
        """Accept connections; see `listen`."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: TelnetConnection(self), sock=sock, backlog=backlog
        )

    def connected(self, connection: TelnetConnection) -> None:
        """Take a new connection in. May end the oldest of those that have not logged in."""
        self._connections[connection] = None
        self._strangers[connection] = None
        self._empty.clear()
        if len(self._strangers) > UNAUTHENTICATED_CONNECTIONS:
            oldest = next(iter(self._strangers))
            del self._strangers[oldest]
            oldest.drop(f"more than {UNAUTHENTICATED_CONNECTIONS} connections before login")

    def logged_in(self, connection: TelnetConnection) -> None:
        """Count a connection no more among those that may be ended for a new one."""
        self._strangers.pop(connection, None)

    def lost(self, connection: TelnetConnection) -> None:
        """Forget a connection."""
        self._strangers.pop(connection, None)
        self._connections.pop(connection, None)
        if not self._connections:
            self._empty.set()


async def listen(
    sock: socket.socket,
    *,
    banner: str,
    authenticate: Authenticate,
    admit: Admission,
    events: EventBus,
    backlog: int = 100,
) -> TelnetServer:
    """Accept telnet connections on a bound socket, which is the server's from now on.

    Call on the loop that shall serve them.

    Args:
        sock: Bound to its address, listening or not.
        banner: What a client is shown above the first prompt.
        authenticate: Called with user name, password and the peer's address, as they were sent.
            Returns the principal, or None for a wrong password. Cancelled if the peer leaves.
        admit: Called once for each login, with the principal and the connection.
        events: Where `ConnectionDropped` is published.
        backlog: Connections that the kernel holds before they are accepted.

    Raises:
        OSError: If the socket cannot listen.
    """
    server = TelnetServer(banner=banner, authenticate=authenticate, admit=admit, events=events)
    await server.start(sock, backlog)
    return server


def _address(name: tuple[Any, ...] | str | None) -> str:
    """Write a socket's address as one writes it: ``127.0.0.1:4040``, ``[::1]:4040``."""
    if not isinstance(name, tuple):
        return "unknown"  # gone before we could ask
    host, port = name[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _tune(sock: socket.socket | None) -> None:
    if sock is None:
        return
    for level, option in (
        (socket.IPPROTO_TCP, socket.TCP_NODELAY),  # else Enter costs 40 ms
        (socket.SOL_SOCKET, socket.SO_KEEPALIVE),  # else a client whose machine died stays
        (socket.SOL_SOCKET, socket.SO_OOBINLINE),  # else a Synch (RFC 854) leaves a stray byte
    ):
        with contextlib.suppress(OSError):
            sock.setsockopt(level, option, 1)
