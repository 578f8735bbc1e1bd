"""Publishes that connections were ended for breaking a rule, at a limited rate.

Unauthenticated peers decide how often that happens: a flood of connections, of HTTP requests or of
failed handshakes would write thousands of log entries a second. Each source gets a few entries for
single connections, and then one entry a minute with the number of connections.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from console.events import ConnectionDropped, EventBus
from console.interfaces.credentials import Peer

TOLD_EACH: Final = 10
"""Connections of a source that are told of one by one, a minute; fail2ban asks for fewer."""

SUMMARY_SECONDS: Final = 60.0
"""How long those beyond are counted before their number is told."""

_SOURCES: Final = 256
"""Sources that are counted each for itself; those beyond share one count."""


class DropLog:
    """Publishes `ConnectionDropped`. Lives on the console's loop.

    Args:
        events: Where it is published.
        source_of: Names what the entries are counted by.
        later: Calls something after so many seconds: the loop's ``call_later``.
    """

    def __init__(
        self,
        events: EventBus,
        source_of: Callable[[Peer], str],
        later: Callable[[float, Callable[[], None]], object],
    ) -> None:
        self._events = events
        self._source_of = source_of
        self._later = later
        self._counts: dict[str, int] = {}

    def tell(self, transport: str, peer: Peer, reason: str) -> None:
        """Tell that a connection has been ended for breaking a rule, or count it."""
        source = self._source_of(peer)
        if source not in self._counts:
            if len(self._counts) >= _SOURCES:
                source = ""
            if source not in self._counts:
                self._counts[source] = 0
                self._later(SUMMARY_SECONDS, lambda: self._tell_number(source, transport, peer))
        self._counts[source] += 1
        if self._counts[source] <= TOLD_EACH:
            self._publish(transport, peer, reason)

    def _tell_number(self, source: str, transport: str, peer: Peer) -> None:
        more = self._counts.pop(source) - TOLD_EACH
        if more > 0:
            whose = f"of {source}" if source else "of other sources"
            self._publish(
                transport, peer, f"{more} more connections {whose} ended, in {SUMMARY_SECONDS:g} s"
            )

    def _publish(self, transport: str, peer: Peer, reason: str) -> None:
        self._events.publish(ConnectionDropped(transport=transport, peer=str(peer), reason=reason))
