"""Whether a public key or certificate authenticates a user: one decision for both. No I/O."""

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
    """Decide whether a key authenticates a user; if not, return the reason for the log.

    As with sshd, the first line that accepts the key counts, with its options. A line that refuses
    it (by its address, say) does not keep another line of the same key from accepting it.

    Revocation is not checked here: the store checks it before.

    Args:
        user: The user who logs in.
        offered: The offered key; of a certificate, the authority's signature has been verified.
        keys: The lines that count for this user, the user's own first.
        peer: The peer that offers the key.
        now: The time, in seconds since the epoch.
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
    """Name a key and its line, for the log. A certificate's key id is free text of its issuer."""
    key = f"{offered.algorithm} {fingerprint(offered.blob)}"
    certificate = offered.certificate
    if certificate is not None:
        # repr() escapes all that is not printable, and the quotes that would end the name.
        key += f" certificate {certificate.key_id[:100]!r} serial {certificate.serial}"
        key += f" by {line.fingerprint}"
    return f"{key} ({line.place})"


@dataclass(frozen=True, slots=True)
class Grant:
    """What an accepted key may do.

    Attributes:
        detail: The key and its line, for the log; of a certificate also its key id and serial.
        command: Runs in place of the client's command; None for no forced command.
        pty: Whether the client may have a terminal.
    """

    detail: str
    command: str | None = None
    pty: bool = True
