"""The users file: a line a user, ``name:hash:role``. Rules without I/O.

The role may be missing, as in files of old: such a user is an operator.

Blank lines and lines with ``#`` are comments, and kept. What is wrong with a line is told by its
number only: it may hold a secret.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from console.auth.passwords import is_usable_hash
from console.errors import InvalidUserName
from console.interfaces.credentials import Role

ROLES: Final = ", ".join(role.value for role in Role)
"""The words of the roles, for messages."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")


def check_user_name(name: str, place: str) -> None:
    """Refuse a name that a users file, a path or a log cannot hold safely.

    Raises:
        InvalidUserName: Names ``place``.
    """
    if not _NAME.fullmatch(name):
        raise InvalidUserName(place, name)


@dataclass(slots=True)
class Users:
    """What a users file says.

    Attributes:
        names: The users who have a line.
        hashes: Of the users who may log in, what stands where the hash belongs.
        roles: Of the users who may log in.
        twice: The users who are on two lines, and get in by neither.
        problems: What is wrong with the file, a line each.
        has_bad_lines: Whether there are lines that are neither a user's nor a comment.
    """

    names: list[str] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict, repr=False)
    roles: dict[str, Role] = field(default_factory=dict)
    twice: set[str] = field(default_factory=set)
    problems: list[str] = field(default_factory=list)
    has_bad_lines: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    """A user's line. ``role`` is the word as it stands there; None if there is none."""

    name: str
    phc: str = field(repr=False)
    role: str | None


def _user_of(line: str) -> _Line | None:
    """Split a line into its fields; None for a comment and for what is no user."""
    name, colon, rest = line.strip(" \t\r").partition(":")
    if not colon or not _NAME.fullmatch(name):
        return None
    phc, colon, role = rest.partition(":")
    return _Line(name, phc, role if colon else None)


def parse_users(text: str, place: str) -> Users:
    """Read a users file. A bad line is reported, as at ``place``, and harms no other user."""
    users, first_lines = Users(), dict[str, int]()
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        user = _user_of(line)
        if user is None:
            users.has_bad_lines = True
            users.problems.append(f"{place}:{number}: is not name:hash:role; the line is skipped")
            continue
        if user.name in first_lines:
            # An admin who appended the second line to change a password may count on either:
            # an old password that still works is worse than none that does.
            users.problems.append(
                f"{place}:{number}: the user of line {first_lines[user.name]} again;"
                " neither line lets the user in; remove one"
            )
            users.twice.add(user.name)
            continue
        first_lines[user.name] = number
        users.names.append(user.name)
        role = _role_of(user)
        if role is None:
            # The word is not quoted: in a shadow-style line it may be part of a secret.
            users.problems.append(
                f"{place}:{number}: has a role that is none of {ROLES}, so the line is not used;"
                " set one with: console user role"
            )
            continue
        users.hashes[user.name] = user.phc
        users.roles[user.name] = role
        if not is_usable_hash(user.phc) and user.phc[:1] not in {"*", "!"}:
            users.problems.append(
                f"{place}:{number}: has no argon2 hash, so no password lets this user in;"
                " set one with: console user passwd"
            )
    for name in users.twice:
        users.hashes.pop(name, None)
        users.roles.pop(name, None)
    return users


def _role_of(user: _Line) -> Role | None:
    """Return the role of a line; None for a word that is no role."""
    if user.role is None:
        return Role.OPERATOR
    try:
        return Role(user.role)
    except ValueError:
        return None


def replace_user(text: str, name: str, *, phc: str | None = None, role: Role | None = None) -> str:
    """Give ``name`` one line with this hash and role; the other lines stay as they are.

    None keeps what the first line of that name has. A new user needs a hash.
    """
    users = map(_user_of, text.split("\n"))
    old = next((user for user in users if user is not None and user.name == name), None)
    if old is None:
        old = _Line(name, "", None)
    new_phc = old.phc if phc is None else phc
    word = old.role if role is None else role.value
    return _with_line(text, name, f"{name}:{new_phc}" + ("" if word is None else f":{word}"))


def remove_user(text: str, name: str) -> str:
    """Take each line of ``name`` away; the other lines stay as they are."""
    return _with_line(text, name, None)


def _with_line(text: str, name: str, new: str | None) -> str:
    lines: list[str] = []
    for line in text.removesuffix("\n").split("\n") if text else []:
        user = _user_of(line)
        if user is None or user.name != name:
            lines.append(line)
        elif new is not None:
            lines.append(new)
            new = None
    if new is not None:
        lines.append(new)
    return "".join(line + "\n" for line in lines)
