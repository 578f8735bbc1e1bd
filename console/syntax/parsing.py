"""Syntax trees, made by one thread at a time."""

from __future__ import annotations

import ast
import threading
from typing import Final

_parsing = threading.RLock()  # a finaliser that runs in mid-parse may parse too

_PARSE_TRIES: Final = 5

NAME: Final = r"[^\W\d]\w*"
ITEM: Final = r"\[(?:-?\d+|'[^'\\\n]*'|\"[^\"\\\n]*\")\]"
PATH: Final = rf"{NAME}(?:\.{NAME}|{ITEM})*"
"""The paths of ``name?``: names, attributes, items by number or plain key."""


def parse(source: str, filename: str = "<input>", flags: int = 0) -> ast.Module:
    """Parse a source. Safe to call from any thread.

    Up to 3.12, CPython counts the tree's depth in one variable for all threads; when two threads
    parse at once, one fails with a SystemError (gh-106905). So our threads take a lock, and a
    collision with a thread of the service is retried.

    Raises:
        SyntaxError: Or another exception of ``compile``.
    """
    for left in reversed(range(_PARSE_TRIES)):
        with _parsing:
            try:
                tree: ast.Module = compile(
                    source, filename, "exec", flags | ast.PyCF_ONLY_AST, dont_inherit=True
                )
            except SystemError as error:
                if not left or "recursion depth mismatch" not in str(error):
                    raise
            else:
                return tree
    raise AssertionError("the last try returns or raises")
