"""The names that depend on who somebody is: looking, for all who evaluate; sessions, for admins.

A viewer has none of them as Python names; ``viewer.py`` answers the same questions there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from console.commands.looking import Inspection
from console.commands.session import Command
from console.errors import NotPermitted
from console.interfaces.credentials import Principal, Role
from console.text import plain

Kick = Callable[[int, str, Principal, int], str]
"""Ends a session: its number, a reason, who does it and in which session. Says what it did."""


def inspection_names(inspection: Inspection) -> dict[str, Any]:
    """Make the names that only look."""
    return {
        "tasks": Command(inspection.tasks, "tasks() lists the tasks of the service's loop"),
        "threads": Command(inspection.threads, "threads() lists the threads of the process"),
        "uptime": Command(inspection.uptime, "uptime() tells of the process"),
        "who": Command(inspection.who, "who() lists the open sessions"),
        "whoami": Command(inspection.whoami, "whoami() tells who you are here"),
    }


def admin_names(
    principal: Principal, session: int, kick: Kick, reload: Callable[[], str]
) -> dict[str, Any]:
    """Make the names that administer. Who is no admin has them too, to be told so.

    Args:
        principal: Whose session it is.
        session: Its number.
        kick: Ends another session. Called from any thread, as ``reload`` is.
        reload: Reads anew what can be, and says what.
    """

    def end_session(n: int, reason: str = "") -> None:
        """End a session in order; its user is told who did it, and why."""
        print(kick(n, plain(str(reason)), principal, session))  # noqa: T201 - the session's stdout

    def read_anew() -> None:
        """Read host keys and the like anew."""
        print(reload())  # noqa: T201 - the session's stdout

    made: dict[str, Callable[..., None]] = {"kick": end_session, "reload": read_anew}
    if principal.role is not Role.ADMIN:
        made = {name: _refuse(name, principal.role) for name in made}
    return {name: Command(made[name], usage) for name, usage in _ADMIN_USAGE.items()}


_ADMIN_USAGE = {
    "kick": "kick(n, reason='') ends session n; for admins",
    "reload": "reload() reads host keys and the like anew; for admins",
}


def _refuse(name: str, role: Role) -> Callable[..., NoReturn]:
    def refuse(*_arguments: object, **_keywords: object) -> NoReturn:
        """Only an admin may call it."""
        raise NotPermitted(f"{name}()", role.value, Role.ADMIN.value)

    return refuse
