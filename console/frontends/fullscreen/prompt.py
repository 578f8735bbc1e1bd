"""The prompt of the full-screen frontend as plain text, before its editor runs."""

from __future__ import annotations

PROMPT = ">>> "

_RESERVED_ROWS = 6
_MESSAGE_ROWS = 3
"""An error, a search and an explanation: where they find no room, nothing is drawn at all."""

# Asks the terminal to mark pastes (xterm, DECSET 2004). The editor does it by itself, but a paste
# may be what starts the editor.
_MARK_PASTES, _LEAVE_PASTES = "\x1b[?2004h", "\x1b[?2004l"

# As the editor draws it, in every theme.
_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"

# DECSCUSR, as the editor does it in vi's insert mode.
_BEAM, _OWN_SHAPE = "\x1b[6 q", "\x1b[0 q"


def reserved_rows(rows: int) -> int:
    """Return how much of a screen is free from the prompt on, so that a menu can open there."""
    return max(1, min(_RESERVED_ROWS, rows - _MESSAGE_ROWS))


def show_prompt(rows: int, *, vi_inserts: bool) -> str:
    """Return what shows the prompt.

    Args:
        rows: Of the terminal. The editor needs free ones; made now, they move the prompt before
            one looks at it.
        vi_inserts: Whether vi's keys are used, and insert.
    """
    below = reserved_rows(rows) - 1
    room = "\n" * below + f"\x1b[{below}A" if below > 0 else ""
    return f"{room}{_MARK_PASTES}{_BEAM if vi_inserts else ''}{_BOLD}{PROMPT}{_PLAIN}"


def leave_prompt(*, vi_inserts: bool) -> str:
    """Return what takes back all but the text."""
    return f"{_LEAVE_PASTES}{_OWN_SHAPE if vi_inserts else ''}"


def is_plain(text: str) -> bool:
    """Whether this is one character that takes one cell and does nothing but stand there."""
    return len(text) == 1 and text.isascii() and text.isprintable()
