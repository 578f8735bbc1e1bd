"""The file, line and source of functions, classes and modules.

``inspect`` reads ``__file__`` of every loaded module, which triggers lazy imports. Here only code
objects, plain dictionaries and ``linecache`` are read.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import sys
import textwrap
from types import CodeType, FunctionType, ModuleType
from typing import Any, Final

from console.introspect.static import class_dict, class_name, isinstance_static, static_attribute
from console.syntax.parsing import parse

_SOURCE_LINES: Final = 2000
"""Lines that are shown of a class or a module."""


def place_of(owner: Any) -> str:
    """Return ``file:line`` of a function, the file of a class or module; empty if unknown."""
    if type(owner) is FunctionType:
        return f"{owner.__code__.co_filename}:{owner.__code__.co_firstlineno}"
    if isinstance_static(owner, type):
        file = _file_of_class(owner)
        line = class_dict(owner).get("__firstlineno__")  # since 3.13
        return f"{file}:{line}" if file and type(line) is int else file
    return _file_of_module(owner)


def source_of(owner: Any) -> str | None:
    """Return the source of a function, class or module; None if unknown.

    Reads files: never call it on a loop.
    """
    if type(owner) is FunctionType:
        return _of_code(owner.__code__)
    if isinstance_static(owner, type):
        return _of_class(owner)
    lines = _lines(_file_of_module(owner))
    return _joined(lines) if lines else None


def _of_code(code: CodeType) -> str | None:
    lines = _lines(code.co_filename)[code.co_firstlineno - 1 :]
    return _joined(inspect.getblock(lines)) if lines else None


def _of_class(cls: type) -> str | None:
    lines = _lines(_file_of_class(cls))
    try:
        tree = parse("".join(lines))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    wanted = _qualified_name(cls).split(".")
    found: ast.ClassDef | None = None
    for node in _named(tree, wanted):
        found = node
    if found is None:
        return None
    first = min([found.lineno, *(one.lineno for one in found.decorator_list)])
    return _joined(lines[first - 1 : found.end_lineno])


def _named(tree: ast.AST, path: list[str]) -> list[ast.ClassDef]:
    """Find the classes of a qualified name, in source order; the last definition counts."""
    if not path:
        return [tree] if isinstance(tree, ast.ClassDef) else []
    if path[0] == "<locals>":
        return _named(tree, path[1:])
    found: list[ast.ClassDef] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if node.name == path[0]:
                found += _named(node, path[1:])
        elif isinstance(node, ast.stmt | ast.excepthandler):  # within an if, a try, a with
            found += _named(node, path)
    return found


def _file_of_class(cls: type) -> str:
    """Return the file of a class: that of one of its methods, or else that of its module.

    A class defined at a prompt has no module, but its methods have a file name.
    """
    prefix = _qualified_name(cls) + "."
    for member in list(class_dict(cls).values()):
        if type(member) is FunctionType and member.__qualname__.startswith(prefix):
            file = member.__code__.co_filename
            if not file.startswith("<") or file in linecache.cache:
                return file
    module = class_dict(cls).get("__module__")
    return _file_of_module(sys.modules.get(module)) if type(module) is str else ""


def _qualified_name(cls: type) -> str:
    name = _QUALNAME.__get__(cls)
    return name if type(name) is str else class_name(cls)


# The descriptor of ``type`` itself: a metaclass may have its own.
_QUALNAME = vars(type)["__qualname__"]


def _file_of_module(module: Any) -> str:
    if module is None or not isinstance_static(module, ModuleType):
        return ""
    file = static_attribute(module, "__file__")
    return file if type(file) is str else ""


def _lines(file: str) -> list[str]:
    if not file.endswith(".py") and not file.startswith("<"):
        return []
    linecache.checkcache(file)
    return linecache.getlines(file)


def _joined(lines: list[str]) -> str:
    text = textwrap.dedent("".join(lines[:_SOURCE_LINES])).rstrip("\n")
    left_out = len(lines) - _SOURCE_LINES
    return text if left_out <= 0 else f"{text}\n[{left_out} lines more]"
