"""A shell: what a port leads to, and which users may enter."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from typing import Any, Self

from console.auth.password_changes import changing_session, note_change
from console.auth.passwords import hash_password
from console.auth.stores.memory import MemoryCredentials
from console.auth.stores.users_file import check_user_name
from console.errors import CredentialError
from console.interfaces.credentials import AuthorizedKey, CredentialStore, OfferedKey, Role

DEFAULT_USER = "admin"


DEFAULT_PASSWORD = "admin"  # noqa: S105 - the howto's default, which only loopback accepts


PASSWORD_REMEDY = "set ShellFactory.password"  # noqa: S105 - no password


_NEVER_SAVED = frozenset({"_changed_in", "_lock", "_plain"})


class ShellFactory(CredentialStore):
    """What a shell is made of: the users who may enter, and the live names.

    One object serves telnet and SSH. Everything may be changed while it is used; a change holds
    from the next login on.

    Attributes:
        username: The user who may enter with `password`. Ignored with ``credentials``.
        namespace: The live names.
        credentials: Another store of users, which replaces user name and password.
        password_remedy: What warnings and errors about the default password tell the operator to
            do; a program that offers another way to set a password names that.
    """

    credentials: CredentialStore | None
    _lock: threading.Lock
    _plain: str | None
    _changed_in: int
    _phc: str | None
    _is_default_password: bool
    password_remedy: str

    def __new__(cls, *_arguments: Any, **_keywords: Any) -> Self:
        """Make a shell without users: one that is restored has not been through __init__."""
        shell = super().__new__(cls)
        shell._lock = threading.Lock()
        shell._plain = None
        shell._changed_in = 0
        shell._phc = None
        shell._is_default_password = False
        shell.password_remedy = PASSWORD_REMEDY
        shell.credentials = MemoryCredentials()
        return shell

    def __init__(
        self,
        username: str = DEFAULT_USER,
        password: str = DEFAULT_PASSWORD,
        namespace: dict[str, Any] | None = None,
        credentials: CredentialStore | None = None,
        *,
        password_remedy: str = PASSWORD_REMEDY,
    ) -> None:
        self.namespace: dict[str, Any] = {} if namespace is None else namespace
        self.credentials = credentials
        self.username = username
        self.password = password
        self.password_remedy = password_remedy

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__} instance at {id(self):#x}>"

    def __getstate__(self) -> dict[str, Any]:
        """Return what is saved: of the password the hash only."""
        with contextlib.suppress(CredentialError):  # no login succeeds, here as there
            self.hashed()
        return {name: value for name, value in vars(self).items() if name not in _NEVER_SAVED}

    @property
    def username(self) -> str:
        """The user who may enter."""
        return self._username

    @username.setter
    def username(self, name: str) -> None:
        check_user_name(name, "username")
        self._username = name

    @property
    def password(self) -> str:
        """The user's password. It can be set; what is kept is a hash, so reading shows stars."""
        return "********"

    @password.setter
    def password(self, password: str) -> None:
        with self._lock:
            # Hashed at the first login, on the authenticator's thread: it takes 20 ms.
            self._plain, self._phc = password, None
            self._changed_in = changing_session()
            self._is_default_password = password == DEFAULT_PASSWORD

    @property
    def has_default_password(self) -> bool:
        """Whether the password is the one that the manual names, so that all know it."""
        return self.credentials is None and self._is_default_password

    # ---- CredentialStore

    def password_hash(self, name: str) -> str | None:
        """Return the user's hash. Called on the authenticator's thread."""
        if self.credentials is not None:
            return self.credentials.password_hash(name)
        return self.hashed() if name == self._username else None

    def authorized_keys(self, name: str) -> Sequence[AuthorizedKey]:
        """Return the user's public keys. Called on the authenticator's thread."""
        return () if self.credentials is None else self.credentials.authorized_keys(name)

    def prepare(self) -> None:
        """Check that the users can be read, at the start. Blocks."""
        if self.credentials is not None:
            self.credentials.prepare()

    def role(self, name: str) -> Role:
        """Return what the user may do."""
        return Role.ADMIN if self.credentials is None else self.credentials.role(name)

    def second_factor(self) -> bool:
        """Whether any user has a second factor."""
        return self.credentials is not None and self.credentials.second_factor()

    def has_second_factor(self, name: str) -> bool:
        """Whether the user has a second factor."""
        return self.credentials is not None and self.credentials.has_second_factor(name)

    def use_code(self, name: str, code: str) -> bool:
        """Whether the code lets the user in, which it does once."""
        return self.credentials is not None and self.credentials.use_code(name, code)

    def is_revoked(self, key: OfferedKey) -> str:
        """Return why a key is revoked; empty if it is not."""
        return "" if self.credentials is None else self.credentials.is_revoked(key)

    def strict(self) -> CredentialStore:
        """Return the same users, in a store that raises an error for what it cannot read."""
        return self if self.credentials is None else self.credentials.strict()

    def hashed(self) -> str | None:
        """Return the password's hash, made now if it has not been made yet."""
        with self._lock:
            if self._plain is not None:
                phc = hash_password(self._plain)
                note_change(phc, self._changed_in)
                self._phc, self._plain = phc, None
            return self._phc
