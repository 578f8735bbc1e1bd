"""Revoked keys and certificates: a text file, or OpenSSH's KRL. No I/O.

Both are what ``RevokedKeys`` of sshd_config(5) takes. The text may also have the lines from which
``ssh-keygen -k`` makes a KRL:

* a public key, as in a ``.pub`` file: the key, and each certificate that it is in or that it
  signed; a certificate: that certificate, and its key;
* ``serial: N`` or ``serial: N-M``: certificates with such a number, of every authority, because
  the line names none;
* ``id: TEXT``: certificates with this key id, likewise;
* ``key:``, ``sha1:``, ``sha256:`` and a public key: the key;
* ``hash:`` or ``sha256:`` and a fingerprint as ``ssh-keygen -l`` and our log print it: the key.

A file that cannot be parsed wholly is an error, and the caller then takes every key for revoked.
That includes sections that OpenSSH may add later.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from console.auth.keys.certificates import CERTIFICATE_KINDS, parse_certificate
from console.auth.keys.public_keys import Wire, WireError, decode_base64, fingerprint
from console.interfaces.credentials import Certificate, OfferedKey

_MAGIC = b"SSHKRL\n\0"

_CERTIFICATES, _KEYS, _SHA1, _SHA256, _EXTENSION = 1, 2, 3, 5, 255
_SERIALS, _RANGE, _BITMAP, _KEY_IDS, _CERTIFICATE_EXTENSION = 0x20, 0x21, 0x22, 0x23, 0x39
"""The sections of PROTOCOL.krl. A KRL with a signature (4) is refused, as by OpenSSH since 9.4."""

_SERIAL_MOST = 2**64 - 1

_DIRECTIVE = re.compile(r"(serial|id|key|sha1|sha256|hash):[ \t]*(.*)", re.IGNORECASE)
_SERIAL = re.compile(r"([0-9]{1,20})(?:[ \t]*-[ \t]*([0-9]{1,20}))?", re.ASCII)
_FINGERPRINT = re.compile(r"(?:SHA256:)?([A-Za-z0-9+/]{43})=?")
_KEY = re.compile(r"([a-z0-9.@-]{1,64})[ \t]+([A-Za-z0-9+/=]+)(?:[ \t].*)?", re.ASCII)


@dataclass(slots=True)
class RevokedCertificates:
    """Certificates of one authority, or of all."""

    serials: set[int] = field(default_factory=set)
    ranges: list[tuple[int, int]] = field(default_factory=list)
    bitmaps: list[tuple[int, int]] = field(default_factory=list)
    key_ids: set[bytes] = field(default_factory=set)

    def problem(self, certificate: Certificate) -> str:
        """Return why a certificate is revoked; empty if it is not."""
        if self._has_serial(certificate.serial):
            return f"the certificate's serial {certificate.serial} is revoked"
        if certificate.key_id.encode("utf-8", "surrogateescape") in self.key_ids:
            return "the certificate's key id is revoked"
        return ""

    def _has_serial(self, serial: int) -> bool:
        return (
            serial in self.serials
            or any(first <= serial <= last for first, last in self.ranges)
            or any(at <= serial and bits >> (serial - at) & 1 for at, bits in self.bitmaps)
        )


_ALL_AUTHORITIES: Final = b""
"""In place of an authority's key: certificates of all authorities."""


@dataclass(slots=True)
class Revocations:
    """What a file revokes."""

    hashes: set[bytes] = field(default_factory=set)
    certificates: dict[bytes, RevokedCertificates] = field(default_factory=dict)

    def of(self, authority: bytes) -> RevokedCertificates:
        """Return an authority's revoked certificates, to add to."""
        return self.certificates.setdefault(authority, RevokedCertificates())

    def add_key(self, blob: bytes) -> None:
        """Revoke a key in wire form."""
        self.hashes.add(hashlib.sha256(blob).digest())

    def problem(self, offered: OfferedKey) -> str:
        """Return why a key or a certificate is revoked; empty if it is not."""
        certificate = offered.certificate
        if self._has_key(offered.blob):
            return f"the key {fingerprint(offered.blob)} is revoked"
        if certificate is None:
            return ""
        if self._has_key(certificate.authority):
            return f"the authority {fingerprint(certificate.authority)} is revoked"
        for authority in (certificate.authority, _ALL_AUTHORITIES):
            revoked = self.certificates.get(authority)
            if revoked is not None and (problem := revoked.problem(certificate)):
                return problem
        return ""

    def _has_key(self, blob: bytes) -> bool:
        # SHA-1 and SHA-256 hashes differ in length, so one set can hold both.
        sha1 = hashlib.sha1(blob, usedforsecurity=False).digest()
        return hashlib.sha256(blob).digest() in self.hashes or sha1 in self.hashes


def parse_revocations(data: bytes) -> Revocations:
    """Read a file of revoked keys, text or KRL.

    Raises:
        WireError: If a part of it cannot be parsed. The text says which line, or why.
    """
    if data.startswith(_MAGIC):
        return _parse_krl(data)
    revocations = Revocations()
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        try:
            _add_line(revocations, line.strip(" \t\r"))
        except WireError as error:
            raise WireError(f"line {number}: {error}") from None
    return revocations


# ---------------------------------------------------------------- text


