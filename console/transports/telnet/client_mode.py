"""Determines whether a telnet client echoes and edits lines locally."""

from __future__ import annotations

import re
from typing import Final

from console.interfaces.terminals import TerminalKind
from console.transports.telnet.codec import Codec

_FIRST_ENTER: Final = re.compile("[\r\n]")


class ClientMode:
    """Tells whether a client echoes, and whether it edits lines. No I/O.

    Args:
        codec: Knows what the client has agreed to.
    """

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._first_enter: str | None = None

    def typed(self, text: str) -> None:
        """Look at text that was typed before the login."""
        if self._first_enter is None and (enter := _FIRST_ENTER.search(text)):
            self._first_enter = enter.group()

    def negotiated(self) -> None:
        """Believe the options from now on: the client has changed one after the login."""
        self._first_enter = ""

    @property
    def sends_lines(self) -> bool:
        """Whether it agrees to send keys, and then sends lines that its terminal has shown (curl).

        Keys do not come as a line with LF at its end: Enter is CR then, CR NUL or CR LF.
        """
        return self._first_enter == "\n" and not self._codec.names_terminal

    @property
    def leaves_echo(self) -> bool:
        """Whether the client leaves it to us to show what is typed."""
        return self._codec.will_echo and not self.sends_lines

    @property
    def kind(self) -> TerminalKind:
        """What the client's terminal can do, as far as is known now."""
        # Type and variables are those of the login: a client is asked for them once.
        return TerminalKind(
            name=self._codec.terminal_type or "",
            server_echo=self.leaves_echo,
            whole_lines=self._codec.whole_lines or self.sends_lines,
            environment=tuple(sorted(self._codec.environment.items())),
        )
