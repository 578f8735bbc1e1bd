"""Whether other users can read or change a file: checked before it is read, run or written."""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

_NO_HANG = os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
"""Opening a FIFO must not block; opening a terminal must not make it the controlling one."""


_LINKS_MOST = 40
"""Symbolic links followed on the path of one file, as many as the kernel follows."""


def read_with_status(
    path: str | os.PathLike[str], *, limit_bytes: int = 1024 * 1024
) -> tuple[bytes, os.stat_result]:
    """Read a file together with the status of the open file, for `exposure`.

    Raises:
        OSError: If it cannot be read, is not a regular file, or is longer than ``limit_bytes``.
    """
    descriptor = os.open(path, os.O_RDONLY | _NO_HANG)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(limit_bytes + 1)
    if len(data) > limit_bytes:
        raise OSError(errno.EFBIG, f"longer than {limit_bytes} bytes", os.fspath(path))
    return data, status


@dataclass(frozen=True, slots=True)
class Exposure:
    """How other users can read or change a file, and the remedy."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


def exposure(
    path: str | os.PathLike[str], status: os.stat_result, *, secret: bool
) -> Exposure | None:
    """Return how users other than its owner, us or root can change a file, or read a secret one.

    The rules are those of ssh(1) for private keys and of sshd(8)'s StrictModes for the files that
    it trusts. Only the file or directory itself is checked; see `exposure_above`.

    Args:
        path: Its name, for the remedy.
        status: Its status, best from the open file.
        secret: Whether others must not read it either.

    Returns:
        None if they cannot.
    """
    name = shlex.quote(os.fspath(path))
    if status.st_uid not in {0, os.geteuid()}:
        return Exposure(
            f"is owned by user {status.st_uid}, who could change it",
            f"chown {os.geteuid()} {name}",
        )
    mode = stat.S_IMODE(status.st_mode)
    if not mode & (0o077 if secret else 0o022):
        return None
    deeds = "changed" if mode & 0o022 else "read"
    if secret:
        remedy = f"chmod {'700' if stat.S_ISDIR(status.st_mode) else '600'} {name}"
    else:
        remedy = f"chmod go-w {name}"
    return Exposure(f"can be {deeds} by other users (mode {mode:04o})", remedy)


def exposure_above(path: str | os.PathLike[str]) -> Exposure | None:
    """Return how users other than us or root can put another file in the place of this one.

    No other user may write to the directory of the file, nor to any above it: write access allows
    to move the directory away and put another one there, with last year's passwords and keys, say.
    The rules are those of sshd's StrictModes, from the file up to our home directory, or to the
    root if the file is elsewhere, with these differences:

    * a directory above may be world-writable if it is sticky, as ``/tmp``: there others cannot
      move our files;
    * it may be group-writable if the group is our own and has no other member, as users'
      directories are where each user has a group (umask 002);
    * each symbolic link on the path is checked in its own directory. sshd checks the real path
      only, but a user who can change a link can replace the file.

    Returns:
        None if they cannot.

    Raises:
        OSError: If the path cannot be followed.
    """
    account = _account()
    home = None if account is None else Path(account.pw_dir)
    entries = _entries_to(Path(path))
    in_home = home in {directory for directory, _ in entries}
    for directory, name in entries:
        if in_home and home is not None and directory in home.parents:
            continue
        status = directory.stat()
        problem = exposure(directory, status, secret=False)
        if problem and ((directory, name) == entries[-1] or not only_we_can_move(status)):
            return Exposure(f"is in {directory}, which {problem.problem}", problem.remedy)
        link = directory / name
        if link.is_symlink() and (owner := link.lstat().st_uid) not in {0, os.geteuid()}:
            return Exposure(
                f"is reached by {link}, which is owned by user {owner}", "name the file itself"
            )
    return None


def _account() -> pwd.struct_passwd | None:
    """Return the entry of our user; in a container there may be none."""
    try:
        return pwd.getpwuid(os.geteuid())
    except KeyError:
        return None


def only_we_can_move(status: os.stat_result) -> bool:
    """Whether others cannot move our files in a directory that they can write to."""
    if status.st_uid not in {0, os.geteuid()}:
        return False
    if status.st_mode & stat.S_ISVTX:
        return True
    return not status.st_mode & stat.S_IWOTH and _is_own_group(status.st_gid)


def _is_own_group(number: int) -> bool:
    """Whether a group is our user's private one: with the user's name, and no other member."""
    account = _account()
    if account is None or account.pw_gid != number:
        return False
    try:
        group = grp.getgrgid(number)
    except KeyError:
        return False
    return group.gr_name == account.pw_name and set(group.gr_mem) <= {account.pw_name}


def _entries_to(path: Path) -> list[tuple[Path, str]]:
    """Return each directory and name that is looked up on the path of a file."""
    current = Path("/")
    pending = list((Path.cwd() / path).parts[1:])
    entries, links = [], 0
    while pending:
        name = pending.pop(0)
        if name == "..":
            current = current.parent
            continue
        entries.append((current, name))
        entry = current / name
        if not entry.is_symlink():
            current = entry
            continue
        links += 1
        if links > _LINKS_MOST:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
        target = entry.readlink()
        if target.is_absolute():
            current = Path("/")
        pending = [part for part in target.parts if part != "/"] + pending
    return entries
