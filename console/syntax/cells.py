"""Cells: the text between two prompts, made ready to be compiled."""

from __future__ import annotations

import ast
import re
import textwrap
from typing import Final

from console.syntax.options import OptionError, split_options
from console.syntax.parsing import PATH, parse

# What codeop asks the compiler for, by number since the names are not public. codeop itself cannot
# be used: it changes the warning filters of the whole process while it compiles.
_DONT_IMPLY_DEDENT: Final = 0x200


_ALLOW_INCOMPLETE_INPUT: Final = 0x4000


_INCOMPLETE_FLAGS: Final = (
    _DONT_IMPLY_DEDENT | _ALLOW_INCOMPLETE_INPUT | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
)


def normalise(source: str) -> str:
    """Undo what pasting does: a common indentation, CR LF, surrounding blank lines."""
    return _unindented(_line_feeds(source).strip("\n"))


def _unindented(source: str) -> str:
    """Take away an indentation of the first line, and of the others if they have it.

    A space in front of a statement keeps it out of the history: it must not be an error.
    """
    return textwrap.dedent(source).lstrip(" \t\n") if source[:1] in {" ", "\t"} else source


def count_lines(source: str) -> int:
    """Count a source's lines, without the blank ones that `normalise` drops at its end."""
    return _line_feeds(source).rstrip("\n").count("\n") + 1


def _line_feeds(source: str) -> str:
    return source.replace("\r\n", "\n").replace("\r", "\n")


def split_mode(source: str) -> tuple[str, str]:
    """Split the options off a cell. Returns the mode, empty if none, and the rest of it.

    Options that are wrong stay where they are: running the cell shows what is wrong with them.
    """
    try:
        options, rest = split_options(source)
    except OptionError:
        return "", source
    return options.mode, rest


QUESTION_NAME: Final = "__look__"
"""The session's own name that a question calls."""

BARE_NAME: Final = "__bare__"
"""The session's own name that is called with the value of a bare word."""


_QUESTION = re.compile(rf"\s*(?:(\?\??)[ \t]*({PATH})?|({PATH})[ \t]*(\?\??))\s*")


def answer_question(source: str) -> str:
    """Turn ``name?``, ``name??``, ``?name`` or ``?``, which are no Python, into a call.

    Everything else is returned as it is.
    """
    if "?" not in source or len(source) > 1000:
        return source
    match = _QUESTION.fullmatch(source)
    if match is None:
        return source
    marks, path = match[1] or match[4], match[2] or match[3] or ""
    return f"{QUESTION_NAME}({path!r}, {marks == '??'})"


def is_complete(source: str) -> bool:
    """Whether a cell typed line by line is ready to run, as the plain prompt of Python decides.

    What cannot be compiled is complete: running it shows the error. A compound statement is
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
        # Really empty: one of blanks alone is part of the block, as it often is in pasted code.
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
