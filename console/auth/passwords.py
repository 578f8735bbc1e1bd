"""Passwords: hashed with argon2id, checked at the same cost for each user name.

A password is normalised before it is hashed, the same for both transports: an "é" may come as
one character or as two, depending on the client's keyboard and system, and SSH's own password
method has been through SASLprep (RFC 4013) before we see it while its keyboard-interactive
method and telnet have not. We apply SASLprep's mapping and NFKC to all. Characters that SASLprep
forbids or does not know (an emoji) work over telnet and keyboard-interactive only.

Only argon2 hashes in PHC form are ever compared. ``x``, ``*``, an empty field, a crypt(3) hash or
a password in plain text is no password that matches.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import re
import stringprep
import unicodedata
from typing import TYPE_CHECKING, Final

from console.errors import CredentialError

if TYPE_CHECKING:
    from argon2 import PasswordHasher

MEMORY_KIB: Final = 19456
PASSES: Final = 2
LANES: Final = 1
"""OWASP's first choice for argon2id (Password Storage Cheat Sheet): about 20 ms and 20 MiB here.

The library's default, 64 MiB and 4 lanes, costs a busy service up to 230 ms of several cores.
"""

PASSWORD_CHARACTERS: Final = 1024
"""Longer passwords are refused; hashing time grows with what a peer sends."""

LEAST_CHARACTERS: Final = 8
"""The shortest new password that the command line accepts (NIST SP 800-63B, 5.1.1.1)."""

_PHC = re.compile(
    r"\$argon2(?:id|i|d)\$v=[0-9]+\$m=[0-9]+,t=[0-9]+,p=[0-9]+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+"
)


def is_usable_hash(text: str) -> bool:
    """Whether a password can be compared with ``text``: an argon2 hash in PHC form."""
    return _PHC.fullmatch(text) is not None


def check_password(password: str) -> None:
    """Refuse a new password that is empty or could never be typed.

    Raises:
        CredentialError: Says why; never quotes the password.
    """
    if not isinstance(password, str):
        raise CredentialError("password", f"must be a str, not {type(password).__name__}")
    if len(password) > PASSWORD_CHARACTERS:
        raise CredentialError(
            "password", f"is longer than {PASSWORD_CHARACTERS} characters", "shorten it"
        )
    if not _normalise(password):
        raise CredentialError("password", "is empty", "to let a user in by key only, set none")
    # The newline at the end of a secrets file is the usual one.
    if any(unicodedata.category(character) == "Cc" for character in password):
        raise CredentialError("password", "has a control character (a newline?)", "remove it")


def hash_password(password: str) -> str:
    """Hash a new password, with a salt of its own.

    Blocks for about 20 ms. Safe to call from any thread.

    Returns:
        The hash in PHC form, which `verify` takes.

    Raises:
        CredentialError: If the password is refused, see `check_password`.
    """
    check_password(password)
    return _hasher().hash(_normalise(password))


def verify(phc: str | None, password: str) -> bool:
    """Compare a password with a stored hash.

    Costs the same whether there is a usable hash or not, so that the time does not tell which
    users exist. That holds for hashes made here; one made elsewhere with other parameters has
    its own cost. Never raises; blocks for about 20 ms. Safe to call from any thread.

    Args:
        phc: The stored hash; None for a user who does not exist or has no password.
        password: What the peer sent, of any length.
    """
    import argon2  # noqa: PLC0415 - 25 ms that only a login with a password needs

    hasher = _hasher()
    secret = _normalise(password[:PASSWORD_CHARACTERS])
    acceptable = secret and len(password) <= PASSWORD_CHARACTERS
    # isinstance, because the hash may come from a store that keeps to no type.
    if acceptable and isinstance(phc, str) and is_usable_hash(phc):
        try:
            return hasher.verify(phc, secret)
        except argon2.exceptions.VerifyMismatchError:
            return False
        except (argon2.exceptions.Argon2Error, argon2.exceptions.InvalidHashError):
            pass  # of the right form, and still no hash: it has cost nothing yet
    with contextlib.suppress(argon2.exceptions.Argon2Error):
        hasher.verify(_dummy_hash(), secret)
    return False


def _normalise(password: str) -> bytes:
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in password
        if not stringprep.in_table_b1(character)
    )
    # Undecodable bytes of a peer arrive as lone surrogates, which strict UTF-8 does not take.
    return unicodedata.normalize("NFKC", mapped).encode("utf-8", "surrogatepass")


@functools.cache
def _hasher() -> PasswordHasher:
    from argon2 import PasswordHasher  # noqa: PLC0415 - see verify()

    return PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)


@functools.cache
def _dummy_hash() -> str:
    """Return a hash that no known password has, at the cost of a real one.

    Made of random bytes rather than by hashing, so that the first guess at an unknown user takes
    no longer than the second.
    """
    salt, digest = (base64.b64encode(os.urandom(size)).rstrip(b"=").decode() for size in (16, 32))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"
