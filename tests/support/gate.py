"""Blocks imports, to test what happens meanwhile."""

import importlib.abc
import importlib.machinery
import threading


class Gate(importlib.abc.MetaPathFinder):
    """A first finder that blocks the import of some modules until it is opened.

    After ``broken`` is set, their imports fail.
    """

    def __init__(self, names):
        self.names = frozenset(names)
        self.reached = threading.Event()
        self.broken = False
        self._opened = threading.Event()

    def find_spec(self, name, path=None, target=None):
        if name not in self.names:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        execute = spec.loader.exec_module
        # Not here: the interpreter looks for one module at a time, and does not fork meanwhile.
        spec.loader.exec_module = lambda module: self._run(name, execute, module)
        return spec

    def open(self):
        self._opened.set()

    def _run(self, name, execute, module):
        self.reached.set()
        if not self._opened.wait(60):
            raise TimeoutError(name)
        if self.broken:
            raise ImportError(f"{name} is broken")
        execute(module)
