"""Which statements have to run on the event loop, decided before they run.

A cell runs on the service's loop if it has a top-level ``await``, or if it *itself calls* one of
asyncio's functions that need a running loop (`LOOP_BOUND`), under any name by which the cell or an
earlier one imported it. "Itself" means outside of the functions, lambdas and classes that it
defines. Only the syntax tree is read; names are looked up, never evaluated. A call through an
object's attribute, or in deeper code, is not found; it fails with asyncio's own error and a hint.
"""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Final

LOOP_BOUND: Final = frozenset(
    {
        "Future",
        "Task",
        "all_tasks",
        "as_completed",
        "create_task",
        "current_task",
        "ensure_future",
        "gather",
        "get_event_loop",
        "get_running_loop",
        "shield",
        "timeout",
        "wrap_future",
    }
)
"""Functions and classes of asyncio that need a running loop when they are called.

``asyncio.run`` is not one: it makes a loop of its own, which a worker thread may do.
"""


def needs_loop(tree: ast.Module, namespace: Mapping[str, Any]) -> bool:
    """Whether a cell itself calls one of asyncio's loop-bound functions."""
    names = _Names(namespace)
    for node in _own_code(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.learn(node)
        elif isinstance(node, ast.Call) and names.is_loop_bound(node.func):
            return True
    return False


def _own_code(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk in source order, without the bodies of functions, lambdas and classes."""
    # Not recursive: the tree of a long sum is as deep as the sum is long.
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [
            child
            for child in reversed(list(ast.iter_child_nodes(node)))
            if not isinstance(child, _LATER)
        ]


_LATER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


class _Names:
    """Resolves names: those of the namespace, and those that the cell imports itself."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._imported: dict[str, str] = {}

    def learn(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note the names that an import binds; they hide those of the namespace."""
        module = "." * node.level + (node.module or "") if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            if isinstance(node, ast.Import):
                top = alias.name.partition(".")[0]
                self._imported[alias.asname or top] = alias.name if alias.asname else top
            elif alias.name != "*":
                self._imported[alias.asname or alias.name] = f"{module}.{alias.name}"
            elif _is_asyncio(module):
                self._imported |= {bound: f"asyncio.{bound}" for bound in LOOP_BOUND}

    def is_loop_bound(self, function: ast.expr) -> bool:
        module, _, name = self._path(function).rpartition(".")
        return name in LOOP_BOUND and _is_asyncio(module)

    def _path(self, node: ast.expr) -> str:
        """Return the dotted path, from its module on, of an expression; empty if unknown."""
        if isinstance(node, ast.Attribute):
            parent = self._path(node.value)
            return f"{parent}.{node.attr}" if parent else ""
        if not isinstance(node, ast.Name):
            return ""
        if node.id in self._imported:
            return self._imported[node.id]
        value = self._namespace.get(node.id)
        if type(value) is ModuleType:
            # Read from its dictionary: a module may have a __getattr__.
            name = value.__dict__.get("__name__")
            return name if type(name) is str else ""
        return next(
            (f"asyncio.{name}" for name in LOOP_BOUND if value is getattr(asyncio, name)), ""
        )


def _is_asyncio(module: str) -> bool:
    return module == "asyncio" or module.startswith("asyncio.")
