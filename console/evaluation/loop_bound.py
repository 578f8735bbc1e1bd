"""Which statements have to run on the event loop, by a rule that can be told beforehand.

A cell runs on the service's loop if it has a top-level ``await``, or if it *itself calls* one of
asyncio's functions that need a running loop (`LOOP_BOUND`), under whatever name the cell or an
earlier one imported it. "Itself" means outside of the functions, lambdas and classes that it
defines. The syntax tree is looked at before anything runs, and names are only looked up, never
evaluated: an attribute of an object, or a function that calls such a function deeper down, is not
seen, and then fails with asyncio's own error and a hint.
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
        "wrap_future",
    }
)
"""Functions and classes of asyncio that look for a running loop when they are called.

``asyncio.run`` is not among them: it makes a loop of its own, which a worker thread may.
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
    """Walk in the order of the source, past what runs later or never."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef):
            continue
        yield node
        yield from _own_code(node)


class _Names:
    """What names stand for: those of the namespace, and those that the cell imports itself."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._modules: dict[str, str] = {}
        self._functions: set[str] = set()

    def learn(self, node: ast.Import | ast.ImportFrom) -> None:
        for alias in node.names:
            if isinstance(node, ast.Import):
                if alias.asname:
                    self._modules[alias.asname] = alias.name
                else:
                    top = alias.name.partition(".")[0]
                    self._modules[top] = top
            elif node.module and _is_asyncio(node.module) and alias.name in LOOP_BOUND:
                self._functions.add(alias.asname or alias.name)

    def is_loop_bound(self, function: ast.expr) -> bool:
        if isinstance(function, ast.Name):
            return function.id in self._functions or self._is_imported(function.id)
        if isinstance(function, ast.Attribute) and function.attr in LOOP_BOUND:
            return _is_asyncio(self._module(function.value))
        return False

    def _is_imported(self, name: str) -> bool:
        value = self._namespace.get(name)
        return any(value is getattr(asyncio, bound) for bound in LOOP_BOUND)

    def _module(self, node: ast.expr) -> str:
        """The dotted name of the module that an expression stands for; empty if it is none."""
        if isinstance(node, ast.Attribute):
            parent = self._module(node.value)
            return f"{parent}.{node.attr}" if parent else ""
        if not isinstance(node, ast.Name):
            return ""
        if node.id in self._modules:
            return self._modules[node.id]
        value = self._namespace.get(node.id)
        return str(value.__name__) if type(value) is ModuleType else ""


def _is_asyncio(module: str) -> bool:
    return module == "asyncio" or module.startswith("asyncio.")
