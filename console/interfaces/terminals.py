"""Terminals: byte channels with a size and a kind, made by transports and used by sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from console.interfaces.credentials import Principal


@dataclass(frozen=True, slots=True)
class Size:
    """A terminal's size in characters."""

    rows: int = 24
    columns: int = 80


# Terminal types that have no addressable cursor in terminfo(5) (generic and paper terminals,
# Emacs), and the few whose cursor sequences are not those of ECMA-48. The editor sends no others.
_INCAPABLE = frozenset(
    """
    dumb emacs unknown network net dialup switch patch plugboard bare lpr printer glasstty vanilla
    tty tty33 tty35 tty37 teletype vt52 adm3 adm3a
    """.split()  # noqa: SIM905 - one a line, or all in quotes, cannot be read
) | {""}


@dataclass(frozen=True, slots=True)
class TerminalKind:
    """What a terminal can do, as far as its client has said.

    Attributes:
        name: The terminal's type (``xterm-256color``), lower case; empty if unknown.
        interactive: Whether a user types here, who needs echo and prompts. False for a pipe.
        server_echo: Whether the server echoes input.
        whole_lines: Whether the client edits lines locally, and sends each when it is complete.
        environment: The few environment variables that describe the terminal (``COLORTERM``,
            ``LANG``) or the session that the client asks for (``CONSOLE_FRONTEND``). Never a
            variable that identifies the user.
        carriage_return: Whether a line of an interactive terminal has to end in CR LF.
    """

    name: str = ""
    interactive: bool = True
    server_echo: bool = True
    environment: tuple[tuple[str, str], ...] = ()
    carriage_return: bool = True
    whole_lines: bool = False

    @property
    def capable(self) -> bool:
        """Whether a full-screen editor can work here."""
        return (
            self.interactive
            and self.server_echo
            and not self.whole_lines
            and self.name not in _INCAPABLE
            and not self.name.startswith("dumb-")
        )

    def variable(self, name: str) -> str:
        """Return a variable of the client's environment; empty if it has not sent it."""
        return dict(self.environment).get(name, "")


class TerminalReceiver(Protocol):
    """Receives a terminal's events for its session, on the console's loop. Never raises."""

    def data_received(self, text: str) -> None:
        r"""Text was typed or piped in. Enter is ``\r`` or ``\n``. May contain Ctrl-C, ``\x03``."""

    def interrupt_received(self) -> None:
        """The protocol's own interrupt arrived: IAC IP or BRK, an SSH break or signal."""

    def eof_received(self) -> None:
        """The client has closed its side: no more input, but output can still be sent."""

    def resized(self) -> None:
        """The terminal's size changed."""

    def kind_changed(self) -> None:
        """The terminal's kind has changed: a telnet client went to line mode, or back."""

    def asked(self) -> None:
        """The client asks whether the server is still there (telnet's AYT)."""

    def writing_paused(self) -> None:
        """The write buffer is full (flow control): write nothing until `writing_resumed`."""

    def writing_resumed(self) -> None:
        """The write buffer has drained."""

    def connection_lost(self) -> None:
        """The connection or channel is gone; nothing can be written any more."""


class Terminal(Protocol):
    """A byte channel with a size and a kind.

    A transport makes the terminal. Once the principal is known, the transport hands the terminal
    to the session manager, and the session attaches itself to it.
    """

    @property
    def kind(self) -> TerminalKind:
        """The present kind; `TerminalReceiver.kind_changed` is called when it changes."""

    @property
    def size(self) -> Size:
        """The size now, clamped to sane values."""

    @property
    def command(self) -> str | None:
        """The command of an exec request; None for a shell."""

    def attach(self, receiver: TerminalReceiver) -> None:
        """Pass all input and events to ``receiver`` from now on, beginning with buffered ones."""

    def write(self, data: bytes, *, error: bool = False) -> None:
        """Write bytes, with ``error`` to the transport's error stream. A no-op once lost."""

    def pause_reading(self) -> None:
        """Stop reading (flow control) until `resume_reading`."""

    def resume_reading(self) -> None:
        """Read again after `pause_reading`."""

    def close(self, status: int = 0) -> None:
        """Close once the written bytes have been sent. Can be called twice."""

    def abort(self) -> None:
        """Close now and drop unsent bytes. Can be called twice."""

    def disconnect(self) -> None:
        """End the whole connection, with its other channels. Can be called twice."""


Admission = Callable[[Principal, Terminal], None]
"""A transport calls this with a principal and its terminal: the session manager's ``admit``."""
