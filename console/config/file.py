"""The configuration file: TOML, overridden by environment variables, read into settings.

What settings there are is declared in ``settings.py``; nothing here names one. Every fault is found
in one reading, with its place: ``console check`` shows all of them, a start the first.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from console.config.declaration import Declaration, as_toml, declarations, variable
from console.config.settings import ListenSettings, ServerSettings, tables
from console.errors import ConfigurationError
from console.files.exposure import exposure_of, read_with_status

_VALUE_CHARACTERS = 60
"""An error shows so much of a value."""

_LINES = 2000
"""In a longer file faults have no line numbers: finding one takes the square of the lines."""

_SYNTAX_PLACE = re.compile(r"(.*) \(at line (\d+), column (\d+)\)")
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]{1,18}")


class ConfigurationFileError(ConfigurationError):
    """A fault of a configuration file, or of an environment variable in its place.

    The line is ``FILE:LINE: setting = value: problem; remedy``.
    """

    def __init__(
        self, place: str, setting: str, value: object, problem: str, remedy: str = ""
    ) -> None:
        super().__init__(setting, value, problem, remedy)
        if value is not None:
            shown = as_toml(value)
            cut = "..." if len(shown) > _VALUE_CHARACTERS else ""
            setting += f" = {shown[:_VALUE_CHARACTERS]}{cut}"
        self.place = f"{place}: {setting}" if setting else place


def read_settings(
    path: str | os.PathLike[str] | None, environment: Mapping[str, str] | None = None
) -> ServerSettings:
    """Read a configuration file.

    Args:
        path: The file. None for the environment alone. Paths in it are taken from its directory.
        environment: None for that of the process. Paths in it are taken from where we are.

    Raises:
        ConfigurationFileError: With the first fault.
    """
    settings, faults = examine(path, environment)
    if settings is None:
        raise faults[0]
    return settings


def examine(
    path: str | os.PathLike[str] | None, environment: Mapping[str, str] | None = None
) -> tuple[ServerSettings | None, list[ConfigurationFileError]]:
    """Read a configuration file, and find all that is wrong with it.

    Returns:
        The settings, None if there is a fault, and the faults.
    """
    reader = _Reader(
        None if path is None else Path(path), os.environ if environment is None else environment
    )
    settings = reader.read()
    return (None if reader.faults else settings), reader.faults


def place(
    path: str | os.PathLike[str], setting: str, environment: Mapping[str, str] | None = None
) -> str:
    """Return where a setting is given: a variable, or the file and if possible the line."""
    reader = _Reader(Path(path), os.environ if environment is None else environment)
    reader.read()
    return reader.place(setting)


class _Reader:
    """Reads one file, once."""

    def __init__(self, path: Path | None, environment: Mapping[str, str]) -> None:
        self.faults: list[ConfigurationFileError] = []
        self._path = path
        self._environment = environment
        self._text = ""
        self._places: dict[str, str] = {}

    def read(self) -> ServerSettings | None:
        data = self._parse()
        if data is None:
            return None
        made: dict[str, Any] = {}
        for table, kind in tables().items():
            if table:
                content = data.pop(table, None)
                if content is not None and not isinstance(content, dict):
                    self._fault(table, content, f"must be a table: [{table}] and its settings")
                elif self._wanted(table, kind, content):
                    made[table] = self._make(table, kind, content or {})
        return typing.cast("ServerSettings | None", self._make("", ServerSettings, data, made))

    def _parse(self) -> dict[str, Any] | None:
        """Return what the file holds; None if it cannot be read."""
        if self._path is None:
            return {}
        try:
            data, status = read_with_status(self._path)
            # It names code that runs in the service. What else is wrong is found all the same.
            exposed = exposure_of(self._path, status, secret=False, own_group=True, sticky=True)
            if exposed is not None:
                self._add(str(self._path), "", None, exposed.problem, exposed.remedy)
            self._text = data.decode()
            return tomllib.loads(self._text)
        except FileNotFoundError:
            problem, remedy = "there is no such file", "make one with: console init --name NAME"
        except OSError as error:
            problem, remedy = f"cannot be read: {error.strerror}", "name a file that you can read"
        except UnicodeDecodeError:
            problem, remedy = "is not UTF-8", "save it as such"
        except tomllib.TOMLDecodeError as error:
            problem, remedy = f"is not valid TOML: {error}", "correct it"
            match = _SYNTAX_PLACE.fullmatch(str(error))
            if match is not None:
                problem = f"is not valid TOML: {match[1]} at column {match[3]}"
                self._add(f"{self._path}:{match[2]}", "", None, problem, "texts need quotes")
                return None
        self._add(str(self._path), "", None, problem, remedy)
        return None

    def _wanted(self, table: str, kind: type, content: object) -> bool:
        """Whether a table counts: that of a listener does if it is given a port or a socket."""
        return (
            content is not None
            or not issubclass(kind, ListenSettings)
            or any(
                self._from_environment(table, one) is not None
                for one in declarations(kind)
                if one.name in {"port", "socket"}
            )
        )

    def _make(
        self, table: str, kind: type, content: dict[str, Any], made: dict[str, Any] | None = None
    ) -> object:
        """Make the settings of a table; None after a fault."""
        before = len(self.faults)
        declared = declarations(kind)
        names = [one.name for one in declared]
        for key in content:
            if key not in names:
                self._unknown(table, key, names)
        values = dict(made or {})
        for one in declared:
            values.update(self._values(table, one, content))
        if len(self.faults) > before:
            return None
        try:
            return kind(**values)
        except ConfigurationError as error:
            given = error.setting.rpartition(".")[2] in values
            self._fault(
                error.setting,
                error.value,
                error.problem,
                error.remedy,
                at=None if given or not table else table,
            )
            return None

    def _values(
        self, table: str, one: Declaration, content: dict[str, Any]
    ) -> Iterator[tuple[str, Any]]:
        """Yield a setting's name and value, if it is given."""
        setting = f"{table}.{one.name}" if table else one.name
        text = self._from_environment(table, one)
        if text is not None:
            self._places[setting] = variable(table, one.name)
            value = _from_text(text, one)
        elif one.name in content:
            value = content[one.name]
        elif one.required:
            self._fault(setting, None, "is missing", f"give {one.expected()}", at=table)
            return
        else:
            return
        word = one.facts.none_word
        if word and value == word:
            yield one.name, None
        elif value is None or not one.accepts(value):
            self._fault(setting, value, f"must be {one.expected(as_toml(word))}")
        else:
            yield one.name, self._path_from_here(value, text) if one.kind is Path else value

    def _from_environment(self, table: str, one: Declaration) -> str | None:
        """Return a variable's text. An empty one counts as none: so shells switch one off."""
        return self._environment.get(variable(table, one.name)) or None

    def _path_from_here(self, value: str, text: str | None) -> Path:
        path = Path(value).expanduser()
        return path if text is not None or self._path is None else self._path.parent / path

    # ---- faults

    def _unknown(self, table: str, key: str, names: list[str]) -> None:
        setting = f"{table}.{key}" if table else key
        nearest = difflib.get_close_matches(key, names if table else [*names, *tables()], 1)
        elsewhere = [
            f"{other}.{key}".lstrip(".")
            for other, kind in tables().items()
            if key in {one.name for one in declarations(kind)}
        ]
        if nearest:
            remedy = f"did you mean {f'{table}.{nearest[0]}' if table else nearest[0]}?"
        elif elsewhere:
            remedy = f"did you mean {' or '.join(elsewhere)}?"
        else:
            known = names if table else [*names, *(f"[{name}]" for name in tables() if name)]
            remedy = f"the settings are {', '.join(known)}"
        # Without its value: it may be a password that was thought to belong here.
        self._fault(setting, None, "unknown setting", remedy)

    def _fault(
        self,
        setting: str,
        value: object,
        problem: str,
        remedy: str = "",
        *,
        at: str | None = None,
    ) -> None:
        self._add(self.place(setting if at is None else at), setting, value, problem, remedy)

    def place(self, setting: str) -> str:
        """Return where a setting was found, or should have been."""
        if setting in self._places:
            return self._places[setting]
        line = self._line(tuple(setting.split(".")))
        file = "environment" if self._path is None else str(self._path)
        return f"{file}:{line}" if line else file

    def _add(self, place: str, setting: str, value: object, problem: str, remedy: str = "") -> None:
        self.faults.append(ConfigurationFileError(place, setting, value, problem, remedy))

    def _line(self, keys: tuple[str, ...]) -> int:
        """Return the line on which a setting begins, 0 if it is not there.

        tomllib does not report lines. The shortest beginning of the file that is TOML and has the
        setting ends with it; the setting begins where the beginning before that one ended.
        """
        lines = self._text.split("\n")
        whole = 0
        for number in range(1, len(lines) + 1 if len(lines) <= _LINES else 0):
            try:
                content: Any = tomllib.loads("\n".join(lines[:number]))
            except tomllib.TOMLDecodeError:
                continue
            for key in keys:
                content = content.get(key) if isinstance(content, dict) else None
            if content is not None:
                return whole + 1
            whole = number
        return 0


def _from_text(text: str, one: Declaration) -> Any:
    """Read a variable's text as a value; one that cannot be read stays text, and is refused."""
    text = text.strip()
    if one.kind is bool:
        return {"true": True, "false": False}.get(text.lower(), text)
    if one.kind is int and _WHOLE_NUMBER.fullmatch(text):
        return int(text)
    if one.kind is float:
        try:
            return float(text)
        except ValueError:
            return text
    return text
