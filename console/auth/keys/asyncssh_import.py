"""asyncssh, imported without starting a program.

At its import asyncssh looks for two C libraries, liboqs and nettle, by
``ctypes.util.find_library``. That runs ldconfig, gcc and ld in the service, eleven programs in all,
and fails where there is no directory for temporary files. Neither library is used here. So the two
modules of asyncssh that look for them are run first, with a ``find_library`` that only asks the
dynamic linker.

asyncssh also expands ``~``, and fails where the user has neither HOME nor an entry in passwd; there
its configuration gets a directory that does not exist.
"""

from __future__ import annotations

import builtins
import ctypes
import importlib.util
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PosixPath
from types import ModuleType, SimpleNamespace
from typing import Any, Final, Self

_LOOKING = ("asyncssh.crypto.pq", "asyncssh.crypto.umac")
"""The modules of asyncssh that look for a C library at their import."""

_FILES: Final[Mapping[str, Sequence[str]]] = {
    "oqs": ("liboqs.so", "liboqs.so.9", "liboqs.so.8", "liboqs.so.7", "liboqs.so.5"),
    "nettle": ("libnettle.so.8", "libnettle.so.7", "libnettle.so.6"),
}
"""What a service that uses asyncssh by itself would find: names for the dynamic linker."""

_NO_HOME = "/nonexistent"
"""The home of a user who has none, by Debian's convention."""


def import_asyncssh() -> ModuleType:
    """Import asyncssh, and start no program. 250 ms at the first call; call it on any thread.

    Returns:
        The package ``asyncssh``.

    Raises:
        ImportError: If it is not installed, or cannot be imported.
    """
    if "asyncssh" not in sys.modules:
        package = importlib.util.find_spec("asyncssh")
        for name in _LOOKING:
            if package is not None and name not in sys.modules:
                _run_module(name, list(package.submodule_search_locations or ()))
    asyncssh = importlib.import_module("asyncssh")
    _allow_no_home()
    return asyncssh


def _run_module(name: str, directories: list[str]) -> None:
    """Make a module of a package that is not imported yet."""
    found = [Path(one, *name.split(".")[1:]).with_suffix(".py") for one in directories]
    for path in filter(Path.is_file, found):
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        vars(module)["__builtins__"] = {**vars(builtins), "__import__": _import}
        spec.loader.exec_module(module)
        sys.modules.setdefault(name, module)


def _import(name: str, *arguments: Any, **keywords: Any) -> Any:
    """Import a module for one that looks for libraries; ctypes in a form of ours."""
    module = __import__(name, *arguments, **keywords)
    if module is not ctypes:
        return module
    lookalike = ModuleType("ctypes")
    vars(lookalike).update(vars(ctypes))
    vars(lookalike)["util"] = SimpleNamespace(find_library=_find_library)
    return lookalike


def _find_library(name: str) -> str | None:
    """Find a library that the dynamic linker knows, without a program."""
    for file in _FILES.get(name, ()):
        try:
            ctypes.CDLL(file)
        except OSError:
            continue
        return file
    return None


class _HomelessPath(PosixPath):
    """A path whose ``~`` stands for a directory that does not exist."""

    def expanduser(self) -> Self:
        """Return the path with its ``~`` replaced."""
        return type(self)(str(self).replace("~", _NO_HOME, 1))


def _allow_no_home() -> None:
    try:
        Path("~").expanduser()
    except RuntimeError:
        sys.modules["asyncssh.config"].Path = _HomelessPath  # type: ignore[attr-defined]
