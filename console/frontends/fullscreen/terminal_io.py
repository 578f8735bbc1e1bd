"""prompt_toolkit's Input and Output over a terminal that is not a file.

prompt_toolkit's own pipe input blocks the loop once its 64 KB pipe is full (a paste of 200 KB, say)
and takes two descriptors a session; here keys wait in memory.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext

from prompt_toolkit.data_structures import Size as ScreenSize
from prompt_toolkit.input import typeahead
from prompt_toolkit.input.base import Input
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

from console.frontends.fullscreen.pastes import BEGIN, END, Pastes
from console.frontends.fullscreen.write_coalescing import WriteCoalescing
from console.frontends.rendering import terminal_bytes
from console.interfaces.terminals import Terminal, TerminalKind

_TURN_KEYS = 128
"""Keys handled in one iteration of the console's loop: 5 to 10 ms."""

_SEQUENCE_CHARACTERS = 32
"""No key's sequence is longer: mouse and cursor reports, the longest, have 20."""

_TURN_CHARACTERS = 4096
"""Characters parsed in one iteration: they may be one paste, which is one key."""


class ChannelInput(Input):
    """Parses the text that a session feeds into keys. Lives on the console's loop."""

    _numbers = itertools.count(1)

    def __init__(self, bell: Callable[[], None]) -> None:
        self._keys: list[KeyPress] = []
        self._parser = Vt100Parser(self._keys.append)
        self._text: deque[str] = deque()
        self._pastes = Pastes(self._take, bell)
        self._ready: Callable[[], None] | None = None
        self._ended = False
        self._seen = ""
        self.echo: Callable[[Sequence[KeyPress]], None] = lambda _keys: None
        """Called with keys before they are handled, if no more are waiting."""
        self._hash = f"console-{next(self._numbers)}"

    # ---- the session's side

    def feed(self, text: str) -> None:
        """Take typed text."""
        self._pastes.feed(text)

    def _take(self, text: str) -> None:
        self._text.append(text)
        if self._ready is not None:
            self._ready()

    def end(self) -> None:
        """End the input after what it has."""
        self._pastes.flush()
        self._ended = True
        if self._ready is not None:
            self._ready()

    def take_typeahead(self) -> str:
        """Return and forget the text that no statement has read, as it was typed."""
        self._pastes.flush()
        keys = self._take_from_table() + self._keys
        self._keys.clear()
        typed = "".join(
            f"{BEGIN}{key.data}{END}" if key.key is Keys.BracketedPaste else key.data
            for key in keys
        )
        typed += "".join(self._text)
        self._text.clear()
        return typed

    def _take_from_table(self) -> list[KeyPress]:
        keys = get_typeahead(self)
        # get_typeahead() leaves an empty list in the table, for ever.
        typeahead._buffer.pop(self._hash, None)  # noqa: SLF001 - no public way
        return keys

    # ---- prompt_toolkit's side

    def fileno(self) -> int:
        """Refuse: there is no file."""
        raise NotImplementedError

    def typeahead_hash(self) -> str:
        """Name this input in prompt_toolkit's table of typed-ahead keys."""
        return self._hash

    def read_keys(self) -> list[KeyPress]:
        """Return keys that have arrived, up to a limit; the rest in the next iteration."""
        room = _TURN_CHARACTERS
        while self._text and room > 0 and len(self._keys) < _TURN_KEYS:
            text = self._text.popleft()
            if len(text) > room:
                self._text.appendleft(text[room:])
                text = text[:room]
            room -= len(text)
            self._parser.feed(text)
            self._seen = (self._seen + text)[-_SEQUENCE_CHARACTERS:]
        keys = self._take_keys()
        if not self.has_keys:
            self.echo(keys)
        return keys

    def flush_keys(self) -> list[KeyPress]:
        """Return keys that were held back as a possible beginning of a sequence (Escape)."""
        if not self._text:
            self._parser.flush()
        return self._take_keys()

    def _take_keys(self) -> list[KeyPress]:
        keys = self._keys[:_TURN_KEYS]
        del self._keys[:_TURN_KEYS]  # in place: the parser holds its append method
        if self.has_keys:
            asyncio.get_running_loop().call_soon(self._call_ready)
        return keys

    @property
    def has_keys(self) -> bool:
        """Whether something waits to be read."""
        return bool(self._keys or self._text)

    @property
    def may_hold_back(self) -> bool:
        """Whether the last input may be the beginning of a sequence: all begin with Escape."""
        return "\x1b" in self._seen

    @property
    def closed(self) -> bool:
        """Whether the input has ended and all of it has been read."""
        return self._ended and not self.has_keys

    def raw_mode(self) -> AbstractContextManager[None]:
        """Do nothing: the client's terminal is raw; the server has none."""
        return nullcontext()

    def cooked_mode(self) -> AbstractContextManager[None]:
        """Do nothing, as `raw_mode`."""
        return nullcontext()

    @contextmanager
    def attach(self, input_ready_callback: Callable[[], None]) -> Iterator[None]:
        """Call back whenever there is something to read."""
        previous, self._ready = self._ready, input_ready_callback
        if self.has_keys or self._ended:
            asyncio.get_running_loop().call_soon(self._call_ready)
        try:
            yield
        finally:
            self._ready = previous

    def _call_ready(self) -> None:
        if self._ready is not None:
            self._ready()

    @contextmanager
    def detach(self) -> Iterator[None]:
        """Stop calling back within the block."""
        previous, self._ready = self._ready, None
        try:
            yield
        finally:
            self._ready = previous

    def close(self) -> None:
        """End the input and drop all keys."""
        self._pastes.flush()
        self._ended = True
        self._text.clear()
        self._keys.clear()
        self._take_from_table()


