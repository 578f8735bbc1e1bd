"""Whether a public key opens an account: one decision for keys and certificates. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from console.auth.keys.addresses import matches_sources
from console.auth.keys.certificates import certificate_problem, forced_command
from console.auth.keys.public_keys import fingerprint
from console.interfaces.credentials import AuthorizedKey, Certificate, OfferedKey, Peer


def grant(
    user: str, offered: OfferedKey, keys: Sequence[AuthorizedKey], peer: Peer, now: float
) -> Grant | str:
    """Decide whether a key opens an account; else say why not, for the log.

    As with sshd, the first line that lets the key in counts, with its options: one that refuses
    it (from elsewhere, say) does not keep another line of the same key from letting it in.

    A key that may have been revoked is asked about first; that is the store's to know.

    Args:
        user: The account.
        offered: What the peer shows; for a certificate, its authority's signature verified.
        keys: The lines that count for this account, the user's own first.
        peer: Where the key comes from.
        now: In seconds since the epoch.
    """
    certificate = offered.certificate
    shown = offered.blob if certificate is None else certificate.authority
    reason = "no key of this user" if certificate is None else "no authority for this user"
    for line in keys:
        if line.blob == shown and line.options.authority == (certificate is not None):
            refusal = _line_refuses(line, peer, now)
            if refusal is None and certificate is not None:
                refusal = certificate_problem(certificate, user, line.options, peer, now)
            if refusal is None:
                return _grant(offered, certificate, line)
            reason = f"{_detail(offered, line)}: {refusal}"
    return reason


def _line_refuses(line: AuthorizedKey, peer: Peer, now: float) -> str | None:
    options = line.options
    if options.expires_at is not None and options.expires_at < now:
        return "the line has expired"
    if options.sources and not matches_sources(peer, options.sources):
        return "the line is not for this address"
    return None


def _grant(offered: OfferedKey, certificate: Certificate | None, line: AuthorizedKey) -> Grant:
    command, pty = line.options.command, line.options.pty
    if certificate is not None:
        command = forced_command(certificate) or command
        pty = pty and "permit-pty" in certificate.extensions
    return Grant(_detail(offered, line), command=command, pty=pty)


def _detail(offered: OfferedKey, line: AuthorizedKey) -> str:
    """Name a key and the line that counts for it. A certificate's id is its maker's own text."""
    key = f"{offered.algorithm} {fingerprint(offered.blob)}"
    certificate = offered.certificate
    if certificate is not None:
        # repr() escapes all that is not printable, and the quotes that would end the name.
        key += f" certificate {certificate.key_id[:100]!r} serial {certificate.serial}"
        key += f" by {line.fingerprint}"
    return f"{key} ({line.place})"


@dataclass(frozen=True, slots=True)
class Grant:
    """What lets a key in, and how far.

    Attributes:
        detail: Key and place for the log; for a certificate its key id and serial.
        command: Runs whatever the client asks for; None for what it asks for.
        pty: Whether a terminal may be had.
    """

    detail: str
    command: str | None = None
    pty: bool = True
