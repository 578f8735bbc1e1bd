"""The console's key bindings, in addition to ptpython's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prompt_toolkit.application import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import (
    Condition,
    emacs_insert_mode,
    has_completions,
    has_focus,
    has_selection,
    vi_insert_mode,
)
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from ptpython.key_bindings import load_python_bindings
from ptpython.utils import document_is_multiline_python

from console.frontends.fullscreen.indentation import STEP, next_indentation
from console.frontends.fullscreen.shared_application import with_names

LONG_CHARACTERS = 16 * 1024
"""A longer text was pasted: examining all of it at each Enter would hold the console's loop."""


@Condition
def _in_indentation() -> bool:
    return get_app().current_buffer.document.current_line_before_cursor.isspace()


_CAN_STEP_OUT = (
    _in_indentation
    & has_focus(DEFAULT_BUFFER)
    & ~has_selection
    & (emacs_insert_mode | vi_insert_mode)
)


def console_keys(explain: Callable[[], None]) -> KeyBindings:
    """Return our bindings: Ctrl-] leaves, as telnet's own escape; F1 explains.

    Args:
        explain: Shows or hides the explanation of the name at the cursor.
    """
    bindings = KeyBindings()

    # Eager: emacs mode has "c-], any key", and would wait a second for that key.
    @bindings.add("c-]", eager=True)
    def leave(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    @bindings.add("f1")
    @bindings.add("s-tab", filter=~has_completions)
    def show(_event: KeyPressEvent) -> None:
        explain()

    @bindings.add("backspace", filter=_CAN_STEP_OUT)
    def step_out(event: KeyPressEvent) -> None:
        """Remove one step of indentation."""
        buffer = event.current_buffer
        column = buffer.document.cursor_position_col
        buffer.delete_before_cursor((column - 1) % STEP + 1)

    @bindings.add("f2")
    @bindings.add("f3")
    def nothing(event: KeyPressEvent) -> None:
        """Disable ptpython's option menu and history application."""

    return bindings


def _is_multiline(document: Document) -> bool:
    """Whether Enter begins a new line. ptpython searches the whole text for open brackets."""
    text = document.text
    if len(text) <= LONG_CHARACTERS:
        return document_is_multiline_python(document) or _opens_block(document.current_line)
    return "\n" in text or text.endswith((":", "\\", "(", "[", "{", ","))


def _opens_block(line: str) -> bool:
    """Whether a line with a comment opens a block: ptpython sees a colon only at the very end."""
    return "#" in line and len(next_indentation(line)) > len(line) - len(line.lstrip())


def _auto_newline(buffer: Buffer) -> None:
    """Begin a new line, indented if the cursor is at a line's end."""
    document = buffer.document
    if document.current_line_after_cursor:
        buffer.insert_text("\n")
    else:
        buffer.insert_text("\n" + next_indentation(document.text_before_cursor))


python_keys: Callable[[Any], KeyBindings] = with_names(
    load_python_bindings, document_is_multiline_python=_is_multiline, auto_newline=_auto_newline
)
"""ptpython's own keys, for a PythonInput."""
