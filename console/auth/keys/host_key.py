"""The server's private keys: the host key, the next one, and the old one.

Clients identify a server by its host key, and warn loudly when it changes. So a key is changed in
three steps. ``host_key_next`` is announced beside ``host_key`` (hostkeys-00@openssh.com); clients
with ``UpdateHostKeys`` (ssh_config(5), on by default) learn it. `rotate` makes it the host key,
which those clients know by then. The former one stays as ``host_key_old``, announced and not used,
so that the rotation can be undone, until `forget_old` removes it.

asyncssh (150 ms) is imported to make a key, to read a key of another kind or format than we write,
and to sign (`import_host_keys`); not to read a key of ours, which each start does. The functions
block, and may be called from any thread.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from console.auth.keys.asyncssh_keys import import_private_key, make_private_key
from console.auth.keys.openssh_key import ED25519, read_ed25519
from console.auth.keys.public_keys import KINDS, key_problem
from console.errors import KeyFileError
from console.files.atomic import (
    UNWRITABLE_REMEDY,
    locked,
    make_private_directory,
    write_atomically,
)
from console.files.exposure import exposure_of, read_with_status

if TYPE_CHECKING:
    from console.auth.keys.asyncssh_keys import SSHKey

_LOCK_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class HostKey:
    """A private key that can be used.

    Attributes:
        place: Its file.
        kind: Its kind, as SSH names it.
        public_data: The public key in wire form.
        data: What the file holds.
    """

    place: str
    kind: str
    public_data: bytes
    data: bytes = field(repr=False)


def next_path(path: Path) -> Path:
    """Return the path of the key that will follow the host key at ``path``."""
    return path.with_name(path.name + "_next")


def old_path(path: Path) -> Path:
    """Return the path of the key that the host key at ``path`` followed."""
    return path.with_name(path.name + "_old")


def load_host_keys(path: str | os.PathLike[str]) -> list[HostKey]:
    """Read the host key, and those that are announced beside it: the next and the old one.

    Args:
        path: The host key's file; the others are beside it, if they exist.

    Returns:
        The host key first.

    Raises:
        KeyFileError: If one of them cannot be used.
    """
    current = Path(path)
    keys = {(key := load_host_key(current)).public_data: key}
    for other in (next_path(current), old_path(current)):
        if os.path.lexists(other):
            key = load_host_key(other)
            keys.setdefault(key.public_data, key)
    return list(keys.values())


def load_host_key(path: str | os.PathLike[str]) -> HostKey:
    """Read one private key.

    Args:
        path: A file in OpenSSH, PKCS#1 or PKCS#8 form, without a passphrase.

    Raises:
        KeyFileError: If it is missing, unreadable, open to others, encrypted, weak or not a key.
    """
    place, name = os.fspath(path), shlex.quote(os.fspath(path))
    make_one = f"make one: ssh-keygen -t ed25519 -N '' -f {name}"
    try:
        data, status = read_with_status(path)
    except FileNotFoundError:
        raise KeyFileError(place, "there is no such file", make_one) from None
    except PermissionError:
        raise KeyFileError(
            place,
            "cannot be read by the service's user",
            f"give it the file: chown {os.geteuid()} {name}",
        ) from None
    except OSError as error:
        raise KeyFileError(
            place, f"cannot be read: {error.strerror}", "name the file of a private key"
        ) from None
    open_to_others = exposure_of(path, status, secret=True)
    if open_to_others:
        raise KeyFileError(place, open_to_others.problem, open_to_others.remedy)
    public = read_ed25519(data)
    if public is not None:
        kind = ED25519
    else:
        key = _import(data, place, name, make_one)
        kind, public = key.get_algorithm(), key.public_data
    if kind in KINDS and not kind.startswith("sk-"):
        problem = key_problem(kind, public)
    else:
        problem = f"a host key of kind {kind} is not served"
    if problem:
        raise KeyFileError(place, problem, f"move it away and {make_one}")
    return HostKey(place, kind, public, data)


def import_host_keys(keys: Iterable[HostKey]) -> list[SSHKey]:
    """Turn host keys into asyncssh's keys, which can sign.

    Raises:
        KeyFileError: If a file holds a public key that is not that of its private key.
    """
    return [_signing_key(key) for key in keys]


def _signing_key(key: HostKey) -> SSHKey:
    made = import_private_key(key.data)
    if made.public_data != key.public_data:
        name = shlex.quote(key.place)
        raise KeyFileError(
            key.place,
            "holds a public key that is not that of its private key",
            f"move it away and make one: ssh-keygen -t ed25519 -N '' -f {name}",
        )
    return made


def make_host_key(path: str | os.PathLike[str], kind: str = ED25519) -> HostKey:
    """Make the server's private key unless the file exists, and load it.

    The file has mode 0600, its directory 0700. Of two processes that make it at once, the first
    wins and both get its key.

    Raises:
        KeyFileError: If it cannot be made, or one that exists cannot be used.
    """
    file = Path(path)
    try:
        if not file.exists():
            key = make_private_key(kind)
            make_private_directory(file.parent, tighten=True)
            write_atomically(file, key.export_private_key("openssh"), replace=False)
    except FileExistsError:
        pass  # another process made it meanwhile: its key is loaded
    except OSError as error:
        raise KeyFileError(
            str(file), f"cannot be made: {error.strerror}", UNWRITABLE_REMEDY
        ) from None
    return load_host_key(file)


def make_next_host_key(path: Path) -> HostKey:
    """Make the key that will follow the host key, unless it exists.

    It is of the same kind: a client chooses between two kinds, and might choose the one that it
    does not know yet.

    Raises:
        KeyFileError: If there is no host key, or a key cannot be used or made.
    """
    return make_host_key(next_path(path), load_host_key(path).kind)


def rotate(path: Path) -> HostKey:
    """Make the next key the host key, and the host key the old one. Return the new host key.

    A running server keeps its keys until it is restarted, or an admin calls ``reload()``.

    Raises:
        KeyFileError: If there is no next key, or a file cannot be used or written. The host key
            is then the one before.
    """
    upcoming = next_path(path)
    with _changing(path):
        if not os.path.lexists(upcoming):
            raise KeyFileError(
                str(upcoming),
                "there is no next key that clients could have learnt",
                "make one: console key host next",
            )
        new, _ = load_host_key(upcoming), load_host_key(path)
        # If the process is killed between the two, both files hold the old key: announced once.
        write_atomically(old_path(path), path.read_bytes())
        upcoming.replace(path)
    return new


def forget_old(path: Path) -> None:
    """Remove the old key, so that clients forget it as well.

    Raises:
        KeyFileError: If there is none, or it cannot be removed.
    """
    with _changing(path):
        try:
            old_path(path).unlink()
        except FileNotFoundError:
            raise KeyFileError(
                str(old_path(path)), "there is no old key", "nothing needs to be done"
            ) from None


@contextlib.contextmanager
def _changing(path: Path) -> Iterator[None]:
    """Hold the lock of the keys' directory, and turn OSError into KeyFileError."""
    try:
        with locked(path.parent / ".lock", wait_seconds=_LOCK_SECONDS):
            yield
    except OSError as error:
        raise KeyFileError(
            str(path), f"cannot be written: {error.strerror}", "check the directory's permissions"
        ) from None


def _import(data: bytes, place: str, name: str, make_one: str) -> SSHKey:
    try:
        return import_private_key(data)
    except ValueError as error:
        # asyncssh has no exception class for this; a test checks the wording.
        if "passphrase" in str(error).lower():
            raise KeyFileError(
                place,
                "is encrypted, and a service cannot ask for the passphrase",
                f"remove it: ssh-keygen -p -N '' -f {name}",
            ) from None
        raise KeyFileError(place, "is not a private key", make_one) from None
