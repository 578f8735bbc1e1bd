"""Commands: what can be said at the prompt beside Python, declared once each.

A command is one decorated function in a module of ``console/commands``::

    @command(usage="tasks()", section=Section.LOOKING, role=Role.VIEWER, bare=True)
    def tasks(context: LookingContext) -> Listing[TaskFacts]:
        \"\"\"List the tasks of the service's loop, and where each is suspended.\"\"\"
        return context.inspection.tasks()

Everything else follows from the declaration: the line of ``help()``, the words of a viewer, what
Tab completes, the roles, and docs/commands.md. The first line of the docstring is the help.
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
"""As narrow as a viewer's grammar (commands/viewer.py)."""

_ROLES: Final = tuple(Role)
"""Each includes those before it."""


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
        name: What is typed.
        function: What runs. Its first argument is the session's context; the others are what the
            user gives.
        usage: The call, as help shows it: ``kick(n, reason)``.
        section: Where help lists it.
        role: The least role that may call it.
        bare: Whether the name alone, as a whole statement, calls it.
        number: What help calls the number that a viewer may give; empty if it takes none.

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
            # A word typed by mistake must do no harm. What a viewer may call changes nothing.
            raise DeclarationError(self.name, "only what a viewer may call can be bare=True")
        if self.number and self.role is not Role.VIEWER:
            raise DeclarationError(self.name, "number= is for what a viewer may call")
        if self.role is Role.VIEWER and not self._takes(1 + bool(self.number)):
            raise DeclarationError(self.name, "a viewer cannot give the arguments that it requires")

    @property
    def help(self) -> str:
        """What it does: the first line of the docstring, without its full stop."""
        lines = (self.function.__doc__ or "").strip().split("\n", maxsplit=1)
        return lines[0].strip().removesuffix(".")

    def permits(self, role: Role) -> bool:
        """Whether a user of this role may call it."""
        return _ROLES.index(role) >= _ROLES.index(self.role)

    def _takes(self, count: int) -> bool:
        """Whether it takes as many positional arguments, and the context alone as well."""
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

    It is called by the function's name, less an underscore at the end: ``exit_`` makes ``exit``.
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
        """Return what a user of this role may call, by name."""
        return tuple(one for one in self if one.permits(role))

    def words(self, role: Role) -> tuple[str, ...]:
        """Return the names of what a user of this role may call, sorted."""
        return tuple(one.name for one in self.permitted(role))
