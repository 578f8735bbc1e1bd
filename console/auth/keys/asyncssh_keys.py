"""Keys as asyncssh's objects: the only module here that uses asyncssh.

Importing this module does not import asyncssh (250 ms); the functions do.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from console.auth.keys.certificates import parse_certificate
from console.auth.keys.public_keys import KINDS, Wire, key_problem
from console.interfaces.credentials import OfferedKey

if TYPE_CHECKING:
    from asyncssh import SSHKey as SSHKey  # noqa: PLC0414 - for the modules that import it here

logger = logging.getLogger("console.auth")

_OFFER_BYTES = 64 * 1024
"""More than 256 principals of a sensible length take; sshd's limit is 256 KB."""

_RSA_SIGNATURES: Final = frozenset({b"rsa-sha2-256", b"rsa-sha2-512"})
"""asyncssh's keys also verify SHA-1 and vendors' own algorithms."""


def read_offer(data: bytes) -> tuple[OfferedKey, SSHKey] | None:
    """Read the key or certificate, in wire form, of a publickey request (RFC 4252, 7).

    Never raises. A malformed or weak one is refused before any signature is computed.

    Returns:
        The offer, and the key that verifies the peer's signature; it refuses SHA-1, and a
        security key's signature without touch. None if the data is neither key nor certificate,
        is malformed or weak, or its authority's signature is wrong.
    """
    if len(data) > _OFFER_BYTES:
        return None
    try:
        return _read_offer(data)
    # Ours (WireError), decode()'s, asyncssh's and most of cryptography's are ValueErrors.
    except ValueError:
        return None
    except Exception:  # unauthenticated bytes in two libraries: no error may end the connection
        logger.debug("an offered key cannot be read", exc_info=True)
        return None


def _read_offer(data: bytes) -> tuple[OfferedKey, SSHKey] | None:
    kind = Wire(data).string().decode("ascii")
    if kind in KINDS:
        return None if key_problem(kind, data) else (OfferedKey(kind, data), _verifier(data))
    certified = parse_certificate(data)
    key = _verifier(certified.key.blob)
    authority = _verifier(certified.authority)
    if not authority.verify(certified.signed, certified.signature):
        return None
    return certified.key, key


def import_private_key(data: bytes) -> SSHKey:
    """Read a private key in OpenSSH, PKCS#1 or PKCS#8 form.

    Raises:
        ValueError: If it is not one, or is encrypted; only the text tells which (a test checks).
    """
    import asyncssh  # noqa: PLC0415 - see above

    # cryptography refuses some well-formed keys, with ValueErrors as asyncssh does.
    return asyncssh.import_private_key(data)


def make_private_key(kind: str) -> SSHKey:
    """Generate a key; an RSA key has 3072 bits, as NIST advises."""
    import asyncssh  # noqa: PLC0415 - see above

    length = {"key_size": 3072} if kind == "ssh-rsa" else {}
    return asyncssh.generate_private_key(kind, comment="console host key", **length)


def _verifier(blob: bytes) -> SSHKey:
    from asyncssh.public_key import decode_ssh_public_key  # noqa: PLC0415 - see above

    key = decode_ssh_public_key(blob)
    if key.algorithm == b"ssh-rsa":
        # On this object, not on its class, which other users of asyncssh in the process share.
        key.all_sig_algorithms = set(_RSA_SIGNATURES)
    key.set_touch_required(touch_required=True)
    return key
