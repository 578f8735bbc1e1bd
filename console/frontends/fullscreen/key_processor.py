"""Runs the bindings of keys: an error drops one key, and each turn of the loop is bounded in time.

prompt_toolkit handles all keys that wait in one call, with those that macros add, and lets an
exception of a binding propagate to the caller that fed the keys. Here a call handles keys for
`TURN_SECONDS` and then continues in the loop's next turn, so that other sessions run in between.
If a binding raises, only its key is lost: the session goes on with its text.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

from prompt_toolkit.application import get_app
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.key_binding.key_processor import KeyPress, KeyPressEvent, KeyProcessor
from prompt_toolkit.keys import Keys

from console.audit.failure_log import FailureLog
from console.frontends.fullscreen.bounds import RefusedKey
from console.frontends.fullscreen.copies import with_names

logger = logging.getLogger("console.frontends")

TURN_SECONDS: Final = 0.005
"""No key is begun later than this in a turn of the loop: one peer blocks it for little longer."""

REPEATS: Final = 1000
"""The largest count before a key that does something so many times."""

REPEATED_CHARACTERS: Final = 16 * 1024 * 1024
"""The same, by what it costs: the count times the characters that are edited or inserted."""

REPLAYED_KEYS: Final = 10_000
"""The most keys of a macro, with its repetitions, that wait to be replayed."""

RECORDED_KEYS: Final = 10_000
"""A macro that becomes longer is no longer recorded."""

_COUNT_DIGITS: Final = 7

_PLACES: Final = frozenset("G|%hjklwWbBeE{}()fFtT;,nNdycxXsDCY~^$0_")
"""Keys of vi's command mode whose count is a position or a distance, not a repetition."""


class BoundedEvent(KeyPressEvent):
    """A key, with a count that has a bound."""

    @property
    def arg(self) -> int:
        """The count that was typed before the key; 1 without one.

        Raises:
            RefusedKey: If the key would be repeated too often, or make too much text.
        """
        if self._arg == "-":
            return -1
        count = int((self._arg or "1")[: _COUNT_DIGITS + 1])
        if abs(count) <= 1 or self._says_where:
            return count
        buffer = self.current_buffer
        longest = max(len(buffer.text), len(self.app.clipboard.get_data().text), 1)
        if abs(count) > REPEATS or abs(count) * longest > REPEATED_CHARACTERS:
            raise RefusedKey
        return count

    @property
    def _says_where(self) -> bool:
        if self.app.editing_mode is not EditingMode.VI:
            return False
        operator = self.app.vi_state.operator_func
        # These two take the count of a motion for how far each of its lines is indented.
        if operator is not None and "indent" in operator.__name__:
            return False
        return self.key_sequence[-1].key in _PLACES

    def append_to_arg_count(self, data: str) -> None:
        """Take one more digit of the count, up to a million."""
        super().append_to_arg_count(data)
        processor = self.key_processor
        processor.arg = None if processor.arg is None else processor.arg[:_COUNT_DIGITS]


class BoundedKeyProcessor(KeyProcessor):
    """See the module's docstring. Lives on the console's loop.

    Attributes:
        bell: Rings the user's bell, for a key that does nothing.
        on_idle: Called when the keys that had waited for later turns are done.
    """

    _call_handler = with_names(KeyProcessor._call_handler, KeyPressEvent=BoundedEvent)  # noqa: SLF001 - it makes the events

    def __init__(self, key_bindings: Any) -> None:
        self.bell: Callable[[], None] = lambda: None
        self.on_idle: Callable[[], None] = lambda: None
        self._typed: deque[KeyPress] = deque()
        self._replayed: deque[KeyPress] = deque()
        self._is_replaying = False
        self._is_in_key = False
        self._goes_on: asyncio.Handle | None = None
        self._failures = FailureLog(logger)
        super().__init__(key_bindings)

    @property
    def waiting(self) -> int:
        """The number of keys that are not handled yet."""
        return len(self._typed) + len(self._replayed) + len(self.input_queue)

    @property
    def is_busy(self) -> bool:
        """Whether keys wait for the loop's next turn."""
        return bool(self._typed or self._replayed)

    def feed(self, key_press: KeyPress, first: bool = False) -> None:
        """Take a key; ``first`` for one that a binding puts in the place of its own."""
        if not first:
            self._typed.append(key_press)
        elif self._is_replaying:
            self._replayed.appendleft(key_press)
        else:
            self._typed.appendleft(key_press)

    def feed_multiple(self, key_presses: list[KeyPress], first: bool = False) -> None:
        """Take keys; ``first`` for those of a macro.

        Raises:
            RefusedKey: If a macro replays a macro, itself for one, or replays too many keys.
        """
        if not first:
            self._typed.extend(key_presses)
            return
        if self._is_replaying or len(self._replayed) + len(key_presses) > REPLAYED_KEYS:
            raise RefusedKey
        self._replayed.extendleft(reversed(key_presses))

    def process_keys(self) -> None:
        """Handle what waits, macros first; what does not fit this turn in the next ones."""
        application = get_app()
        deadline = time.perf_counter() + TURN_SECONDS
        while self.is_busy and not application.is_done:
            if time.perf_counter() >= deadline:
                self._go_on_later()
                return
            self._is_replaying = bool(self._replayed)
            waiting = self._replayed if self._is_replaying else self._typed
            self._process_one(waiting.popleft())
        if application.is_done:
            self._replayed.clear()

    def _process_one(self, key: KeyPress) -> None:
        self.input_queue.append(key)
        self._is_in_key = True
        buffer = get_app().current_buffer
        before = buffer.document
        try:
            super().process_keys()
        except RefusedKey:
            self._give_up()
        except Exception as error:  # noqa: BLE001 - the edge "key": it is logged, its session goes on
            self._failures.tell(f"the binding of a key ({_name(key)})", error)
            self._give_up()
            buffer.document = before
        finally:
            self._is_in_key = False
        self._bound_recordings()

    def _bound_recordings(self) -> None:
        """End the recording of a macro that has become too long; what it has so far is kept."""
        application = get_app()
        emacs, vi = application.emacs_state, application.vi_state
        if len(emacs.current_recording or ()) > RECORDED_KEYS:
            emacs.end_macro()
            self.bell()
        if len(vi.current_recording) > RECORDED_KEYS:
            vi.recording_register = None
            vi.current_recording = ""
            self.bell()

    def _give_up(self) -> None:
        """Forget what a key has begun, and ring the bell."""
        application = get_app()
        self._replayed.clear()
        self.arg = None
        application.vi_state.operator_func = application.vi_state.operator_arg = None
        self.bell()

    def _go_on_later(self) -> None:
        if self._goes_on is None:
            self._goes_on = asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._goes_on = None
        if get_app().is_running:
            self.process_keys()
        if not self.is_busy:
            self.on_idle()

    def empty_queue(self) -> list[KeyPress]:
        """Give back what was typed and not used. What a macro had left is forgotten."""
        keys = super().empty_queue()
        if self._is_in_key:  # prompt_toolkit gives up one key, which raised
            return keys
        keys += self._typed
        self._typed.clear()
        self._replayed.clear()
        return keys


def _name(key: KeyPress) -> str:
    """Name a key for the log, without what was typed: it may be a password."""
    return key.key.value if isinstance(key.key, Keys) else "a character"
