"""Measures on demand whether the service's loop is blocked.

There is no heartbeat, which would wake a service without a session. So the time for which a loop
has been blocked is measured from the first probe that it has not answered.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from typing import Final

from console.evaluation.host_loop import HostLoop

ANSWER_SECONDS: Final = 0.2
"""A loop that takes longer is blocked, as a user at a prompt sees it."""


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    loop: asyncio.AbstractEventLoop
    asked_at: float
    answered: asyncio.Future[None]


class LoopProbe:
    """Asks the service's loop. Lives on the console's loop."""

    def __init__(self, host: HostLoop) -> None:
        self._host = host
        self._open: _Question | None = None

    async def silent_seconds(self) -> float:
        """Return for how long at least the loop has been blocked; 0 if it answers or is not run.

        Takes until the loop answers, and `ANSWER_SECONDS` at most. At most one probe without an
        answer is pending on a loop, however often this is called.
        """
        loop = self._host.known_loop
        if loop is None or not loop.is_running():
            return 0.0
        question = self._open
        if question is None or question.loop is not loop:
            question = self._ask(loop)
        if question is None:
            return 0.0
        await asyncio.wait([question.answered], timeout=ANSWER_SECONDS)
        return 0.0 if question.answered.done() else time.monotonic() - question.asked_at

    def _ask(self, loop: asyncio.AbstractEventLoop) -> _Question | None:
        here = asyncio.get_running_loop()
        question = _Question(loop, time.monotonic(), here.create_future())

        def answer() -> None:
            with contextlib.suppress(RuntimeError):  # the console has stopped meanwhile
                here.call_soon_threadsafe(self._note, question)

        try:
            loop.call_soon_threadsafe(answer)
        except RuntimeError:  # closed just now
            return None
        self._open = question
        return question

    def _note(self, question: _Question) -> None:
        question.answered.set_result(None)
        if self._open is question:
            self._open = None
