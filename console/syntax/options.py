"""Options before a statement: ``%loop``, ``%thread``, ``%timeout SECONDS``, ``%json``.

``%`` cannot begin a Python statement, so no statement is mistaken for an option; ``--json -x`` is
an expression. Options mean the same at each prompt, in a command and in a script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from console.config.settings import MODES

__all__ = ["OptionError", "Options", "parse_seconds", "split_options"]

LONGEST_SECONDS: Final = 366 * 24 * 3600.0
"""A year: a longer limit would be none."""

_OPTION = re.compile(r"\s*%(\w+)(?=\s|$)")
_SECONDS = re.compile(r"[ \t]+(\S+)")
_BEHIND = re.compile(r"[ \t]*\n|[ \t]+|$")
_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)


class OptionError(ValueError):
    """An option that does not exist, or has an invalid value. The text is one line."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options before a statement.

    Attributes:
        mode: Where it runs: ``thread`` or ``loop``; empty for the session's own.
        timeout_seconds: After this time it is interrupted and given up; None for never.
        as_json: Whether the result is one JSON object.
    """

    mode: str = ""
    timeout_seconds: float | None = None
    as_json: bool = False

    def __str__(self) -> str:
        """Write the options as they are typed, with a blank after each."""
        text = f"%{self.mode} " if self.mode else ""
        if self.timeout_seconds is not None:
            text += f"%timeout {self.timeout_seconds!r} "
        return text + ("%json " if self.as_json else "")


def split_options(source: str) -> tuple[Options, str]:
    """Split the options off a statement. The rest is the unchanged end of ``source``.

    Of an option that is given twice the last one counts.

    Raises:
        OptionError: If there is no such option, or ``%timeout`` has no valid time.
    """
    options, position = Options(), 0
    while (match := _OPTION.match(source, position)) is not None:
        name, position = match[1], match.end()
        if name in MODES:
            options = replace(options, mode=name)
        elif name == "json":
            options = replace(options, as_json=True)
        elif name == "timeout":
            value = _SECONDS.match(source, position)
            if value is None:
                raise OptionError("%timeout needs a number of seconds: %timeout 5 STATEMENT")
            position = value.end()
            options = replace(options, timeout_seconds=parse_seconds(value[1], "%timeout"))
        else:
            known = ", ".join(sorted([*(f"%{mode}" for mode in MODES), "%json", "%timeout"]))
            raise OptionError(f"unknown option %{name[:40]}; there are {known}")
        behind = _BEHIND.match(source, position)
        position = position if behind is None else behind.end()
    return options, source[position:]


def parse_seconds(text: str, where: str) -> float:
    """Read a time limit.

    Args:
        text: The text that the user wrote.
        where: The option or variable, for the error.

    Raises:
        OptionError: If it is not a number of seconds, or out of range.
    """
    number = text.removesuffix("s")
    if _NUMBER.fullmatch(number):
        seconds = float(number)
        if 0 < seconds <= LONGEST_SECONDS:
            return seconds
    raise OptionError(
        f"{where}: {text[:40]!r} must be a number of seconds over 0, at most {LONGEST_SECONDS:.0f}"
    )
