"""Each user's preferences: editing mode, theme, and where statements run.

Each user has a small TOML file beside the history: ``.NAME.toml`` for the history ``NAME`` (a
history's name never begins with a dot). A change reads the file again and replaces it as a whole,
so that sessions and processes can change different preferences. A session reads the preferences
when it begins; it does not see later changes of another session.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import tomllib
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Final

from console.config.settings import MODES
from console.files.atomic import make_directory_of, write_atomically
from console.files.exposure import ExposedFileError, read_checked
from console.interfaces.frontends import EDITING, THEMES, Preferences
from console.sessions.history import file_name, history_directory
from console.text import escape_line

logger = logging.getLogger("console.preferences")

CHOICES: Final = {"editing": EDITING, "theme": THEMES, "mode": MODES}

_FILE_BYTES: Final = 16 * 1024


class PreferenceStore:
    """The preferences of all users.

    Args:
        directory: The histories' directory; None for the system user's state directory.
    """

    def __init__(self, directory: str | os.PathLike[str] | None = None) -> None:
        self._directory = None if directory is None else Path(directory)
        self._lock = threading.Lock()

    def for_session(self, user: str) -> SessionPreferences:
        """Return a user's preferences for a new session. A bad file is logged."""
        if self._directory is None:
            self._directory = history_directory()
        file = _File(self._directory / f".{file_name(user)}.toml", self._lock)
        now, problem = file.read()
        if problem:
            logger.warning("%s", problem)
        return SessionPreferences(now, file.keep)


class SessionPreferences:
    """The preferences of one session; follows `console.interfaces.frontends.SessionChoices`."""

    def __init__(self, now: Preferences, keep: Callable[[str, str], str]) -> None:
        self.now = now
        self._keep = keep

    def choose(self, name: str, value: str, *, keep: bool = True) -> str:
        """See `SessionChoices.choose`. Safe to call from any thread."""
        allowed = CHOICES[name]
        if value not in allowed:
            raise ValueError(f"no {name} {value!r}; there are {', '.join(map(repr, allowed))}")
        self.now = replace(self.now, **{name: value})
        if not keep:
            return ""
        if asyncio._get_running_loop() is None:  # noqa: SLF001 - the cheap way to ask
            return self._keep(name, value)
        # A write may take long, and the service's loop must not wait for it.
        threading.Thread(
            target=_keep_and_log, args=(self._keep, name, value), name="console-preferences"
        ).start()
        return ""


def _keep_and_log(keep: Callable[[str, str], str], name: str, value: str) -> None:
    problem = keep(name, value)
    if problem:
        logger.warning("%s", problem)


class _File:
    """One user's file. All files share the store's lock, since changes are rare."""

    def __init__(self, path: Path, lock: threading.Lock) -> None:
        self._path = path
        self._lock = lock

    def read(self) -> tuple[Preferences, str]:
        """Return the preferences, and the problem with the file; empty if there is none."""
        try:
            data = read_checked(
                self._path, secret=True, own_group=True, sticky=True, limit_bytes=_FILE_BYTES
            )
            found = tomllib.loads(data.decode())
        except FileNotFoundError:
            return Preferences(), ""
        except ExposedFileError as error:
            return Preferences(), f"preferences {self._path}: not used: {error.exposure}"
        except OSError as error:
            return Preferences(), f"preferences {self._path}: cannot be read: {error.strerror}"
        except ValueError as error:  # not TOML, or not UTF-8
            return Preferences(), f"preferences {self._path}: {error}; mend or remove it"
        known, problem = {}, ""
        for name, value in found.items():
            if name in CHOICES and value in CHOICES[name]:
                known[name] = value
            else:
                what = escape_line(f"{name} = {value!r}")
                problem = f"preferences {self._path}: {what} is unknown, and ignored"
        return Preferences(**known), problem

    def keep(self, name: str, value: str) -> str:
        """Change one preference on disk. Returns the problem; empty if there is none."""
        with self._lock:
            now, problem = self.read()
            if "not used" in problem or "cannot be read" in problem:
                return problem
            kept = asdict(replace(now, **{name: value}))
            lines = [f'{one.name} = "{kept[one.name]}"\n' for one in fields(now) if kept[one.name]]
            try:
                make_directory_of(self._path)
                write_atomically(self._path, "".join(lines).encode())
            except ExposedFileError as error:
                return f"preferences {self._path}: not written: {error.exposure}"
            except OSError as error:
                return (
                    f"preferences {self._path}: cannot be written: {error.strerror};"
                    f" make {self._path.parent} writable for the service's user"
                )
        return ""
