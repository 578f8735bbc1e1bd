"""Startup files: files of statements that run before the first statement of a user.

A console may have one, which runs once when the console starts, in the shared namespace. Each user
may have one, which runs when a session of that user begins; the names that it binds are visible in
that session only.

Whoever can change such a file can run any code in the service. So a file is used only if no other
system user than the service's can change it. Reading one takes less than a millisecond, so it is
read on the console's loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
import tokenize
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from console.errors import StartError
from console.events import (
    EventBus,
    SessionFields,
    StatementFinished,
    StatementStarted,
    source_shown,
)
from console.files.exposure import exposure_of, read_with_status
from console.interfaces.statements import Evaluator, Outcome
from console.sessions.history import file_name
from console.text import quoted

logger = logging.getLogger("console.startup")

DIRECTORY: Final = "startup"
"""The folder of the users' startup files, in the keys directory: ``NAME.py`` for each user."""


class StartupFileError(StartError):
    """A startup file cannot be used."""

    def __init__(self, path: Path, problem: str, remedy: str) -> None:
        super().__init__(f"startup file {path}", problem, remedy)
        self.path = path


@dataclass(frozen=True, slots=True)
class StartupFile:
    """A startup file that has been read."""

    path: Path
    source: str


def read_startup(path: Path) -> StartupFile:
    """Read a startup file.

    Raises:
        StartupFileError: If it cannot be read, or others could have changed it.
    """
    try:
        data, status = read_with_status(path)
        problem = exposure_of(path, status, secret=False)
        if problem:
            raise StartupFileError(path, f"is not used: it {problem.problem}", problem.remedy)
        encoding, _ = tokenize.detect_encoding(BytesIO(data).readline)
        return StartupFile(path, data.decode(encoding))
    except OSError as error:
        # A user's own file is read only if there is one.
        remedy = (
            "make it, or leave sessions.startup out"
            if isinstance(error, FileNotFoundError)
            else "name a file that the service's user can read"
        )
        raise StartupFileError(
            path, f"cannot be read: {error.strerror}", remedy
        ) from error  # its caller asks what it was
    except (SyntaxError, UnicodeDecodeError) as error:
        raise StartupFileError(path, f"cannot be read: {error}", "save it as UTF-8") from None


class ConsoleStartup:
    """Runs the console's startup file. Neither the service nor a login waits for its end.

    To wait for it at the start could deadlock: a file that awaits needs the service's loop, and
    that loop may be waiting for the console's start.

    Attributes:
        notice: A line for the greeting while the file runs or if it failed; else empty.
    """

    def __init__(
        self, file: StartupFile, evaluator: Evaluator, events: EventBus, *, secret: bool
    ) -> None:
        self.notice = f"The startup file {file.path} is still running.\n"
        self._file = file
        self._evaluator = evaluator
        self._events = events
        self._shown = source_shown(file.source, secret=secret)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="console startup")

    async def _run(self) -> None:
        file = self._file
        outcome = await self._watch()
        self._evaluator.close()
        self.notice = ""
        if outcome.status:
            self.notice = f"The startup file {file.path} has failed; see the log.\n"
            logger.error("startup file %s has failed:\n%s", file.path, quoted(outcome.text))

    async def _watch(self) -> Outcome:
        file = self._file
        fields: SessionFields = {
            "transport": "startup",
            "peer": str(file.path),
            "session": 0,
            "user": "",
        }
        self._events.publish(StatementStarted(**fields, statement=0, source=self._shown))
        kind = "abandoned"  # if the console stops first
        began = time.monotonic()
        try:
            outcome = await self._evaluator.run_file(file.source, str(file.path), private=False)
            kind = outcome.kind.value
        finally:
            seconds = time.monotonic() - began
            self._events.publish(
                StatementFinished(**fields, statement=0, kind=kind, duration_seconds=seconds)
            )
        return outcome

    def close(self) -> None:
        """Stop the file's statements if they still run."""
        self._evaluator.close()
        self._task.cancel()


class UserStartup:
    """The users' startup files.

    Args:
        keys: The keys directory, which contains the folder of the startup files.
        for_commands: Whether the files run for commands and piped input too.
    """

    def __init__(self, keys: Path, *, for_commands: bool) -> None:
        self._directory = keys / DIRECTORY
        self.for_commands = for_commands

    def for_user(self, name: str) -> StartupFile | None:
        """Read a user's file; None if there is none.

        Raises:
            StartupFileError: If it cannot be used.
        """
        path = self._directory / f"{file_name(name)}.py"
        try:
            return read_startup(path)
        except StartupFileError as error:
            if isinstance(error.__cause__, (FileNotFoundError, NotADirectoryError)):
                return None
            raise
