"""The prompt of the full-screen frontend as plain text, before its editor runs."""

from __future__ import annotations

PROMPT = ">>> "

_RESERVED_ROWS = 6
_MESSAGE_ROWS = 3
"""Rows for an error, a search and an explanation: without room nothing is drawn at all."""

# Enables bracketed paste (xterm, DECSET 2004). The editor does so too, but a paste may be the input
# that starts the editor.
_MARK_PASTES, _LEAVE_PASTES = "\x1b[?2004h", "\x1b[?2004l"

# The prompt's style in the editor, in every theme.
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"

# DECSCUSR: the cursor's shape in vi's insert mode, as in the editor.
_BEAM, _OWN_SHAPE = "\x1b[6 q", "\x1b[0 q"


def reserved_rows(rows: int) -> int:
    """Return how many rows, from the prompt on, are kept free for a menu."""
    return max(1, min(_RESERVED_ROWS, rows - _MESSAGE_ROWS))


def show_prompt(rows: int, *, vi_inserts: bool) -> str:
    """Return the text that shows the prompt.

    Args:
        rows: The terminal's rows. The editor needs free rows below the prompt: made later, they
            would move the prompt while the user reads it.
        vi_inserts: Whether vi's insert mode is on.
    """
    below = reserved_rows(rows) - 1
    room = "\n" * below + f"\x1b[{below}A" if below > 0 else ""
    return f"{room}{_MARK_PASTES}{_BEAM if vi_inserts else ''}{_BOLD}{PROMPT}{_PLAIN}"


def leave_prompt(*, vi_inserts: bool) -> str:
    """Return the text that resets the terminal's modes."""
    return f"{_LEAVE_PASTES}{_OWN_SHAPE if vi_inserts else ''}"


def is_plain(text: str) -> bool:
    """Whether this is one printable ASCII character: it takes one cell and controls nothing."""
    return len(text) == 1 and text.isascii() and text.isprintable()
