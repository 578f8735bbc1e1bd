"""Keys: lines of ``authorized_keys`` files, and the server's own host key.

Lines are parsed here rather than by asyncssh, whose parser fails open: it ignores options that it
does not know (``restrict``, ``expiry-time``, ``COMMAND=``), and one bad line drops the whole
file. Ours refuses a line with any option, because an option that restricts a key and is not
enforced is worse than none; and it refuses that line only.

Importing this module does not import asyncssh (250 ms); the functions on private keys do.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from console.errors import CredentialError, InvalidKey, KeyFileError
from console.interfaces import AuthorizedKey
from console.state import exposure, make_private_directory, read_with_status, write_atomically
from console.text import escape_line

if TYPE_CHECKING:
    from asyncssh import SSHKey

logger = logging.getLogger("console.auth")

RSA_BITS: Final = 2048
"""The smallest RSA key let in, as in OpenSSH 9 configured by most systems; NIST advises 3072."""

_RSA_BITS_MOST = 16384
_LINE_CHARACTERS = 16 * 1024
"""An RSA key of 16384 bits takes 2.8 KB; sshd's own limit is 16 KiB (SSH_MAX_PUBKEY_BYTES)."""

_CURVES = {
    "ecdsa-sha2-nistp256": ("nistp256", 65),
    "ecdsa-sha2-nistp384": ("nistp384", 97),
    "ecdsa-sha2-nistp521": ("nistp521", 133),
    "sk-ecdsa-sha2-nistp256@openssh.com": ("nistp256", 65),
}
"""The curve and the bytes of an uncompressed point: 0x04, two coordinates (RFC 5656, 3.1)."""

_KINDS = ("ssh-ed25519", "ssh-rsa", "sk-ssh-ed25519@openssh.com", *_CURVES)
_REFUSED_KIND = re.compile(r"ssh-dss|[a-z0-9-]+-cert-v0[01]@openssh\.com")
_FIRST_FIELD = re.compile(r'((?:"(?:[^"\\]|\\.)*"|[^ \t"])+)[ \t]*')
_BLANKS = re.compile("[ \t]+")
_OPTION_NAME = re.compile(r"[A-Za-z][A-Za-z-]{0,31}")

Refused = Callable[[InvalidKey], None]


# ---------------------------------------------------------------- public keys


def parse_authorized_key(line: str, place: str) -> AuthorizedKey | None:
    """Read one line of an ``authorized_keys`` file (sshd(8)).

    Args:
        line: Kind, base64 and comment. A control character in the comment is escaped.
        place: The file and line number, for errors and for the key.

    Returns:
        The key; None for a blank line or a comment.

    Raises:
        InvalidKey: If the line has an option, or is not a well-formed key of a kind let in.
    """
    line = line.strip(" \t\r\n")
    if not line or line.startswith("#"):
        return None
    if len(line) > _LINE_CHARACTERS:
        raise InvalidKey(place, f"the line is longer than {_LINE_CHARACTERS} characters")
    if line.startswith("-----"):
        raise InvalidKey(place, "this is a PEM file; give the one line of the .pub file")
    if "\n" in line or "\r" in line:
        raise InvalidKey(place, "this is more than one line")
    fields = _BLANKS.split(line, 2)
    kind = fields[0]
    if kind not in _KINDS:
        raise InvalidKey(place, _why_not(line))
    if len(fields) < 2:
        raise InvalidKey(place, "the line ends after the key's kind")
    try:
        blob = base64.b64decode(fields[1].encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raise InvalidKey(place, "the key is not base64; was the line cut or wrapped?") from None
    problem = _blob_problem(kind, blob)
    if problem:
        raise InvalidKey(place, problem)
    # Cut after escaping, so that what we write ourselves is read back as the same.
    comment = escape_line("".join(fields[2:]), _LINE_CHARACTERS)[:200].strip()
    return AuthorizedKey(kind, blob, _fingerprint(blob), comment, place)


def authorized_key_line(key: AuthorizedKey) -> str:
    """Write a key as `parse_authorized_key` reads it, without a final newline."""
    return f"{key.algorithm} {base64.b64encode(key.blob).decode()} {key.comment}".rstrip()


def read_authorized_keys(path: Path, *, refused: Refused | None = None) -> list[AuthorizedKey]:
    """Read an ``authorized_keys`` file. A line that is refused harms no other.

    Blocks. Safe to call from any thread.

    Args:
        path: The file; one that does not exist holds no keys.
        refused: Called with the error of each refused line; None logs it.

    Raises:
        CredentialError: If the file cannot be read, or others can change it or its directory.
    """
    try:
        data, status = read_with_status(path)
        open_to_others = exposure(path, status, secret=False) or exposure(
            path.parent, path.parent.stat(), secret=False
        )
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CredentialError(str(path), f"cannot be read: {error.strerror}") from error
    if open_to_others:
        raise CredentialError(str(path), f"nobody gets in by it, because it {open_to_others}")
    keys = []
    for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1):
        try:
            key = parse_authorized_key(line, f"{path}:{number}")
        except InvalidKey as error:
            (refused or _log_refused)(error)
        else:
            if key is not None:
                keys.append(key)
    return keys


