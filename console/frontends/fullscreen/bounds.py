"""Bounds of a text that is edited, of its undo stack and of its kill ring: prompt_toolkit has none.

An undo stack keeps whole texts: 1 MB and 1,000 keys are 480 MB. A text that is inserted with a
count, or by a macro, grows without end. Here each of them has a bound; a key that would exceed it
is refused (`RefusedKey`), and the text stays as it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

from prompt_toolkit.buffer import Buffer
from prompt_toolkit.clipboard import ClipboardData, InMemoryClipboard

DOCUMENT_CHARACTERS: Final = 256 * 1024
"""The longest text in the editor. A key costs time in proportion: at this length 5 to 15 ms."""

UNDO_BYTES: Final = 4 * 1024 * 1024
"""The most characters of earlier texts that are kept, for undo and redo of a buffer together."""

CLIPBOARD_CHARACTERS: Final = 512 * 1024
"""The most killed or yanked characters kept in the kill ring, and again in vi's registers."""


_SHORT_CHARACTERS: Final = 4096
_SHORT_TEXTS: Final = 64
"""So many texts of this length are 1 MiB at most, by which the bound may be passed meanwhile."""


class RefusedKey(Exception):
    """A key would pass a bound. The text is unchanged; the user hears a bell."""


class BoundedBuffer(Buffer):
    """A buffer whose text and undo stack are bounded.

    Attributes:
        on_history_loaded: Called when a search or an arrow key finds the history.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.on_history_loaded: Callable[[], None] = lambda: None
        super().__init__(*arguments, **keywords)

    def _set_text(self, value: str) -> bool:
        # Each change of the text comes here, before anything of it is done.
        if len(value) > DOCUMENT_CHARACTERS and len(value) > len(self.text):
            raise RefusedKey
        return super()._set_text(value)

    def save_to_undo_stack(self, clear_redo_stack: bool = True) -> None:
        """Keep the text for undo; the oldest one goes first."""
        super().save_to_undo_stack(clear_redo_stack)
        # Each key saves, and adding a stack up takes time: of short texts it is done now and then.
        if len(self.text) > _SHORT_CHARACTERS or not len(self._undo_stack) % _SHORT_TEXTS:
            drop_oldest(self._undo_stack, UNDO_BYTES - _bytes_of(self._redo_stack))

    @property
    def history_loads(self) -> bool:
        """Whether the history is not there yet: it is loaded in a task, begun before each read."""
        task = self._load_history_task
        return task is not None and not task.done()

    def load_history_if_not_yet_loaded(self) -> None:
        """Begin to load the history; `on_history_loaded` is called in the loop's next turn."""
        is_new = self._load_history_task is None
        super().load_history_if_not_yet_loaded()
        if is_new and self._load_history_task is not None:
            self._load_history_task.add_done_callback(lambda _task: self.on_history_loaded())

    def undo(self) -> None:
        """Go back to the text before the last change."""
        super().undo()
        drop_oldest(self._redo_stack, UNDO_BYTES - _bytes_of(self._undo_stack))


def _bytes_of(texts: Iterable[tuple[str, int]]) -> int:
    return sum(sys.getsizeof(text) for text, _ in texts)


def drop_oldest(texts: list[tuple[str, int]], most_bytes: int) -> None:
    """Drop the oldest texts of a stack until it is within a bound; the newest one stays."""
    size, keep = 0, 0
    for text, _ in reversed(texts):
        size += sys.getsizeof(text)
        if size > most_bytes and keep:
            break
        keep += 1
    del texts[: len(texts) - keep]


class BoundedClipboard(InMemoryClipboard):
    """A kill ring whose texts are bounded together; the oldest go first."""

    def set_data(self, data: ClipboardData) -> None:
        """Keep a text at the front of the ring."""
        super().set_data(data)
        size = sum(len(kept.text) for kept in self._ring)
        while size > CLIPBOARD_CHARACTERS and len(self._ring) > 1:
            size -= len(self._ring.pop().text)


class Registers(dict[str, ClipboardData]):
    """vi's named registers, whose texts are bounded together."""

    def __setitem__(self, name: str, data: ClipboardData) -> None:
        """Keep a text under a name.

        Raises:
            RefusedKey: If there is no room for it beside the others.
        """
        others = sum(len(kept.text) for other, kept in self.items() if other != name)
        if others + len(data.text) > CLIPBOARD_CHARACTERS:
            raise RefusedKey
        super().__setitem__(name, data)
