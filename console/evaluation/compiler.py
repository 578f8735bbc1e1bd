"""From a statement's source to code that can run.

A cell may hold several statements. The value of a trailing expression is shown, so it is compiled
apart from what stands before it. A cell that needs a running loop runs on the host's as a whole.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import textwrap
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from console.evaluation.loop_bound import needs_loop
from console.evaluation.options import OptionError, split_options
from console.introspect.describe import PATH
from console.introspect.parsing import parse

_FUTURE_MASK: Final = 0x1FF0000
"""The bits that ``from __future__`` sets in ``co_flags`` (CPython: PyCF_MASK)."""

# What codeop asks the compiler for, by number since the names are not public. codeop itself cannot
# be used: it changes the warning filters of the whole process while it compiles.
_DONT_IMPLY_DEDENT: Final = 0x200
_ALLOW_INCOMPLETE_INPUT: Final = 0x4000
_INCOMPLETE_FLAGS: Final = (
    _DONT_IMPLY_DEDENT | _ALLOW_INCOMPLETE_INPUT | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
)


@dataclass(frozen=True, slots=True)
class Statement:
    """Compiled code: what runs first, and the expression whose value is shown."""

    body: CodeType | None
    expression: CodeType | None
    calls_loop: bool

    @property
    def needs_loop(self) -> bool:
        """Whether only a running loop can run it: it awaits, or calls what asks for the loop."""
        return self.calls_loop or any(
            code is not None and bool(code.co_flags & inspect.CO_COROUTINE)
            for code in (self.body, self.expression)
        )

    @property
    def future_flags(self) -> int:
        """The ``from __future__`` features that hold for later statements of the session."""
        return sum(
            {
                bit
                for code in (self.body, self.expression)
                if code is not None
                for bit in _bits(code.co_flags & _FUTURE_MASK)
            }
        )


def _bits(flags: int) -> list[int]:
    return [1 << shift for shift in range(flags.bit_length()) if flags & (1 << shift)]


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


def compile_statement(
    source: str, filename: str, namespace: Mapping[str, Any], future_flags: int = 0
) -> Statement:
    """Compile a cell.

    Args:
        source: The cell, as `normalise` leaves it.
        filename: What tracebacks call it.
        namespace: The names that it will see, to tell whether it calls for the loop.
        future_flags: ``from __future__`` features of earlier statements.

    Raises:
        SyntaxError: And what else ``compile`` raises: ValueError (a null byte), OverflowError,
            MemoryError, RecursionError.
    """
    source = answer_question(source)
    try:
        return _compile_apart(source, filename, namespace, future_flags)
    except RecursionError:
        return _compile_whole(source, filename, future_flags)


def _compile_whole(source: str, filename: str, future_flags: int) -> Statement:
    """Compile what is too deep for a syntax tree in Python, as an expression of 2,000 terms is.

    The compiler itself goes deeper. A cell of one expression has a value then; another has none.
    """
    flags = future_flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        expression = compile(source, filename, "eval", flags, dont_inherit=True)
    except SyntaxError:
        body = compile(source, filename, "exec", flags, dont_inherit=True)
        return Statement(body, None, calls_loop=False)
    return Statement(None, expression, calls_loop=False)


def _compile_apart(
    source: str, filename: str, namespace: Mapping[str, Any], future_flags: int
) -> Statement:
    flags = future_flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    tree = parse(source, filename, flags)
    calls_loop = needs_loop(tree, namespace)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    body = expression = None
    if tree.body:
        body = compile(tree, filename, "exec", flags, dont_inherit=True)
        flags |= body.co_flags & _FUTURE_MASK
    if isinstance(last, ast.Expr):
        expression = compile(ast.Expression(last.value), filename, "eval", flags, dont_inherit=True)
    return Statement(body, expression, calls_loop)


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


class SourceCache:
    """Lets tracebacks show the lines of statements, through the standard ``linecache``.

    Bounded: the oldest source goes first. `clear` leaves linecache as it was found. Safe to call
    from any thread.
    """

    def __init__(self, limit: int = 500, limit_characters: int = 2 * 1024 * 1024) -> None:
        self._limit = limit
        self._limit_characters = limit_characters
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._lock = threading.Lock()

    def add(self, filename: str, source: str) -> None:
        """Make the lines of a statement known."""
        # The last line has to end, or carets are misplaced on 3.12.
        lines = [line + "\n" for line in source.split("\n")]
        with self._lock:
            # No modification time: linecache.checkcache() then leaves the entry alone.
            linecache.cache[filename] = (len(source), None, lines, filename)
            self._sizes[filename] = len(source)
            while len(self._sizes) > 1 and (
                len(self._sizes) > self._limit or sum(self._sizes.values()) > self._limit_characters
            ):
                oldest, _ = self._sizes.popitem(last=False)
                linecache.cache.pop(oldest, None)

    def clear(self) -> None:
        """Forget every statement."""
        with self._lock:
            for filename in self._sizes:
                linecache.cache.pop(filename, None)
            self._sizes.clear()