def _log_refused(error: InvalidKey) -> None:
    logger.warning("%s", error)


def _why_not(line: str) -> str:
    """Say what a line that does not begin with a kind of key begins with.

    The line is quoted as little as possible: it may be a private key, or a password.
    """
    first = _FIRST_FIELD.match(line)
    options, rest = (first[1], line[first.end() :]) if first else (line, "")
    if _REFUSED_KIND.fullmatch(options):
        return f"{options} keys do not let anybody in; use ssh-ed25519"
    following = _BLANKS.split(rest, 1)[0]
    if (
        following in _KINDS
        or _REFUSED_KIND.fullmatch(following)
        or "=" in options.rstrip("=")  # base64 without its kind may end in =
        or {",", '"'} & set(options + rest[:1])
    ):
        name = _OPTION_NAME.match(options)
        return (
            f"the option {name[0] if name else 'before the key'!r} is not enforced,"
            " so the key is refused; remove the option if it may be ignored"
        )
    return f"the line does not begin with a kind of key that is let in ({', '.join(_KINDS)})"


class _Wire:
    """Reads the strings of RFC 4251 section 5 off a blob; raises IndexError past its end."""

    def __init__(self, blob: bytes) -> None:
        self._rest = memoryview(blob)

    def string(self) -> bytes:
        size = int.from_bytes(self._rest[:4], "big")
        if len(self._rest) < 4 + size:
            raise IndexError
        value = bytes(self._rest[4 : 4 + size])
        self._rest = self._rest[4 + size :]
        return value

    @property
    def finished(self) -> bool:
        return not self._rest


def _blob_problem(kind: str, blob: bytes) -> str | None:
    """Tell what is wrong with a key in wire form (RFC 4253 6.6, RFC 5656 3.1, PROTOCOL.u2f)."""
    wire = _Wire(blob)
    try:
        if wire.string() != kind.encode():
            return "the kind inside the key is not the one before it"
        problem = _parameters_problem(kind, wire)
    except IndexError:
        return "the key is cut short"
    if problem is None and not wire.finished:
        return "there is something behind the key's end"
    return problem


def _parameters_problem(kind: str, wire: _Wire) -> str | None:
    problem = None
    if kind == "ssh-rsa":
        problem = _rsa_problem(wire.string(), wire.string())
    elif "ed25519" in kind:
        if len(wire.string()) != 32:
            problem = "an Ed25519 key has 32 bytes"
    else:
        curve, size = _CURVES[kind]
        if wire.string() != curve.encode():
            problem = "the curve is not that of the key's kind"
        elif len(point := wire.string()) != size or point[0] != 4:
            problem = "the point is not one of the curve, uncompressed"
    if kind.startswith("sk-"):
        wire.string()  # the application; a security key checks it, we have nothing to compare
    return problem


