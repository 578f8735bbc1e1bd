r"""Telnet (RFC 854): the connection below a login and a terminal.

How it works: `TelnetConnection` is an asyncio protocol. What arrives goes through `Codec`
(``codec.py``), which is telnetlib3's IAC interpreter and option tables with nearly everything
switched off, and comes out as typed bytes and a few signals. They go to the connection's `Stage`:
first a `Login`, which feeds a `LoginDialogue`, then a `TelnetTerminal`, which feeds the session
that has attached itself. What is sent is collected by `Output`, one write a turn of the loop.

What was tried and does not work: telnetlib3's own server protocol. It closes at EOF (``printf ... |
nc -N`` loses its output), its ``drain()`` hangs after a disconnect, its shell task is not
cancelled, a client that answers no negotiation waits four seconds, and its reader has no flow
control.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import logging
from collections.abc import Iterator
from socket import socket
from typing import Final, Protocol, cast

from console import limits
from console.interfaces.credentials import Peer, Principal
from console.interfaces.transports import Connection, TransportContext
from console.transports import keepalive
from console.transports.peers import peer_of
from console.transports.screening import Screening
from console.transports.telnet.client_mode import ClientMode
from console.transports.telnet.codec import Codec, Decoder, Output, Signal
from console.transports.telnet.login import Login
from console.transports.telnet.stage import Stage
from console.transports.telnet.terminal import TelnetTerminal

logger = logging.getLogger("console.telnet")

READ_BYTES: Final = 4 * 1024
"""The most that is read at once. A flood of commands costs 3 to 7 us a byte in telnetlib3 5.0.1
(measured), so the other sessions wait less than 30 ms for their turn."""

LINGER_SECONDS: Final = 1.0
"""How long a closed connection may go without taking output or closing its end."""


class Owner(Protocol):
    """The listener that has accepted a connection, as far as the connection uses it."""

    @property
    def name(self) -> str:
        """``telnet`` or ``telnets``, for events and logs."""

    @property
    def context(self) -> TransportContext:
        """What all transports get."""

    def connected(self, connection: Connection) -> None:
        """Know a new connection."""

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""


class _State(enum.Enum):
    """The states of a connection, in order; it never goes back to an earlier one."""

    LOGIN = "login"
    OPEN = "open"
    CLOSING = "closing"
    LOST = "lost"


class TelnetConnection(asyncio.BufferedProtocol):
    """One client, from the connection to its end. Lives on the loop that it was accepted on.

    Args:
        owner: The listener.
        grace_seconds: What is left of the time for the login; None for all of it.
    """

    codec: Codec
    _transport: asyncio.Transport
    _output: Output
    _mode: ClientMode
    _stage: Stage
    _linger_timer: asyncio.TimerHandle | None = None
    peer = Peer("")

    def __init__(self, owner: Owner, grace_seconds: float | None = None) -> None:
        self.name = owner.name
        self.context = owner.context
        self.grace_seconds = self.context.grace_seconds if grace_seconds is None else grace_seconds
        self._owner = owner
        self._state = _State.LOGIN
        self._buffer = bytearray(READ_BYTES)
        self._decoder = Decoder()
        self._screening = Screening("a login")
        self.at_eof = False
        self.writing_is_paused = False

    def __repr__(self) -> str:
        return f"<telnet connection from {self.peer}, {self._state.value}>"

    @property
    def socket(self) -> socket | None:
        """The connection's socket."""
        return cast("socket | None", self._transport.get_extra_info("socket"))

    @property
    def is_logged_in(self) -> bool:
        """Whether it has come so far, and is not being closed yet."""
        return self._state is _State.OPEN

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor being closed."""
        return self._state in {_State.LOGIN, _State.OPEN}

    @property
    def is_lost(self) -> bool:
        """Whether it is gone."""
        return self._state is _State.LOST

    # ---- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Negotiate and ask for the user name, both at once."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = peer_of(transport)
        keepalive.tune(self.socket, self.context.keepalive_seconds)
        self._output = Output(self._transport)
        self.codec = Codec(self._output)
        self._mode = ClientMode(self.codec)
        self._stage = login = Login(self, self._mode)
        self._owner.connected(self)
        self.context.unauthenticated.add(self, self.name, self.peer)
        with self.edge():
            self.codec.negotiate()
            login.begin()

    def get_buffer(self, sizehint: int) -> bytearray:
        """Say where to put what arrives."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has arrived."""
        with self.edge():
            self._received(bytes(memoryview(self._buffer)[:nbytes]))

    def eof_received(self) -> bool:
        """Keep the write half open, for ``printf ... | nc -N`` waits for its output.

        Not for a telnet client in character mode: those never close one half, so it is gone. Not
        within TLS either, which asyncio does not end by halves.
        """
        half = self._transport.can_write_eof()
        with self.edge():
            self.at_eof = True
            if self._state is _State.CLOSING:
                self._close_transport()
            elif self._mode.leaves_echo or not half:
                self.close()
            else:
                self._stage.eof_received()
        return half

    def pause_writing(self) -> None:
        """Hold output back: the client does not keep up."""
        self._output.held = True
        if not self.writing_is_paused:
            self.writing_is_paused = True
            with self.edge():
                self._stage.writing_paused()

    def resume_writing(self) -> None:
        """Let output go on."""
        self._output.held = False
        self._output.flush()  # may be too much again, and call pause_writing() before it returns
        if not self._output.held and self.writing_is_paused:
            self.writing_is_paused = False
            with self.edge():
                self._stage.writing_resumed()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Release everything."""
        self._enter(_State.LOST)
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        stage, self._stage = self._stage, Stage()
        stage.stop()
        self.context.unauthenticated.remove(self)
        self._owner.lost(self)
        with self.edge():
            stage.connection_lost()

    # ---- what its stages use (Link)

    def logged_in(self, principal: Principal, text: str) -> None:
        """Begin the terminal's stage. ``text`` has been typed after the login."""
        self._enter(_State.OPEN)
        self.context.unauthenticated.remove(self)
        self._stage = terminal = TelnetTerminal(self, self._mode)
        if text:
            terminal.typed(text)
        # Until the session is attached: uvloop would read 256 KB before it gets to run that.
        self.pause_reading()
        self.context.admit(principal, terminal)

    def write(self, data: bytes) -> None:
        """Write bytes. A no-op once the connection is closed."""
        if self.is_open:
            self.codec.write(data)
            self._drop_if_dead()

    def send(self, text: str) -> None:
        """Write text. A no-op once the connection is closed."""
        self.write(text.encode("utf-8", "replace"))

    def pause_reading(self) -> None:
        """Hold the client back until `resume_reading`."""
        if self._state is not _State.LOST:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Let the client send again."""
        # After EOF asyncio would read it again, and again.
        if self._state is not _State.LOST and not self.at_eof:
            self._transport.resume_reading()

    def close(self) -> None:
        """Send what was written and close; abort when the client takes nothing for a second."""
        if not self.is_open:
            return
        self._enter(_State.CLOSING)
        self._stage.stop()
        self._output.finish()
        # A socket closed with unread input resets the connection, and the client loses output
        # that is on the way: read on, and close when the client does.
        self.resume_reading()
        if self.at_eof:
            self._close_transport()
        self._linger()

    def abort(self) -> None:
        """End now, whatever is still unsent. Can be called twice."""
        if self._state is not _State.LOST:
            self._enter(_State.CLOSING)
            self._transport.abort()

    def drop(self, reason: str) -> None:
        """End a connection that breaks a rule, now, and tell of it."""
        if self.is_open:
            self.log_drop(reason)
            self.abort()

    def log_drop(self, reason: str) -> None:
        """Tell that the connection is ended for breaking a rule."""
        self.context.drops.tell(self.name, self.peer, reason)

    @contextlib.contextmanager
    def edge(self) -> Iterator[None]:
        """Keep an exception of this connection from being lost, or from ending others."""
        try:
            yield
        except Exception:  # the edge "connection"
            logger.exception("%s: the telnet connection failed", self.peer)
            self.abort()

    # ---- what arrives

    def _received(self, data: bytes) -> None:
        if not self.is_open:
            return
        if not self._stage.is_attached and not self._screened(data):
            return
        for item in self.codec.feed(data):
            if isinstance(item, bytearray):
                if text := self._decoder.decode(item):
                    self._stage.typed(text)
            elif item is Signal.INTERRUPT:
                self._stage.interrupted()
            elif item is Signal.TERMINAL_TYPE:
                self._stage.terminal_type_known()
            elif item is Signal.ASKED:
                self._stage.asked()
            elif item is Signal.MODE:
                self._stage.mode_changed()
            else:
                self._stage.resized()
        self._stage.advance()
        self._drop_if_dead()

    def _screened(self, data: bytes) -> bool:
        """Whether what comes before the session may be taken; else the connection is ended."""
        reason = self._screening.take(data)
        if reason is not None:
            self.drop(reason)
            return False
        if self._stage.is_verifying and self._screening.bytes > limits.UNAUTHENTICATED_BYTES // 2:
            # `cat script | nc`: the rest can wait in the kernel for the verdict. Not sooner,
            # as a connection that does not read does not notice that its peer has gone.
            self._transport.pause_reading()
        return True

    # ---- the end

    def _close_transport(self) -> None:
        # Once: at the second time asyncio's TLS forgets the connection, and cannot abort it then.
        if not self._transport.is_closing():
            self._transport.close()

    def _drop_if_dead(self) -> None:
        if self._output.unsent > limits.TERMINAL_BUFFER_BYTES:
            self.drop(f"{limits.TERMINAL_BUFFER_BYTES} bytes of output unread")

    def _linger(self) -> None:
        self._linger_timer = asyncio.get_running_loop().call_later(
            LINGER_SECONDS, self._lingered, self._output.unsent
        )

    def _lingered(self, unsent: int) -> None:
        if 0 < self._output.unsent < unsent:
            self._linger()  # slow, but alive
        else:
            self.abort()

    def _enter(self, state: _State) -> None:
        if state is not self._state:
            logger.debug("%s: %s -> %s", self.peer, self._state.value, state.value)
            self._state = state
