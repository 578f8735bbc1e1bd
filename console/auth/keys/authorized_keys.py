"""Lines of ``authorized_keys`` files (sshd(8)): options, kind, key, comment.

They are not parsed by asyncssh, whose parser fails open: it ignores options that it does not know
(``restrict``, ``expiry-time``, ``COMMAND=``), and one bad line drops the whole file. Here only the
line is refused that has an option that is not enforced (``options.py``).
"""

from __future__ import annotations

import dataclasses
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

from console.auth.keys.options import QUOTED, name_of, parse_options
from console.auth.keys.public_keys import KINDS, WireError, decode_base64, fingerprint, key_problem
from console.errors import CredentialError, InvalidKey
from console.files.exposure import exposure_of, read_with_status
from console.interfaces.credentials import AuthorizedKey
from console.text import escape_line

logger = logging.getLogger("console.auth")

_LINE_CHARACTERS = 16 * 1024
"""An RSA key of 16384 bits takes 2.8 KB; sshd's own limit is 16 KiB (SSH_MAX_PUBKEY_BYTES)."""

_GIVE_LINE = "give the one line of the .pub file"

# Of a PEM file, or of a key in the form of RFC 4716.
_BLOCK_BEGIN = re.compile(r"-----? ?BEGIN ")
_BLOCK_END = re.compile(r"-----? ?END ")

_REFUSED_KIND = re.compile(r"ssh-dss|[a-z0-9-]{1,40}-cert-v0[01]@openssh\.com")
_OPTIONS = re.compile(rf'((?:{QUOTED}|[^ \t"])+)[ \t]*')
_BLANKS = re.compile("[ \t]+")

Refused = Callable[[InvalidKey], None]


def parse_authorized_key(line: str, place: str) -> AuthorizedKey | None:
    """Read one line of an ``authorized_keys`` file.

    Args:
        line: Options, kind, base64 and comment. A control character in the comment is escaped.
        place: The file and line number, for errors and for the key.

    Returns:
        The key; None for a blank line or a comment.

    Raises:
        InvalidKey: If the line has an option that is not enforced, or is not a well-formed key of
            an accepted kind.
    """
    fields = _fields(line, place)
    if fields is None:
        return None
    options = parse_options(fields.options, place)
    try:
        blob = decode_base64(fields.base64)
    except WireError as error:
        raise InvalidKey(place, str(error)) from None
    problem = key_problem(fields.kind, blob)
    if problem:
        raise InvalidKey(place, problem)
    return AuthorizedKey(
        fields.kind, blob, fingerprint(blob), fields.comment, place, options=options
    )


def clean_line(line: str, place: str) -> str:
    """Return a line that `parse_authorized_key` takes, normalised for a file.

    The options stay as they were written: sshd may read the file too, and knows more of them.

    Raises:
        InvalidKey: If the line has no key, or cannot be split into its fields.
    """
    fields = _fields(line, place)
    if fields is None:
        raise InvalidKey(place, "there is no key on this line")
    return " ".join(filter(None, (fields.options, fields.kind, fields.base64, fields.comment)))


def read_authorized_keys(path: Path, *, refused: Refused | None = None) -> list[AuthorizedKey]:
    """Read an ``authorized_keys`` file. A refused line does not affect the others.

    Blocks. Safe to call from any thread.

    Args:
        path: The file; a missing one holds no keys.
        refused: Called with the error of each refused line; None logs it.

    Raises:
        CredentialError: If the file cannot be read, or others can change it or its directory.
    """
    keys = []
    data = read_trusted(path)
    in_block = False
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        is_told, in_block = in_block, in_block or bool(_BLOCK_BEGIN.match(line))
        if _BLOCK_END.match(line):
            in_block = False
        try:
            key = parse_authorized_key(line, f"{path}:{number}")
        except InvalidKey as error:
            if not is_told:  # a block of many lines is refused once, with its first
                (refused or _log_refused)(error)
        else:
            if key is not None:
                keys.append(key)
    return keys


