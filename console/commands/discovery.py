"""Finds the commands that the modules of this package declare."""

from __future__ import annotations

import builtins
import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

import console.commands
from console.context.namespace import PRIVATE_NAMES
from console.interfaces.commands import Command, CommandRegistry, DeclarationError


def discover() -> CommandRegistry:
    """Import the modules of the package and return the commands that they declare.

    Raises:
        DeclarationError: If a command is declared wrong, twice, or by a builtin's name.
    """
    names = [one.name for one in pkgutil.iter_modules(console.commands.__path__)]
    modules = [importlib.import_module(f"{console.commands.__name__}.{name}") for name in names]
    return CommandRegistry(one for module in modules for one in _declared(module))


def _declared(module: ModuleType) -> Iterator[Command]:
    for value in vars(module).values():
        # What a module has imported from another one is declared there.
        if isinstance(value, Command) and value.function.__module__ == module.__name__:
            if hasattr(builtins, value.name) and value.name not in PRIVATE_NAMES:
                # Python would find the builtin first (context/namespace.py).
                raise DeclarationError(value.name, "it is a builtin; choose another name")
            yield value
