"""The live names, and the names that each session has for itself.

One dict, the host's, is the namespace of every session. What the console adds (``_``, ``exit``,
``help``) must differ from session to session and must not show in ``dir()``; it stands in the
namespace's ``__builtins__``. That is a dict subclass, filled with the real builtins: the
interpreter looks names up in it with ``__getitem__`` because it is no exact dict, so a miss comes
to ``__missing__``, which asks the session whose code is running (CPython 3.11 to 3.13: LOAD_NAME
and LOAD_GLOBAL take the slow path for such a dict).
"""

from __future__ import annotations

import builtins
from typing import Any

from console.context.scope import current_scope

PRIVATE_NAMES = frozenset({"_", "exit", "help", "quit"})
"""Builtins that sessions have for themselves; code outside of sessions finds the real ones."""

_ABSENT: Any = object()


class SessionBuiltins(dict[str, Any]):
    """Builtins with the running session's own names."""

    def __init__(self) -> None:
        super().__init__(
            (name, value) for name, value in vars(builtins).items() if name not in PRIVATE_NAMES
        )
        # The module of classes defined in a session, which their repr shows.
        self["__name__"] = "__console__"
        self["__doc__"] = None
        self.replaced: Any = _ABSENT
        self.in_use = False

    def __missing__(self, name: str) -> Any:
        """Find a name in the running session, then among builtins that appeared since."""
        scope = current_scope.get()
        if scope is not None and name in scope.names:
            return scope.names[name]
        return vars(builtins)[name]


class Namespace:
    """Lends the host's dict to the sessions: puts our builtins in, and the host's back."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self._builtins = SessionBuiltins()

    def install(self) -> None:
        """Make the namespace ready for evaluation."""
        self._builtins.replaced = self.names.get("__builtins__", _ABSENT)
        self._builtins.in_use = True
        self.names["__builtins__"] = self._builtins

    def uninstall(self) -> None:
        """Put back what was there. Left alone if other code has replaced ours since."""
        self._builtins.in_use = False
        if self.names.get("__builtins__") is not self._builtins:
            return
        previous = self._builtins.replaced
        # Two consoles may have lent the same dict, and the first to start the first to stop.
        while type(previous) is SessionBuiltins and not previous.in_use:
            previous = previous.replaced
        if previous is _ABSENT:
            # Functions defined in a session keep working: each holds the builtins it was made with.
            del self.names["__builtins__"]
        else:
            self.names["__builtins__"] = previous