def _add_line(revocations: Revocations, line: str) -> None:
    if not line or line.startswith("#"):
        return
    directive = _DIRECTIVE.fullmatch(line)
    if directive is None:
        _add_key_line(revocations, line)
        return
    name, value = directive[1].lower(), directive[2].strip(" \t")
    of_all = revocations.of(_ALL_AUTHORITIES)
    if name == "serial":
        of_all.ranges.append(_parse_serials(value.partition("#")[0].rstrip()))
    elif name == "id":
        # ssh-keygen takes # for the beginning of a comment; it may also belong to the key id.
        ids = {value, value.partition("#")[0].rstrip()} - {""}
        if not ids:
            raise WireError("there is no key id")
        of_all.key_ids.update(one.encode("utf-8", "surrogateescape") for one in ids)
    elif name in {"hash", "sha256"} and (match := _FINGERPRINT.fullmatch(value)):
        revocations.hashes.add(_decode_fingerprint(match[1]))
    elif name == "hash":
        raise WireError("not a fingerprint: SHA256: and 43 characters")
    else:
        _add_key_line(revocations, value)


def _parse_serials(text: str) -> tuple[int, int]:
    match = _SERIAL.fullmatch(text)
    if match is None:
        raise WireError("not a serial number N or a range N-M")
    first = int(match[1])
    last = first if match[2] is None else int(match[2])
    if not first <= last <= _SERIAL_MOST:
        raise WireError("the range of serial numbers is empty, or beyond 64 bits")
    return first, last


def _add_key_line(revocations: Revocations, line: str) -> None:
    """Revoke the key of a .pub file's line, whatever its kind: a weak one too."""
    match = _KEY.fullmatch(line)
    if match is None:
        raise WireError("neither a public key nor serial:, id:, key:, sha1:, sha256: or hash:")
    blob = decode_base64(match[2])
    if Wire(blob).string() != match[1].encode():
        raise WireError("the kind inside the key is not the one before it")
    if match[1] not in CERTIFICATE_KINDS:
        revocations.add_key(blob)
        return
    offered = parse_certificate(blob).key
    revocations.add_key(offered.blob)
    certificate = offered.certificate
    if certificate is not None and certificate.serial:
        revocations.of(certificate.authority).serials.add(certificate.serial)
    elif certificate is not None:  # as ssh-keygen does where the authority assigned no serials
        key_id = certificate.key_id.encode("utf-8", "surrogateescape")
        revocations.of(certificate.authority).key_ids.add(key_id)


def _decode_fingerprint(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=", validate=True)
    except binascii.Error:
        raise WireError("not a fingerprint: SHA256: and 43 characters") from None


# ---------------------------------------------------------------- KRL


def _parse_krl(data: bytes) -> Revocations:
    wire = Wire(data)
    wire.take(len(_MAGIC))
    if wire.number(4) != 1:
        raise WireError("a KRL of an unknown version")
    wire.take(16)  # its number and the time when it was made
    if wire.number(8):
        raise WireError("a KRL with unknown flags")
    wire.string()  # reserved
    wire.string()  # a comment
    revocations = Revocations()
    while not wire.finished:
        kind = wire.number(1)
        _add_section(revocations, kind, Wire(wire.string()))
    return revocations


def _add_section(revocations: Revocations, kind: int, section: Wire) -> None:
    if kind == _CERTIFICATES:
        revoked = revocations.of(section.string())
        section.string()  # reserved
        while not section.finished:
            part = section.number(1)
            _add_certificates(revoked, part, Wire(section.string()))
    elif kind == _KEYS:
        for blob in section.strings():
            revocations.add_key(blob)
    elif kind in {_SHA1, _SHA256}:
        hashes = section.strings()
        if any(len(one) != (20 if kind == _SHA1 else 32) for one in hashes):
            raise WireError("a KRL with a fingerprint of the wrong length")
        revocations.hashes.update(hashes)
    else:
        _skip_extension(kind == _EXTENSION, section)


def _add_certificates(revoked: RevokedCertificates, kind: int, part: Wire) -> None:
    if kind == _SERIALS:
        while not part.finished:
            revoked.serials.add(part.number(8))
    elif kind == _RANGE:
        first, last = part.number(8), part.number(8)
        if first > last or not part.finished:
            raise WireError("a KRL with a malformed range")
        revoked.ranges.append((first, last))
    elif kind == _BITMAP:
        offset, bitmap = part.number(8), part.string()
        bits = int.from_bytes(bitmap, "big")
        if bitmap[:1] >= b"\x80" or not part.finished or offset + bits.bit_length() > 2**64:
            raise WireError("a KRL with a malformed bitmap")
        revoked.bitmaps.append((offset, bits))
    elif kind == _KEY_IDS:
        revoked.key_ids.update(part.strings())
    else:
        _skip_extension(kind == _CERTIFICATE_EXTENSION, part)


def _skip_extension(is_extension: bool, section: Wire) -> None:
    """Skip an extension that is not critical (PROTOCOL.krl, 5)."""
    if not is_extension:
        raise WireError("a KRL with an unknown section")
    section.string()  # its name
    critical = section.number(1)
    section.string()  # its content
    if critical or not section.finished:
        raise WireError("a KRL with an unknown critical extension")