def read_trusted(path: Path, *, limit_bytes: int = 1024 * 1024) -> bytes:
    """Read a file that access depends on; empty if it does not exist.

    Raises:
        CredentialError: If it cannot be read, or other users can change or replace it.
    """
    try:
        if not os.path.lexists(path):  # a dangling link is not a missing file: it is an error
            return b""
        data, status = read_with_status(path, limit_bytes=limit_bytes)
        open_to_others = exposure_of(path, status, secret=False)
    except OSError as error:
        raise CredentialError(
            str(path),
            f"cannot be read: {error.strerror}",
            "make it readable for the service's user",
        ) from None
    if open_to_others:
        raise CredentialError(
            str(path), f"is not used, because it {open_to_others.problem}", open_to_others.remedy
        )
    return data


def read_authorities(path: Path, *, refused: Refused | None = None) -> list[AuthorizedKey]:
    """Read a file of authorities for all users' certificates, as `read_authorized_keys` does.

    Each line counts as if it had ``cert-authority``, and may have other options. ``principals``
    is refused: a certificate that names one of them would be accepted for every user.
    """
    authorities = []
    for key in read_authorized_keys(path, refused=refused):
        if key.options.principals:
            problem = "the option 'principals' would accept it for every user; name users instead"
            (refused or _log_refused)(InvalidKey(key.place, problem))
        else:
            options = dataclasses.replace(key.options, authority=True)
            authorities.append(dataclasses.replace(key, options=options))
    return authorities


def _log_refused(error: InvalidKey) -> None:
    logger.warning("%s", error)


# ---------------------------------------------------------------- fields


@dataclasses.dataclass(frozen=True, slots=True)
class _Fields:
    options: str
    kind: str
    base64: str
    comment: str


def _fields(line: str, place: str) -> _Fields | None:
    """Split a line; None for a blank line or a comment."""
    line = line.strip(" \t\r\n")
    if not line or line.startswith("#"):
        return None
    if len(line) > _LINE_CHARACTERS:
        raise InvalidKey(
            place, f"the line is longer than {_LINE_CHARACTERS} characters", _GIVE_LINE
        )
    if line.startswith("---- BEGIN SSH2 PUBLIC KEY"):
        raise InvalidKey(
            place, "this is a key in the form of RFC 4716", "convert it: ssh-keygen -i -f FILE"
        )
    if line.startswith("-----"):
        raise InvalidKey(place, "this is a PEM file", _GIVE_LINE)
    if "\n" in line or "\r" in line:
        raise InvalidKey(place, "this is more than one line", _GIVE_LINE)
    options, rest = "", line
    if _BLANKS.split(line, 1)[0] not in KINDS:
        first = _OPTIONS.match(line)
        options, rest = (first[1], line[first.end() :]) if first else (line, "")
        if _BLANKS.split(rest, 1)[0] not in KINDS:
            raise InvalidKey(place, _why_not(options, rest))
    fields = _BLANKS.split(rest, 2)
    if len(fields) < 2:
        raise InvalidKey(place, "the line ends after the key's kind", _GIVE_LINE)
    # Cut after escaping, so that a line written by us is read back unchanged.
    comment = escape_line("".join(fields[2:]), _LINE_CHARACTERS)[:200].strip()
    return _Fields(options, fields[0], fields[1], comment)


def _why_not(options: str, rest: str) -> str:
    """Return what is wrong with a line that has no kind of key where one belongs.

    The line is quoted as little as possible: it may be a private key or a password.
    """
    for word in (options, _BLANKS.split(rest, 1)[0]):
        if _REFUSED_KIND.fullmatch(word):
            return f"{word} keys are not accepted; use ssh-ed25519"
    if '"' in rest[:1]:
        return f"the option {name_of(options.rpartition(',')[2])!r} has a quote that is not closed"
    if '"' in options or "," in options or "=" in options.rstrip("="):  # base64 may end in =
        return f"no accepted kind of key ({', '.join(KINDS)}) follows the options"
    return f"the line does not begin with an accepted kind of key ({', '.join(KINDS)})"
