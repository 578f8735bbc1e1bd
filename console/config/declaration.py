"""How a setting is declared: name, type, default, unit, range, meaning."""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from console.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
D = TypeVar("D", bound="DataclassInstance")

_NUMBERS = 1_000_000_000
"""Numbers are smaller: a timer takes no more than a few hundred years, a list no more items."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """The parts of a declaration besides name, type and default."""

    meaning: str
    unit: str = ""
    least: int | None = None
    most: int | None = None
    positive: bool = False
    choices: tuple[str, ...] = ()
    none_word: str = ""
    default_words: str = ""


def setting(
    meaning: str,
    *,
    default: T,
    unit: str = "",
    least: int | None = None,
    most: int | None = None,
    positive: bool = False,
    choices: tuple[str, ...] = (),
    none_word: str = "",
    default_words: str = "",
) -> T:
    """Declare a setting that has a default. To ruff and mypy the call returns the default.

    Args:
        meaning: One line for the reference page.
        default: The value if none is given.
        unit: The unit of a number; empty if it has none.
        least: The smallest allowed number.
        most: The largest allowed number.
        positive: Whether a number has to be more than 0.
        choices: All the values there are; empty for any.
        none_word: The word that stands for None in a file, as TOML has no null. Empty if None is
            written by leaving the key out.
        default_words: The description of the default on the reference page, instead of its value.
    """
    facts = _Facts(meaning, unit, least, most, positive, choices, none_word, default_words)
    return field(default=default, metadata={"facts": facts})


def required(meaning: str) -> dict[str, object]:
    """Return the metadata of a field that has no default: ``field(metadata=required("..."))``.

    Args:
        meaning: One line for the reference page.
    """
    return {"facts": _Facts(meaning)}


@dataclass(frozen=True, slots=True)
class Declaration:
    """A setting as it was declared: `declarations` finds it."""

    name: str
    kind: type
    default: Any
    facts: _Facts
    optional: bool

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING

    def expected(self, none: str = "None") -> str:
        """Return a description of the allowed values, for an error.

        Args:
            none: How None is written.
        """
        facts = self.facts
        text = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "a text on one line",
            Path: "a path",
        }[self.kind]
        if facts.choices:
            text = " or ".join(facts.choices)
        if facts.unit:
            text += f" of {facts.unit}"
        if facts.positive:
            text += ", more than 0"
        if facts.least is not None:
            text += (
                f", {facts.least} to {facts.most}" if facts.most else f", at least {facts.least}"
            )
        return f"{text}, or {none}" if facts.none_word else text

    def accepts(self, value: object) -> bool:
        """Whether a value has the type and is in the range."""
        facts = self.facts
        if value is None:
            return self.optional
        if isinstance(value, bool) or self.kind is bool:  # a bool is an int to isinstance()
            return isinstance(value, bool) and self.kind is bool
        if isinstance(value, str) or (isinstance(value, Path) and self.kind is Path):
            text = str(value)
            # It ends on terminals and in logs, so without control characters.
            is_line = bool(text) and text.isprintable()
            return self.kind in {str, Path} and is_line and text in (facts.choices or (text,))
        kinds = {int: (int,), float: (int, float)}.get(self.kind, ())
        return isinstance(value, kinds) and self._is_in_range(value)

    def _is_in_range(self, value: float) -> bool:
        facts = self.facts
        return (
            abs(value) < _NUMBERS  # not true of nan either
            and (not facts.positive or value > 0)
            and (facts.least is None or value >= facts.least)
            and (facts.most is None or value <= facts.most)
        )


def declarations(owner: type) -> tuple[Declaration, ...]:
    """Return the settings that a class declares, in their order."""
    hints, found = typing.get_type_hints(owner), []
    for one in fields(owner):
        if "facts" in one.metadata:
            kinds = list(typing.get_args(hints[one.name]) or (hints[one.name],))
            optional = type(None) in kinds
            kind = Path if Path in kinds else kinds[0]  # the first is the one; others are for code
            found.append(
                Declaration(one.name, kind, one.default, one.metadata["facts"], optional=optional)
            )
    return tuple(found)


def with_absolute_paths(settings: D) -> D:
    """Return settings whose paths do not depend on the current directory.

    They are texts then, which are saved and restored by each version of Python.
    """
    changed: dict[str, Any] = {}
    for one in declarations(type(settings)):
        value = getattr(settings, one.name)
        if one.kind is Path and value is not None:
            changed[one.name] = str(Path(value).absolute())
    return dataclasses.replace(settings, **changed)


def check(settings: Any, table: str) -> None:
    """Refuse a value that its declaration does not allow.

    Raises:
        ConfigurationError: Names the setting as the file does.
    """
    for one in declarations(type(settings)):
        value = getattr(settings, one.name)
        if not one.accepts(value):
            name = f"{table}.{one.name}" if table else one.name
            raise ConfigurationError(name, value, f"must be {one.expected()}")


def variable(table: str, name: str) -> str:
    """Return the environment variable that overrides a setting."""
    return "_".join(filter(None, ("console", table, name))).upper()


def as_toml(value: object) -> str:
    """Return a value as a TOML file has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return json.dumps(str(value)) if isinstance(value, (str, Path)) else str(value)
