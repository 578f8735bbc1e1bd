"""Those who have connected and not logged in yet: how many there may be, in all and per source.

One list for all listeners of a console. When there are too many, one that is there has to go
rather than the one that comes: a flood would else keep everybody out (sshd's MaxStartups, at 100).
It is the oldest of the source that has most, so that a flood from one place ends its own; where
sources have as many, one from where a guess was wrong lately goes first, and one from where
somebody has come in before goes last.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from console.interfaces.credentials import Peer
from console.transports.drop_log import DropLog


class Stranger(Protocol):
    """A connection before login."""

    def abort(self) -> None:
        """End it now. Can be called twice."""


class UnauthenticatedConnections:
    """The connections before login. Lives on the console's loop.

    Args:
        drops: Who tells of those that have to go.
        source_of: Names what the limit per source counts by.
        most: Connections in all.
        most_per_source: Connections of one source.
        standing: Tells who stays among sources with as many: the lower, the longer.
    """

    def __init__(
        self,
        *,
        drops: DropLog,
        source_of: Callable[[Peer], str],
        most: int,
        most_per_source: int,
        standing: Callable[[Peer], int],
    ) -> None:
        self._drops = drops
        self._standing = standing
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
            crowded = max(self._sources, key=self._rank)
            self._end_oldest(crowded, f"more than {self._most} connections before login in all")

    def remove(self, stranger: Stranger) -> None:
        """Count a connection no more: it has logged in, or is gone. Can be called twice."""
        source = self._where.pop(stranger, None)
        if source is not None:
            of_source = self._sources[source]
            del of_source[stranger]
            if not of_source:
                del self._sources[source]

    def _rank(self, source: str) -> tuple[int, int]:
        connections = self._sources[source]
        _, peer = next(iter(connections.values()))
        return len(connections), self._standing(peer)

    def _end_oldest(self, source: str, reason: str) -> None:
        oldest, (transport, peer) = next(iter(self._sources[source].items()))
        self.remove(oldest)
        self._drops.tell(transport, peer, reason)
        oldest.abort()
