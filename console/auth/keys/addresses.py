"""Which addresses a key may be used from: the lists of ``from=`` and ``source-address``. No I/O.

``from=`` is sshd's (ssh_config(5), PATTERNS; sshd(8)): entries with commas between them, each an
address, a network (``10.0.0.0/8``) or a text with ``*`` and ``?``; one that begins with ``!``
refuses what it matches, wherever it stands. ``source-address`` of a certificate knows neither
``!`` nor wildcards.

Host names are refused where they are written. Nobody looks names up here: the answer would be the
peer's own to give, and to wait for. A name could then never match, so ``from="bastion"`` would
lock its owner out and, worse, ``from="!thief.example,*"`` would let the thief in.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from console.interfaces.credentials import Peer

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

LOOPBACK = (ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"))
"""What a peer on a Unix socket counts as: it is on this machine."""

# A text with wildcards that can only mean addresses: "10.*", "*", "2001:db8:*". Not "fe80*" or
# "beef*", which are good host names too: networks say the same without doubt.
_WILDCARDS = re.compile(r"(?=.*[*?])(?:[0-9.*?]+|[0-9A-Fa-f.*?]*:[0-9A-Fa-f:.*?]*)")
_NETWORK = re.compile(r"([0-9A-Fa-f:.]{2,45})(?:/([0-9]{1,3}))?")


def sources_problem(entries: Iterable[str]) -> str | None:
    """Tell what is wrong with the entries of a ``from=`` list; None if nothing is."""
    for entry in entries:
        pattern = entry.removeprefix("!")
        if not pattern:
            return "has an empty entry"
        if _WILDCARDS.fullmatch(pattern) is None:
            try:
                _network(pattern)
            except ValueError as error:
                return str(error)
    return None


def matches_sources(peer: Peer, entries: Iterable[str]) -> bool:
    """Tell whether a ``from=`` list lets a peer in: an entry matches, and none with ``!`` does."""
    found = False
    addresses = tuple(_addresses(peer))
    if not addresses:
        return False
    for entry in entries:
        negated, pattern = entry.startswith("!"), entry.removeprefix("!")
        if any(_matches(address, pattern, negated=negated) for address in addresses):
            if negated:
                return False
            found = True
    return found


def in_networks(peer: Peer, text: str) -> bool:
    """Tell whether a peer is in one of the networks of a ``source-address``.

    Raises:
        ValueError: If an entry is no address or network. The text of the error says so.
    """
    networks = [_network(entry) for entry in text.split(",")]
    return any(_contains(network, address) for network in networks for address in _addresses(peer))


def _addresses(peer: Peer) -> Iterator[Address]:
    """Yield what a peer's address counts as; nothing if it has none that can be read."""
    if not peer.host:
        yield from LOOPBACK
        return
    try:
        address = ipaddress.ip_address(peer.host)
    except ValueError:
        return
    # A socket for both families shows IPv4 so; rules are written for the real address.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    yield mapped or address


def _network(text: str) -> Network:
    """Read an address or a network, as strictly as sshd.

    ``ipaddress`` alone takes ``10.0.0.0/255.0.0.0`` too, and sshd does not.
    """
    parts = _NETWORK.fullmatch(text)
    if parts is None:
        raise ValueError("is neither an address nor a network; host names are not looked up")
    try:
        return ipaddress.ip_network(text, strict=True)
    except ValueError:
        pass
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise ValueError("has an address or a prefix length that does not exist") from None
    raise ValueError(f"has bits behind the network's prefix; write {network}")


def _matches(address: Address, pattern: str, *, negated: bool) -> bool:
    try:
        network = _network(pattern)
    except ValueError:
        return _matches_wildcards(str(address).lower(), pattern.lower())
    return _contains(network, address, any_zone=negated)


def _contains(network: Network, address: Address, *, any_zone: bool = False) -> bool:
    """Tell whether a network has an address.

    ``fe80::1%eth0`` is in no network for sshd. So it is here, where that lets somebody in.
    """
    zoned = isinstance(address, IPv6Address) and address.scope_id is not None
    return (any_zone or not zoned) and address in network


def _matches_wildcards(text: str, pattern: str) -> bool:
    """Match ``*`` and ``?``, in a time bounded by the product of both lengths.

    A regular expression made of the pattern would try exponentially many ways.
    """
    at = pattern_at = 0
    star, resume = -1, 0
    while at < len(text):
        if pattern_at < len(pattern) and pattern[pattern_at] == "*":
            star, resume = pattern_at, at
            pattern_at += 1
        elif pattern_at < len(pattern) and pattern[pattern_at] in {"?", text[at]}:
            at += 1
            pattern_at += 1
        elif star >= 0:  # let the last star take one character more
            resume += 1
            at, pattern_at = resume, star + 1
        else:
            return False
    return not pattern[pattern_at:].strip("*")
