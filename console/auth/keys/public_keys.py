"""Public keys in wire form (RFC 4253 6.6, RFC 5656 3.1, PROTOCOL.u2f): which are accepted. No I/O.

A key is refused when it is parsed, from an ``authorized_keys`` line or a peer's offer, if its
numbers are not those of its kind or are known to be weak. What only computing with the key shows
(that a point is on its curve) is left to the library that verifies signatures: a key that it
refuses authenticates no user.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Final

RSA_BITS: Final = 2048
"""The smallest RSA key accepted, as most systems configure OpenSSH 9; NIST advises 3072."""

_RSA_BITS_MOST = 8192

_RSA_EXPONENT = 65537
"""The smallest public exponent of FIPS 186-5 (5.1), and the one that every generator uses."""

_RSA_EXPONENT_BITS_MOST = 32
"""Generators make no longer ones; an attacker may, as verifying with it takes longer."""

_CURVES = {
    "ecdsa-sha2-nistp256": ("nistp256", 65),
    "ecdsa-sha2-nistp384": ("nistp384", 97),
    "ecdsa-sha2-nistp521": ("nistp521", 133),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("nistp256", 65),
}
"""The curve and the bytes of an uncompressed point: 0x04, two coordinates (RFC 5656, 3.1)."""

KINDS: Final = ("ssh-ed25519", "ssh-rsa", "sk-ssh-ed25519@openssh.com", *_CURVES)
"""The kinds of key that are accepted. No DSA (1024 bits, SHA-1)."""

_SMALL_ORDER = frozenset(
    bytes.fromhex(text)
    for text in (
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    )
)
"""Ed25519 points of order 1, 2, 4 and 8, sign bit off (as in libsodium's ed25519_ref10.c).

Signatures made without a private key verify with such a "key".
"""

_PRIMES = tuple(n for n in range(3, 168, 2) if all(n % smaller for smaller in range(3, n, 2)))

_POWERS = {prime: {pow(65537, n, prime) for n in range(prime)} for prime in _PRIMES}
"""For CVE-2017-15361 (ROCA): moduli made by Infineon's chips, the YubiKey 4 among them, leave a
power of 65537 modulo each small prime. Another modulus does so once in 2**27."""


class WireError(ValueError):
    """Bytes are not what their format asks for. The text says how."""


class Wire:
    """Reads the data types of RFC 4251, section 5.

    Raises:
        WireError: From each method that would read past the end.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.position = 0

    def take(self, size: int) -> bytes:
        """Read this many bytes."""
        end = self.position + size
        if end > len(self._data):
            raise WireError("cut short")
        value = self._data[self.position : end]
        self.position = end
        return value

    def number(self, size: int) -> int:
        """Read an unsigned number of this many bytes."""
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        """Read a string: its length and its bytes."""
        return self.take(self.number(4))

    def strings(self) -> list[bytes]:
        """Read strings up to the end."""
        found = []
        while not self.finished:
            found.append(self.string())
        return found

    def rest(self) -> bytes:
        """Read everything up to the end."""
        return self.take(len(self._data) - self.position)

    @property
    def finished(self) -> bool:
        """Whether all has been read."""
        return self.position == len(self._data)


def wire_string(data: bytes) -> bytes:
    """Write a string as `Wire.string` reads it."""
    return len(data).to_bytes(4, "big") + data


def fingerprint(blob: bytes) -> str:
    """Return a key's SHA-256 fingerprint, as ``ssh-keygen -l`` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode()


def decode_base64(text: str) -> bytes:
    """Read the second field of a public key's line.

    Raises:
        WireError: If it is not base64.
    """
    problem = "the key is not base64; was the line cut or wrapped?"
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise WireError(problem) from None
    if base64.b64encode(data).decode() != text:  # Python takes one "=" too many, and odd last bits
        raise WireError(problem)
    return data


def key_problem(kind: str, blob: bytes) -> str | None:
    """Return why a key in wire form is not accepted; None if it is."""
    wire = Wire(blob)
    try:
        if wire.string() != kind.encode():
            return "the kind inside the key is not the one before it"
        problem = parameters_problem(kind, wire)
    except WireError:
        return "the key is cut short"
    if problem is None and not wire.finished:
        return "there is data after the key's end"
    return problem


def parameters_problem(kind: str, wire: Wire) -> str | None:
    """Read a key's parameters, which follow its kind; return what is wrong with them, or None.

    Raises:
        WireError: If it is cut short.
    """
    problem = None
    if kind == "ssh-rsa":
        problem = _rsa_problem(wire.string(), wire.string())
    elif "ed25519" in kind:
        problem = _ed25519_problem(wire.string())
    elif kind in _CURVES:
        curve, size = _CURVES[kind]
        if wire.string() != curve.encode():
            problem = "the curve is not that of the key's kind"
        elif len(point := wire.string()) != size or point[0] != 4:
            problem = "the point is not one of the curve, uncompressed"
    else:
        return f"{kind} keys are not accepted; use ssh-ed25519"
    if kind.startswith("sk-"):
        wire.string()  # the application: the security key checks it
    return problem


def _ed25519_problem(point: bytes) -> str | None:
    if len(point) != 32:
        return "an Ed25519 key has 32 bytes"
    if point[:31] + bytes([point[31] & 0x7F]) in _SMALL_ORDER:
        return "the Ed25519 key is a point of small order: it verifies forged signatures"
    return None


def _rsa_problem(exponent: bytes, modulus: bytes) -> str | None:
    for number in (exponent, modulus):
        # Another spelling of the same number would never equal what a client sends.
        if not number or number[0] & 0x80 or (number[0] == 0 and number[1:2] < b"\x80"):
            return "a number of the key is not in its shortest form"
    e, n = int.from_bytes(exponent, "big"), int.from_bytes(modulus, "big")
    bits = n.bit_length()
    if bits < RSA_BITS:
        return f"an RSA key of {bits} bits is too weak; use ssh-ed25519, or RSA of 3072 bits"
    if bits > _RSA_BITS_MOST:
        return f"an RSA key of {bits} bits is too long; {_RSA_BITS_MOST} are the most"
    if e % 2 == 0 or e < _RSA_EXPONENT or e.bit_length() > _RSA_EXPONENT_BITS_MOST:
        return f"the exponent of the RSA key is not odd, at least {_RSA_EXPONENT} and short"
    return _modulus_problem(n)


def _modulus_problem(n: int) -> str | None:
    if n % 2 == 0 or any(n % prime == 0 for prime in _PRIMES):
        return "the modulus of the RSA key has a small factor"
    if all(n % prime in powers for prime, powers in _POWERS.items()):
        return "the RSA key was made by a faulty chip (ROCA, CVE-2017-15361); make another"
    return None
