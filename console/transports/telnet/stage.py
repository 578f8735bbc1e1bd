"""The two stages of a telnet connection, the login and then the terminal, and what they share."""

from __future__ import annotations

import contextlib
import socket
from typing import Protocol

from console.interfaces.credentials import Peer, Principal
from console.interfaces.transports import TransportContext
from console.transports.telnet.codec import Codec


class Stage:
    """Takes what a client sends. Each method does nothing by default.

    The calls come on the console's loop, from the connection alone.
    """

    @property
    def is_attached(self) -> bool:
        """Whether a session takes the input, which is then no longer limited."""
        return False

    @property
    def is_verifying(self) -> bool:
        """Whether credentials are being verified, while input waits."""
        return False

    def typed(self, text: str) -> None:
        """Take typed text, never empty."""

    def interrupted(self) -> None:
        """Take an interrupt by telnet's own means: IAC IP or BRK."""

    def asked(self) -> None:
        """Answer the question whether we are still here (IAC AYT)."""

    def terminal_type_known(self) -> None:
        """The client has told its terminal's type."""

    def mode_changed(self) -> None:
        """The client leaves the editing of lines to us, or does it by itself from now on."""

    def resized(self) -> None:
        """The client's window has another size."""

    def advance(self) -> None:
        """Go on: all that has arrived together has been taken."""

    def eof_received(self) -> None:
        """No more text will come; the client waits for output."""

    def writing_paused(self) -> None:
        """The client does not keep up with the output."""

    def writing_resumed(self) -> None:
        """The client has caught up."""

    def stop(self) -> None:
        """The connection is being closed: end timers and tasks. Can be called twice."""

    def connection_lost(self) -> None:
        """The connection is gone. Called once, after `stop`."""


class Link(Protocol):
    """The connection, as far as its stages use it."""

    name: str
    context: TransportContext
    grace_seconds: float
    peer: Peer
    codec: Codec

    @property
    def socket(self) -> socket.socket | None:
        """The connection's socket."""

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor being closed."""

    @property
    def is_lost(self) -> bool:
        """Whether it is gone."""

    @property
    def at_eof(self) -> bool:
        """Whether the client has closed its half."""

    @property
    def writing_is_paused(self) -> bool:
        """Whether the client does not keep up with the output."""

    def logged_in(self, principal: Principal, text: str) -> None:
        """Begin the terminal's stage. ``text`` has been typed after the login."""

    def write(self, data: bytes) -> None:
        """Write bytes. A no-op once the connection is closed."""

    def send(self, text: str) -> None:
        """Write text. A no-op once the connection is closed."""

    def pause_reading(self) -> None:
        """Hold the client back until `resume_reading`."""

    def resume_reading(self) -> None:
        """Let the client send again."""

    def close(self) -> None:
        """Close it once what was written has been taken. Can be called twice."""

    def abort(self) -> None:
        """End it now, whatever is still unsent. Can be called twice."""

    def log_drop(self, reason: str) -> None:
        """Tell that it is ended for breaking a rule."""

    def edge(self) -> contextlib.AbstractContextManager[None]:
        """Keep an exception of this connection from being lost, or from ending others."""
