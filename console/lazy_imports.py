"""Imports at first use, on a thread of the loop's pool.

A fork copies the locks of modules that other threads are just importing, but not these threads,
which would release them: a child that needs such a module would wait for ever. So a fork waits
until no import of ours is under way. That is some 200 ms, once in a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import threading
from collections.abc import Callable
from typing import Final

_FORK_SECONDS: Final = 2.0
"""A fork does not wait longer: the forking thread may hold a lock that the import waits for."""


async def load(module: str, prepare: Callable[[], object] = lambda: None) -> None:
    """Import a module on a thread of the loop's pool: the loop goes on meanwhile.

    Args:
        module: Its full name.
        prepare: Called before the import, on the same thread: imports what the module needs in
            another way than the import statement.
    """
    await asyncio.get_running_loop().run_in_executor(None, _imports.make, module, prepare)


class _Imports:
    """Makes one import at a time, and none while the process forks."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a module may fork while it is imported

    def make(self, module: str, prepare: Callable[[], object]) -> None:
        """Import a module."""
        with self._lock:
            prepare()
            importlib.import_module(module)

    def wait(self) -> None:
        """Wait for the present import to end, and block further ones."""
        self._lock.acquire(timeout=_FORK_SECONDS)

    def go_on(self) -> None:
        """Let imports begin again."""
        with contextlib.suppress(RuntimeError):  # it has not been waited for to the end
            self._lock.release()

    def begin_anew(self) -> None:
        """Reset the lock in a forked child, which has no thread that would finish an import."""
        self._lock = threading.RLock()


_imports = _Imports()
os.register_at_fork(
    before=_imports.wait, after_in_parent=_imports.go_on, after_in_child=_imports.begin_anew
)
