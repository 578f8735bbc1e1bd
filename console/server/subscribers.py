"""The service's event subscribers: called on one thread, each with its own queue.

A subscriber may be slow, raise or never return, and must not block the console's loop. So the loop
only appends an event to the queues, and a thread calls the subscribers, one after the other:

- A full queue drops its newest event. Drops are counted, and logged when they begin, once a minute
  while they last, and when the subscriber has caught up.
- A subscriber has the thread for `_TURN_SECONDS`, then the next one has its turn. So a slow
  subscriber gets one event in a turn while a fast one empties its queue, and only the slow one
  loses events.
- A call that lasts longer than `_STUCK_SECONDS` keeps its thread, and a new thread calls the other
  subscribers. The slow subscriber is called again when that call has returned.

The thread is started by the first event. It is a daemon thread: the interpreter does not wait for
it at exit.
"""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Final

from console.events import Event, ExceptionShown, StatementStarted, Subscriber
from console.limits import SUBSCRIBER_CHARACTERS, SUBSCRIBER_EVENTS
from console.text import escape_line, quoted

logger = logging.getLogger("console.events")

_TURN_SECONDS: Final = 0.01

_STUCK_SECONDS: Final = 5.0

_REPORT_SECONDS: Final = 60.0
"""Drops that go on, and failures of one kind, are logged once in this time, with their number."""

_KINDS: Final = 20
"""Kinds of failures of a subscriber that are counted apart; those beyond share one count."""

_TRACEBACK_CHARACTERS: Final = 8192
"""Logged of a subscriber's exception, whose message may quote a whole statement."""

Clock = Callable[[], float]


def name_of(subscriber: Subscriber) -> str:
    """Name a subscriber for the log, without running code of the service."""
    named = isinstance(subscriber, FunctionType | MethodType | BuiltinMethodType)
    name = subscriber if named else type(subscriber)
    return escape_line(".".join(filter(None, (name.__module__, name.__qualname__))))


class _Failures:
    """Limits how often the exceptions of one subscriber are logged, and counts the others."""

    def __init__(self) -> None:
        self._logged_at: dict[str, float] = {}
        self._unlogged: dict[str, int] = {}

    def note(self, kind: str, now: float) -> int | None:
        """Count an exception.

        Returns:
            How many of the kind have not been logged before it; None if it is not to be logged.
        """
        if kind not in self._logged_at and len(self._logged_at) >= _KINDS:
            kind = ""
        last = self._logged_at.get(kind)
        if last is not None and now - last < _REPORT_SECONDS:
            self._unlogged[kind] = self._unlogged.get(kind, 0) + 1
            return None
        self._logged_at[kind] = now
        return self._unlogged.pop(kind, 0)

    def take(self) -> int:
        """Return how many have not been logged, and forget them."""
        number = sum(self._unlogged.values())
        self._unlogged.clear()
        return number


class _Queue:
    """The queue of one subscriber. Guarded by the lock of its `Subscribers`."""

    def __init__(self, subscriber: Subscriber) -> None:
        self.subscriber = subscriber
        self.name = name_of(subscriber)
        self.failures = _Failures()
        self.busy = False
        """Whether a thread calls the subscriber now."""
        self._events: deque[Event] = deque()
        self._characters = 0
        self._dropped = 0
        self._dropping = False
        self._reported_at = 0.0

    def __len__(self) -> int:
        return len(self._events)

    def says(self, text: str) -> str:
        """Make a log entry about the subscriber."""
        return f"event subscriber {self.name}: {text}"

    def put(self, event: Event, now: float) -> str:
        """Append an event, or drop it. Returns an entry for the log, or an empty text."""
        size = _size(event)
        room = self._characters + size <= SUBSCRIBER_CHARACTERS and len(self) < SUBSCRIBER_EVENTS
        if room or not self._events:
            self._events.append(event)
            self._characters += size
            return ""
        self._dropped += 1
        if not self._dropping:
            self._dropping, self._reported_at = True, now
            return self.says("its queue is full; events are dropped until it has caught up")
        if now - self._reported_at < _REPORT_SECONDS:
            return ""
        self._reported_at = now
        return self._drops()

    def take(self) -> tuple[Event, str]:
        """Remove the oldest event. Returns it, and an entry for the log, or an empty text."""
        event = self._events.popleft()
        self._characters -= _size(event)
        if self._events or not self._dropping:
            return event, ""
        self._dropping = False
        return event, self._drops()

    def clear(self) -> str:
        """Drop all events. Returns an entry for the log, or an empty text."""
        self._dropped += len(self._events)
        self._events.clear()
        self._characters = 0
        self._dropping = False
        return self._drops()

    def _drops(self) -> str:
        number, self._dropped = self._dropped, 0
        return self.says(f"events dropped: {number}") if number else ""


