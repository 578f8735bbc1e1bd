"""The output of one session: buffered, with flow control, for a client that may be slow or gone.

Statements write from their worker, from the host's loop and from threads of their own. The text is
buffered here and passed to the console's loop with one wake-up for each burst. A write for each
``print`` would cost a system call, and an SSH packet, for every line.

The buffer is bounded. A thread that writes to a full buffer waits until the client has read. A
thread that runs an event loop never waits: its text is dropped, and the number of dropped
characters is shown in its place.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from collections.abc import Callable

from console.context.uninterrupted import Latch, uninterrupted
from console.limits import PENDING_OUTPUT_CHARACTERS

_CHUNK_CHARACTERS = 64 * 1024
"""The most that is delivered in one turn of the loop, so that other sessions get their turns."""

_WAIT_SECONDS = 0.1
"""The longest single wait of a writer. An interrupt arrives only between two waits."""

Deliver = Callable[[str, bool], None]


def _nowhere(text: str, error: bool) -> None:
    """Drop text: the session has ended."""


class _Run:
    """Consecutive text of one stream, up to a chunk of it."""

    __slots__ = ("error", "parts", "size")

    def __init__(self, error: bool) -> None:
        self.error = error
        self.parts: list[str] = []
        self.size = 0


class SessionOutput:
    """An `OutputSink` in front of a frontend.

    ``write`` may be called from any thread; the rest belongs to the console's loop.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        deliver: Deliver,
        limit_characters: int = PENDING_OUTPUT_CHARACTERS,
    ) -> None:
        self._loop = loop
        self._thread = threading.get_ident()
        self._deliver = deliver
        self._limit = limit_characters
        # Re-entrant: a finaliser that prints may run while this thread holds the lock. Not a
        # Condition: see `console.context.uninterrupted`.
        self._lock = threading.RLock()
        self._waiting: deque[Latch] = deque()
        self._pending: deque[_Run] = deque()
        self._last = _Run(error=False)  # the last pending run, or one that takes no more text
        self._last.size = _CHUNK_CHARACTERS
        self._size = 0
        self._dropped = 0
        self._scheduled = False
        self._paused = False
        self._closed = False
        self._drained: list[asyncio.Future[None]] = []

    @uninterrupted
    def write(self, text: str, *, error: bool = False) -> bool:
        """Take text. False once the session has ended: the host's stream then gets the text."""
        size = len(text)
        with self._lock:
            last = self._last
            # The usual case: earlier text of the same stream is still pending.
            if (
                last.error is error
                and last.size + size <= _CHUNK_CHARACTERS
                and self._scheduled
                and self._size < self._limit
            ):
                last.parts.append(text)
                last.size += size
                self._size += size
                return True
        return self._write(text, error)

    def _write(self, text: str, error: bool) -> bool:
        # In pieces, so that the limit holds for one large string too.
        return all(
            self._put(text[start : start + _CHUNK_CHARACTERS], error)
            for start in range(0, len(text), _CHUNK_CHARACTERS)
        )

    def _put(self, text: str, error: bool) -> bool:
        while (taken := self._take_in(text, error)) is None:
            self._wait_for_room()
        return taken

    @uninterrupted
    def _take_in(self, text: str, error: bool) -> bool | None:
        """Buffer text, or drop it if the buffer is full and this thread must not wait.

        Returns:
            Whether the session still takes text; None: the caller has to wait for room.
        """
        with self._lock:
            if self._closed:
                return False
            if self._size >= self._limit:
                if not self._may_not_wait():
                    return None
                self._dropped += len(text)
                self._last.size = _CHUNK_CHARACTERS  # the note has to precede the next text
                return True
            if self._dropped:
                self._note_dropped()
            self._append(text, error)
            if self._scheduled or self._paused:
                return True
            self._scheduled = True
        # On the loop's own thread no wake-up is needed, which would be a system call.
        on_loop = threading.get_ident() == self._thread
        try:
            (self._loop.call_soon if on_loop else self._loop.call_soon_threadsafe)(self._flush)
        except RuntimeError:
            # The loop is closed only after every session; a thread may still print in between.
            pass
        except BaseException:  # interrupted, perhaps before it was scheduled
            self._scheduled = False
            raise
        return True

    @uninterrupted
    def _append(self, text: str, error: bool) -> None:
        last = self._last
        if last.error is not error or last.size + len(text) > _CHUNK_CHARACTERS:
            self._last = last = _Run(error)
            self._pending.append(last)
        last.parts.append(text)
        last.size += len(text)
        self._size += len(text)

    def _wait_for_room(self) -> None:
        # A new latch for each wait: an interrupt may arrive at any point of it.
        room = Latch()
        self._waiting.append(room)
        try:
            room.wait(_WAIT_SECONDS)
        finally:
            with contextlib.suppress(ValueError):
                self._waiting.remove(room)

    def _let_writers_go(self) -> None:
        while self._waiting:
            with contextlib.suppress(IndexError):  # the writer has just stopped waiting
                self._waiting.popleft().open()

    def pause(self) -> None:
        """Deliver nothing until `resume`: the transport's write buffer is full."""
        self._paused = True

    def resume(self) -> None:
        """Deliver again."""
        self._paused = False
        self._schedule()

    async def drained(self) -> None:
        """Wait until everything written so far has been delivered to the frontend."""
        if self._pending or self._dropped:
            future: asyncio.Future[None] = self._loop.create_future()
            self._drained.append(future)
            self._schedule()
            await future

    def close(self) -> None:
        """Take no more text, drop pending text, release writers. Can be called twice."""
        with self._lock:
            self._closed = True
            # An exception that the host keeps may hold this object, but must not hold the session.
            self._deliver = _nowhere
            self._pending.clear()
            self._last.size = _CHUNK_CHARACTERS
            self._size = self._dropped = 0
            self._let_writers_go()
        self._tell_drained()

    def _may_not_wait(self) -> bool:
        # asyncio's own record of a loop running in this thread; uvloop sets it as well.
        return (
            threading.get_ident() == self._thread or asyncio._get_running_loop() is not None  # noqa: SLF001
        )

    @uninterrupted
    def _note_dropped(self) -> None:
        note = f"\n[{self._dropped} characters of output dropped: the client was too slow]\n"
        self._dropped = 0
        self._append(note, error=True)

    def _schedule(self) -> None:
        with self._lock:
            if self._scheduled or self._paused:
                return
            self._scheduled = True
        self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        """Deliver one chunk of one stream."""
        with self._lock:
            self._scheduled = False
            if self._paused or self._closed:
                return
            if not self._pending and self._dropped:
                self._note_dropped()
            error, text = self._take()
            self._let_writers_go()
        if text:
            self._deliver(text, error)
        if self._pending or self._dropped:
            self._schedule()
        else:
            self._tell_drained()

    def _take(self) -> tuple[bool, str]:
        """Remove and return the oldest run: up to a chunk of text of one stream."""
        if not self._pending:
            return False, ""
        taken = self._pending.popleft()
        text = "".join(taken.parts)
        self._size = self._size - len(text) if self._pending else 0
        taken.size = _CHUNK_CHARACTERS  # it may be `_last`, which must take no more text
        return taken.error, text

    def _tell_drained(self) -> None:
        waiting, self._drained = self._drained, []
        for future in waiting:
            if not future.done():
                future.set_result(None)
