"""What a wrong password costs: rules without I/O, with a clock that is given.

Each failure is answered after a delay, which doubles with the failures of the source that the
guess came from, and, after some more of them, with those at the user who was guessed at. A source
makes one guess at a time, and its delay is served inside of that (``turns.py``), so that a
thousand connections from one address guess no faster than one.

Who comes from many addresses need not wait for any of these delays. So guesses at a user who has
been guessed at take turns as well, ten a second, but for those who come from where somebody has
come in before. Whose address has not failed yet goes first.

Nobody is ever locked out: a delay is for failures only, and one that many sources have brought
upon a user is served by each of them, not by the operator who comes from somewhere else with the
right password. What has been counted lapses, one failure each half minute, and no more is counted
than lapses in an hour.

Success forgives nothing: who has a small account of their own could use it to wash away the
failures at a big one.
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
"""A user may be guessed at so often before that adds to what the source has to wait."""

FREE_KEYS: Final = 60
"""Keys of a source that may be refused before the next ones take turns, ten a second. They are no
guesses, and clients show all that they have; but each is a look into files, and most are logged."""

_IPV6_PREFIX = 64
"""Somebody who has one address of IPv6 has all that share its first 64 bits (RFC 6177)."""


def _address(peer: Peer) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(peer.host.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def source_of(peer: Peer) -> str:
    """Name what limits are counted by: an address, an IPv6 network, a user of this machine."""
    address = _address(peer)
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(peer if address is None else address)


class Throttle:
    """Knows who has failed lately. Not safe for threads.

    Args:
        settings: The delays, and who is spared.
        clock: Seconds that never run backwards.
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
        """Whether a peer waits for nothing but the constant time of each failure."""
        address = _address(peer)
        if address is None:
            return not self._settings.throttle_unix
        return not self._settings.throttle_loopback and address.is_loopback

    def delay_seconds(self, peer: Peer, user: str) -> float:
        """Tell how long after its beginning a guess is answered if it is wrong."""
        base = self._settings.failure_seconds
        if self.is_spared(peer):
            return base
        at_source = self._sources.count(source_of(peer))
        at_user = self._users.count(user) - FREE_FAILURES_AT_A_USER
        doublings = min(max(at_source, at_user, 0.0), 32.0)
        return max(base, min(base * 2.0 ** int(doublings), self._settings.failure_most_seconds))

    def is_besieged(self, peer: Peer, user: str) -> bool:
        """Whether a guess at this user has to wait for its turn among those from elsewhere."""
        guessed_at = self._users.count(user) > FREE_FAILURES_AT_A_USER
        return guessed_at and source_of(peer) not in self._welcome

    def key_refused(self, peer: Peer) -> bool:
        """Count a refused key. Whether its answer has to wait for its turn."""
        if self.is_spared(peer) or self.is_welcome(peer):
            return False
        self._keys.add(source_of(peer))
        return self._keys.count(source_of(peer)) > FREE_KEYS

    def is_welcome(self, peer: Peer) -> bool:
        """Whether somebody has come in from there before."""
        return source_of(peer) in self._welcome

    def failed(self, peer: Peer, user: str) -> None:
        """Count a wrong guess."""
        self._sources.add(source_of(peer))
        self._users.add(user)

    def succeeded(self, peer: Peer) -> None:
        """Remember that somebody came in from there: they go before strangers in a flood."""
        source = source_of(peer)
        self._welcome[source] = None
        self._welcome.move_to_end(source)
        if len(self._welcome) > REMEMBERED:
            self._welcome.popitem(last=False)

    def rank(self, peer: Peer) -> int:
        """Tell who goes first where checks queue up: the lower, the sooner."""
        return 2 if self._has_failed(peer) else self.standing(peer)

    def standing(self, peer: Peer) -> int:
        """Tell who stays where there is no room for all: the lower, the longer.

        A slip does not make a stranger of somebody who has come in from there before.
        """
        if self.is_welcome(peer):
            return 0
        return 2 if self._has_failed(peer) else 1

    def _has_failed(self, peer: Peer) -> bool:
        return self._sources.count(source_of(peer)) > 0
