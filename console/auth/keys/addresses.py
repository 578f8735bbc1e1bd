"""Which addresses a key may be used from: the lists of ``from=`` and ``source-address``. No I/O.

``from=`` follows sshd (ssh_config(5), PATTERNS; sshd(8)): entries separated by commas, each an
address, a network (``10.0.0.0/8``) or a pattern with ``*`` and ``?``. An entry that begins with
``!`` refuses what it matches, wherever it stands. ``source-address`` of a certificate has neither
``!`` nor wildcards.

A host name is refused when the line is read. Names are not looked up: the peer may control the
answer and its delay. A name would then never match, so ``from="bastion"`` would lock its owner out
and ``from="!thief.example,*"`` would accept the address that it excludes.
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
"""The addresses that a peer on a Unix socket counts as: it is on this machine."""

# A pattern that can only mean addresses: "10.*", "*", "2001:db8:*". Not "fe80*" or "beef*", which
# may be host names: a network says the same without ambiguity.
_WILDCARDS = re.compile(r"(?=.*[*?])(?:[0-9.*?]+|[0-9A-Fa-f.*?]*:[0-9A-Fa-f:.*?]*)")
_NETWORK = re.compile(r"([0-9A-Fa-f:.]{2,45})(?:/([0-9]{1,3}))?")


def sources_problem(entries: Iterable[str]) -> str | None:
    """Return what is wrong with the entries of a ``from=`` list; None if nothing is."""
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
    """Whether a ``from=`` list accepts a peer: an entry matches, and none with ``!`` does."""
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
    """Whether a peer is in one of the networks of a ``source-address``.

    Raises:
        ValueError: If an entry is not an address or network. The text says what it is.
    """
    networks = [_network(entry) for entry in text.split(",")]
    return any(_contains(network, address) for network in networks for address in _addresses(peer))


def _addresses(peer: Peer) -> Iterator[Address]:
    """Yield the addresses that a peer counts as; none if its address cannot be parsed."""
    if not peer.host:
        yield from LOOPBACK
        return
    try:
        address = ipaddress.ip_address(peer.host)
    except ValueError:
        return
    # A dual-stack socket reports an IPv4 peer as ::ffff:a.b.c.d; rules name the IPv4 address.
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    yield mapped or address


def _network(text: str) -> Network:
    """Read an address or a network, as strictly as sshd.

    ``ipaddress`` alone also takes ``10.0.0.0/255.0.0.0``, which sshd does not.
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
    """Whether a network has an address.

    As in sshd, ``fe80::1%eth0`` is in no network. A negated entry ignores the zone
    (``any_zone``): otherwise that peer would escape it.
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