class _Screen:
    """The file-like object that Vt100_Output writes to."""

    encoding = "utf-8"

    def __init__(self, out: WriteCoalescing) -> None:
        self._out = out
        self.holds = False

    def write(self, text: str) -> int:
        # prompt_toolkit writes \r\n itself, and \n to move the cursor straight down.
        data = terminal_bytes(text, carriage_return=False)
        if self.holds:
            self._out.hold(data)
        else:
            self._out.write(data)
        return len(text)

    def flush(self) -> None:
        """Do nothing: `write` buffers nothing."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise NotImplementedError


class ChannelOutput(Vt100_Output):
    """Draws on a terminal.

    Args:
        terminal: Gives the size and the kind.
        out: Writes to it.
    """

    def __init__(self, terminal: Terminal, out: WriteCoalescing) -> None:
        self._screen = _Screen(out)

        def size() -> ScreenSize:
            return ScreenSize(rows=terminal.size.rows, columns=terminal.size.columns)

        super().__init__(
            self._screen,  # type: ignore[arg-type]  # the part of TextIO that is used
            size,
            term=terminal.kind.name,
            default_color_depth=color_depth(terminal.kind),
            enable_bell=False,
            # The query for the cursor's position takes a second at each Enter on terminals that do
            # not answer.
            enable_cpr=False,
        )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold what is drawn within the block, to be sent with the next output."""
        self._screen.holds = True
        try:
            yield
        finally:
            self._screen.holds = False


def color_depth(kind: TerminalKind) -> ColorDepth:
    """Return how many colours a terminal has, by its name and environment."""
    environment = dict(kind.environment)
    name = kind.name
    # https://no-color.org: any value that is not empty.
    if environment.get("NO_COLOR") or _MONOCHROME.search(name):
        return ColorDepth.DEPTH_1_BIT
    says_true = environment.get("COLORTERM", "").lower() in {"truecolor", "24bit"}
    if says_true or _TRUE_COLOR.search(name):
        return ColorDepth.DEPTH_24_BIT
    if "256" in name:
        return ColorDepth.DEPTH_8_BIT
    if "color" in name:  # xterm-color, xterm-16color
        return ColorDepth.DEPTH_4_BIT
    if name.startswith(("xterm", "screen", "tmux")):
        return ColorDepth.DEPTH_8_BIT  # all of them have 256 colours today, whatever terminfo says
    return ColorDepth.DEPTH_4_BIT


_MONOCHROME = re.compile(r"^(vt[1-4]\d\d|vt50|hp|wy|tvi|adm|ansi-m)|-(m|mono|nc)$")
"""Hardware terminals, and terminfo's names for terminals without colour."""

# Few clients send COLORTERM (ssh needs SendEnv), but these terminals have names of their own.
_TRUE_COLOR = re.compile(r"-direct\d*$|kitty|alacritty|^foot|wezterm|ghostty|^contour|^iterm2")
