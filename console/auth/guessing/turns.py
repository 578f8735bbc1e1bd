"""Turns: one guess at a time from each source, and a pause after it that no client can skip."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator


class Turn:
    """A source's turn. ``free_at`` is the loop time at which its next one may begin.

    Set it as soon as the turn begins: a client that disconnects or sends another request before
    the answer still leaves the pause to the source's next guess.
    """

    def __init__(self) -> None:
        self.free_at = 0.0
        self.busy = False
        self.waiting: list[tuple[int, asyncio.Future[None]]] = []

    async def take(self, rank: int) -> None:
        """Wait for the turn. Of the waiters with the lowest rank the latest one is next.

        Where an attacker keeps many connections waiting, another user of the same address (of one
        gateway, say) waits for one of them and not for all.
        """
        if self.busy:
            mine = asyncio.get_running_loop().create_future()
            self.waiting.append((rank, mine))
            try:
                await mine
            except asyncio.CancelledError:
                if (rank, mine) in self.waiting:
                    self.waiting.remove((rank, mine))
                elif not mine.cancelled():  # the turn had just been given to this waiter
                    self.give()
                raise
        self.busy = True

    def give(self) -> None:
        """Give the turn to the next waiter."""
        while self.waiting:
            # Backwards, because min() takes the first of equals.
            at = min(range(len(self.waiting) - 1, -1, -1), key=lambda at: self.waiting[at][0])
            _, following = self.waiting.pop(at)
            if not following.done():
                following.set_result(None)  # the turn stays busy meanwhile
                return
        self.busy = False


class Turns:
    """The turns of all sources that guess or have to pause. Lives on one loop."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}

    @contextlib.asynccontextmanager
    async def of(self, source: str, rank: int = 0) -> AsyncIterator[Turn]:
        """Wait for a source's turn; of its waiters the one with the lowest rank is first."""
        turn = self._turns.get(source)
        if turn is None:
            turn = self._turns[source] = Turn()
        await turn.take(rank)
        try:
            await sleep_until(turn.free_at)
            yield turn
        finally:
            turn.give()
            if not turn.busy:
                asyncio.get_running_loop().call_at(turn.free_at, self._forget, source, turn)

    def _forget(self, source: str, turn: Turn) -> None:
        if not turn.busy and self._turns.get(source) is turn:
            if turn.free_at > asyncio.get_running_loop().time():
                asyncio.get_running_loop().call_at(turn.free_at, self._forget, source, turn)
            else:
                del self._turns[source]


async def sleep_until(moment: float) -> None:
    """Sleep until a moment in loop time."""
    seconds = moment - asyncio.get_running_loop().time()
    if seconds > 0:
        await asyncio.sleep(seconds)
