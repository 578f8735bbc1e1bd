"""prompt_toolkit's Input and Output over a terminal that is no file.

prompt_toolkit's own pipe input blocks the loop once its 64 KB pipe is full (a paste of 200 KB does
it) and takes two descriptors a session; here keys wait in memory.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from prompt_toolkit.data_structures import Size as ScreenSize
from prompt_toolkit.input.base import Input
from prompt_toolkit.input.typeahead import get_typeahead
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.keys import Keys
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output

from console.frontends.rendering import terminal_bytes
from console.interfaces import Terminal, TerminalKind

_PASTE_BEGIN, _PASTE_END = "\x1b[200~", "\x1b[201~"


class ChannelInput(Input):
    """Keys from text that a session feeds. Lives on the console's loop."""

    _numbers = itertools.count(1)

    def __init__(self) -> None:
        self._keys: list[KeyPress] = []
        self._parser = Vt100Parser(self._keys.append)
        self._text: list[str] = []
        self._ready: Callable[[], None] | None = None
        self._ended = False
        self._hash = f"console-{next(self._numbers)}"

    # ---- the session's side

    def feed(self, text: str) -> None:
        """Take typed text."""
        self._text.append(text)
        if self._ready is not None:
            self._ready()

    def end(self) -> None:
        """End the input after what it has."""
        self._ended = True
        if self._ready is not None:
            self._ready()

    def take_typeahead(self) -> str:
        """Give back what no statement has used, as it was typed."""
        keys = get_typeahead(self)  # also removes its entry from a table that only grows
        typed = "".join(
            f"{_PASTE_BEGIN}{key.data}{_PASTE_END}" if key.key is Keys.BracketedPaste else key.data
            for key in keys
        )
        typed += "".join(self._text)
        self._text.clear()
        return typed

    # ---- prompt_toolkit's side

    def fileno(self) -> int:
        """Refuse: there is no file."""
        raise NotImplementedError

    def typeahead_hash(self) -> str:
        """Name this input in prompt_toolkit's table of typed-ahead keys."""
        return self._hash

    def read_keys(self) -> list[KeyPress]:
        """Return the keys that have arrived."""
        text = "".join(self._text)
        self._text.clear()
        if text:
            self._parser.feed(text)
        return self._take_keys()

    def flush_keys(self) -> list[KeyPress]:
        """Return keys that were held back as the possible beginning of a sequence (Escape)."""
        self._parser.flush()
        return self._take_keys()

    def _take_keys(self) -> list[KeyPress]:
        keys = self._keys[:]
        self._keys.clear()  # in place: the parser holds its append method
        return keys

    @property
    def closed(self) -> bool:
        """Whether the input has ended and all of it has been read."""
        return self._ended and not self._text and not self._keys

    def raw_mode(self) -> AbstractContextManager[None]:
        """Do nothing: the client's terminal is raw, the server has none."""
        return nullcontext()

    def cooked_mode(self) -> AbstractContextManager[None]:
        """Do nothing, as `raw_mode`."""
        return nullcontext()

    @contextmanager
    def attach(self, input_ready_callback: Callable[[], None]) -> Iterator[None]:
        """Call back whenever there is something to read."""
        previous, self._ready = self._ready, input_ready_callback
        if self._text or self._ended:
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
        """Stop calling back for a while."""
        previous, self._ready = self._ready, None
        try:
            yield
        finally:
            self._ready = previous

    def close(self) -> None:
        """Forget everything."""
        self._ended = True
        self._text.clear()
        self._keys.clear()
        get_typeahead(self)


class _Screen:
    """The file-like object that Vt100_Output writes to."""

    encoding = "utf-8"

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def write(self, text: str) -> int:
        # prompt_toolkit says \r\n itself, and \n where it wants the cursor to go straight down.
        self._terminal.write(terminal_bytes(text, carriage_return=False))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back here."""

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        raise NotImplementedError


def make_output(terminal: Terminal) -> Vt100_Output:
    """Make the Output that draws on a terminal."""

    def size() -> ScreenSize:
        return ScreenSize(rows=terminal.size.rows, columns=terminal.size.columns)

    return Vt100_Output(
        _Screen(terminal),  # type: ignore[arg-type]  # the part of TextIO that is used
        size,
        term=terminal.kind.name,
        default_color_depth=color_depth(terminal.kind),
        enable_bell=False,
        # Asking where the cursor is costs a second at each Enter on terminals that do not answer.
        enable_cpr=False,
    )


def color_depth(kind: TerminalKind) -> ColorDepth:
    """How many colours a terminal shows, by its name and what it says of itself."""
    environment = dict(kind.environment)
    if environment.get("NO_COLOR") or kind.name.startswith(("vt1", "vt2")):
        return ColorDepth.DEPTH_1_BIT
    if environment.get("COLORTERM", "").lower() in {"truecolor", "24bit"}:
        return ColorDepth.DEPTH_24_BIT
    if kind.name.endswith("-direct"):
        return ColorDepth.DEPTH_24_BIT
    if "256" in kind.name or kind.name.startswith(("xterm", "screen", "tmux")):
        return ColorDepth.DEPTH_8_BIT
    return ColorDepth.DEPTH_4_BIT
