"""Recognises the console's own code by the path of its file.

Tracebacks and stacks that are shown to a user leave out the console's frames around a statement.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

_Function = TypeVar("_Function", bound=Callable[..., Any])

_PACKAGE: Final = str(Path(__file__).parent.parent) + os.sep

_PUBLIC: Final = tuple(
    _PACKAGE + name
    for name in (
        f"application{os.sep}",
        f"auth{os.sep}",
        f"config{os.sep}",
        "console.py",
        f"files{os.sep}",
        f"server{os.sep}",
        f"transports{os.sep}",
    )
)
"""What a service calls by itself, and what that calls: a user who does it in a statement sees the
frames as the service's author would. New code is hidden unless it is named here."""

STATEMENT_FILES: Final[set[str]] = set()
"""The files of the functions marked by `statement_boundary`, as their code objects name them. For a
search up the stack at each ``print`` of a statement: the hash of a string is kept by it, that of a
code object is made of its bytecode and constants each time."""


def is_own(file: str) -> bool:
    """Whether a file is the console's."""
    return file.startswith(_PACKAGE)


def is_hidden(file: str) -> bool:
    """Whether the frames of a file are left out of the tracebacks that sessions see."""
    return file.startswith(_PACKAGE) and not file.startswith(_PUBLIC)


def statement_boundary(function: _Function) -> _Function:
    """Mark a function that calls a statement's code: further out there is only what runs it.

    Its file holds nothing else that a statement's code could call.
    """
    STATEMENT_FILES.add(function.__code__.co_filename)
    return function
