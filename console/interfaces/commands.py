"""Commands that a user can call at the prompt in addition to Python, each declared once.

A command is one decorated function in a module of ``console/commands``::

    @command(usage="tasks()", section=Section.LOOKING, role=Role.VIEWER, bare=True)
    def tasks(context: LookingContext) -> Listing[TaskFacts]:
        \"\"\"List the tasks of the service's loop, and where each is suspended.\"\"\"
        return context.inspection.tasks()

Everything else is derived from the declaration: the line in ``help()``, the words that a viewer
may type, the completions of Tab, the check of the role, and docs/commands.md. The first line of
the docstring is the help text.
"""

from __future__ import annotations

import enum
import inspect
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from console.errors import ConsoleError
from console.interfaces.credentials import Role

_NAME = re.compile("[a-z]{1,20}")
"""The names that the grammar of a viewer's line accepts (commands/viewer.py)."""

_ROLES: Final = tuple(Role)
"""In ascending order: each role may call all commands of the roles before it."""


class Section(enum.Enum):
    """The parts of ``help()`` and of docs/commands.md, in this order."""

    RUNNING = "Running"
    LOOKING = "Looking"
    CHANGING = "Changing"
    SESSION = "Your sessions"
    ADMINISTERING = "Administering"


class DeclarationError(ConsoleError):
    """A command is declared wrong: an error of its module, found when the module is imported."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"command {name}", problem)
        self.name = name


@dataclass(frozen=True, slots=True)
class Command:
    """The declaration of one command.

    Attributes:
        name: The word that the user types.
        function: The implementation. Its first argument is the session's context; the user gives
            the other arguments.
        usage: The call, as help shows it: ``kick(n, reason)``.
        section: Where help lists it.
        role: The least role that may call it.
        bare: Whether the name alone, as a whole statement, calls it.
        number: The name that help shows for a viewer's numeric argument; empty if the command
            takes none.

    Raises:
        DeclarationError: If the parts do not fit together.
    """

    name: str
    function: Callable[..., Any]
    usage: str
    section: Section
    role: Role
    bare: bool = False
    number: str = ""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise DeclarationError(self.name, "its name must be 1 to 20 letters a to z")
        if not self.usage.startswith(f"{self.name}("):
            raise DeclarationError(self.name, f"its usage must begin with {self.name}(")
        if not self.help:
            raise DeclarationError(self.name, "its docstring must begin with a line of help")
        if self.bare and self.role is not Role.VIEWER:
            # A word typed by mistake must do no harm. A viewer's commands change nothing.
            raise DeclarationError(self.name, "only what a viewer may call can be bare=True")
        if self.number and self.role is not Role.VIEWER:
            raise DeclarationError(self.name, "number= is for what a viewer may call")
        if self.role is Role.VIEWER and not self._takes(1 + bool(self.number)):
            raise DeclarationError(self.name, "a viewer cannot give the arguments that it requires")

    @property
    def help(self) -> str:
        """The help text: the first line of the docstring, without its full stop."""
        lines = (self.function.__doc__ or "").strip().split("\n", maxsplit=1)
        return lines[0].strip().removesuffix(".")

    def permits(self, role: Role) -> bool:
        """Whether a user of this role may call it."""
        return _ROLES.index(role) >= _ROLES.index(self.role)

    def _takes(self, count: int) -> bool:
        """Whether the function accepts ``count`` arguments, and also the context alone."""
        signature = inspect.signature(self.function)
        try:
            signature.bind(None)
            signature.bind(*(None,) * count)
        except TypeError:
            return False
        return True


def command(
    *,
    usage: str,
    section: Section,
    role: Role = Role.OPERATOR,
    bare: bool = False,
    number: str = "",
) -> Callable[[Callable[..., Any]], Command]:
    """Declare a function as a command; see `Command` for the arguments.

    The command's name is the function's, without an underscore at the end: ``exit_`` makes
    ``exit``.
    """

    def declare(function: Callable[..., Any]) -> Command:
        return Command(
            name=function.__name__.removesuffix("_"),
            function=function,
            usage=usage,
            section=section,
            role=role,
            bare=bare,
            number=number,
        )

    return declare


class CommandRegistry:
    """All commands of a console, by name. Immutable, and safe to use from any thread.

    Raises:
        DeclarationError: If two have the same name.
    """

    def __init__(self, commands: Iterable[Command]) -> None:
        self._commands: dict[str, Command] = {}
        for one in sorted(commands, key=lambda one: one.name):
            if one.name in self._commands:
                others = f"{self._commands[one.name].function.__module__} declares it too"
                raise DeclarationError(one.name, f"{one.function.__module__}: {others}")
            self._commands[one.name] = one
        self.bare_words = frozenset(one.name for one in self if one.bare)

    def __iter__(self) -> Iterator[Command]:
        return iter(self._commands.values())

    def __getitem__(self, name: str) -> Command:
        return self._commands[name]

    def permitted(self, role: Role) -> tuple[Command, ...]:
        """Return the commands that a user of this role may call, sorted by name."""
        return tuple(one for one in self if one.permits(role))

    def words(self, role: Role) -> tuple[str, ...]:
        """Return the names of the commands that a user of this role may call, sorted."""
        return tuple(one.name for one in self.permitted(role))
