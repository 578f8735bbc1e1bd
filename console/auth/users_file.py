"""The users file: a line a user, ``name:hash``. Rules without I/O.

Blank lines and lines with ``#`` are comments, and kept. What is wrong with a line is told by its
number only: it may hold a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from console.auth.passwords import is_usable_hash
from console.errors import InvalidUserName

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")


def check_user_name(name: str, place: str) -> None:
    """Refuse a name that a users file, a path or a log cannot hold safely.

    Raises:
        InvalidUserName: Names ``place``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidUserName(place, name)


@dataclass(frozen=True, slots=True)
class Users:
    """What a users file says. A name on two lines is in ``names`` but not in ``hashes``."""

    names: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict, repr=False)
    problems: list[str] = field(default_factory=list)


def _user_of(line: str) -> tuple[str, str] | None:
    """Split a line into name and hash; None for a comment and for what is neither."""
    name, colon, phc = line.strip(" \t\r").partition(":")
    return (name, phc) if colon and _NAME.fullmatch(name) else None


def parse_users(text: str, place: str) -> Users:
    """Read a users file. A bad line is reported, as at ``place``, and harms no other user."""
    users, first_lines, twice = Users(), dict[str, int](), set[str]()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        user = _user_of(line)
        if user is None:
            users.problems.append(f"{place}:{number}: is not name:hash; the line is skipped")
            continue
        name, phc = user
        if name in first_lines:
            # Whoever appended the second line to change a password may count on either of them:
            # an old password that still works is worse than none that does.
            users.problems.append(
                f"{place}:{number}: the user of line {first_lines[name]} again;"
                " neither line lets anybody in; remove one"
            )
            twice.add(name)
            continue
        first_lines[name] = number
        users.names.append(name)
        users.hashes[name] = phc
        if not is_usable_hash(phc) and phc[:1] not in {"*", "!"}:
            users.problems.append(
                f"{place}:{number}: has no argon2 hash, so no password lets this user in;"
                " set one with: console user passwd"
            )
    for name in twice:
        del users.hashes[name]
    return users


def replace_user(text: str, name: str, phc: str | None) -> str:
    """Give ``name`` one line with this hash, or none for None; the other lines stay as they are."""
    lines: list[str] = []
    new = None if phc is None else f"{name}:{phc}"
    for line in text.removesuffix("\n").split("\n") if text else []:
        user = _user_of(line)
        if user is None or user[0] != name:
            lines.append(line)
        elif new is not None:
            lines.append(new)
            new = None
    if new is not None:
        lines.append(new)
    return "".join(line + "\n" for line in lines)