def _rsa_problem(exponent: bytes, modulus: bytes) -> str | None:
    for number in (exponent, modulus):
        # Another spelling of the same number would never equal what a client sends.
        if not number or number[0] & 0x80 or (number[0] == 0 and number[1:2] < b"\x80"):
            return "a number of the key is not in its shortest form"
    bits = int.from_bytes(modulus, "big").bit_length()
    if bits < RSA_BITS:
        return f"an RSA key of {bits} bits is too weak; use ssh-ed25519, or RSA of 3072 bits"
    if bits > _RSA_BITS_MOST:
        return f"an RSA key of {bits} bits is too long; {_RSA_BITS_MOST} are the most"
    if exponent[-1] & 1 == 0 or exponent == b"\x01":
        return "the exponent of the RSA key is even, or 1"
    return None


def _fingerprint(blob: bytes) -> str:
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).rstrip(b"=").decode()


# ---------------------------------------------------------------- the host key


def load_host_key(path: str | os.PathLike[str]) -> SSHKey:
    """Read the server's private key.

    Blocks, the first time for a quarter of a second. Safe to call from any thread.

    Args:
        path: A file in OpenSSH, PKCS#1 or PKCS#8 form, without a passphrase.

    Raises:
        KeyFileError: If it is missing, unreadable, open to others, encrypted, weak or no key.
    """
    place, name = os.fspath(path), shlex.quote(os.fspath(path))
    make_one = f"make one: ssh-keygen -t ed25519 -N '' -f {name}"
    try:
        data, status = read_with_status(path)
    except FileNotFoundError as error:
        raise KeyFileError(place, "there is no such file", make_one) from error
    except PermissionError as error:
        raise KeyFileError(
            place,
            "cannot be read by the service's user",
            f"give it the file: chown {os.geteuid()} {name}",
        ) from error
    except OSError as error:
        raise KeyFileError(
            place, f"cannot be read: {error.strerror}", "name the file of a private key"
        ) from error
    open_to_others = exposure(path, status, secret=True)
    if open_to_others:
        raise KeyFileError(place, open_to_others.problem, open_to_others.remedy)
    key = _import_private_key(data, place, name, make_one)
    kind = key.get_algorithm()
    if kind in _KINDS and not kind.startswith("sk-"):
        problem = _blob_problem(kind, key.public_data)
    else:
        problem = f"a host key of kind {kind} is not served"
    if problem:
        raise KeyFileError(place, problem, f"move it away and {make_one}")
    return key


def make_host_key(path: str | os.PathLike[str]) -> SSHKey:
    """Make the server's private key unless the file exists, and load it.

    The file is for its owner alone (0600), in a directory that is (0700). Of two processes that
    make it at once, the first wins and both get its key.

    Raises:
        KeyFileError: If it cannot be made, or one that exists cannot be used.
    """
    import asyncssh  # noqa: PLC0415 - a quarter of a second that a console without SSH saves

    file = Path(path)
    try:
        if not file.exists():
            key = asyncssh.generate_private_key("ssh-ed25519", comment="console host key")
            make_private_directory(file.parent, tighten=True)
            write_atomically(file, key.export_private_key("openssh"), replace=False)
    except FileExistsError:
        pass  # another process made it since we looked: its key is the one to load
    except OSError as error:
        raise KeyFileError(
            str(file), f"cannot be made: {error.strerror}", "choose a directory that we can write"
        ) from error
    return load_host_key(file)


def fingerprint(key: SSHKey) -> str:
    """Return a key's SHA-256 fingerprint, as ``ssh-keygen -l`` prints it."""
    return _fingerprint(key.public_data)


def _import_private_key(data: bytes, place: str, name: str, make_one: str) -> SSHKey:
    import asyncssh  # noqa: PLC0415 - see make_host_key()

    try:
        return asyncssh.import_private_key(data)
    # cryptography refuses some well-formed keys in ways of its own, ValueErrors as asyncssh's.
    except ValueError as error:
        # asyncssh has no class of its own for this; the wording is held by a test.
        if "passphrase" in str(error).lower():
            raise KeyFileError(
                place,
                "is encrypted, and a service has nobody to ask for the passphrase",
                f"remove it: ssh-keygen -p -N '' -f {name}",
            ) from error
        raise KeyFileError(place, "is not a private key", make_one) from error
