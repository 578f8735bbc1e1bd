"""The history of each user's statements, kept over sessions, transports and restarts.

Each user has a file in the format of prompt_toolkit's FileHistory, which other tools read: an entry
is a blank line, a comment with the time, and the entry's lines, each after a ``+``. Each entry is
appended in one write, so that several processes can share the file. The newest entries are loaded;
a file of twice the limit is rewritten with those.

Secrets are kept neither on disk nor in memory: entries that begin with a space, and those that
look like a secret.

Everything here is called on the console's loop. A write is a few bytes without fsync; a read is
bounded by the size limit and takes milliseconds.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import logging
import os
import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from console.config.settings import SECRETS
from console.files.atomic import make_directory_of, write_atomically
from console.files.exposure import ExposedFileError, open_checked

logger = logging.getLogger("console.history")

ENTRIES: Final = 10_000
"""The entries that are kept: years of work for most users, and 10 ms to read."""

HISTORY_BYTES: Final = 1024 * 1024
"""The limit of all entries' text, in memory and on disk."""

ENTRY_BYTES: Final = 64 * 1024
"""Longer entries (pasted files) are not kept: a few would evict all others."""

Warn = Callable[[str], None]
Version = tuple[int, int, int]


class HistoryStore:
    """The histories of all users.

    Args:
        directory: The directory of the files; None for the system user's state directory. Made at
            the first entry, with mode 0700.
        secrets: A regular expression; entries that it matches are not kept. None for no filter.
    """

    def __init__(
        self, directory: str | os.PathLike[str] | None = None, secrets: str | None = SECRETS
    ) -> None:
        self._directory = None if directory is None else Path(directory)
        self._secrets = None if secrets is None else re.compile(secrets)
        self._histories: dict[str, UserHistory] = {}
        self._warned = False

    def for_user(self, name: str) -> UserHistory:
        """Return a user's history, the same object for all of the user's sessions.

        Entries that other processes have appended since the last call are read.
        """
        history = self._histories.get(name)
        if history is None:
            if self._directory is None:
                self._directory = history_directory()
            history = UserHistory(self._directory / file_name(name), self._warn, self._secrets)
            self._histories[name] = history
        history.refresh()
        return history

    def is_secret(self, source: str) -> bool:
        """Whether a text is kept out of histories, logs and events, as it looks like a secret."""
        return _is_secret(source, self._secrets)

    def close(self) -> None:
        """Write the entries that could not be written yet."""
        for history in self._histories.values():
            history.flush()

    def _warn(self, problem: str) -> None:
        """Log the first problem only: its cause mostly affects all files."""
        if not self._warned:
            self._warned = True
            logger.warning("%s; until then the history is kept in memory only", problem)


class UserHistory:
    """The history of one user; a `HistoryLog`. Made by `HistoryStore.for_user`."""

    def __init__(self, path: Path, warn: Warn, secrets: re.Pattern[str] | None) -> None:
        self._path = path
        self._warn = warn
        self._secrets = secrets
        self._waiting: list[bytes] = []
        self._entries: deque[str] = deque()
        self._bytes = 0
        self._version: Version | None = None
        self._unsaved = False

    def entries(self) -> Sequence[str]:
        """Return the entries, oldest first."""
        return tuple(self._entries)

    def append(self, entry: str) -> None:
        """Keep an entry, in memory and on disk. A failing disk is logged once, never raised.

        Not kept: a blank entry, a repetition of the last one, a secret, one over `ENTRY_BYTES`.
        """
        if not entry.strip() or _size(entry) > ENTRY_BYTES or self.is_secret(entry):
            return
        if self._entries and self._entries[-1] == entry:
            return
        self._keep(entry)
        self._waiting.append(_record(entry))
        self.flush()

    def is_secret(self, entry: str) -> bool:
        """Whether an entry begins with a space, as in shells, or looks like a secret.

        Only the beginning of a long entry is searched: this runs on the console's loop.
        """
        return _is_secret(entry, self._secrets)

    def flush(self) -> None:
        """Write the entries that wait for another process's rewrite to end. Never raises."""
        try:
            if self._waiting and self._append_to_file(b"".join(self._waiting)):
                self._waiting.clear()
        except OSError as error:
            self._waiting.clear()
            self._unsaved = True
            self._warn(_problem(self._path, error))

    def refresh(self) -> None:
        """Read the file again if another process has changed it. Never raises."""
        self.flush()
        if self._unsaved or self._waiting:
            return  # the memory has entries that the file has not
        try:
            if _version(self._path.stat()) != self._version:
                self._load()
        except FileNotFoundError:
            pass
        except OSError as error:
            self._warn(_problem(self._path, error))

    def _keep(self, entry: str) -> None:
        self._entries.append(entry)
        self._bytes += _size(entry)
        while len(self._entries) > ENTRIES or self._bytes > HISTORY_BYTES:
            self._bytes -= _size(self._entries.popleft())

    def _load(self) -> None:
        with _opened(self._path, os.O_RDONLY) as (descriptor, status):
            # Marks and times of records count here too: a huge file yields a little less.
            data = _read_tail(descriptor, status, 2 * HISTORY_BYTES)
            self._entries.clear()
            self._bytes = 0
            count = 0
            for entry in _parse(data):
                count += 1
                if not self._entries or self._entries[-1] != entry:
                    self._keep(entry)
            self._version = _version(status)
            if status.st_size > 2 * HISTORY_BYTES or count > 2 * ENTRIES:
                self._rewrite(descriptor)

    def _rewrite(self, descriptor: int) -> None:
        """Replace the file by the kept entries, unless another process is appending to it.

        A writer holds a shared lock while it appends, and checks, once it has the lock, that the
        path still names the locked file. Neither side waits: this is the console's loop. Without
        the lock, the file is rewritten at a later load.
        """
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        if _version(self._path.stat()) != self._version:
            return  # appended to, or rewritten, between the read and the lock
        write_atomically(self._path, b"".join(_record(entry) for entry in self._entries))
        self._version = _version(self._path.stat())

    def _append_to_file(self, record: bytes) -> bool:
        """Append records, in one write; False if another process is rewriting the file."""
        if not self._path.parent.is_dir():
            make_directory_of(self._path)
        for _ in range(3):  # a file is rewritten once in ten thousand entries, not three times
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
            with _opened(self._path, flags) as (descriptor, before):
                # The lock is refused while another process rewrites the file, which takes
                # milliseconds. A write now could be lost, and waiting would hold the console's
                # loop: the record is written with the next entry, login or `close`.
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    return False
                except OSError:
                    pass  # no locks on this file system: no process can rewrite it either
                with contextlib.suppress(FileNotFoundError):
                    if self._path.stat().st_ino != before.st_ino:
                        continue  # rewritten since it was opened
                written = os.write(descriptor, record)
                if written < len(record):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                after = os.fstat(descriptor)
                seen = before.st_size == 0 or self._version == _version(before)
                if seen and after.st_size == before.st_size + written:
                    self._version = _version(after)  # else another process's entry must be read
                return True
        return False


