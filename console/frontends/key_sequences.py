"""Escape sequences that keys and terminals send (ECMA-48, 5.3 to 5.6): a few mean something.

No I/O. What has no meaning here is swallowed whole, up to a length: a sequence without an end must
not swallow what is typed for ever.
"""

from __future__ import annotations

import enum
from typing import Final

SEQUENCE_CHARACTERS: Final = 64
"""The longest control sequence that is swallowed, as in `LineDiscipline`."""

STRING_CHARACTERS: Final = 1024
"""The longest control string: a terminal answers so with a colour or a version, which is short."""

# After ESC [ or ESC O. Home and End have four spellings: of xterm, the Linux console and rxvt.
_MEANINGS: Final = {
    "A": "up",
    "B": "down",
    "C": "right",
    "D": "left",
    "H": "home",
    "1~": "home",
    "7~": "home",
    "F": "end",
    "4~": "end",
    "8~": "end",
    "3~": "delete",
}


class _State(enum.Enum):
    NONE = enum.auto()
    BEGUN = enum.auto()  # after ESC
    SINGLE = enum.auto()  # after ESC O (SS3)
    FUNCTION = enum.auto()  # after ESC [ [: the Linux console's function keys
    CONTROL = enum.auto()  # after ESC [ (CSI)
    STRING = enum.auto()  # after ESC ] (OSC), ESC P (DCS) and their kin
    STRING_ESCAPE = enum.auto()  # after ESC in it: it ends with ESC \


_AFTER_ESCAPE: Final = {
    "[": _State.CONTROL,
    "O": _State.SINGLE,
    **dict.fromkeys("]PX^_", _State.STRING),
}

_NOT_IN_STRINGS: Final = frozenset("\x03\x04\r\n")
"""Ctrl-C, Ctrl-D and Enter: a string without an end must not take them."""


class KeySequences:
    """Follows escape sequences character by character."""

    def __init__(self) -> None:
        self._state = _State.NONE
        self._parameters = ""
        self._length = 0

    @property
    def inside(self) -> bool:
        """Whether the next character may belong to a sequence."""
        return self._state is not _State.NONE

    def begin(self) -> None:
        """An ESC has come."""
        self._state = _State.BEGUN
        self._parameters = ""
        self._length = 1

    def take(self, character: str) -> tuple[bool, str]:
        """Take the next character.

        Returns:
            Whether it belonged to the sequence, and the key's meaning if the sequence is whole and
            has one (``left``, ``home``, ``delete``, ...), else empty.
        """
        self._length += 1
        if self._state in {_State.STRING, _State.STRING_ESCAPE}:
            return self._take_in_string(character), ""
        if not " " <= character <= "~":
            # ESC Enter is Enter and ESC DEL is DEL: no sequence that a key sends holds a control.
            self._state = _State.NONE
            return False, ""
        return True, self._take_in_sequence(character)

    def _take_in_sequence(self, character: str) -> str:
        state = self._state
        if state is _State.BEGUN:
            # Below 0 are intermediate characters: ESC ( B
            other = state if character < "0" else _State.NONE
            self._state = _AFTER_ESCAPE.get(character, other)
        elif state is _State.CONTROL and character == "[" and self._length == 3:
            self._state = _State.FUNCTION
        elif state is not _State.CONTROL or character >= "@":
            self._state = _State.NONE
            found = _MEANINGS.get(self._parameters + character, "")
            return "" if state is _State.FUNCTION else found
        else:
            self._parameters += character
        if self._length >= SEQUENCE_CHARACTERS:
            self._state = _State.NONE
        return ""

    def _take_in_string(self, character: str) -> bool:
        if character in _NOT_IN_STRINGS or self._length > STRING_CHARACTERS:
            self._state = _State.NONE
            return False
        is_end = character == "\x07" or (character == "\\" and self._state is _State.STRING_ESCAPE)
        if is_end:
            self._state = _State.NONE
        else:
            self._state = _State.STRING_ESCAPE if character == "\x1b" else _State.STRING
        return True
