"""Modules import each other in one direction only, imports within functions counted.

import-linter holds the layers; it does not see cycles between the modules of one layer.
"""

import ast
from pathlib import Path

import pytest

import console

PACKAGE = Path(console.__file__).parent


def module_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def read_modules():
    """Return the syntax tree of each module of the package, by its name."""
    return {
        module_name(path): ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))
    }


class Imports(ast.NodeVisitor):
    """Collects what a module imports, apart from what only annotations need."""

    def __init__(self, modules):
        self.modules = modules
        self.found = set()
        self.for_types = set()
        self._target = self.found

    def visit_If(self, node):
        if ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            self._target, before = self.for_types, self._target
            for child in node.body:
                self.visit(child)
            self._target = before
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)

    def visit_Import(self, node):
        self._target |= {alias.name for alias in node.names if alias.name in self.modules}

    def visit_ImportFrom(self, node):
        for alias in node.names:
            for name in (f"{node.module}.{alias.name}", node.module):
                if name in self.modules:
                    self._target.add(name)
                    break

    def visit_Call(self, node):
        # load("console.x") imports a module by its name.
        if ast.unparse(node.func).rpartition(".")[2] in {"load", "import_module"}:
            self._take_names(node.args)
        self.generic_visit(node)

    def visit_Tuple(self, node):
        # A tuple of modules' names is there to be loaded.
        self._take_names(node.elts)
        self.generic_visit(node)

    def _take_names(self, nodes):
        names = {one.value for one in nodes if isinstance(one, ast.Constant)}
        self._target |= names & set(self.modules)


def imports_of(modules, *, with_types=False):
    """Return what each module imports, by its name."""
    graph = {}
    for name, tree in modules.items():
        visitor = Imports(modules)
        visitor.visit(tree)
        graph[name] = visitor.found | (visitor.for_types if with_types else set())
    return graph


def cycles(graph):
    """Return the groups of modules that reach each other (Tarjan's algorithm)."""
    index, low, stack, found = {}, {}, [], []

    def visit(one):
        index[one] = low[one] = len(index)
        stack.append(one)
        for other in sorted(graph[one]):
            if other not in index:
                visit(other)
                low[one] = min(low[one], low[other])
            elif other in stack:
                low[one] = min(low[one], index[other])
        if low[one] == index[one]:
            at = stack.index(one)
            group = stack[at:]
            del stack[at:]
            if len(group) > 1 or one in graph[one]:
                found.append(sorted(group))

    for one in sorted(graph):
        if one not in index:
            visit(one)
    return found


def test_no_import_cycle():
    """No module reaches itself by its imports, those within functions included."""
    modules = read_modules()
    assert len(modules) > 150
    assert cycles(imports_of(modules)) == []


@pytest.mark.parametrize("modules", [{"a": "import b", "b": "def f():\n    from a import x"}])
def test_a_cycle_within_a_function_is_found(modules):
    """Two modules of which one imports the other within a function are a cycle."""
    trees = {name: ast.parse(source) for name, source in modules.items()}
    assert cycles(imports_of(trees)) == [["a", "b"]]


def test_imports_for_types_are_no_cycle():
    """An import that only annotations need does not run, so it is not counted."""
    sources = {
        "a": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import b",
        "b": "import a",
    }
    trees = {name: ast.parse(source) for name, source in sources.items()}
    assert cycles(imports_of(trees)) == []
    assert cycles(imports_of(trees, with_types=True)) == [["a", "b"]]
