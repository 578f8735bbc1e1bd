"""The users file of a directory: read for a login, and changed under the directory's lock."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from console.auth.passwords import check_password, hash_password
from console.auth.stores.key_files import KEYS_DIRECTORY
from console.auth.stores.problem_log import Complaints
from console.auth.stores.users_file import Users, check_user_name, parse_users
from console.errors import CredentialError, UnknownUser
from console.files.atomic import (
    UNWRITABLE_REMEDY,
    locked,
    make_private_directory,
    write_atomically,
)
from console.files.exposure import exposure_of, read_with_status
from console.interfaces.credentials import Role

NO_DEFAULT_USER: Final = "no-default-user"
"""The mark that a user was added once: the default user counts no more in this directory."""

LOCK_SECONDS: Final = 10.0
"""How long a change waits for another process to finish its own, which takes milliseconds."""


class UsersOnDisk:
    """The users file. The methods block, and may be called from any thread.

    Args:
        directory: Where the file is.
        initial: Users and passwords to write, as admins, when there is no file the first time that
            it is looked for; they are forgotten then.
        complaints: Where it is said what is wrong with the file when it is read for a login.

    Raises:
        CredentialError: If a name or a password of ``initial`` is refused.
    """

    def __init__(self, directory: Path, initial: Mapping[str, str], complaints: Complaints) -> None:
        for name, password in initial.items():
            check_user_name(name, "initial users")
            check_password(password)
        self.path = directory / "users"
        self._directory = directory
        self._initial = dict(initial)
        self._initial_lock = threading.Lock()
        self._complaints = complaints

    # ---- reading

    def for_login(self, *, strict: bool = False) -> Users:
        """Return what the file says; no users, if it cannot be read.

        Args:
            strict: For an open session: raise an error in place of "no users", which would end it.

        Raises:
            CredentialError: If ``strict``, and the file cannot be read or understood.
        """
        try:
            users = self.read()
        except CredentialError as error:
            if strict:
                raise
            users = Users(problems=[str(error)])
        if strict and not users.names and users.has_bad_lines:
            raise CredentialError(
                str(self.path), "has no line name:hash:role", "correct it; is it in UTF-8?"
            )
        if strict and not users.names and not self._directory.is_dir():
            raise CredentialError(
                str(self._directory), "the directory is missing", "restore or mount it"
            )
        self.complain(users)
        return users

    def read(self) -> Users:
        """Return what the file says, with what is wrong with it.

        Raises:
            CredentialError: If it cannot be read, or is open to others.
        """
        self.write_initial()
        users = parse_users(self.text(), str(self.path))
        if not users.names:
            users.problems.append(
                f"{self.path}: has no users, so no login succeeds;"
                f" add one with: console user add NAME --keys {self._directory}"
            )
        return users

    def complain(self, users: Users) -> None:
        """Log what is wrong with the file, once for each change of it."""
        self._complaints.tell(self.path, users.problems)

    def require(self, name: str) -> None:
        """Check that there is such a user.

        Raises:
            UnknownUser: If there is not.
            CredentialError: If the file cannot be read, or is open to others.
        """
        self.write_initial()
        self.text_with(name)

    # ---- changing

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the directory's lock, and turn errors of the system into ours.

        Raises:
            CredentialError: If the directory cannot be written.
        """
        self.write_initial()
        with self._locked():
            yield

    def text(self) -> str:
        """Return the file's text, empty if there is none.

        Raises:
            CredentialError: If it cannot be read, or is open to others.
        """
        try:
            data, status = read_with_status(self.path)
            open_to_others = exposure_of(self.path, status, secret=True)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise CredentialError(
                str(self.path),
                f"cannot be read: {error.strerror}",
                "make it readable for the service's user",
            ) from None
        if open_to_others:
            raise CredentialError(
                str(self.path),
                f"is not used, because it {open_to_others.problem}",
                open_to_others.remedy,
            )
        # Bytes that are no UTF-8 (in a comment, say) survive a rewrite.
        # Some editors put a byte order mark in front, which must not hide the first user.
        return data.removeprefix(codecs.BOM_UTF8).decode("utf-8", "surrogateescape")

    def text_with(self, name: str) -> str:
        """Return the file's text, once it is known to have this user.

        Raises:
            UnknownUser: If it has not.
        """
        text = self.text()
        if name not in parse_users(text, "").names:
            raise UnknownUser(str(self.path), name, "list the users: console user list")
        return text

    def write(self, text: str) -> None:
        """Replace the file. Call it while `changing`."""
        self._leave_mark()
        write_atomically(self.path, text.encode("utf-8", "surrogateescape"))

    def write_initial(self) -> None:
        """Write the initial users if there is no users file, the first time it is looked for.

        Only then: a file that is deleted later on must not bring old passwords back.

        Raises:
            CredentialError: If it cannot be written.
        """
        with self._initial_lock:
            if not self._initial:
                return
            if not os.path.lexists(self.path):
                text = "".join(
                    f"{name}:{hash_password(password)}:{Role.ADMIN.value}\n"
                    for name, password in self._initial.items()
                )
                # Another process that was quicker wins.
                with self._locked(), contextlib.suppress(FileExistsError):
                    self._leave_mark()
                    write_atomically(self.path, text.encode(), replace=False)
            self._initial = {}

    def had_user(self) -> bool:
        """Whether a user was ever added here, as far as the directory shows: whatever it holds now.

        Raises:
            CredentialError: If the directory cannot be read.
        """
        try:
            return any(map(_is_there, (self.path, self._directory / NO_DEFAULT_USER)))
        except OSError as error:
            raise CredentialError(
                str(self._directory),
                f"cannot be read: {error.strerror}",
                "make it readable for the service's user",
            ) from None

    def _leave_mark(self) -> None:
        """Make the default user count no more, before the first user can be removed again."""
        mark = self._directory / NO_DEFAULT_USER
        if not _is_there(mark):
            text = "# A user was added here once: default_user = true is without effect.\n"
            write_atomically(mark, text.encode())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            first_use = not os.path.lexists(self.path)
            make_private_directory(self._directory, tighten=first_use)
            if first_use:
                make_private_directory(self._directory / KEYS_DIRECTORY)  # so that one sees where
            with locked(self._directory / ".lock", wait_seconds=LOCK_SECONDS):
                yield
        except OSError as error:
            # An error of the lock says itself what to do.
            remedy = "" if error.errno == errno.EBUSY else UNWRITABLE_REMEDY
            raise CredentialError(
                str(self._directory), f"cannot be written: {error.strerror or error}", remedy
            ) from None


def _is_there(path: Path) -> bool:
    """Whether a name is there, as a dangling link too.

    Raises:
        OSError: If that cannot be known. `os.path.lexists` would return False.
    """
    try:
        path.lstat()
    except FileNotFoundError:
        return False
    return True
