"""A telnet connection after its login: a `Terminal`, with the session that has attached itself."""

from __future__ import annotations

import asyncio

from console.interfaces.terminals import Size, TerminalKind, TerminalReceiver
from console.transports import keepalive
from console.transports.telnet.client_mode import ClientMode
from console.transports.telnet.stage import Link, Stage


class TelnetTerminal(Stage):
    """The second stage. Follows `Terminal`: telnet has one, which is the connection.

    Args:
        link: The connection.
        mode: What the client does by itself.
    """

    command: str | None = None
    """Telnet has no exec request."""

    def __init__(self, link: Link, mode: ClientMode) -> None:
        self._link = link
        self._mode = mode
        self._kind = mode.kind
        self._receiver: TerminalReceiver | None = None
        self._waiting: list[str] = []
        self._timer: asyncio.TimerHandle | None = None

    # ---- what the session sees (Terminal)

    @property
    def kind(self) -> TerminalKind:
        """What the terminal can do, as far as the client has said."""
        return self._kind

    @property
    def size(self) -> Size:
        """The size now, clamped to sane values."""
        return self._link.codec.size

    def attach(self, receiver: TerminalReceiver) -> None:
        """Send what arrives to ``receiver``, beginning with what has waited.

        The first call to it comes after this one has returned.
        """
        asyncio.get_running_loop().call_soon(self._begin, receiver)

    def write(self, data: bytes, *, error: bool = False) -> None:
        """Write bytes; telnet has no error stream. A no-op once the connection is closed."""
        self._link.write(data)

    def pause_reading(self) -> None:
        """Hold the peer back until `resume_reading`."""
        self._link.pause_reading()

    def resume_reading(self) -> None:
        """Let the peer send again."""
        self._link.resume_reading()

    def close(self, status: int = 0) -> None:
        """Send what was written and close. Telnet has no exit status."""
        self._link.close()

    def abort(self) -> None:
        """End now, whatever is still unsent."""
        self._link.abort()

    def disconnect(self) -> None:
        """End the connection, which is all there is."""
        self._link.close()

    def _begin(self, receiver: TerminalReceiver) -> None:
        with self._link.edge():
            if self._link.is_lost:
                receiver.connection_lost()
                return
            self._receiver = receiver
            text = "".join(self._waiting)
            self._waiting.clear()
            if not self._link.is_open:
                return
            self._link.resume_reading()
            if self._link.writing_is_paused:
                receiver.writing_paused()
            if text:
                receiver.data_received(text)
            if self._link.at_eof:
                self.eof_received()

    # ---- what the client sends (Stage)

    @property
    def is_attached(self) -> bool:
        return self._receiver is not None

    def typed(self, text: str) -> None:
        if self._receiver is None:
            self._waiting.append(text)
        elif self._link.is_open:
            self._receiver.data_received(text)

    def interrupted(self) -> None:
        if self._receiver is None:
            self.typed("\x03")
        elif self._link.is_open:
            self._receiver.interrupt_received()

    def asked(self) -> None:
        if self._receiver is None:
            self._link.send("\r\n[yes]\r\n")
        elif self._link.is_open:
            self._receiver.asked()

    def mode_changed(self) -> None:
        if not self._link.is_open:
            return
        self._mode.negotiated()
        before, self._kind = self._kind, self._mode.kind
        if self._receiver is not None and before != self._kind:  # one change of two options
            self._receiver.kind_changed()

    def resized(self) -> None:
        if self._receiver is not None:
            self._receiver.resized()

    def eof_received(self) -> None:
        if self._receiver is not None:
            self._watch_half_closed()
            self._receiver.eof_received()

    def writing_paused(self) -> None:
        if self._receiver is not None:
            self._receiver.writing_paused()

    def writing_resumed(self) -> None:
        if self._receiver is not None:
            self._receiver.writing_resumed()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def connection_lost(self) -> None:
        self._waiting.clear()
        receiver, self._receiver = self._receiver, None
        if receiver is not None:
            receiver.connection_lost()

    # ---- a client that has closed one half

    def _watch_half_closed(self) -> None:
        """Notice if the client goes: nothing is there then to take a statement's output."""
        keepalive.keep_alive(self._link.socket, keepalive.HALF_CLOSED_SECONDS)
        self._look_at_half_closed()

    def _look_at_half_closed(self) -> None:
        if not self._link.is_open:
            return
        if keepalive.has_gone(self._link.socket):
            self._link.abort()
        else:
            self._timer = asyncio.get_running_loop().call_later(
                keepalive.LOOK_SECONDS, self._look_at_half_closed
            )
