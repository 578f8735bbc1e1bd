"""Whether other users can read or change a file: checked before it is read, run or written.

There is one rule, `exposure_of`, for every file that the console reads, runs or writes: users and
keys, certificates, startup files, the configuration and what it names, saved applications,
histories, login books, preferences, logs and pid files. It has two exceptions, which a caller asks
for where the file itself is checked and no file that is missing matters: ``own_group`` and
``sticky``.
"""

from __future__ import annotations

import errno
import functools
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


class ExposedFileError(OSError):
    """A file that other users could have written, or can read although it is secret.

    Attributes:
        exposure: The problem and the remedy.
    """

    def __init__(self, path: str | os.PathLike[str], exposure: Exposure) -> None:
        super().__init__(errno.EPERM, str(exposure), os.fspath(path))
        self.exposure = exposure


def read_with_status(
    path: str | os.PathLike[str], *, limit_bytes: int | None = 1024 * 1024, flags: int = 0
) -> tuple[bytes, os.stat_result]:
    """Read a file together with the status of the open file, for `exposure_of`.

    Args:
        path: The file.
        limit_bytes: The longest that is read; None for any length.
        flags: Further flags of open(2).

    Raises:
        OSError: If it cannot be read, is not a regular file, or is longer than ``limit_bytes``.
    """
    descriptor = os.open(path, os.O_RDONLY | _NO_HANG | flags)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    with os.fdopen(descriptor, "rb") as file:
        data = file.read(-1 if limit_bytes is None else limit_bytes + 1)
    if limit_bytes is not None and len(data) > limit_bytes:
        raise OSError(errno.EFBIG, f"longer than {limit_bytes} bytes", os.fspath(path))
    return data, status


@dataclass(frozen=True, slots=True)
class Exposure:
    """How other users can read or change a file, and the remedy."""

    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.problem}; {self.remedy}"


def exposure_of(
    path: str | os.PathLike[str],
    status: os.stat_result | None,
    *,
    secret: bool,
    own_group: bool = False,
    sticky: bool = False,
) -> Exposure | None:
    """Return how users other than us or root can change or replace a file, or read a secret one.

    Args:
        path: The file.
        status: Its status, best from the open file; None if it does not exist yet.
        secret: Whether others must not read it either.
        own_group: Let the file and its directory be writable for our user's private group.
        sticky: Let its directory be a sticky one, as ``/tmp``. Others can make files there.

    Returns:
        None if they cannot.

    Raises:
        OSError: If the path cannot be followed.
    """
    found = None if status is None else exposure(path, status, secret=secret, own_group=own_group)
    return found or exposure_above(path, own_group=own_group, sticky=sticky)


def require_unexposed(
    path: str | os.PathLike[str],
    status: os.stat_result | None,
    *,
    secret: bool,
    own_group: bool = False,
    sticky: bool = False,
) -> None:
    """Raise what `exposure_of` finds.

    Raises:
        ExposedFileError: If other users can change or replace the file, or read a secret one.
        OSError: If the path cannot be followed.
    """
    found = exposure_of(path, status, secret=secret, own_group=own_group, sticky=sticky)
    if found is not None:
        raise ExposedFileError(path, found)


def read_checked(
    path: str | os.PathLike[str],
    *,
    secret: bool,
    own_group: bool = False,
    sticky: bool = False,
    limit_bytes: int | None = 1024 * 1024,
) -> bytes:
    """Read a file, if no other user can change or replace it; see `exposure_of`.

    Blocks. Safe to call from any thread.

    Raises:
        ExposedFileError: If another user can, or can read a secret one.
        OSError: If it cannot be read, is not a regular file, or is longer than ``limit_bytes``.
    """
    target = follow_own_links(path)
    data, status = read_with_status(target, limit_bytes=limit_bytes, flags=os.O_NOFOLLOW)
    require_unexposed(path, status, secret=secret, own_group=own_group, sticky=sticky)
    return data


