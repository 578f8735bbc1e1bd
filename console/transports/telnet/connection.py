r"""Telnet (RFC 854): connections that ask for a login and then are terminals.

How it works: `TelnetConnection` is an asyncio protocol. What arrives goes through `Codec`
(``telnet_codec.py``), which is telnetlib3's IAC interpreter and option tables with nearly
everything switched off, and comes out as typed bytes and a few signals. Before login they feed a
`LoginDialogue`, after it the session that has attached itself. What is sent is collected by
`Output`, one write a turn of the loop.

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
import re
import socket
from collections.abc import Iterator
from typing import Final, Protocol, cast

from console import limits
from console.interfaces.credentials import Peer, Principal
from console.interfaces.terminals import Admission, Size, TerminalKind, TerminalReceiver
from console.transports import keepalive as liveness
from console.transports.drop_log import DropLog
from console.transports.peers import may_become_wrong, peer_of, wrong_protocol
from console.transports.telnet.codec import Codec, Decoder, Output, Signal
from console.transports.telnet.login_dialogue import Attempt, Ended, LoginDialogue
from console.transports.unauthenticated import UnauthenticatedConnections

logger = logging.getLogger("console.telnet")


class Authenticator(Protocol):
    """What this transport asks of the authenticator."""

    @property
    def asks_for_code(self) -> bool:
        """Whether a code is asked for beside the password."""

    def refresh(self) -> asyncio.Future[None]:
        """Look again whether a code is asked for. Done when that is known."""

    async def password(
        self, user: str, password: str, code: str, *, transport: str, peer: Peer
    ) -> Principal | None:
        """Return the principal whose password this is. Cancelled if the peer leaves."""


READ_BYTES: Final = 4 * 1024
"""The most that is read at once. A flood of commands costs 3 to 7 us a byte in telnetlib3 5.0.1
(measured), so the other sessions wait less than 30 ms for their turn."""

LINGER_SECONDS: Final = 1.0
"""How long a closed connection may go without taking output or closing its end."""

TERMINAL_TYPE_SECONDS: Final = 0.5
"""How long a login waits for the terminal type that the client has promised."""


_FIRST_ENTER: Final = re.compile("[\r\n]")


class Owner(Protocol):
    """What a connection asks of the listener that accepted it."""

    transport: str
    banner: str
    authenticator: Authenticator
    admit: Admission
    unauthenticated: UnauthenticatedConnections
    drops: DropLog
    grace_seconds: float
    keepalive_seconds: float | None

    def connected(self, connection: TelnetConnection) -> None:
        """Take a new connection in."""

    def lost(self, connection: TelnetConnection) -> None:
        """Forget a connection."""


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
    _output: Output
    _codec: Codec
    _refreshed: asyncio.Future[None]
    peer = Peer("")
    command: str | None = None

    def __init__(self, server: Owner, grace_seconds: float | None = None) -> None:
        self._server = server
        self._grace_seconds = server.grace_seconds if grace_seconds is None else grace_seconds
        self._state = _State.LOGIN
        self._buffer = bytearray(READ_BYTES)
        self._decoder = Decoder()
        self._dialogue = LoginDialogue(
            server.banner, client_speaks_telnet=lambda: self._codec.answered
        )
        self._early_bytes = 0
        self._beginning: bytes | None = b""
        self._eof = False
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._terminal_type_known = asyncio.Event()
        self._kind = TerminalKind(server_echo=False)
        self._first_enter: str | None = None
        self._receiver: TerminalReceiver | None = None
        self._waiting: list[str] = []
        self._writing_paused = False

    @property
    def _socket(self) -> socket.socket | None:
        return cast("socket.socket | None", self._transport.get_extra_info("socket"))

    def __repr__(self) -> str:
        return f"<telnet connection from {self.peer}, {self._state.value}>"

    # ---- what asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Negotiate and ask for the user name, both at once."""
        self._transport = cast("asyncio.Transport", transport)
        self.peer = peer_of(transport)
        liveness.tune(self._socket, self._server.keepalive_seconds)
        self._output = Output(self._transport)
        self._codec = Codec(self._output)
        self._timer = asyncio.get_running_loop().call_later(
            self._grace_seconds, self._login_timed_out
        )
        self._server.connected(self)
        self._server.unauthenticated.add(self, self._server.transport, self.peer)
        self._refreshed = self._server.authenticator.refresh()
        self._refreshed.add_done_callback(lambda _: self._known())
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

        Not for a telnet client in character mode: those never close one half, so it is gone. Not
        within TLS either, which asyncio does not end by halves.
        """
        half = self._transport.can_write_eof()
        with self._edge():
            self._eof = True
            if self._state is _State.CLOSING:
                self._close_transport()
            elif self._leaves_echo or not half:
                self.close()
            elif self._receiver is not None:
                self._watch_half_closed()
                self._receiver.eof_received()
            elif self._state is not _State.OPEN:
                self._dialogue.feed_eof()
                self._advance_login()
        return half

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
        self._server.unauthenticated.remove(self)
        self._server.lost(self)
        self._waiting.clear()
        receiver, self._receiver = self._receiver, None
        with self._edge():
            if receiver is not None:
                receiver.connection_lost()

    @property
    def is_logged_in(self) -> bool:
        """Whether it has come so far."""
        return self._state is _State.OPEN

    # ---- Terminal

    @property
    def kind(self) -> TerminalKind:
        """What the terminal can do, as far as the client has said."""
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
            self._close_transport()
        self._linger()

    def abort(self) -> None:
        """End now, whatever is still unsent."""
        if self._state is not _State.LOST:
            self._enter(_State.CLOSING)
            self._transport.abort()

    def disconnect(self) -> None:
        """End the connection, which is all there is."""
        self.close()

    # ---- what arrives

    def _received(self, data: bytes) -> None:
        if self._state in {_State.CLOSING, _State.LOST}:
            return
        if self._receiver is None and not self._take_early(data):
            return
        for item in self._codec.feed(data):
            if isinstance(item, bytearray):
                self._typed(self._decoder.decode(item))
            elif item is Signal.INTERRUPT:
                self._interrupted()
            elif item is Signal.TERMINAL_TYPE:
                self._terminal_type_known.set()
            elif item is Signal.ASKED:
                self._asked()
            elif item is Signal.MODE:
                self._mode_changed()
            elif self._receiver is not None:
                self._receiver.resized()
        self._advance_login()
        self._drop_if_dead()

    def _take_early(self, data: bytes) -> bool:
        """Count what comes before login. False if that was too much, or no login at all."""
        self._early_bytes += len(data)
        if self._early_bytes > limits.UNAUTHENTICATED_BYTES:
            self.drop(f"more than {limits.UNAUTHENTICATED_BYTES} bytes before login")
            return False
        if self._beginning is not None:
            self._beginning += data[:16]
            problem = wrong_protocol(self._beginning)
            if problem is not None:
                self.drop(f"{problem}, not a login")
                return False
            if not may_become_wrong(self._beginning):
                self._beginning = None
        half = limits.UNAUTHENTICATED_BYTES // 2
        if self._state is _State.VERIFYING and self._early_bytes > half:
            # `cat script | nc`: the rest can wait in the kernel for the verdict. Not sooner,
            # as a connection that does not read does not notice that its peer has gone.
            self._transport.pause_reading()
        return True

    def _typed(self, text: str) -> None:
        if not text:
            return
        if self._state in {_State.LOGIN, _State.VERIFYING}:
            if self._first_enter is None and (enter := _FIRST_ENTER.search(text)):
                self._first_enter = enter.group()
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

    def _asked(self) -> None:
        if self._receiver is None:
            self._send("\r\n[yes]\r\n")
        elif self._state is _State.OPEN:
            self._receiver.asked()

    def _mode_changed(self) -> None:
        """The client leaves the editing of lines to us, or does it by itself from now on."""
        if self._state is _State.OPEN:
            self._first_enter = ""  # its options tell the truth
            before, self._kind = self._kind, self._kind_now()
            if self._receiver is not None and before != self._kind:  # one change of two options
                self._receiver.kind_changed()

    @property
    def _sends_lines(self) -> bool:
        """Whether it agrees to send keys, and then sends lines that its terminal has shown (curl).

        Keys do not come as a line with LF at its end: Enter is CR then, CR NUL or CR LF.
        """
        return self._first_enter == "\n" and not self._codec.names_terminal

    @property
    def _leaves_echo(self) -> bool:
        """Whether the client leaves it to us to show what is typed."""
        return self._codec.will_echo and not self._sends_lines

    def _kind_now(self) -> TerminalKind:
        # Type and variables are those of the login: a client asked for them once.
        return TerminalKind(
            name=self._codec.terminal_type or "",
            server_echo=self._leaves_echo,
            whole_lines=self._codec.whole_lines or self._sends_lines,
            environment=tuple(sorted(self._codec.environment.items())),
        )

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
                self._watch_half_closed()
                receiver.eof_received()

    # ---- login

    def _advance_login(self) -> None:
        # Whoever types ahead has to wait until it is known whether a code is asked for.
        if self._state is not _State.LOGIN or not self._refreshed.done():
            return
        self._dialogue.echo = self._leaves_echo
        self._dialogue.ask_code = self._server.authenticator.asks_for_code
        step = self._dialogue.next()
        self._send(self._dialogue.take_output())
        if isinstance(step, Attempt):
            self._enter(_State.VERIFYING)
            self._task = asyncio.get_running_loop().create_task(
                self._verify(step), name=f"console telnet login {self.peer}"
            )
        elif step is not None:
            self._login_ended(step)

    def _known(self) -> None:
        with self._edge():
            self._advance_login()

    async def _verify(self, attempt: Attempt) -> None:
        with self._edge():
            principal = await self._server.authenticator.password(
                attempt.user,
                attempt.password,
                attempt.code,
                transport=self._server.transport,
                peer=self.peer,
            )
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
        self._server.unauthenticated.remove(self)
        self._kind = self._kind_now()
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
            self._publish_drop(f"no login within {self._server.grace_seconds:g} seconds")
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

    def _watch_half_closed(self) -> None:
        """Notice if the client goes: nobody is left then to see what a statement shows."""
        liveness.keep_alive(self._socket, liveness.HALF_CLOSED_SECONDS)
        self._look_at_half_closed()

    def _look_at_half_closed(self) -> None:
        if self._state is not _State.OPEN:
            return
        if liveness.has_gone(self._socket):
            self.abort()
        else:
            self._timer = asyncio.get_running_loop().call_later(
                liveness.LOOK_SECONDS, self._look_at_half_closed
            )

    def _close_transport(self) -> None:
        # Once: at the second time asyncio's TLS forgets the connection, and cannot abort it then.
        if not self._transport.is_closing():
            self._transport.close()

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
        self._server.drops.tell(self._server.transport, self.peer, reason)

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
