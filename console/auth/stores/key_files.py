"""The files that say which public keys open whose account, within the directory of users.

* ``authorized_keys/NAME``: a user's public keys, as for sshd(8).
* ``authorities``: public keys whose certificates open the accounts that they name, one a line,
  as ``TrustedUserCAKeys`` of sshd_config(5).
* ``revoked_keys``: keys and certificates that open nothing any more (see `revocation`).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from console.auth.keys.authorized_keys import read_authorities, read_authorized_keys, read_trusted
from console.auth.keys.public_keys import WireError
from console.auth.keys.revocation import Revocations, parse_revocations
from console.auth.stores.problem_log import Complaints
from console.errors import CredentialError
from console.files.atomic import make_private_directory, write_atomically
from console.interfaces.credentials import AuthorizedKey

KEYS_DIRECTORY: Final = "authorized_keys"
"""A file for each user, in OpenSSH's format."""

AUTHORITIES_FILE: Final = "authorities"
"""The keys of authorities, which sign certificates for any user."""

REVOKED_FILE: Final = "revoked_keys"
"""What opens nothing any more."""

REVOKED_BYTES: Final = 8 * 1024 * 1024
"""A million serial numbers; read at each login by key."""


class KeyFiles:
    """The files of a directory. Its owner takes care that changes come one at a time.

    The methods block. It does not ask whether there is such a user.

    Args:
        directory: Where users are kept.
        complaints: Where it is said what is wrong with a file that is read for a login.
    """

    def __init__(self, directory: Path, complaints: Complaints) -> None:
        self._directory = directory
        self._complaints = complaints
        self._revoked = (b"", Revocations())

    def path(self, name: str) -> Path:
        """Return the file of a user."""
        return self._directory / KEYS_DIRECTORY / name

    # Login

    # What is wrong opens nothing; where ``strict`` it raises CredentialError.

    def of(self, name: str, *, strict: bool = False) -> list[AuthorizedKey]:
        """Return a user's own keys."""
        return self._read(self.path(name), read_authorized_keys, strict=strict)

    def authorities(self, *, strict: bool = False) -> list[AuthorizedKey]:
        """Return the authorities whose certificates open any account they name."""
        return self._read(self._directory / AUTHORITIES_FILE, read_authorities, strict=strict)

    def known_revocations(self, *, strict: bool = False) -> Revocations | None:
        """Return what is revoked; None if that cannot be known, which is logged."""
        problems, found = list[str](), None
        try:
            found = self.revocations()
        except CredentialError as error:
            if strict:
                raise
            problems = [f"{error}; until then no key is accepted"]
        self._complaints.tell(self._directory / REVOKED_FILE, problems)
        return found

    # Administration

    def revocations(self) -> Revocations:
        """Return what is revoked: nothing, if there is no file.

        Raises:
            CredentialError: If the file cannot be read, or is open to others.
        """
        path = self._directory / REVOKED_FILE
        data = read_trusted(path, limit_bytes=REVOKED_BYTES)
        # Compared as a whole: no rule about when a file has changed can miss a change.
        known, revocations = self._revoked
        if known != data:
            try:
                revocations = parse_revocations(data)
            except WireError as error:
                raise CredentialError(
                    str(path), f"cannot be understood: {error}", "correct it, or write it anew"
                ) from None
            self._revoked = (data, revocations)
        return revocations

    def add(self, name: str, key: AuthorizedKey, line: str) -> None:
        """Append a key to a user's file, unless it is there already.

        Args:
            name: Whose it is.
            key: What the line says.
            line: Without a newline. It is kept as it is, options included.

        Raises:
            CredentialError: If the key is there with other options, or the file cannot be read.
            OSError: If the file cannot be written.
        """
        path = self.path(name)
        make_private_directory(path.parent)
        present = read_authorized_keys(path, refused=lambda _error: None)
        same = [other for other in present if other.blob == key.blob]
        if any(other.options == key.options for other in same):
            return
        if same:
            # Added beside the other, the laxer of the two would count.
            raise CredentialError(
                same[0].place,
                "has this key already, with other options",
                f"first remove it: console key remove {name} {key.fingerprint}",
            )
        data = path.read_bytes() if path.exists() else b""
        newline = b"\n" if data and not data.endswith(b"\n") else b""
        write_atomically(path, data + newline + line.encode() + b"\n")

    def take(self, name: str, fingerprint: str) -> None:
        """Take a key out of a user's file, from each line that has it.

        Raises:
            CredentialError: If it is on none, or the file cannot be read.
            OSError: If the file cannot be written.
        """
        path = self.path(name)
        present = read_authorized_keys(path, refused=lambda _error: None)
        numbers = {
            int(key.place.rpartition(":")[2]) for key in present if key.fingerprint == fingerprint
        }
        if not numbers:
            raise CredentialError(
                str(path),
                f"no key {fingerprint!r}",
                f"list the keys: console key list {name}",
            )
        lines = enumerate(path.read_bytes().split(b"\n"), 1)
        write_atomically(path, b"\n".join(line for at, line in lines if at not in numbers))

    def _read(
        self, path: Path, read: Callable[..., list[AuthorizedKey]], *, strict: bool
    ) -> list[AuthorizedKey]:
        problems, keys = list[str](), list[AuthorizedKey]()
        try:
            keys = read(path, refused=lambda error: problems.append(str(error)))
        except CredentialError as error:
            if strict:
                raise
            problems = [str(error)]
        self._complaints.tell(path, problems)
        return keys
