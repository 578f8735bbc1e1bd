"""Options in front of a statement: ``%loop``, ``%thread``, ``%timeout SECONDS``, ``%json``.

``%`` cannot begin Python, so that no statement is ever mistaken for an option, which ``--json -x``
would be: that is an expression. They mean the same at each prompt, in a command and in a script.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from console.config.settings import MODES

__all__ = ["OptionError", "Options", "parse_seconds", "split_options"]

LONGEST_SECONDS: Final = 366 * 24 * 3600.0
"""A year. Who would wait longer means no limit at all."""

_OPTION = re.compile(r"\s*%(\w+)(?=\s|$)")
_SECONDS = re.compile(r"[ \t]+(\S+)")
_BEHIND = re.compile(r"[ \t]*\n|[ \t]+|$")
_NUMBER = re.compile(r"\d+(\.\d*)?|\.\d+", re.ASCII)


class OptionError(ValueError):
    """An option that does not exist, or says nothing that it can mean. One line, for people."""


@dataclass(frozen=True, slots=True)
class Options:
    """What stands in front of a statement.

    Attributes:
        mode: Where it runs: ``thread`` or ``loop``; empty for the session's own.
        timeout_seconds: When it is given up; None for never.
        as_json: Whether what comes of it is one JSON object.
    """

    mode: str = ""
    timeout_seconds: float | None = None
    as_json: bool = False

    def __str__(self) -> str:
        """Write the options as they are typed, with a blank behind each."""
        text = f"%{self.mode} " if self.mode else ""
        if self.timeout_seconds is not None:
            text += f"%timeout {self.timeout_seconds!r} "
        return text + ("%json " if self.as_json else "")


def split_options(source: str) -> tuple[Options, str]:
    """Split the options off a statement. What is left is the end of ``source``, as it stands there.

    An option that is given twice means what it says last.

    Raises:
        OptionError: If there is no such option, or ``%timeout`` has no time.
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
            raise OptionError(f"no option %{name[:40]}; there are {known}")
        behind = _BEHIND.match(source, position)
        position = position if behind is None else behind.end()
    return options, source[position:]


def parse_seconds(text: str, where: str) -> float:
    """Read a time limit.

    Args:
        text: As somebody wrote it.
        where: What they wrote it for, for the error.

    Raises:
        OptionError: If it is no number of seconds, or none that can be waited.
    """
    number = text.removesuffix("s")
    if _NUMBER.fullmatch(number):
        seconds = float(number)
        if 0 < seconds <= LONGEST_SECONDS:
            return seconds
    raise OptionError(
        f"{where}: {text[:40]!r} must be a number of seconds over 0, at most {LONGEST_SECONDS:.0f}"
    )
