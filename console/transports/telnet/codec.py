"""The telnet protocol (RFC 854) as telnetlib3 interprets it, reduced to what a terminal needs.

The only module that knows telnetlib3. `Codec` turns bytes off the wire into typed bytes and a few
signals, and keeps what the client has said of itself; `Decoder` turns typed bytes into text;
`Output` collects what is sent. None of them reads from a socket.

telnetlib3's decoders of MUD options can be made to loop for ever, and its compression to expand
without limit, by one packet before login: no subnegotiation but the few in `_SUBNEGOTIATIONS`
reaches them here.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import enum
import logging
import re
import struct
from collections import deque
from typing import Any, Final

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
from console.interfaces.terminals import Size
from console.transports.peers import clamp_size, terminal_name

__all__ = ["Codec", "Decoder", "Output", "Signal"]

ENVIRONMENT: Final = ("COLORTERM", "CONSOLE_FRONTEND", "LANG", "NO_COLOR", "TERM_PROGRAM")
"""All that is asked of the client's environment. Never USER: the user is proved by the login alone
(CVE-2026-24061: a telnetd that believed USER let every client in as root)."""

ENVIRONMENT_CHARACTERS: Final = 64
"""What is kept of each variable."""

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
_ASK_OF_US = (DO, DONT)
_ENTER = re.compile("\r[\n\x00]")

_SUBNEGOTIATIONS: Final = frozenset({NAWS, TTYPE, NEW_ENVIRON})

# telnetlib3 wants sets to be asked, not changed: one of each serves all connections.
_OPTIONS = {bytes([code]) for code in range(256)}
_REFUSED_OF_US = _OPTIONS - {ECHO, SGA, BINARY, TM}
_REFUSED_OF_PEER = _OPTIONS - {SGA, BINARY, NAWS, TTYPE, NEW_ENVIRON}

# telnetlib3 logs what peers send, unescaped and up to eleven WARNING lines for seven bytes. This
# logger has no parent and is above every level, so the application's own logging is untouched.
_MUTE = logging.Logger("console.telnet.codec", logging.CRITICAL + 1)  # noqa: LOG001 - as said


class Signal(enum.Enum):
    """An event from a client that is not typed bytes."""

    INTERRUPT = enum.auto()
    RESIZED = enum.auto()
    TERMINAL_TYPE = enum.auto()
    MODE = enum.auto()
    ASKED = enum.auto()


class Output(asyncio.Transport):
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
        if not self._transport.can_write_eof():  # TLS ends as a whole
            self._transport.close()
            return
        with contextlib.suppress(OSError):  # the peer has reset the connection already
            self._transport.write_eof()


class Codec(TelnetWriter):
    """The telnet protocol, reduced to what a terminal session needs."""

    # Else each typed byte is looked up in a table of special characters: 110 times slower.
    slc_simulated = False

    def __init__(self, output: Output) -> None:
        super().__init__(transport=output, protocol=None, server=True)
        self.log = _MUTE
        for options in (self.pending_option, self.local_option, self.remote_option):
            options.log = _MUTE
        self.always_wont = _REFUSED_OF_US
        self.always_dont = _REFUSED_OF_PEER
        self.size = Size()
        self.terminal_type: str | None = None
        self.environment: dict[str, str] = {}
        self._received: list[bytearray | Signal] = []
        self._was_binary = False
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
        self.set_iac_callback(AYT, self._on_question)

    @property
    def answered(self) -> bool:
        """Whether the peer has answered any negotiation, so that it is a telnet client."""
        return bool(self.local_option or self.remote_option)

    @property
    def whole_lines(self) -> bool:
        """Whether the client edits lines by itself (RFC 858: without SGA, keys are not sent)."""
        return not self.local_option.enabled(SGA)

    @property
    def names_terminal(self) -> bool:
        """Whether the client has promised to tell its terminal's type."""
        return self.remote_option.enabled(TTYPE)

    @property
    def terminal_type_pending(self) -> bool:
        """Whether the client has promised its terminal type and not sent it yet."""
        return self.terminal_type is None and self.names_terminal

    def negotiate(self) -> None:
        """Offer and ask for everything at once; nothing waits for the answers."""
        for command, option in _OFFERS:
            self.iac(command, option)

    def feed(self, data: bytes) -> list[bytearray | Signal]:
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
            mode = self._mode() if self.cmd_received in _ASK_OF_US else None
            # telnetlib3 raises for what the protocol forbids; its state is sound afterwards.
            with contextlib.suppress(ValueError):
                if self.feed_byte(byte):
                    self._take(byte)
            if mode is not None and mode != self._mode():
                self._mode_changed()
            while len(self._sb_buffer) > limits.SUBNEGOTIATION_BYTES:  # IAC IAC in one
                self._sb_buffer.pop()
        return received

    def _mode(self) -> tuple[bool, bool]:
        return self.will_echo, self.whole_lines

    def _mode_changed(self) -> None:
        self._received.append(Signal.MODE)
        # A client that edits lines shows Enter by its terminal's driver, which inetutils telnet
        # switches off where it is sent binary: each line would begin below the end of the last.
        if self.whole_lines and self.local_option.enabled(BINARY):
            self._was_binary = True
            self.iac(WONT, BINARY)
        elif self._was_binary and not self.whole_lines:
            self._was_binary = False
            self.iac(WILL, BINARY)

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
        self._received.append(Signal.INTERRUPT)

    def _on_question(self, _: bytes) -> None:
        if self._received[-1:] != [Signal.ASKED]:  # one answer is enough
            self._received.append(Signal.ASKED)

    def _on_size(self, rows: int, columns: int) -> None:
        self.size = clamp_size(rows=rows, columns=columns)
        self._received.append(Signal.RESIZED)

    def _on_terminal_type(self, name: str) -> None:
        if self.terminal_type is None:
            self.terminal_type = terminal_name(name)
            self._received.append(Signal.TERMINAL_TYPE)

    def _on_environment(self, variables: dict[str, str]) -> None:
        for name in ENVIRONMENT:
            value = "".join(filter(str.isprintable, variables.get(name, "")))
            if value:
                self.environment[name] = value[:ENVIRONMENT_CHARACTERS]


class Decoder:
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
