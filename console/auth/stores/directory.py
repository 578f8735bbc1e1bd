"""Where users are kept: in a directory of files (in memory: ``memory.py``).

It holds

* ``users``: a line a user, ``name:hash:role``. A hash that is no argon2 hash lets no password in;
  ``*`` is what we write for a user with keys only. Without a role the user is an operator.
* ``authorized_keys/NAME``: that user's public keys, as for sshd(8). They count only while
  ``users`` has the name, so that removing one line there removes all of a user's access.
* ``authorities``: public keys whose certificates open the accounts that they name, one a line,
  as ``TrustedUserCAKeys`` of sshd_config(5). They too count only for names in ``users``.
* ``revoked_keys``: keys and certificates that open nothing any more (see `revocation`).
* ``second_factors/NAME``: what that user's codes are made of (``second_factor.py``). It stays in
  force whatever is wrong with it: then there is no right code.
* ``no-default-user``: left by the first user that is added; from then on ``default_user = true`` of
  a configuration is without effect, whatever becomes of the users.
* ``.lock``: held while a file is changed, so that two writers lose none of each other's work.

The files are read again at each login. That costs a tenth of a millisecond beside the 20 of a
password, and no rule about when a file has changed can miss a user who was removed. What is wrong
with a file is logged once for each change of it, by line number: a line may hold a secret.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from console.auth.keys.authorized_keys import clean_line, parse_authorized_key, read_authorized_keys
from console.auth.keys.revocation import Revocations
from console.auth.password_changes import changing_session, note_change
from console.auth.passwords import hash_password, is_usable_hash
from console.auth.second_factor import (
    FACTORS_DIRECTORY,
    Enrolment,
    SecondFactors,
    new_enrolment,
    require_library,
)
from console.auth.stores.key_files import KeyFiles
from console.auth.stores.memory import MemoryCredentials
from console.auth.stores.problem_log import Complaints
from console.auth.stores.users_file import (
    check_user_name,
    parse_users,
    remove_user,
    replace_user,
)
from console.auth.stores.users_on_disk import UsersOnDisk
from console.errors import ConfigurationError, CredentialError, InvalidKey
from console.interfaces.credentials import AuthorizedKey, CredentialStore, OfferedKey, Role

_NO_PASSWORD = "*"  # noqa: S105 - the mark that there is none, as in shadow(5)


def credential_store(value: object) -> CredentialStore:
    """Make a store of what a caller may write: a store, or a mapping of user to password.

    Raises:
        ConfigurationError: If it is neither. The value is not shown: it may be a password.
        CredentialError: If a name or a password of the mapping is refused.
    """
    if isinstance(value, Mapping):
        return MemoryCredentials(value)
    if isinstance(value, CredentialStore):
        return value
    raise ConfigurationError(
        "credentials",
        type(value).__name__,
        "is not a store of users",
        "give FileCredentials(directory), a mapping of user to password,"
        " or an object of a class derived from console.CredentialStore",
    )


class FileCredentials(CredentialStore):
    """Users in a directory of files, which another process may change at any time.

    The methods block, and may be called from any thread.

    Args:
        directory: Made, for its owner alone, when there is something to write.
        initial: Users and passwords to write if there is no users file yet, at `prepare` or at
            the first login, as admins. Later on the file alone counts, and they are forgotten.

    Raises:
        CredentialError: If a name or a password of ``initial`` is refused.
    """

    def __init__(
        self, directory: str | os.PathLike[str], *, initial: Mapping[str, str] | None = None
    ) -> None:
        self.directory = Path(directory)
        self._complaints = Complaints()
        self._users = UsersOnDisk(self.directory, initial or {}, self._complaints)
        self._keys = KeyFiles(self.directory, self._complaints)
        self._factors = SecondFactors(self.directory / FACTORS_DIRECTORY)
        self._strict = False

    def __repr__(self) -> str:
        return f"FileCredentials({str(self.directory)!r})"

    # Login

    def password_hash(self, name: str) -> str | None:
        """Return the user's argon2 hash; None if no password lets this user in. Never raises."""
        phc = self._users.for_login(strict=self._strict).hashes.get(name, "")
        return phc if is_usable_hash(phc) else None

    def authorized_keys(self, name: str) -> Sequence[AuthorizedKey]:
        """Return the public keys that open exactly this user's account. Never raises."""
        strict = self._strict
        if name not in self._users.for_login(strict=strict).hashes:
            return ()
        # The user's own first: where both name an authority, the options are those of this line.
        return (*self._keys.of(name, strict=strict), *self._keys.authorities(strict=strict))

    def is_revoked(self, key: OfferedKey) -> str:
        """Return why a key or certificate opens nothing any more; empty if it is not revoked.

        Never raises: as long as the file cannot be read, or is open to others, everything is
        revoked. A file that does not exist revokes nothing.
        """
        revocations = self._keys.known_revocations(strict=self._strict)
        return "all keys are refused" if revocations is None else revocations.problem(key)

    def role(self, name: str) -> Role:
        """Return what a user may do; for one who may not log in, the least. Never raises."""
        return self._users.for_login(strict=self._strict).roles.get(name, Role.VIEWER)

    def strict(self) -> CredentialStore:
        """Return the same users, in a store that raises CredentialError for what it cannot read."""
        strict = copy.copy(self)  # of the same class: a derived one may override a method
        strict._strict = True  # noqa: SLF001 - of our own class
        return strict

    def second_factor(self) -> bool:
        """Whether any user has a second factor, so that all are asked for a code. Never raises."""
        names = self._names_with_factor()
        return names is None or bool(names)

    def has_second_factor(self, name: str) -> bool:
        """Whether a user's password needs a code beside it. Never raises.

        A second factor that cannot be read is one; so is each user's, in a directory that others
        can change, where a missing file proves nothing.
        """
        names = self._names_with_factor()
        return names is None or name in names

    def use_code(self, name: str, code: str) -> bool:
        """Take a code of a user's second factor, which is then used. Never raises.

        Blanks in it are ignored. It is on the disk as used before the call returns, for each
        process that shares the directory.

        Returns:
            Whether the code is right and not used, nor older than one that is; False if the
            user has no second factor, or one that cannot be used, which is logged.
        """
        if name not in (self._names_with_factor() or ()):
            return False
        path, problems, right = self._factors.path(name), list[str](), False
        try:
            with self._users.changing():
                right = self._factors.use(name, code)
        except CredentialError as error:
            problems = [str(error)]
        self._complaints.tell(path, problems)
        return right

    # Administration

    def prepare(self) -> None:
        """Write the initial users, and check that the files can be trusted.

        Raises:
            CredentialError: If they cannot be read or written, or are open to others; or if there
                are second factors, and the library for their codes is missing.
        """
        users = self._users.read()
        self._users.complain(users)
        for name in users.hashes:
            self.authorized_keys(name)  # logs now what would be logged at the first login
        self._keys.known_revocations()
        names = self._factors.names()
        if names:
            require_library("users who have one could not log in")
        for name in names:
            try:
                self._factors.check(name)
            except CredentialError as error:
                self._complaints.tell(self._factors.path(name), [str(error)])

    def had_user(self) -> bool:
        """Whether a user was ever added, as far as the directory shows: none may be left.

        Raises:
            CredentialError: If the directory cannot be read.
        """
        return self._users.had_user()

    def users(self) -> list[str]:
        """Return the names of all users, in the file's order.

        Raises:
            CredentialError: If the users file cannot be read, or is open to others.
        """
        return self._users.read().names

    def roles(self) -> dict[str, Role]:
        """Return the roles of the users who may get in, in the file's order.

        Raises:
            CredentialError: If the users file cannot be read, or is open to others.
        """
        return self._users.read().roles

    def add(self, name: str, password: str | None = None, *, role: Role = Role.OPERATOR) -> None:
        """Add a user.

        Args:
            name: A new name.
            password: None for a user who gets in by key only.
            role: What the user may do.

        Raises:
            InvalidUserName: If the name is refused.
            CredentialError: If there is such a user, the password is refused, or the file cannot
                be written; it is then unchanged.
        """
        self._set(name, password, role=role, only_new=True)

    def set_password(self, name: str, password: str) -> None:
        """Give a user, new or not, this password. The role stays; a new user is an operator.

        The file is replaced before the call returns; a running server sees it at the next login.

        Raises:
            InvalidUserName: If the name is refused.
            CredentialError: If the password is refused, or the file cannot be written; it is then
                unchanged.
        """
        self._set(name, password, role=None, only_new=False)

    def set_role(self, name: str, role: Role) -> None:
        """Give a user this role, from the next login on.

        Raises:
            UnknownUser: If there is no such user.
            CredentialError: If the user is on two lines, or the file cannot be written; it is
                then unchanged.
        """
        with self._users.changing():
            text = self._users.text_with(name)
            if name in parse_users(text, "").twice:
                raise CredentialError(
                    str(self._users.path),
                    f"{name!r} is on two lines",
                    "remove one, or set a password, which does so",
                )
            self._users.write(replace_user(text, name, role=role))

    def remove(self, name: str) -> None:
        """Remove a user, the user's keys and second factor. A console soon ends open sessions.

        Raises:
            UnknownUser: If there is no such user.
            CredentialError: If a file cannot be written.
        """
        with self._users.changing():
            text = self._users.text_with(name)
            # In this order: keys left behind would open the account of the next user of that name.
            self._keys.path(name).unlink(missing_ok=True)
            self._users.write(remove_user(text, name))
            # Last: without it the password alone would let in.
            self._factors.remove(name)

    def keys(self, name: str) -> list[AuthorizedKey]:
        """Return a user's keys. Lines that are refused are logged.

        Raises:
            UnknownUser: If there is no such user.
            CredentialError: If a file cannot be read, or is open to others.
        """
        self._users.require(name)
        return read_authorized_keys(self._keys.path(name))

    def revocations(self) -> Revocations:
        """Return which keys and certificates are revoked.

        Raises:
            CredentialError: If the file cannot be read, or is open to others.
        """
        return self._keys.revocations()

    def grant_key(self, name: str, line: str) -> str:
        """Let a user in by public key. A key that the user has already is not added again.

        The file is replaced before the call returns; a running server sees the key at the next
        login.

        Args:
            name: An existing user.
            line: One ``authorized_keys`` line (sshd(8)): options, kind, key, comment. It is kept
                as it is, options included.

        Returns:
            The key's SHA-256 fingerprint, as ``ssh-keygen -l`` prints it.

        Raises:
            UnknownUser: If there is no such user.
            InvalidKey: If the line cannot be parsed, or has an option that is not enforced.
            CredentialError: If the user has the key already, with other options, or the file
                cannot be written; it is then unchanged.
        """
        place = f"key for {name!r}"
        key, line = parse_authorized_key(line, place), clean_line(line, place)
        if key is None:
            raise InvalidKey(place, "there is no key on this line")
        with self._users.changing():
            self._users.text_with(name)
            self._keys.add(name, key, line)
        return key.fingerprint

    def revoke_key(self, name: str, fingerprint: str) -> None:
        """Take a key from a user. A console soon ends the sessions that it has opened.

        Args:
            name: An existing user.
            fingerprint: As `grant_key` returned it, ``SHA256:...``.

        Raises:
            UnknownUser: If there is no such user.
            CredentialError: If the user has no such key, or the file cannot be written; it is
                then unchanged.
        """
        with self._users.changing():
            self._users.text_with(name)
            self._keys.take(name, fingerprint)

    def enrol(self, name: str, *, issuer: str = "console") -> Enrolment:
        """Make a second factor for a user. It is not in force until `activate` has seen a code.

        Args:
            name: An existing user.
            issuer: What an authenticator app shows beside the name.

        Raises:
            UnknownUser: If there is no such user.
            CredentialError: If the users file cannot be read, or the library for codes is missing.
        """
        self._users.require(name)
        return new_enrolment(name, issuer)

    def activate(self, enrolment: Enrolment, code: str) -> bool:
        """Put a second factor in force, in place of the user's old one, if there is one.

        From the next login on the password needs a code beside it. The code that is given here is
        used, and no login takes it.

        Returns:
            Whether the code is one of this second factor; if not, nothing has changed.

        Raises:
            UnknownUser: If the user has been removed meanwhile.
            CredentialError: If the file cannot be written.
        """
        with self._users.changing():
            self._users.text_with(enrolment.name)
            return self._factors.activate(enrolment, code)

    def remove_second_factor(self, name: str) -> None:
        """Let a user in by password alone again.

        Raises:
            UnknownUser: If there is no such user.
            CredentialError: If the user has none, or the file cannot be removed.
        """
        with self._users.changing():
            self._users.text_with(name)
            if name not in self._factors.names():
                raise CredentialError(str(self._factors.path(name)), f"{name!r} has none")
            self._factors.remove(name)

    # ---- as used above

    def _names_with_factor(self) -> list[str] | None:
        """Return the users with a second factor; None if that cannot be known, which is logged."""
        names, problems = None, list[str]()
        try:
            names = self._factors.names()
        except CredentialError as error:
            problems = [str(error)]
        self._complaints.tell(self._factors.directory, problems)
        return names

    def _set(self, name: str, password: str | None, *, role: Role | None, only_new: bool) -> None:
        check_user_name(name, str(self._users.path))
        # Hashed before the lock is taken: it is the slow part.
        phc = _NO_PASSWORD if password is None else hash_password(password)
        with self._users.changing():
            text = self._users.text()
            if only_new and name in parse_users(text, "").names:
                raise CredentialError(
                    str(self._users.path),
                    f"there is a user {name!r} already",
                    f"change the password with: console user passwd {name}",
                )
            note_change(phc, changing_session())
            self._users.write(replace_user(text, name, phc=phc, role=role))
