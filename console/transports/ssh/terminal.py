"""One channel of an SSH connection: a shell or a command, as a `Terminal`."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

import asyncssh

from console.interfaces.credentials import Principal
from console.interfaces.terminals import Admission, Size, TerminalKind, TerminalReceiver
from console.limits import TERMINAL_BUFFER_BYTES
from console.text import escape_line
from console.transports.peers import clamp_size, terminal_name
from console.transports.ssh.delivery import Delivery
from console.transports.ssh.requests import environment

logger = logging.getLogger("console.ssh")

WAITING_SECONDS: Final = 10.0
"""How long a channel may be open before it asks for a shell or a command."""


class SshTerminal(asyncssh.SSHServerSession[bytes]):
    """A session channel as a `Terminal`.

    Args:
        principal: The user, with what the key of the login allows.
        admit: Called with the principal and this terminal, once a shell or a command runs.
        drop: Tells that the channel is ended for breaking a rule, with the reason.
        disconnect: Ends the connection.
        on_changed: Called when a session has begun or ended, and when the channel is gone.
    """

    def __init__(
        self,
        principal: Principal,
        admit: Admission,
        *,
        drop: Callable[[str], None],
        disconnect: Callable[[], None],
        on_changed: Callable[[], None],
    ) -> None:
        self._principal = principal
        self._admit = admit
        self._drop = drop
        self._disconnect = disconnect
        self._on_changed = on_changed
        self._waiting: asyncio.TimerHandle | None = None
        self._began = False
        self._gone = False
        self._refusal = ""
        self._channel: asyncssh.SSHServerChannel[bytes] | None = None
        self._delivery = Delivery()
        # asyncssh's own decoder is strict and ends the connection at one bad byte.
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._size = Size()
        self._kind = TerminalKind(interactive=False, server_echo=False)
        self._command: str | None = None
        self._reading_paused = False
        self._held_by: set[str] = set()
        self._ended = False

    # ---- what the session sees (Terminal)

    @property
    def is_gone(self) -> bool:
        """Whether the channel is gone at both ends."""
        return self._gone

    @property
    def has_session(self) -> bool:
        """Whether a shell or a command runs on it."""
        return self._began and not self._ended

    def use(self, principal: Principal) -> None:
        """Begin with the principal of today, once it has been looked up."""
        if self._kind.interactive and not principal.pty:
            self.refuse("the key does not allow a terminal any more")
        self._principal = principal

    def refuse(self, reason: str) -> None:
        """Give the reason, in place of a session, when it begins."""
        self._refusal = reason

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
        self._delivery.attach(receiver)

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
            self._drop("does not read its output")
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
            self._end()
            # An exit-status request, and the end once everything is sent (RFC 4254, 6.10).
            self._channel.exit(status)

    def abort(self) -> None:
        self._end()
        if self._channel is not None:
            self._channel.abort()

    def disconnect(self) -> None:
        self._disconnect()

    # ---- what the client says (SSHServerSession)

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        self._channel = chan
        self._waiting = asyncio.get_running_loop().call_later(WAITING_SECONDS, self._waited)

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
        self._began = True
        self._stop_waiting()
        self._on_changed()
        if self._refusal:
            end = "\r\n" if self._kind.interactive else "\n"
            self.write(f"no session: {self._refusal}{end}".encode(), error=True)
            self.close(1)
            return
        self._kind = replace(self._kind, environment=tuple(environment(channel)))
        if not self._kind.interactive:
            # A script must not run with other characters in it than its author wrote: what cannot
            # be decoded stays recognisable (PEP 383).
            self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._admit(self._principal, self)

    def data_received(self, data: bytes, datatype: Any) -> None:
        text = self._decoder.decode(data)
        if text:
            self._delivery.tell(lambda receiver: receiver.data_received(text))

    def eof_received(self) -> bool:
        self._delivery.tell(lambda receiver: receiver.eof_received())
        return True  # output can still go: echo 'foo' | ssh host

    def break_received(self, msec: int) -> bool:
        self._delivery.tell(lambda receiver: receiver.interrupt_received())
        return True

    def signal_received(self, signal: str) -> None:
        if signal in {"INT", "TERM", "HUP", "QUIT"}:
            self._delivery.tell(lambda receiver: receiver.interrupt_received())

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        self._size = clamp_size(rows=height, columns=width)
        self._delivery.tell(lambda receiver: receiver.resized())

    def pause_writing(self) -> None:
        self.hold_writing("channel")

    def resume_writing(self) -> None:
        self.release_writing("channel")

    def hold_writing(self, reason: str) -> None:
        """Hold output back until no reason is left to do so."""
        if not self._held_by:
            self._delivery.tell(lambda receiver: receiver.writing_paused())
        self._held_by.add(reason)

    def release_writing(self, reason: str) -> None:
        """Take a reason to hold output back away."""
        if reason in self._held_by:
            self._held_by.remove(reason)
            if not self._held_by:
                self._delivery.tell(lambda receiver: receiver.writing_resumed())

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._ended = self._gone = True
        self._channel = None
        self._delivery.tell(lambda receiver: receiver.connection_lost())
        self._delivery.end()
        self._on_changed()

    def _end(self) -> None:
        self._stop_waiting()
        if not self._ended:
            self._ended = True
            self._on_changed()

    def _waited(self) -> None:
        """End a channel that has asked for nothing: it is on no list."""
        self._drop(f"a channel that asked for nothing within {WAITING_SECONDS:g} seconds")
        self.abort()

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None
