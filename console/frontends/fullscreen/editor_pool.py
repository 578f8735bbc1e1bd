"""Editors of many sessions: a few begin to be used at a time, and none is kept unused for long.

Where a thousand operators press Enter in one moment, their editors take turns. What each of them
makes on the way is gone before the next one begins: all at once it was 300 objects a session that
lived long enough for the collector to go through everything, for a second in which the service
stood still. Who types on keeps no place, as the gate lets the next one in after 5 ms.

An editor is some thousand objects, 230 KB, of which its session needs only a few (`Kept`) while
nobody types; another one is built at the next key, in 3 ms. Sessions are left open for days: theirs
would cost memory, and time at each full garbage collection, for which the service stands still.

What was tried and is worse: to keep only the few editors that were used last. Where many sessions
are used by turns the collector then runs for those that are built and let go of all the time.
"""

from __future__ import annotations

import asyncio
import weakref
from typing import Final, Protocol

from console.evaluation.gate import Gate

IDLE_SECONDS: Final = 300.0

_TOGETHER_SECONDS: Final = 30.0
"""Those that are due within this are let go of together: to forget one costs half a millisecond
(`purge_filter_caches`), and so does to forget a hundred."""


class Owner(Protocol):
    """What has an editor."""

    def let_go(self) -> None:
        """Let go of the editor, which is not in use; another one can be built."""


class SpareEditors:
    """Those of one console that are not in use. Lives on its loop."""

    def __init__(self, idle_seconds: float = IDLE_SECONDS) -> None:
        self._idle_seconds = idle_seconds
        self._spare: dict[Owner, float] = {}  # since when, oldest first
        self._timer: asyncio.TimerHandle | None = None
        self._gate = Gate()
        self._turns: dict[Owner, asyncio.Future[None]] = {}

    async def turn(self, owner: Owner) -> None:
        """Wait for the turn to use an editor: until `rest`, or `forget`, which ends the waiting."""
        self._spare.pop(owner, None)
        turn = self._turns[owner] = asyncio.get_running_loop().create_future()
        self._gate.enter(owner, lambda: None if turn.done() else turn.set_result(None))
        if not turn.done():
            await turn

    def rest(self, owner: Owner) -> None:
        """Take note that an editor is not in use from now on."""
        self._end_turn(owner)
        self._spare[owner] = asyncio.get_running_loop().time()
        self._wait()

    def forget(self, owner: Owner) -> None:
        """Forget an owner, who has ended. Can be called twice."""
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
    """Return those of the console whose loop this is."""
    return _of_loops.setdefault(asyncio.get_running_loop(), SpareEditors())
