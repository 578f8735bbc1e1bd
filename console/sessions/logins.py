"""Each user's last login, and the failed logins since: kept beside the histories.

Each user has a small file: ``.NAME.login`` for the history ``NAME`` (a history's name never begins
with a dot). It is replaced as a whole at each login to a prompt. A command, from cron or a fleet
tool, does not count as a login, as in lastlog(8): it would hide the user's own last one.

Failed logins are counted in memory, for users who have logged in before, and written when the
console stops. So guessing passwords writes no file, and guessing names uses no memory.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import time
from dataclasses import asdict, replace
from pathlib import Path
from threading import Lock, Thread
from typing import Final

from console.events import Event, LoginFailed
from console.files.atomic import make_directory_of, write_atomically
from console.files.exposure import ExposedFileError, read_checked
from console.interfaces.credentials import Principal
from console.sessions.greeting import LastLogin
from console.sessions.history import file_name, history_directory

logger = logging.getLogger("console.logins")

_FILE_BYTES: Final = 4096

_PEER_CHARACTERS: Final = 100

_LATEST: Final = 253402300799.0
"""The end of the year 9999, the last that datetime supports."""

_CLOSE_SECONDS: Final = 0.3


class LoginBook:
    """The last login of each user. Lives on the console's loop; threads of its own write.

    Args:
        directory: The histories' directory; None for the system user's state directory.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._directory = None if directory is None else Path(directory)
        self._known: dict[str, LastLogin] = {}
        self._unwritten: set[str] = set()
        self._writing: list[Thread] = []
        self._lock = Lock()
        self._warned = False

    def opened(self, principal: Principal, now: float) -> LastLogin | None:
        """Keep a login to a prompt.

        Returns:
            The previous login; None if none is known.
        """
        user = principal.user
        last = self._last(user)
        self._known[user] = LastLogin(now, principal.transport, principal.peer[:_PEER_CHARACTERS])
        self._write_soon(user)
        return last

    def on_event(self, event: Event) -> None:
        """Count a failed login, if that user has logged in before."""
        if not isinstance(event, LoginFailed):
            return
        last = self._known.get(event.user) or self._read(event.user)
        if last is None:
            return
        self._known[event.user] = replace(
            last,
            failures=last.failures + 1,
            failed_at=time.time(),
            failed_from=event.peer[:_PEER_CHARACTERS],
        )
        self._unwritten.add(event.user)

    def close(self) -> None:
        """Write what is not on the disk yet. Waits 0.3 s at most for a disk that hangs."""
        for user in tuple(self._unwritten):
            self._write_soon(user)
        deadline = time.monotonic() + _CLOSE_SECONDS
        for thread in self._writing:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _last(self, user: str) -> LastLogin | None:
        ours, kept = self._known.get(user), self._read(user)
        if ours is None or kept is None or kept.at <= ours.at:
            return ours or kept
        if ours.failed_at <= kept.failed_at:
            return kept
        # Another process has seen a later login, but not the failures of this process.
        return replace(
            kept, failures=ours.failures, failed_at=ours.failed_at, failed_from=ours.failed_from
        )

    def _path(self, user: str) -> Path:
        if self._directory is None:
            self._directory = history_directory()
        return self._directory / f".{file_name(user)}.login"

    def _read(self, user: str) -> LastLogin | None:
        path = self._path(user)
        try:
            return _parsed(
                read_checked(
                    path, secret=True, own_group=True, sticky=True, limit_bytes=_FILE_BYTES
                )
            )
        except FileNotFoundError:
            return None
        except ExposedFileError as error:
            self._warn(f"last login {path}: not used: {error.exposure}")
        except OSError as error:
            self._warn(f"last login {path}: cannot be read: {error.strerror}")
        except (ValueError, RecursionError):
            self._warn(f"last login {path}: is not a file of ours; remove it")
        return None

    def _write_soon(self, user: str) -> None:
        # Not on this loop, as fsync waits for the disk; and not in the loop's executor, whose
        # threads the process waits for at its end.
        self._unwritten.discard(user)
        path = self._path(user)
        thread = Thread(
            target=self._write, args=(path, user), name="console-last-login", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            self._warn(f"last login {path}: cannot be written: {error}")
        else:
            self._writing = [*(one for one in self._writing if one.is_alive()), thread]

    def _write(self, path: Path, user: str) -> None:
        with self._lock:  # each thread writes the newest login, in any order
            data = json.dumps(asdict(self._known[user])).encode()
            try:
                make_directory_of(path)
                write_atomically(path, data)
            except ExposedFileError as error:
                self._warn(f"last login {path}: not written: {error.exposure}")
            except OSError as error:
                self._warn(
                    f"last login {path}: cannot be written: {error.strerror};"
                    f" make {path.parent} writable for the service's user"
                )

    def _warn(self, problem: str) -> None:
        """Log the first problem only: its cause mostly affects all files."""
        if not self._warned:
            self._warned = True
            logger.warning("%s", problem)


def _parsed(data: bytes) -> LastLogin:
    """Parse a file.

    Raises:
        ValueError: If it is not of the form that is written here.
    """
    found = json.loads(data)
    with contextlib.suppress(TypeError):  # not a dict, or one with other keys
        login = LastLogin(**found)
        kinds = {"failures": int, "transport": str, "peer": str, "failed_from": str}
        right = all(type(getattr(login, name)) is kind for name, kind in kinds.items())
        if right and 0 <= login.at <= _LATEST and 0 <= login.failed_at <= _LATEST:
            return login
    raise ValueError
