"""Unauthenticated connections: limited in all and per source.

One list for all listeners of a console. When there are too many, an older connection is evicted
rather than the new one refused: a flood would else keep every user out (sshd's MaxStartups, at
100). It is the oldest of the source that has most, so that a flood from one place evicts its own.
Of sources that have as many, one with a failed login lately goes first, and one with a successful
login goes last.
"""

from __future__ import annotations

from collections.abc import Callable

from console.interfaces.credentials import Peer
from console.interfaces.transports import Connection, DropLog


class UnauthenticatedConnections:
    """The connections before login. Lives on the console's loop.

    Args:
        drops: Is told of each connection that is evicted.
        source_of: Names what the limit per source counts by.
        most: Connections in all.
        most_per_source: Connections of one source.
        standing: Orders sources with as many connections: the highest is evicted from.
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
        self._sources: dict[str, dict[Connection, tuple[str, Peer]]] = {}
        self._where: dict[Connection, str] = {}

    def __len__(self) -> int:
        return len(self._where)

    def add(self, connection: Connection, transport: str, peer: Peer) -> None:
        """Count a new connection. May evict an older one."""
        source = self._source_of(peer)
        of_source = self._sources.setdefault(source, {})
        of_source[connection] = (transport, peer)
        self._where[connection] = source
        if len(of_source) > self._most_per_source:
            self._evict_from(source, f"more than {self._most_per_source} connections before login")
        elif len(self._where) > self._most:
            # Of sources with as many the one that came first.
            crowded = max(self._sources, key=self._rank)
            self._evict_from(crowded, f"more than {self._most} connections before login in all")

    def remove(self, connection: Connection) -> None:
        """Count a connection no more: it has logged in, or is gone. Can be called twice."""
        source = self._where.pop(connection, None)
        if source is not None:
            of_source = self._sources[source]
            del of_source[connection]
            if not of_source:
                del self._sources[source]

    def _rank(self, source: str) -> tuple[int, int]:
        connections = self._sources[source]
        _, peer = next(iter(connections.values()))
        return len(connections), self._standing(peer)

    def _evict_from(self, source: str, reason: str) -> None:
        oldest, (transport, peer) = next(iter(self._sources[source].items()))
        self.remove(oldest)
        self._drops.tell(transport, peer, reason)
        oldest.abort()
