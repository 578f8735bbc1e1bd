"""The editors of many sessions: a few start at a time, and an idle one is released.

Where a thousand users press Enter at one moment, their editors take turns, so that the temporary
objects of one are freed before the next one starts. Without turns, 300 objects a session lived long
enough to trigger a full garbage collection, which stopped the service for a second. A user who
types on does not block the others: the gate admits the next editor after 5 ms.

An editor has about a thousand objects, 230 KB. An idle session needs only a few of them (`Kept`);
another editor is built at the next key, in 3 ms. Sessions stay open for days: their editors would
cost memory, and time in each full garbage collection, which stops the service.

Keeping only the most recently used editors was tried and is worse: where many sessions are used in
turn, editors are built and released all the time, and the collector runs for them.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Final, Protocol

from console.evaluation.gate import Gate

IDLE_SECONDS: Final = 300.0

_TOGETHER_SECONDS: Final = 30.0
"""Editors that are due within this time are released together: `purge_filter_caches` takes half a
millisecond for one as for a hundred."""


class Owner(Protocol):
    """A frontend that has an editor."""

    def let_go(self) -> None:
        """Release the editor, which is not in use; another one can be built."""


class SpareEditors:
    """The idle editors of one console, and the turns to start one. Lives on its loop."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._spare: dict[Owner, float] = {}  # idle since (loop time), oldest first
        self._timer: asyncio.TimerHandle | None = None
        self._gate = Gate()
        self._turns: dict[Owner, asyncio.Future[None]] = {}

    async def turn(self, owner: Owner) -> None:
        """Wait for the turn to use an editor. `rest` or `forget` ends the turn or the waiting."""
        self._spare.pop(owner, None)
        turn = self._turns[owner] = asyncio.get_running_loop().create_future()
        self._gate.enter(owner, lambda: None if turn.done() else turn.set_result(None))
        if not turn.done():
            await turn

    def rest(self, owner: Owner) -> None:
        """Note that an editor is idle from now on."""
        self._end_turn(owner)
        self._spare[owner] = asyncio.get_running_loop().time()
        self._wait()

    def forget(self, owner: Owner) -> None:
        """Forget an owner that has closed. Idempotent."""
        self._end_turn(owner)
        self._spare.pop(owner, None)
        if not self._spare and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end_turn(self, owner: Owner) -> None:
        self._gate.withdraw(owner)
        self._gate.leave(owner)
        turn = self._turns.pop(owner, None)
        if turn is not None and not turn.done():
            turn.set_result(None)

    def _wait(self) -> None:
        if self._spare and self._timer is None:
            oldest = next(iter(self._spare.values()))
            self._timer = asyncio.get_running_loop().call_at(
                oldest + self._idle_seconds, self._let_go
            )

    def _let_go(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        last = now - self._idle_seconds + min(_TOGETHER_SECONDS, self._idle_seconds / 2)
        due = [owner for owner, since in self._spare.items() if since <= last]
        for owner in due:
            del self._spare[owner]
            owner.let_go()
        if due:
            from console.frontends.fullscreen.editor import purge_filter_caches  # noqa: PLC0415 - see there

            purge_filter_caches()
        self._wait()


_of_loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, SpareEditors] = (
    weakref.WeakKeyDictionary()
)


def spare_editors() -> SpareEditors:
    """Return the `SpareEditors` of the console whose loop is running."""
    return _of_loops.setdefault(asyncio.get_running_loop(), SpareEditors())