def history_directory() -> Path:
    """Return the default directory of the histories."""
    import platformdirs  # noqa: PLC0415 - 12 ms that a named directory saves

    return platformdirs.user_state_path("console") / "history"


def file_name(user: str) -> str:
    """Make a file name from a user's name: unchanged if harmless, else with percent escapes."""
    name = quote(user, safe="@+", errors="surrogatepass")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > 200:  # the system's limit is 255, with what write_atomically() adds
        name = f"{name[:128]}%{hashlib.sha256(name.encode()).hexdigest()}"
    return name or "%"


def _size(entry: str) -> int:
    return len(entry.encode("utf-8", "replace"))


def _record(entry: str) -> bytes:
    now = datetime.now(UTC).replace(tzinfo=None)
    lines = "".join(f"+{line}\n" for line in entry.split("\n"))
    return f"\n# {now}\n{lines}".encode("utf-8", "replace")


def _parse(data: bytes) -> Iterator[str]:
    lines: list[str] = []
    for line in data.split(b"\n"):
        if line.startswith(b"+"):
            lines.append(line[1:].decode("utf-8", "replace"))
        elif lines:
            yield "\n".join(lines)
            lines = []
    if lines:
        yield "\n".join(lines)


def _version(status: os.stat_result) -> Version:
    return (status.st_ino, status.st_size, status.st_mtime_ns)


def _read_tail(descriptor: int, status: os.stat_result, limit: int) -> bytes:
    """Read the end of a file, from the beginning of a record."""
    skipped = max(0, status.st_size - limit)
    parts = []
    position = skipped
    while part := os.pread(descriptor, limit, position):
        parts.append(part)
        position += len(part)
        if position - skipped >= limit:
            break
    data = b"".join(parts)
    return data[max(0, data.find(b"\n# ")) :] if skipped else data


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[tuple[int, os.stat_result]]:
    """Open a history file that only our user can read, change or replace.

    Raises:
        OSError: If it cannot be opened, is not a regular file, or other users can read, change or
            replace it.
    """
    descriptor = open_checked(path, flags | os.O_NOFOLLOW, mode=0o600, secret=True)
    try:
        yield descriptor, os.fstat(descriptor)
    finally:
        os.close(descriptor)


def _problem(path: Path, error: OSError) -> str:
    """Return an error as one line, with the remedy."""
    if isinstance(error, ExposedFileError):
        return f"history {path}: {error.exposure}"
    if error.errno == errno.EINVAL:
        return f"history {path}: is not a regular file; move it away"
    return (
        f"history {path}: cannot be used: {error.strerror};"
        f" make {path.parent} writable for the service's user, or name another directory"
    )


def _is_secret(text: str, secrets: re.Pattern[str] | None) -> bool:
    return text.startswith(" ") or (
        secrets is not None and secrets.search(text, 0, ENTRY_BYTES) is not None
    )
