"""OpenSSH user certificates (PROTOCOL.certkeys): how they are parsed, and when they are accepted.

No I/O and no cryptography: `parse_certificate` returns the signature and the signed bytes. The
caller verifies them; until then the certificate proves nothing.

The rules are sshd's, with three differences, each stricter. A certificate without principals is
refused; sshd before 10.3 accepted it for every user whose ``authorized_keys`` has the authority.
An option that stands twice is refused whatever its name. ``verify-required`` is refused, as is any
critical option that is not enforced.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from console.auth.keys.addresses import in_networks
from console.auth.keys.public_keys import KINDS, Wire, WireError, key_problem, parameters_problem
from console.interfaces.credentials import Certificate, KeyOptions, OfferedKey, Peer

CERTIFICATE_KINDS: Final = {
    kind.removesuffix("@openssh.com") + "-cert-v01@openssh.com": kind for kind in KINDS
}
"""The kind of the key in a certificate, by the certificate's kind."""

_SIGNATURES = {kind: (kind,) for kind in KINDS} | {"ssh-rsa": ("rsa-sha2-256", "rsa-sha2-512")}
"""The signature algorithms accepted from an authority, by its kind. ``ssh-rsa`` is SHA-1."""

_USER, _HOST = 1, 2

_PRINCIPALS_MOST = 256
"""As in sshd (SSHKEY_CERT_MAX_PRINCIPALS)."""

_EMPTY_EXTENSIONS = frozenset(
    {
        "no-touch-required",
        "permit-X11-forwarding",
        "permit-agent-forwarding",
        "permit-port-forwarding",
        "permit-pty",
        "permit-user-rc",
    }
)
"""Extensions that have no data: sshd takes a certificate in which one has data for corrupt."""


@dataclass(frozen=True, slots=True)
class SignedCertificate:
    """A certificate whose signature has not been verified: it proves nothing yet.

    Attributes:
        key: The key in it, with the certificate's fields.
        authority: The key that signed it, in wire form.
        signed: The bytes that the signature is over.
        signature: The authority's signature, in wire form.
    """

    key: OfferedKey
    authority: bytes
    signed: bytes
    signature: bytes


def parse_certificate(blob: bytes) -> SignedCertificate:
    """Read a certificate in wire form.

    Raises:
        WireError: If it is malformed or of a kind that is not accepted, if its key or authority
            is weak, if its authority is a certificate, or if it was signed with SHA-1.
    """
    wire = Wire(blob)
    kind = CERTIFICATE_KINDS.get(_text(wire.string()))
    if kind is None:
        raise WireError("a kind of certificate that is not accepted")
    wire.string()  # the nonce, which keeps the authority's signature from being predicted
    begin = wire.position
    problem = parameters_problem(kind, wire)
    if problem:
        raise WireError(problem)
    name = kind.encode()
    public = len(name).to_bytes(4, "big") + name + blob[begin : wire.position]
    serial, purpose = wire.number(8), wire.number(4)
    key_id, principals = wire.string(), Wire(wire.string()).strings()
    valid_after, valid_before = wire.number(8), wire.number(8)
    critical, extensions = _options(wire.string()), _options(wire.string())
    wire.string()  # reserved
    authority = wire.string()
    signed = blob[: wire.position]
    signature = wire.string()
    if not wire.finished:
        raise WireError("there is data after the signature")
    if purpose not in {_USER, _HOST}:
        raise WireError("a certificate neither for a user nor for a host")
    if len(principals) > _PRINCIPALS_MOST or b"\0" in b"".join((key_id, *principals)):
        raise WireError("too many principals, or a name with a NUL")
    if any(data for name, data in extensions if name in _EMPTY_EXTENSIONS):
        raise WireError("an extension with data where none belongs")
    certificate = Certificate(
        authority=authority,
        is_user=purpose == _USER,
        serial=serial,
        key_id=_text(key_id),
        principals=tuple(_text(principal) for principal in principals),
        valid_after=valid_after,
        valid_before=valid_before,
        critical=critical,
        extensions=tuple(name for name, _ in extensions),
    )
    offered = OfferedKey(kind, public, certificate)
    _check_authority(authority, signature)
    return SignedCertificate(offered, authority, signed, signature)


def certificate_problem(
    certificate: Certificate, user: str, options: KeyOptions, peer: Peer, now: float
) -> str | None:
    """Return why a certificate of a trusted authority is refused for a user; None if it is not.

    Args:
        certificate: Its authority's signature has been verified.
        user: The user who logs in.
        options: The options of the authority's line.
        peer: The peer that logs in.
        now: The time, in seconds since the epoch.
    """
    wanted = options.principals or (user,)
    if not certificate.is_user:
        return "it is for a host"
    if now < certificate.valid_after:
        return "it is not valid yet"
    if now >= certificate.valid_before:
        return "it has expired"
    if not certificate.principals:
        return "it names no principals"
    if not set(wanted) & set(certificate.principals):
        return "it does not name this user, or a principal that stands for them"
    return _critical_problem(certificate, options, peer)


def forced_command(certificate: Certificate) -> str | None:
    """Return the value of ``force-command``; None if the certificate has none.

    Raises:
        WireError: If it is not one string of UTF-8, or is blank.
    """
    data = dict(certificate.critical).get("force-command")
    if data is None:
        return None
    try:
        command = _only_string(data).decode()
    except UnicodeDecodeError:
        raise WireError("not UTF-8") from None
    if not command.strip() or "\0" in command:
        raise WireError("not a command")
    return command


def _critical_problem(certificate: Certificate, options: KeyOptions, peer: Peer) -> str | None:
    names = [name for name, _ in certificate.critical]
    if len(set(names)) < len(names):
        return "it has a critical option twice"
    for name, data in certificate.critical:
        try:
            if name == "source-address":
                if not in_networks(peer, _text(_only_string(data))):
                    return "it is not for this address"
            elif name == "force-command":
                if options.command not in {None, forced_command(certificate)}:
                    return "its command is not the one of the authority's line"
            else:
                return f"its critical option {name!r} is not enforced"
        except ValueError:  # a WireError is one
            return f"its critical option {name!r} is malformed"
    return None


def _check_authority(authority: bytes, signature: bytes) -> None:
    """Check the authority's key and its signature algorithm.

    Raises:
        WireError: If the key is weak, or the key or the algorithm is not accepted.
    """
    kind = _text(Wire(authority).string())
    # KINDS has no certificates: an authority is a plain key.
    if kind not in KINDS:
        raise WireError("signed by a kind of key that is not accepted")
    problem = key_problem(kind, authority)
    if problem:
        raise WireError(problem)
    if _text(Wire(signature).string()) not in _SIGNATURES[kind]:
        raise WireError("signed by an algorithm that is not accepted")


def _options(data: bytes) -> tuple[tuple[str, bytes], ...]:
    """Read a sequence of name and data pairs."""
    wire = Wire(data)
    found = []
    while not wire.finished:
        found.append((_text(wire.string()), wire.string()))
    return tuple(found)


def _only_string(data: bytes) -> bytes:
    wire = Wire(data)
    value = wire.string()
    if not wire.finished:
        raise WireError("there is data after the string")
    return value


def _text(data: bytes) -> str:
    """Decode a name. Bytes that are not UTF-8 stay distinct, so that no two names become one."""
    return data.decode("utf-8", "surrogateescape")
