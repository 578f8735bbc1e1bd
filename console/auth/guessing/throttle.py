"""The throttling of wrong passwords: rules without I/O, with an injected clock.

Each failure is answered after a delay. It doubles with each failure of the guess's source and,
after some more, with each failure at the guessed user. A source makes one guess at a time, and the
delay is part of that turn (``turns.py``), so a thousand connections from one address guess no
faster than one.

An attacker with many addresses is not held by these delays. So guesses at a user with failures
also take turns, ten a second, except those from a known source: one with a successful login. A
source without failures goes first.

No user is locked out: only failures are delayed, and a delay that many sources caused at a user
is served by those sources, not by the operator who logs in from elsewhere with the right password.
Failures are forgotten, one each half minute, and no more are counted than are forgotten in an hour.

A success resets no counter: a user with a small account could otherwise use it to erase the
failures at an administrator's.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from console.auth.guessing.failures import REMEMBERED, Failures
from console.config.settings import LoginSettings
from console.interfaces.credentials import Peer

INTERVAL_SECONDS: Final = 0.1
"""Between two guesses of one source, right ones too: at most 10 a second."""

FREE_FAILURES_AT_A_USER: Final = 5
"""Failures at a user that do not delay an answer yet."""

FREE_KEYS: Final = 60
"""Refused keys of a source before the next ones take turns, ten a second. They are not guesses, and
clients offer all keys that they have; but each one reads files, and most are logged."""

_IPV6_PREFIX = 64
"""A site has all IPv6 addresses that share the first 64 bits (RFC 6177)."""


def _address(peer: Peer) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(peer.host.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def source_of(peer: Peer) -> str:
    """Return the name that limits count by: an address, an IPv6 network, a local user."""
    address = _address(peer)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(peer if address is None else address)


class Throttle:
    """Knows the recent failures of sources and at users. Not thread-safe.

    Args:
        settings: The delays, and whether loopback and Unix sockets are throttled.
        clock: A monotonic clock, in seconds.
    """

    def __init__(
        self, settings: LoginSettings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._sources = Failures(clock)
        self._users = Failures(clock)
        self._keys = Failures(clock)
        self._welcome: OrderedDict[str, None] = OrderedDict()

    def is_spared(self, peer: Peer) -> bool:
        """Whether a peer is exempt from all delays but the constant one of each failure."""
        address = _address(peer)
        if address is None:
            return not self._settings.throttle_unix
        return not self._settings.throttle_loopback and address.is_loopback

    def delay_seconds(self, peer: Peer, user: str) -> float:
        """Return the seconds from the start of a guess to its answer, if it is wrong."""
        base = self._settings.failure_seconds
        if self.is_spared(peer):
            return base
        at_source = self._sources.count(source_of(peer))
        at_user = self._users.count(user) - FREE_FAILURES_AT_A_USER
        doublings = min(max(at_source, at_user, 0.0), 32.0)
        return max(base, min(base * 2.0 ** int(doublings), self._settings.failure_most_seconds))

    def is_besieged(self, peer: Peer, user: str) -> bool:
        """Whether a guess at this user has to take turns with those from other sources."""
        guessed_at = self._users.count(user) > FREE_FAILURES_AT_A_USER
        return guessed_at and source_of(peer) not in self._welcome

    def key_refused(self, peer: Peer) -> bool:
        """Count a refused key. Whether its answer has to take turns."""
        if self.is_spared(peer) or self.is_welcome(peer):
            return False
        self._keys.add(source_of(peer))
        return self._keys.count(source_of(peer)) > FREE_KEYS

    def is_welcome(self, peer: Peer) -> bool:
        """Whether a peer's source is known: a login from it has succeeded."""
        return source_of(peer) in self._welcome

    def failed(self, peer: Peer, user: str) -> None:
        """Count a wrong guess."""
        self._sources.add(source_of(peer))
        self._users.add(user)

    def succeeded(self, peer: Peer) -> None:
        """Count a login: the peer's source is known, and goes before others in a flood."""
        source = source_of(peer)
        self._welcome[source] = None
        self._welcome.move_to_end(source)
        if len(self._welcome) > REMEMBERED:
            self._welcome.popitem(last=False)

    def rank(self, peer: Peer) -> int:
        """Return a peer's rank where checks queue up: the lower, the sooner."""
        return 2 if self._has_failed(peer) else self.standing(peer)

    def standing(self, peer: Peer) -> int:
        """Return a peer's rank where connections are evicted: the lower, the later.

        A known source keeps its rank after a failure.
        """
        if self.is_welcome(peer):
            return 0
        return 2 if self._has_failed(peer) else 1

    def _has_failed(self, peer: Peer) -> bool:
        return self._sources.count(source_of(peer)) > 0
