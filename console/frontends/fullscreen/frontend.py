"""The frontend for capable terminals: ptpython's editor, one for each session.

Only the editor is ptpython's. Its REPL evaluates, prints and handles signals in ways that affect
the host (an executor thread for each open prompt, SIGINT, ``sys.path``, ``sys.breakpointhook``).

An idle prompt costs little: it is written as text, and the editor runs from the first key on. That
key is shown before the editor draws over it.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from console.frontends.fullscreen.colours import painted
from console.frontends.fullscreen.editor_pool import SpareEditors, spare_editors
from console.frontends.fullscreen.prompt import is_plain, leave_prompt, show_prompt
from console.frontends.fullscreen.text_above import TextAbove
from console.frontends.fullscreen.write_coalescing import WriteCoalescing
from console.frontends.rendering import render_outcome, terminal_bytes
from console.interfaces.frontends import FrontendHost
from console.interfaces.statements import Outcome
from console.lazy_imports import load

if TYPE_CHECKING:
    from console.frontends.fullscreen.editor import Editor, Kept

_RESIZE_SECONDS = 0.05
"""Changes of the size within this time cost one redraw."""


class FullscreenFrontend:
    """Reads statements with an editor. Follows `Frontend`."""

    name = "fullscreen"

    def __init__(self, host: FrontendHost, spares: SpareEditors | None = None) -> None:
        self._host = host
        self._terminal = host.terminal
        self._out = WriteCoalescing(self._terminal.write)
        self._editor: Editor | None = None
        self._kept: Kept | None = None
        self._spares = spare_editors() if spares is None else spares
        self._unread: list[str] = []
        self._ended = False
        self._interrupted = False
        self._closed = False
        self._arrived = asyncio.Event()
        self._waiting_at_literal = False
        self._at_line_start = True
        self._above = TextAbove(self._write_above)
        self._resize_timer: asyncio.TimerHandle | None = None

    async def read(self) -> str | None:
        """Return the next statement; None at the end of input."""
        if not self._at_line_start:
            # The prompt begins in the first column: text there would be overwritten.
            self._send("\n")
        while await self._wait_at_literal():
            await self._spares.turn(self)
            editor = self._editor or await self._build()
            if self._interrupted:  # while the editor was built
                self._interrupted = False
                self._spares.rest(self)
                self._send("\nKeyboardInterrupt\n")
                continue
            self._give_unread(editor)
            try:
                source = await editor.read()
            except EOFError:
                return None
            except KeyboardInterrupt:
                self._send("KeyboardInterrupt\n")
                source = ""
            finally:
                self._above.flush()
                if not self._closed:
                    self._spares.rest(self)
            if source.strip():
                return source
            typed = self.take_typeahead()
            if typed:  # after Ctrl-C or an empty line
                self._unread.append(typed)
        return None

    async def _wait_at_literal(self) -> bool:
        """Show a prompt and wait for input. Whether there is any; False at its end."""
        self._waiting_at_literal = True
        self._show_literal()
        try:
            while not self._unread:
                if self._ended or self._closed:
                    left = leave_prompt(vi_inserts=self._vi and self._inserts)
                    self._out.write(left.encode())
                    return False
                self._arrived.clear()
                await self._arrived.wait()
                if self._interrupted:
                    self._interrupted = False
                    self._send("\nKeyboardInterrupt\n")
                    self._show_literal()
                elif self._unread == ["\r"]:
                    self._unread.clear()
                    self._send("\n")
                    self._show_literal()
            return not self._closed
        finally:
            self._waiting_at_literal = False

    def _show_literal(self) -> None:
        prompt = show_prompt(self._terminal.size.rows, vi_inserts=self._vi and self._inserts)
        self._out.write(terminal_bytes(prompt, carriage_return=True))

    async def _build(self) -> Editor:
        if "console.frontends.fullscreen.editor" not in sys.modules:
            # About 200 ms of imports, once a process: not on the console's loop.
            await load("console.frontends.fullscreen.editor")
        from console.frontends.fullscreen.editor import Editor  # noqa: PLC0415 - heavy, see above

        self._editor = Editor(self._host, self._out, self._kept)
        if self._closed:
            self._editor.close()
        return self._editor

    def let_go(self) -> None:
        """Release the editor, which is not in use: the next key builds another one."""
        if self._editor is not None:
            self._kept = self._editor.keep()
            self._editor = None

    def _give_unread(self, editor: Editor) -> None:
        for text in self._unread:
            editor.feed(text)
        self._unread.clear()
        if self._ended:
            editor.feed_eof()

    def feed(self, text: str) -> None:
        """Take typed text."""
        if self._editor is not None and self._editor.is_reading:
            self._editor.feed(text)
            return
        if self._waiting_at_literal and not self._unread and self._inserts and is_plain(text):
            self._out.write(text.encode())
        self._unread.append(text)
        self._arrived.set()

    @property
    def _inserts(self) -> bool:
        """Whether the first plain key will be inserted: not in vi's command mode."""
        state = self._editor or self._kept
        return state is None or state.inserts

    @property
    def _vi(self) -> bool:
        state = self._editor or self._kept
        return self._host.preferences.editing == "vi" if state is None else state.vi

    def feed_eof(self) -> None:
        """Note the end of input: the text that was fed is still used."""
        self._ended = True
        self._arrived.set()
        if self._editor is not None and self._editor.is_reading:
            self._editor.feed_eof()

    def interrupt(self) -> None:
        """Drop the typed text."""
        if self._editor is not None and self._editor.is_reading:
            self._editor.interrupt()
        else:
            self._unread.clear()
            self._interrupted = True
            self._arrived.set()

    def take_typeahead(self) -> str:
        """Return and forget the text typed after the statement."""
        typed = "" if self._editor is None else self._editor.take_typeahead()
        # Text that arrived after the editor had ended, before the statement was returned.
        typed += "".join(self._unread)
        self._unread.clear()
        return typed

    def render(self, outcome: Outcome) -> Iterable[tuple[bool, str]]:
        """Show values and tracebacks as Python's plain prompt does, in the theme's colours."""
        if self._editor is not None:
            outcome = painted(outcome, self._editor.result_colours)
        return render_outcome(outcome)

    def write(self, text: str, *, error: bool = False) -> None:
        """Write text, above the prompt if one is shown. The typed text stays."""
        if self._waiting_at_literal:
            self._send("\r\x1b[K" + _whole_lines(text))
            if not self._closed:
                self._show_literal()
        elif self._editor is not None and self._editor.is_reading:
            self._above.add(text)
        else:
            self._out.hold(terminal_bytes(text, carriage_return=True))
            self._at_line_start = text.endswith("\n")

    def _write_above(self, text: str) -> None:
        if self._editor is not None and self._editor.is_reading:
            self._editor.print_above(lambda: self._send(_whole_lines(text)))
        else:
            self._send(text)
            self._at_line_start = text.endswith("\n")

    def resized(self) -> None:
        """Redraw for the new size, once for a window that is being dragged."""
        if self._resize_timer is None:
            self._resize_timer = asyncio.get_running_loop().call_later(
                _RESIZE_SECONDS, self._draw_resized
            )

    def _draw_resized(self) -> None:
        self._resize_timer = None
        if self._editor is not None:
            self._editor.resized()

    def close(self) -> None:
        """End a pending read; if none is pending, release the editor. Idempotent."""
        self._above.flush()
        if self._resize_timer is not None:
            self._resize_timer.cancel()
            self._resize_timer = None
        self._closed = True
        self._arrived.set()
        self._spares.forget(self)
        self._out.flush()
        if self._editor is not None:
            self._editor.close()

    def _send(self, text: str) -> None:
        self._at_line_start = True
        self._out.write(terminal_bytes(text, carriage_return=True))


def _whole_lines(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"
