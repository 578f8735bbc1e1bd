"""Terminals: byte channels with a size and a kind, which transports yield and sessions use."""

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


# What terminfo(5) knows of no cursor (generic and paper terminals, Emacs), and the few that move it
# in other ways than ECMA-48 says, which is all that the editor speaks.
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
        interactive: A user types here: echo, prompts and CR LF are wanted. False for a pipe.
        server_echo: The client leaves the echo of what is typed to us.
        whole_lines: The client edits lines by itself, and sends each when it is done.
        environment: The few variables that describe the terminal (``COLORTERM``, ``LANG``) and
            what is wanted there (``CONSOLE_FRONTEND``). Never anything that identifies the user.
        carriage_return: A new line has to be written as CR LF, where a user types.
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
    """What a terminal tells its session. The calls come on the console's loop and never raise."""

    def data_received(self, text: str) -> None:
        r"""Text was typed or piped in. Enter is ``\r`` or ``\n``; Ctrl-C may be in it: ``\x03``."""

    def interrupt_received(self) -> None:
        """Ctrl-C by the protocol's own means: IAC IP and BRK, an SSH break or signal."""

    def eof_received(self) -> None:
        """No more input will come; output still can go."""

    def resized(self) -> None:
        """The terminal's size changed."""

    def kind_changed(self) -> None:
        """The terminal is of another kind now: a telnet client sends lines, or keys again."""

    def asked(self) -> None:
        """The client asks whether the server is still there (telnet's AYT)."""

    def writing_paused(self) -> None:
        """The client does not keep up: write nothing more until `writing_resumed`."""

    def writing_resumed(self) -> None:
        """The client caught up."""

    def connection_lost(self) -> None:
        """The terminal is gone; nothing can be written any more."""


class Terminal(Protocol):
    """A byte channel with a size and a kind: what a transport yields.

    A transport makes it before login; once the principal is known it hands it to the session
    manager, and the session attaches itself.
    """

    @property
    def kind(self) -> TerminalKind:
        """What the terminal can do now; `TerminalReceiver.kind_changed` tells of a change."""

    @property
    def size(self) -> Size:
        """The size now, clamped to sane values."""

    @property
    def command(self) -> str | None:
        """The command of an exec request; None for a shell."""

    def attach(self, receiver: TerminalReceiver) -> None:
        """Send what arrives to ``receiver`` from now on, beginning with what has waited."""

    def write(self, data: bytes, *, error: bool = False) -> None:
        """Write bytes, on the error stream where the transport has one. A no-op once it is lost."""

    def pause_reading(self) -> None:
        """Hold the peer back until `resume_reading`."""

    def resume_reading(self) -> None:
        """Let the peer send again."""

    def close(self, status: int = 0) -> None:
        """End orderly: what was written still arrives. Can be called twice."""

    def abort(self) -> None:
        """End now, whatever is still unsent. Can be called twice."""

    def disconnect(self) -> None:
        """End the whole connection, with whatever else is open on it. Can be called twice."""


Admission = Callable[[Principal, Terminal], None]
"""What a transport calls with an authenticated terminal: the session manager's ``admit``."""
