"""Predictive echo: a plain character is shown at once, the screen is laid out a moment later.

Laying out the whole screen takes 1 to 2 ms for each key. A character typed at the end of the text
nearly always changes one cell, so it is written there first, as mosh does. The character is also
put into the renderer's record of the terminal. The next layout is compared with that record, as
usual, and corrects the differences (the colour, if the character completed a keyword).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Point
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.key_processor import KeyPress
from prompt_toolkit.key_binding.vi_state import InputMode
from prompt_toolkit.layout.controls import BufferControl
from prompt_toolkit.layout.screen import Char

from console.frontends.fullscreen.prompt import is_plain

_QUIET_SECONDS = 0.015
"""The layout waits for this time without a key: a burst of keys costs one layout."""

_LATEST_SECONDS = 0.1
"""The layout is not delayed for longer than this."""

_MARK = "matching-bracket"

_LONGEST_TEXT = 1000
"""A longer text may not be shown whole; the cursor's cell then does not follow from the text."""


class PredictiveEcho:
    """The predictive echo of one editor. Lives on the console's loop."""

    def __init__(
        self, application: Application[str], buffer: Buffer, control: BufferControl
    ) -> None:
        self._application = application
        self._buffer = buffer
        self._control = control
        # The text that the terminal shows, with the cursor at its end; None if it shows another.
        self._shown: str | None = None
        self._ahead_since: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        application.after_render += self._rendered

    def _rendered(self, _application: object) -> None:
        self._ahead_since = None
        self.stop()
        self._shown = self._buffer.text if self._cursor_is_at_end() else None

    def stop(self) -> None:
        """Cancel the delayed layout."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # ---- writing ahead

    def show(self, keys: Sequence[KeyPress]) -> None:
        """Write the leading plain characters of these keys, if they will be inserted."""
        if not self._may_write():
            return
        for key in keys:
            if key.key != key.data or not is_plain(key.data) or not self._write(key.data):
                break
        self._application.output.flush()

    def _may_write(self) -> bool:
        """Whether the next plain key is inserted at the end of the text that is shown."""
        application, buffer = self._application, self._buffer
        keys, vi = application.key_processor, application.vi_state
        inserts = application.editing_mode is EditingMode.EMACS or (
            vi.input_mode is InputMode.INSERT
            and not vi.waiting_for_digraph
            and not vi.temporary_navigation_mode
        )
        return (
            inserts
            and self._shown == buffer.text
            and len(buffer.text) < _LONGEST_TEXT
            and self._cursor_is_at_end()
            and not application.is_done
            and not application.quoted_insert
            and not (keys.input_queue or keys.key_buffer or keys.arg)
            and buffer.complete_state is None
            and buffer.selection_state is None
            and application.layout.current_control is self._control
        )

    def _write(self, character: str) -> bool:
        renderer, output = self._application.renderer, self._application.output
        screen, size = renderer.last_rendered_screen, output.get_size()
        styles = renderer._attrs_for_style  # noqa: SLF001 - see the module's docstring
        at = renderer._cursor_pos  # noqa: SLF001 - as above
        if screen is None or styles is None or renderer._last_size != size:  # noqa: SLF001 - as above
            return False
        row = screen.data_buffer[at.y]
        # At the right margin lines wrap; text after the cursor would have to move.
        if at.x + 2 >= size.columns or row[at.x].char != " " or row[at.x + 1].char != " ":
            return False
        style = self._style_of(character, row[at.x - 1], row[at.x])
        output.set_attributes(styles[style], self._application.color_depth)
        output.write(character)
        output.reset_attributes()
        row[at.x] = Char(character, style)
        renderer._cursor_pos = Point(x=at.x + 1, y=at.y)  # noqa: SLF001 - as above
        self._shown = (self._shown or "") + character
        if self._ahead_since is None:
            self._ahead_since = asyncio.get_running_loop().time()
        return True

    def _style_of(self, character: str, before: Char, blank: Char) -> str:
        """Predict the colour: within a word, a string or a comment it continues."""
        within = "string" in before.style or "comment" in before.style
        word = f"{before.char}{character}".replace("_", "a").isalnum()
        return before.style if self._shown and (within or word) else blank.style

    # ---- leaving it as it is

    def leave(self) -> bool:
        """Move to the line below the text without a layout, if the screen is already final.

        The statement then starts earlier by the time of a layout.

        Returns:
            False if a layout is needed.
        """
        renderer, output = self._application.renderer, self._application.output
        screen, at = renderer.last_rendered_screen, renderer._cursor_pos  # noqa: SLF001 - as above
        if (
            screen is None
            or self._ahead_since is not None
            or self._shown != self._buffer.text
            or renderer._last_size != output.get_size()  # noqa: SLF001 - as above
        ):
            return False
        for y, row in screen.data_buffer.items():
            if y > at.y and any(cell.char != " " for cell in row.values()):
                return False  # a message is shown below
        if self._shown.endswith((")", "]", "}")):
            for y, row in screen.data_buffer.items():
                for x, cell in row.items():
                    if _MARK in cell.style:
                        self._unmark(x, y, cell, at)
        output.write("\r\n")
        self._shown = None
        renderer.reset()
        return True

    def _unmark(self, x: int, y: int, cell: Char, at: Point) -> None:
        """Remove the colour of a matching bracket."""
        output, styles = self._application.output, self._application.renderer._attrs_for_style  # noqa: SLF001 - as above
        if styles is None:
            return
        output.cursor_up(at.y - y)
        output.write("\r")
        output.cursor_forward(x)
        style = " ".join(part for part in cell.style.split() if _MARK not in part)
        output.set_attributes(styles[style], self._application.color_depth)
        output.write(cell.char)
        output.reset_attributes()
        output.cursor_down(at.y - y)

    # ---- laying out later

    def put_off(self, redraw: Callable[[], None]) -> bool:
        """Schedule the layout for later, if the terminal shows the text. Whether it was."""
        if self._ahead_since is None or not self._shows_what_is_typed():
            return False
        now = asyncio.get_running_loop().time()
        self.stop()
        when = min(now + _QUIET_SECONDS, self._ahead_since + _LATEST_SECONDS)
        self._timer = asyncio.get_running_loop().call_at(when, redraw)
        return True

    def _shows_what_is_typed(self) -> bool:
        buffer, shown = self._buffer, self._shown
        waiting = len(self._application.key_processor.input_queue)
        return (
            shown is not None
            and self._cursor_is_at_end()
            and buffer.complete_state is None
            # Of several keys that arrived together, the later ones are on the screen too.
            and len(shown) - len(buffer.text) <= waiting
            and shown.startswith(buffer.text)
        )

    def _cursor_is_at_end(self) -> bool:
        return self._buffer.cursor_position == len(self._buffer.text)
