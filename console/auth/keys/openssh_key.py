"""OpenSSH's private key format (PROTOCOL.key), as far as a start needs it. No I/O.

A start has to know whether its host key is usable, and its fingerprint. For the kind of key that
we make, in the format in which we write it, that is read here, without the cryptographic libraries
(15 MB, 150 ms). Any 32 bytes are a valid Ed25519 private key, so the library could not refuse one:
only whether the public key in the file belongs to the private one is left to it.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from console.auth.keys.public_keys import Wire, WireError, wire_string

ED25519: Final = "ssh-ed25519"

_FILE = re.compile(
    rb"-----BEGIN OPENSSH PRIVATE KEY-----\n"
    rb"([A-Za-z0-9+/=\n]+)\n"
    rb"-----END OPENSSH PRIVATE KEY-----\n?"
)
_MAGIC = b"openssh-key-v1\0"
_NO_CIPHER = wire_string(b"none") * 2 + wire_string(b"")  # cipher, key derivation, its parameters
_ONE_KEY = (1).to_bytes(4, "big")
_KIND = wire_string(ED25519.encode())


def read_ed25519(data: bytes) -> bytes | None:
    """Return the public key, in wire form, of a private Ed25519 key without a passphrase.

    Returns:
        None for everything else: keys of other kinds or formats, encrypted and damaged ones. The
        library reads them, or says what is wrong.
    """
    file = _FILE.fullmatch(data)
    if file is None:
        return None
    try:
        return _read(binascii.a2b_base64(file[1]))
    except (WireError, binascii.Error):
        return None


def _read(data: bytes) -> bytes:
    wire = Wire(data)
    _expect(wire, _MAGIC + _NO_CIPHER + _ONE_KEY)
    public, private = wire.string(), Wire(wire.string())
    if not wire.finished or private.take(4) != private.take(4):
        raise WireError("damaged")
    _expect(private, _KIND)
    point = private.string()
    key = private.string()
    private.string()  # the comment
    if len(point) != 32 or len(key) != 64 or key[32:] != point:
        raise WireError("damaged")
    if public != _KIND + wire_string(point):
        raise WireError("damaged")
    padding = private.rest()
    if len(padding) >= 8 or padding != bytes(range(1, len(padding) + 1)):
        raise WireError("damaged")
    return public


def _expect(wire: Wire, bytes_: bytes) -> None:
    if wire.take(len(bytes_)) != bytes_:
        raise WireError("something else")
