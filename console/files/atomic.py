"""Atomic writes, private directories and file locks.

A file is replaced by writing a new one beside it and renaming that over the old one. A reader, or
a machine that loses power, sees the old content or the new, never a part. A process killed in the
middle may leave the new file behind, under a name that begins with a dot and ends in ``.tmp``;
nothing reads it.

The functions block and raise `OSError`; the caller turns it into an error that names the file's
purpose.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shlex
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from console.files.exposure import follow_own_links, require_unexposed

UNWRITABLE_REMEDY = (
    "name a directory that can be written: keys= in code and in the file, --keys for a command"
)
"""What to do where the keys directory cannot be written, as with a home that is read-only."""


def write_atomically(
    path: str | os.PathLike[str], data: bytes, *, mode: int = 0o600, replace: bool = True
) -> None:
    """Make a file hold exactly ``data``, or leave it as it was.

    The data is on the disk when the call returns. A symbolic link of our user or of root stays
    one: the file that it names is replaced.

    Args:
        path: The file. Its directory exists.
        data: The whole new content.
        mode: The file's permissions, whatever the umask and the old file's permissions are.
        replace: False to leave an existing file alone; of two processes the first wins.

    Raises:
        FileExistsError: If the file exists and ``replace`` is False.
        ExposedFileError: If it is a link of another user.
        OSError: If the file cannot be written. It is then unchanged, and nothing is left.
    """
    target = follow_own_links(path)
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(8)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)  # open() takes the umask's bits away
            file.write(data)
            file.flush()
            # Without it a crash after the rename can leave an empty file: the name is on the disk
            # before the data (ext4's delayed allocation).
            os.fsync(descriptor)
        if replace:
            temporary.replace(target)
        else:
            target.hardlink_to(temporary)  # refuses a name that exists, as rename does not
            temporary.unlink()
    except BaseException:  # a KeyboardInterrupt too must leave no file
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)


def _sync_directory(directory: Path) -> None:
    """Make a rename durable. Ignores errors: the caller would take the file for unchanged."""
    with contextlib.suppress(OSError):
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_private_directory(path: str | os.PathLike[str], *, tighten: bool = False) -> None:
    """Make a directory and its missing parents, with mode 0700.

    An existing one is left as it is: its owner may have opened it on purpose. A caller that trusts
    its content checks `exposure`.

    Args:
        path: The directory.
        tighten: Set mode 0700 on an existing one too. For the first secret that is put into it:
            a checkout made with umask 002 has group-writable directories.

    Raises:
        NotADirectoryError: If a file is in the way.
        OSError: If it cannot be made.
    """
    directory = Path(path)
    if tighten and directory.is_dir():
        status = directory.stat()
        if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) & 0o077:
            directory.chmod(0o700)
    missing = []
    while not directory.is_dir():
        missing.append(directory)
        if directory == directory.parent:
            break
        directory = directory.parent
    for one in reversed(missing):
        try:
            one.mkdir(mode=0o700)
        except FileExistsError:
            # Another process may have made it meanwhile.
            if not one.is_dir():
                raise NotADirectoryError(
                    errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(one)
                ) from None


def make_directory_of(path: str | os.PathLike[str]) -> None:
    """Make the directory of a file with mode 0700, if it is missing, and check what is above it.

    For files of users that the console writes: histories, login books, preferences.

    Raises:
        ExposedFileError: If other users can put another file in the place of this one.
        OSError: If the directory cannot be made.
    """
    if not Path(path).parent.is_dir():
        # Nothing is made where another user could move it.
        require_unexposed(path, None, secret=True, own_group=True, sticky=True)
        make_private_directory(Path(path).parent)
    require_unexposed(path, None, secret=True, own_group=True, sticky=True)


@contextlib.contextmanager
def locked(path: str | os.PathLike[str], *, wait_seconds: float) -> Iterator[None]:
    """Hold a lock file, against other processes and other threads of this one.

    The lock ends with the block, or with the process. The file stays, because a waiting process
    has it open. The lock is advisory: an editor does not take it.

    Raises:
        OSError: If it cannot be made, or another holder keeps it for ``wait_seconds``.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, 0o600)
    try:
        deadline = time.monotonic() + wait_seconds
        while True:  # polled, because flock() itself knows no time limit
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise OSError(
                        errno.EBUSY,
                        f"another process holds it for {wait_seconds:g} seconds;"
                        f" find that with: fuser {shlex.quote(os.fspath(path))}",
                    ) from None
            time.sleep(0.01)
        try:
            yield
        finally:
            # Explicit, not left to close(): a child forked meanwhile has the descriptor too.
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)
