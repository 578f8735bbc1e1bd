"""Compiles a statement's source.

A cell may hold several statements. The value of a trailing expression is shown, so the expression
is compiled separately. A cell that needs a running loop runs on the host's loop as a whole.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import CodeType
from typing import Any, Final

from console.syntax.cells import BARE_NAME, answer_question
from console.syntax.loop_bound import needs_loop
from console.syntax.parsing import parse

_FUTURE_MASK: Final = 0x1FF0000
"""The bits that ``from __future__`` sets in ``co_flags`` (CPython: PyCF_MASK)."""


@dataclass(frozen=True, slots=True)
class Statement:
    """Compiled code: the body, which runs first, and the expression whose value is shown."""

    body: CodeType | None
    expression: CodeType | None
    calls_loop: bool

    @property
    def needs_loop(self) -> bool:
        """Whether it needs a running loop: it awaits, or calls a function that needs the loop."""
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


def compile_statement(
    source: str,
    filename: str,
    namespace: Mapping[str, Any],
    future_flags: int = 0,
    bare_words: Collection[str] = (),
) -> Statement:
    """Compile a cell.

    Args:
        source: The cell, as `normalise` returns it.
        filename: The file name of its code, as tracebacks show it.
        namespace: The names that it will see, to decide whether it calls a function that needs
            the loop.
        future_flags: ``from __future__`` features of earlier statements.
        bare_words: A cell that is one of these words and nothing else becomes a call of
            `BARE_NAME` with the value that the name has when it runs.

    Raises:
        SyntaxError: If the cell is not Python. ``compile`` may also raise ValueError (a null
            byte), OverflowError, MemoryError and RecursionError.
    """
    if source.strip() in bare_words:
        return _compile_bare(source, filename, future_flags)
    source = answer_question(source)
    try:
        return _compile_apart(source, filename, namespace, future_flags)
    except RecursionError:
        return _compile_whole(source, filename, future_flags)


def _compile_bare(source: str, filename: str, future_flags: int) -> Statement:
    """Compile a cell of one word as a call. The word keeps its position in tracebacks."""
    tree = ast.parse(source, filename, "eval")
    call = ast.Call(ast.Name(BARE_NAME, ast.Load()), [tree.body], [])
    tree.body = ast.fix_missing_locations(ast.copy_location(call, tree.body))
    code = compile(tree, filename, "eval", future_flags, dont_inherit=True)
    return Statement(None, code, calls_loop=False)


def _compile_whole(source: str, filename: str, future_flags: int) -> Statement:
    """Compile a cell that is too deeply nested for a syntax tree in Python (2,000 terms, say).

    The compiler itself goes deeper. Only a cell that is one expression has a value then.
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
