"""The pid file: names the process that serves, and keeps a second one from serving.

The number in it is for people and for ``kill $(cat console.pid)``. A lock on the file (flock(2))
shows whether its process lives, never the number: after a crash or a reboot another process may
have it. The kernel releases the lock when the process ends, however it ends.

Taking over a file races with removing it: the opened file may have been unlinked before it was
locked, and another process may have made a new one. So the path is checked again once the lock is
held, and everything is tried again if it names another file.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shlex
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from console.errors import StartError
from console.files.exposure import ExposedFileError, require_unexposed, require_writable

_PID_BYTES = 32
"""A pid has at most 7 digits on Linux, 5 on macOS; a longer file is not a pid file."""

_PID = re.compile(rb"\s*[0-9]{1,19}\s*")


class PidFileError(StartError):
    """A pid file is held by a live process, is not a pid file, or cannot be written."""


class PidFile:
    """A pid file, held while the block runs.

    Example::

        with PidFile("console.pid"):
            serve()

    Enter it in the process that serves, after any fork. A child that is forked later closes the
    file, so that it does not keep the lock when its parent has ended.

    Raises:
        PidFileError: If a live process holds the file, it is not a pid file, or it cannot be
            written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path).absolute()  # the process may change its directory meanwhile
        self._shown = os.fspath(path)
        self._descriptor: int | None = None

    def __enter__(self) -> Self:
        try:
            descriptor = self._lock()
            try:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            except BaseException:
                os.close(descriptor)
                raise
        except ExposedFileError as error:
            raise PidFileError(
                self._shown,
                error.exposure.problem,
                f"{error.exposure.remedy}, or name another: --pid-file FILE",
            ) from None
        except OSError as error:
            raise PidFileError(
                self._shown,
                f"cannot be written: {error.strerror}",
                "name another: --pid-file FILE",
            ) from None
        self._descriptor = descriptor
        _held.add(descriptor)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None or descriptor not in _held:  # a forked child does not hold it
            return
        _held.discard(descriptor)
        try:
            # Removed before it is unlocked, and only if the path still names the written file.
            if _is_same(descriptor, self.path):
                with contextlib.suppress(OSError):
                    self.path.unlink()
        finally:
            os.close(descriptor)

    def _lock(self) -> int:
        """Open and lock the file that the path names; return its descriptor."""
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        require_unexposed(self.path, None, secret=False, own_group=True, sticky=True)
        while True:
            descriptor = os.open(self.path, flags, 0o644)
            try:
                require_writable(self.path, os.fstat(descriptor))
                self._refuse_others(descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                owner = os.pread(descriptor, _PID_BYTES, 0).decode("ascii", "replace").strip()
                os.close(descriptor)
                holder = f"process {owner}" if owner else "a process that has just started"
                raise PidFileError(
                    self._shown,
                    f"{holder} is running with it",
                    f"end that: kill {owner or 'PID'}, or name another: --pid-file FILE",
                ) from None
            except BaseException:
                os.close(descriptor)
                raise
            if _is_same(descriptor, self.path):
                return descriptor
            os.close(descriptor)

    def _refuse_others(self, descriptor: int) -> None:
        """Refuse to overwrite a file that is not a pid file."""
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        content = os.pread(descriptor, _PID_BYTES + 1, 0) if regular else b"?"
        if content.strip() and not _PID.fullmatch(content):
            raise PidFileError(
                self._shown,
                "holds something other than a process number",
                f"name another: --pid-file FILE, or remove it: rm {shlex.quote(self._shown)}",
            )


def _is_same(descriptor: int, path: Path) -> bool:
    """Whether a path still names the file that was opened by it."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


_held: set[int] = set()
"""Descriptors of this process's pid files: a forked child closes them."""


def _after_fork() -> None:
    for descriptor in _held:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _held.clear()


os.register_at_fork(after_in_child=_after_fork)
