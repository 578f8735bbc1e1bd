"""Users in memory: for examples and tests, and for services that make their users themselves."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence

from console.auth.keys.authorized_keys import parse_authorized_key
from console.auth.password_changes import changing_session, note_change
from console.auth.passwords import check_password, hash_password
from console.auth.stores.users_file import ROLES, check_user_name
from console.errors import CredentialError, UnknownUser
from console.interfaces.credentials import AuthorizedKey, CredentialStore, Role


class MemoryCredentials(CredentialStore):
    """Users in memory, for examples and tests. Safe to use from any thread.

    Passwords are hashed at the first login, on the thread that asks, and forgotten then; all of
    them at once, so that the time of a guess does not tell which users exist.

    Args:
        passwords: User and password in plain text.
        keys: User and lines of ``authorized_keys``.
        roles: User and role, or its word. A user who is not named is an admin: the author of the
            service's own code owns it.

    Raises:
        CredentialError: If a name, a password, a key or a role is refused.
    """

    def __init__(
        self,
        passwords: Mapping[str, str] | None = None,
        keys: Mapping[str, Sequence[str]] | None = None,
        roles: Mapping[str, Role | str] | None = None,
    ) -> None:
        self._lock = threading.Lock()
        self._plain: dict[str, str] = {}
        self._hashes: dict[str, str] = {}
        self._changed_in: dict[str, int] = {}
        self._keys: dict[str, tuple[AuthorizedKey, ...]] = {}
        for name, password in (passwords or {}).items():
            self.set_password(name, password)
        for name, lines in (keys or {}).items():
            check_user_name(name, "credentials")
            parsed = (
                parse_authorized_key(line, f"key {number} of {name}")
                for number, line in enumerate(lines, 1)
            )
            self._keys[name] = tuple(key for key in parsed if key is not None)
        self._roles: dict[str, Role] = {}
        for name, role in (roles or {}).items():
            check_user_name(name, "credentials")
            self._roles[name] = _role(role, name)

    def __repr__(self) -> str:
        return f"MemoryCredentials(users={self.users()!r})"

    def users(self) -> list[str]:
        """Return the names of all users, sorted."""
        with self._lock:
            return sorted({*self._plain, *self._hashes, *self._keys})

    def set_password(self, name: str, password: str) -> None:
        """Give a user, new or not, this password from the next login on. Returns at once.

        Raises:
            InvalidUserName: If the name is refused.
            CredentialError: If the password is refused.
        """
        check_user_name(name, "credentials")
        check_password(password)
        with self._lock:
            self._hashes.pop(name, None)
            self._plain[name] = password
            self._changed_in[name] = changing_session()

    def remove(self, name: str) -> None:
        """Remove a user, keys included. A console soon ends the user's open sessions.

        Raises:
            UnknownUser: If there is no such user.
        """
        if name not in self.users():
            raise UnknownUser("credentials", name)
        with self._lock:
            for users in (self._plain, self._hashes, self._keys, self._roles):
                users.pop(name, None)

    def password_hash(self, name: str) -> str | None:
        """Return the user's argon2 hash; None if no password lets this user in."""
        while True:
            with self._lock:
                if not self._plain:
                    return self._hashes.get(name)
                waiting, password = next(iter(self._plain.items()))
            # Without the lock, so that set_password() never waits for it.
            phc = hash_password(password)
            with self._lock:
                if self._plain.get(waiting) == password:  # else it was changed meanwhile
                    note_change(phc, self._changed_in.pop(waiting, 0))
                    del self._plain[waiting]
                    self._hashes[waiting] = phc

    def authorized_keys(self, name: str) -> Sequence[AuthorizedKey]:
        """Return the public keys that open exactly this user's account."""
        return self._keys.get(name, ())

    def role(self, name: str) -> Role:
        """Return what a user may do."""
        return self._roles.get(name, Role.ADMIN)


def _role(value: Role | str, name: str) -> Role:
    try:
        return Role(value)
    except ValueError:
        raise CredentialError(f"role of {name}", f"is none of {ROLES}") from None
