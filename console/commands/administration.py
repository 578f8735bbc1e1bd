"""The commands of admins: ``kick``, ``reload``. An operator's call raises `NotPermitted`."""

from __future__ import annotations

from console.commands.context import CommandContext
from console.interfaces.commands import Section, command
from console.interfaces.credentials import Role
from console.text import plain


@command(usage="kick(n, reason)", section=Section.ADMINISTERING, role=Role.ADMIN)
def kick(context: CommandContext, n: int, reason: str = "") -> None:
    """End session n; its user is told by whom and why.

    Raises:
        NoSuchSession: If no such session is open, or it is your own.
    """
    context.show(context.kick(n, plain(str(reason)), context.principal, context.session))


@command(usage="reload()", section=Section.ADMINISTERING, role=Role.ADMIN)
def reload(context: CommandContext) -> None:
    """Read host keys and certificates anew, and show them.

    Raises:
        ConsoleError: If one cannot be used; the old one stays in use.
    """
    context.show(context.reload())
