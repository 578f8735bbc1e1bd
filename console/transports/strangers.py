"""Those who have connected and not logged in yet: how many there may be, in all and per source.

One list for all listeners of a console. When there are too many, one that is there has to go
rather than the one that comes: a flood would else keep everybody out (sshd's MaxStartups, at 100).
It is the oldest of the source that has most, so that a flood from one place ends its own.

A flood is told of once for each source, and then by a number each minute: it is no way to fill the
log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from console.events import ConnectionDropped, EventBus
from console.interfaces import Peer

SUMMARY_SECONDS: Final = 60.0
"""How long the connections of a source are counted before their number is told."""

_SOURCES_TOLD = 256
"""Sources that are told of one by one; those beyond share one number."""


class Stranger(Protocol):
    """A connection before login."""

    def abort(self) -> None:
        """End it now. Can be called twice."""


class Strangers:
    """The connections before login. Lives on the console's loop.

    Args:
        events: Where `ConnectionDropped` is published.
        source_of: Names what the limit per source counts by.
        most: Connections in all.
        most_per_source: Connections of one source.
        later: Calls something after so many seconds: the loop's ``call_later``.
    """

    def __init__(
        self,
        events: EventBus,
        source_of: Callable[[Peer], str],
        most: int,
        most_per_source: int,
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._events = events
        self._later = later
        self._more: dict[str, int] = {}
        self._source_of = source_of
        self._most = most
        self._most_per_source = most_per_source
        # Dicts, because they keep the order of arrival.
        self._sources: dict[str, dict[Stranger, tuple[str, Peer]]] = {}
        self._where: dict[Stranger, str] = {}

    def __len__(self) -> int:
        return len(self._where)

    def add(self, stranger: Stranger, transport: str, peer: Peer) -> None:
        """Take a new connection in. May end an older one."""
        source = self._source_of(peer)
        of_source = self._sources.setdefault(source, {})
        of_source[stranger] = (transport, peer)
        self._where[stranger] = source
        if len(of_source) > self._most_per_source:
            self._end_oldest(source, f"more than {self._most_per_source} connections before login")
        elif len(self._where) > self._most:
            # Of sources with as many the one that came first.
            crowded = max(self._sources, key=lambda source: len(self._sources[source]))
            self._end_oldest(crowded, f"more than {self._most} connections before login in all")

    def remove(self, stranger: Stranger) -> None:
        """Count a connection no more: it has logged in, or is gone. Can be called twice."""
        source = self._where.pop(stranger, None)
        if source is not None:
            of_source = self._sources[source]
            del of_source[stranger]
            if not of_source:
                del self._sources[source]

    def _end_oldest(self, source: str, reason: str) -> None:
        oldest, (transport, peer) = next(iter(self._sources[source].items()))
        self.remove(oldest)
        self._tell(source, transport, peer, reason)
        oldest.abort()

    def _tell(self, source: str, transport: str, peer: Peer, reason: str) -> None:
        if source not in self._more and len(self._more) >= _SOURCES_TOLD:
            source = ""
        if source in self._more:
            self._more[source] += 1
            return

        def tell_more() -> None:
            more = self._more.pop(source)
            if more:
                whose = f"{more} more connections {f'of {source} ' if source else ''}ended"
                self._publish(transport, peer, f"{whose} before login, in {SUMMARY_SECONDS:g} s")

        self._more[source] = 0
        self._later(SUMMARY_SECONDS, tell_more)
        self._publish(transport, peer, reason)

    def _publish(self, transport: str, peer: Peer, reason: str) -> None:
        self._events.publish(ConnectionDropped(transport=transport, peer=str(peer), reason=reason))