def open_checked(path: str | os.PathLike[str], flags: int, *, mode: int, secret: bool) -> int:
    """Open or make a file to write to it, if no other user can have put it there.

    Links of our user or of root are followed, unless ``O_NOFOLLOW`` is given. The file is checked
    once it is open, and a link that another user puts in its place meanwhile is not followed.

    Args:
        path: The file. Its directory exists; it may be a sticky one.
        flags: Those of open(2), without ``O_TRUNC``: that is done before the check.
        mode: The permissions of a new file, of which the umask is taken away.
        secret: Whether others must not read it either.

    Returns:
        The descriptor.

    Raises:
        ExposedFileError: If other users can change or replace it, or read a secret one.
        OSError: If it cannot be opened, or is neither a regular file nor a device.
    """
    # Above first: it must not be made where others could move it.
    require_unexposed(path, None, secret=secret, own_group=True, sticky=True)
    target = path if flags & os.O_NOFOLLOW else follow_own_links(path)
    descriptor = os.open(target, flags | os.O_NOFOLLOW | _NO_HANG, mode)
    try:
        require_writable(path, os.fstat(descriptor), secret=secret)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def require_writable(
    path: str | os.PathLike[str], status: os.stat_result, *, secret: bool = False
) -> None:
    """Check an open file before it is written to; see `open_checked`.

    Raises:
        ExposedFileError: If other users can change it, or read a secret one, or put it there.
        OSError: If it is neither a regular file nor a device.
    """
    if stat.S_ISCHR(status.st_mode):
        return  # /dev/null is for everyone to write
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", os.fspath(path))
    found = exposure(path, status, secret=secret, own_group=True)
    if found is None and status.st_nlink > 1 and exposure_above(path, own_group=True):
        # Where hard links are not protected, others can give a file of ours this name.
        found = Exposure(
            "has another name as well, and others can write to its directory",
            f"remove this one: rm {shlex.quote(os.fspath(path))}",
        )
    if found is not None:
        raise ExposedFileError(path, found)


def follow_own_links(path: str | os.PathLike[str]) -> Path:
    """Return the file that a path names, by links of our user or of root only.

    The last component is looked at once, and is no link afterwards, or one that only we can
    change: so the answer still holds in a sticky directory, where others can make links.

    Raises:
        ExposedFileError: If it is a link of another user.
        OSError: If the directory does not exist, or links lead in a circle.
    """
    target = Path.cwd() / path
    for _ in range(_LINKS_MOST):
        target = target.parent.resolve(strict=True) / target.name
        try:
            status = target.lstat()
        except FileNotFoundError:
            return target
        if not stat.S_ISLNK(status.st_mode):
            return target
        if status.st_uid not in {0, os.geteuid()}:
            raise ExposedFileError(path, _foreign_link(target, status.st_uid))
        target = target.parent / target.readlink()
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), os.fspath(path))


def exposure(
    path: str | os.PathLike[str],
    status: os.stat_result,
    *,
    secret: bool,
    own_group: bool = False,
) -> Exposure | None:
    """Return how users other than its owner, us or root can change a file, or read a secret one.

    The rules are those of ssh(1) for private keys and of sshd(8)'s StrictModes for the files that
    it trusts. Only the file or directory itself is checked; see `exposure_of`.

    Args:
        path: Its name, for the remedy.
        status: Its status, best from the open file.
        secret: Whether others must not read it either.
        own_group: Let it be writable for our user's private group.

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
    refused = 0o077 if secret else 0o022
    if own_group and not secret and _is_own_group(status.st_gid):
        refused = 0o002
    if not mode & refused:
        return None
    deeds = "changed" if mode & refused & 0o022 else "read"
    if secret:
        remedy = f"chmod {'700' if stat.S_ISDIR(status.st_mode) else '600'} {name}"
    else:
        remedy = f"chmod go-w {name}"
    return Exposure(f"can be {deeds} by other users (mode {mode:04o})", remedy)


def exposure_above(
    path: str | os.PathLike[str], *, own_group: bool = False, sticky: bool = False
) -> Exposure | None:
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

    Directories that do not exist yet are ours to make.

    Args:
        path: The file. It need not exist.
        own_group: Let its directory be writable for our user's private group.
        sticky: Let its directory be a sticky one.

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
        try:
            status = directory.stat()
        except FileNotFoundError:
            break
        is_last = (directory, name) == entries[-1]
        problem = exposure(directory, status, secret=False)
        if problem and not _only_we_can_move(
            status, own_group=own_group or not is_last, sticky=sticky or not is_last
        ):
            return Exposure(f"is in {directory}, which {problem.problem}", problem.remedy)
        link = directory / name
        if link.is_symlink() and (owner := link.lstat().st_uid) not in {0, os.geteuid()}:
            return _foreign_link(link, owner)
    return None


def _foreign_link(link: Path, owner: int) -> Exposure:
    return Exposure(
        f"is reached by {link}, a link that is owned by user {owner}",
        f"name the file itself, or remove the link: rm {shlex.quote(str(link))}",
    )


def _account() -> pwd.struct_passwd | None:
    """Return the entry of our user; in a container there may be none."""
    return _account_of(os.geteuid())


@functools.lru_cache(maxsize=4)
def _account_of(user: int) -> pwd.struct_passwd | None:
    # Kept: a directory service that is asked may be slow, and the console's loop writes histories.
    try:
        return pwd.getpwuid(user)
    except KeyError:
        return None


def _only_we_can_move(status: os.stat_result, *, own_group: bool, sticky: bool) -> bool:
    """Whether others cannot move our files in a directory that they can write to."""
    if status.st_uid not in {0, os.geteuid()}:
        return False
    if status.st_mode & stat.S_ISVTX:
        return sticky
    return own_group and not status.st_mode & stat.S_IWOTH and _is_own_group(status.st_gid)


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
