"""Who else could read or change a file: asked before we read, run or write it."""

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
"""Opening a FIFO or a terminal by mistake must neither wait nor take it as ours."""


_LINKS_MOST = 40
"""Symbolic links followed on the way to one file, as the kernel does."""


def read_with_status(
    path: str | os.PathLike[str], *, limit_bytes: int = 1024 * 1024
) -> tuple[bytes, os.stat_result]:
    """Read a file together with the status of just that file, for `exposure`.

    Raises:
        OSError: If it cannot be read, is no regular file, or is longer than ``limit_bytes``.
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
    """How others can get at a file, and what its owner does about it."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


def exposure(
    path: str | os.PathLike[str], status: os.stat_result, *, secret: bool
) -> Exposure | None:
    """Tell whether anybody but its owner, us or root can change a file, or read a secret one.

    The rules are those of ssh(1) for private keys and of sshd(8)'s StrictModes for what it
    trusts. Only the file or directory itself is looked at; see `exposure_above`.

    Args:
        path: Its name, for the remedy.
        status: Its status, best from the open file.
        secret: Whether reading it is harm as well.
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
    """Tell whether anybody but us or root can put another file in the place of this one.

    The directory that holds the file is for nobody else to write, and so is each one above it:
    whoever may write there can move the directory away, and move one back that we left somewhere
    with passwords and keys of last year. The rules are those of sshd's StrictModes, from the file
    up to our home directory, or to the root if the file is elsewhere, with these differences:

    * a directory above may be for everybody to write if it is sticky, as ``/tmp``: there nobody
      can move what is ours;
    * it may be for our own group to write if nobody else is in that: users' directories are so
      where each user has a group (umask 002);
    * each symbolic link on the way is followed from where it lies. sshd looks at the real path
      only, and whoever can change a link needs no other way.

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
    """Tell whether what we own in a directory that others can write is safe there."""
    if status.st_uid not in {0, os.geteuid()}:
        return False
    if status.st_mode & stat.S_ISVTX:
        return True
    return not status.st_mode & stat.S_IWOTH and _is_own_group(status.st_gid)


def _is_own_group(number: int) -> bool:
    """Tell whether a group is that of our user alone: with the user's name, and nobody in it."""
    account = _account()
    if account is None or account.pw_gid != number:
        return False
    try:
        group = grp.getgrgid(number)
    except KeyError:
        return False
    return group.gr_name == account.pw_name and set(group.gr_mem) <= {account.pw_name}


def _entries_to(path: Path) -> list[tuple[Path, str]]:
    """Return each name that is looked up on the way to a file, and in which directory."""
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
