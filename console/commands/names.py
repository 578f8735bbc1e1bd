"""The names that a session adds to the builtins: its commands, and what the prompt itself calls."""

from __future__ import annotations

import builtins
import inspect
from types import MethodType
from typing import Any

from console.commands.context import CommandContext
from console.errors import NotPermitted
from console.interfaces.commands import Command
from console.introspect.describe import describe, find
from console.syntax.cells import BARE_NAME, QUESTION_NAME
from console.text import escape_controls


class SessionCommand:
    """A command bound to one session: calling it runs it, its repr shows its usage."""

    def __init__(self, command: Command, context: CommandContext) -> None:
        # By these the introspection finds signature, documentation and source (``name?``).
        self.__wrapped__ = MethodType(command.function, context)
        self.__doc__ = command.function.__doc__
        self._command = command
        self._role = context.principal.role

    def __repr__(self) -> str:
        needed = self._command.role
        note = "" if self._command.permits(self._role) else f" (for the role {needed.value})"
        return f"{self._command.usage}: {self._command.help}{note}"

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """Run the command.

        Raises:
            NotPermitted: If the user's role does not include it.
        """
        if not self._command.permits(self._role):
            raise NotPermitted(
                f"{self._command.name}()", self._role.value, self._command.role.value
            )
        return self.__wrapped__(*arguments, **keywords)

    @property
    def description(self) -> str:
        """What ``help(name)`` shows: usage and documentation."""
        return f"{self._command.usage}\n\n{inspect.cleandoc(self.__doc__ or '')}"


def session_names(context: CommandContext) -> dict[str, Any]:
    """Return the names of the commands for a session, with the callables.

    Commands that the user's role does not include are among them: a call raises `NotPermitted`.
    """
    commands = {one.name: SessionCommand(one, context) for one in context.commands}

    def look(path: str, source: bool) -> None:
        """Describe an object; ``name?`` and ``name??`` call this."""
        if not path:
            commands["help"]()
            return
        scopes = (context.evaluator.namespace, context.evaluator.names, vars(builtins))
        context.page(escape_controls(describe(find(path, scopes), source=source)))

    def run_bare(value: Any) -> Any:
        """Run the command of a bare word; return any other value unchanged."""
        for name in context.commands.bare_words:
            if value is commands[name]:
                return value()
        return value  # a name of the service takes precedence

    return {**commands, QUESTION_NAME: look, BARE_NAME: run_bare}
