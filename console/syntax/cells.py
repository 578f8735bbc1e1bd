"""Cells: the text of a statement, prepared for the compiler."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import Final

from console.syntax.options import OptionError, split_options
from console.syntax.parsing import PATH, parse

# codeop's compiler flags, by number since the names are not public. codeop itself cannot be used:
# it changes the warning filters of the whole process while it compiles.
_DONT_IMPLY_DEDENT: Final = 0x200


_ALLOW_INCOMPLETE_INPUT: Final = 0x4000


_INCOMPLETE_FLAGS: Final = (
    _DONT_IMPLY_DEDENT | _ALLOW_INCOMPLETE_INPUT | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
)


def normalise(source: str) -> str:
    """Remove the traces of pasting: a common indentation, CR LF, surrounding blank lines."""
    return _unindented(_line_feeds(source).strip("\n"))


def _unindented(source: str) -> str:
    """Remove the first line's indentation, and the same of the other lines if they have it.

    A space before a statement keeps it out of the history: it must not be an error.
    """
    return textwrap.dedent(source).lstrip(" \t\n") if source[:1] in {" ", "\t"} else source


def count_lines(source: str) -> int:
    """Count a source's lines, without the blank ones that `normalise` drops at its end."""
    return _line_feeds(source).rstrip("\n").count("\n") + 1


def _line_feeds(source: str) -> str:
    return source.replace("\r\n", "\n").replace("\r", "\n")


def split_mode(source: str) -> tuple[str, str]:
    """Split the options off a cell. Returns the mode, empty if none, and the rest.

    Wrong options are left in place: running the cell shows the error.
    """
    try:
        options, rest = split_options(source)
    except OptionError:
        return "", source
    return options.mode, rest


QUESTION_NAME: Final = "__look__"
"""The session's private name that a question (``name?``) calls."""

BARE_NAME: Final = "__bare__"
"""The session's own name that is called with the value of a bare word."""


_QUESTION = re.compile(rf"\s*(?:(\?\??)[ \t]*({PATH})?|({PATH})[ \t]*(\?\??))\s*")


def answer_question(source: str) -> str:
    """Turn ``name?``, ``name??``, ``?name`` or ``?``, which are not Python, into a call.

    Every other source is returned unchanged.
    """
    if "?" not in source or len(source) > 1000:
        return source
    match = _QUESTION.fullmatch(source)
    if match is None:
        return source
    marks, path = match[1] or match[4], match[2] or match[3] or ""
    return f"{QUESTION_NAME}({path!r}, {marks == '??'})"


def is_complete(source: str) -> bool:
    """Whether a cell typed line by line is complete, by the rules of Python's plain prompt.

    A cell that cannot be compiled is complete: running it shows the error. A compound statement is
    complete once an empty line follows it.
    """
    source = _unindented(split_mode(source)[1])
    try:
        tree = parse(source + "\n", "<input>", _INCOMPLETE_FLAGS)
    except SyntaxError as error:
        return "incomplete input" not in str(error.msg)
    except (ValueError, OverflowError, MemoryError, RecursionError):
        return True
    last = tree.body[-1] if tree.body else None
    if isinstance(last, _COMPOUND):
        # An empty line; one of blanks belongs to the block, as often in pasted code.
        return source.endswith("\n")
    return True


_COMPOUND = (
    ast.AsyncFor,
    ast.AsyncFunctionDef,
    ast.AsyncWith,
    ast.ClassDef,
    ast.For,
    ast.FunctionDef,
    ast.If,
    ast.Match,
    ast.Try,
    ast.TryStar,
    ast.While,
    ast.With,
)