class Subscribers:
    """Hands events to the service's subscribers, on a thread.

    Args:
        subscribers: In the order in which each event is offered to them.
        later: Calls something after so many seconds, on any thread. Called from any thread.
        clock: Seconds, from any zero on.
    """

    def __init__(
        self,
        subscribers: Sequence[Subscriber],
        later: Callable[[float, Callable[[], None]], object],
        clock: Clock = time.monotonic,
    ) -> None:
        self._queues = [_Queue(one) for one in subscribers]
        self._later = later
        self._clock = clock
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        """The thread that serves the queues. Earlier ones only finish a call that lasts."""
        self._calling: _Queue | None = None
        """The queue whose subscriber that thread calls now."""
        self._called_at = 0.0
        self._looking = False
        self._closed = False
        self._warned = False

    def deliver(self, event: Event) -> None:
        """Queue an event for each subscriber. Subscribed to the event bus; safe on any thread."""
        now = self._clock()
        look = False
        with self._changed:
            if self._closed:
                return
            entries = [queue.put(event, now) for queue in self._queues]
            entries.append(self._see_to_thread(now))
            self._changed.notify_all()
            if self._calling is not None and not self._looking and len(self._queues) > 1:
                look = self._looking = True
        _log(entries)
        if look:
            self._later(_STUCK_SECONDS, self._look)

    def close(self, timeout_seconds: float) -> None:
        """Wait until the queues are empty, up to the timeout; then begin no further call.

        A call that does not return keeps its daemon thread. Events that are still queued are
        dropped, and their number is logged. Can be called twice.
        """
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout_seconds)
        with self._changed:
            self._thread = None
            entries = [queue.clear() for queue in self._queues]
            for queue in self._queues:
                failures = queue.failures.take()
                entries.append(queue.says(f"failures not logged: {failures}") if failures else "")
        _log(entries)

    # ---- threads

    def _see_to_thread(self, now: float) -> str:
        """Start a thread if there is none, or if its call lasts too long. Holding the lock.

        Returns:
            An entry for the log, or an empty text.
        """
        stuck = self._calling
        late = stuck is not None and now - self._called_at >= _STUCK_SECONDS
        if self._thread is not None and not (late and self._is_waited_for()):
            return ""
        thread = threading.Thread(target=self._run, name="console-events", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the system gives us none: the next event tries again
            warned, self._warned = self._warned, True
            return "" if warned else f"event subscribers are not called: {error}"
        self._thread, self._calling = thread, None
        if stuck is None:
            return ""
        lasted = now - self._called_at
        return stuck.says(f"a call has lasted {lasted:.0f} s; the other subscribers go on")

    def _is_waited_for(self) -> bool:
        """Whether there are events of a subscriber that no thread calls now."""
        return any(queue and not queue.busy for queue in self._queues)

    def _look(self) -> None:
        """Check whether the present call blocks the other subscribers."""
        with self._changed:
            self._looking = False
            if self._closed:
                return
            entry = self._see_to_thread(self._clock())
            again = self._looking = self._is_waited_for()
        _log([entry])
        if again:
            self._later(_STUCK_SECONDS, self._look)

    def _run(self) -> None:
        thread = threading.current_thread()
        start = 0
        while (at := self._next(thread, start)) is not None:
            self._turn(self._queues[at], thread)
            start = at + 1

    def _next(self, thread: threading.Thread, start: int) -> int | None:
        """Wait for a queue with events; look at the one with number ``start`` first.

        Returns:
            Its number. None: the thread ends.
        """
        order = [(start + index) % len(self._queues) for index in range(len(self._queues))]
        with self._changed:
            while self._thread is thread:
                for at in order:
                    if self._queues[at] and not self._queues[at].busy:
                        self._queues[at].busy = True
                        return at
                if self._closed:
                    return None
                self._changed.wait()
        return None

    def _turn(self, queue: _Queue, thread: threading.Thread) -> None:
        """Give a subscriber events until there are none, or its time is up."""
        began = self._clock()
        while True:
            with self._changed:
                now = self._clock()
                if not queue or self._thread is not thread or now - began > _TURN_SECONDS:
                    queue.busy = False
                    self._changed.notify_all()  # if another thread goes on, this queue is its again
                    # Where this thread was left to a call, the one that goes on may be as well.
                    entry = "" if self._closed else self._see_to_thread(now)
                    break
                event, entry = queue.take()
                self._calling, self._called_at = queue, now
            _log([entry])
            _call(queue, event, self._clock)
            with self._changed:
                if self._thread is thread:
                    self._calling = None
        _log([entry])


def _call(queue: _Queue, event: Event, clock: Clock) -> None:
    try:
        queue.subscriber(event)
    except BaseException as error:  # noqa: BLE001 - the edge "event sink"; SystemExit would end the thread
        more = queue.failures.note(type(error).__qualname__, clock())
        if more is None:
            return
        since = f", {more} more times since the last entry" if more else ""
        text = "".join(traceback.format_exception(error)).rstrip("\n")[:_TRACEBACK_CHARACTERS]
        said = f"failed on {type(event).__name__}{since}:\n{quoted(text)}"
        logger.error("%s", queue.says(said))  # noqa: TRY400 - the traceback is in it, quoted


def _size(event: Event) -> int:
    """Return the length of an event's source or traceback, which may be long."""
    match event:
        case StatementStarted():
            return len(event.source)
        case ExceptionShown():
            return len(event.traceback)
    return 0


def _log(entries: Iterable[str]) -> None:
    """Log the entries that are not empty. Not holding the lock: a log handler may be slow."""
    for entry in filter(None, entries):
        logger.warning("%s", entry)
