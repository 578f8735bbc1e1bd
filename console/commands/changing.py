"""The commands that change the service and can undo it: ``patch``, ``keep``, ``revert``."""

from __future__ import annotations

from typing import Any

from console.commands.context import CommandContext
from console.interfaces.commands import Section, command
from console.patches.journal import Patch


@command(usage="patch(o, 'a', v)", section=Section.CHANGING)
def patch(
    context: CommandContext, owner: Any, name: Any, new: Any, *, minutes: float | None = None
) -> Patch:
    """Set o.a, or o[a] of a dict or list; minutes=5 undoes it.

    The result is a context manager, whose end undoes the patch.

    Args:
        context: The session.
        owner: The object, dict or list that is changed.
        name: The attribute's name, the key, or the index.
        new: The new value.
        minutes: Undo it by itself after this time, unless ``keep(n)`` is called. None for never.

    Raises:
        PatchError: If the owner does not take the value. It is then unchanged.
    """
    return context.journal.patch(owner, name, new, minutes=minutes, who=context.who)


@command(usage="keep(n)", section=Section.CHANGING)
def keep(context: CommandContext, number: int) -> Patch:
    """Let patch n stay, although it has a time limit.

    Raises:
        PatchError: If there is no such patch.
    """
    return context.journal.keep(number)


@command(usage="revert(n)", section=Section.CHANGING)
def revert(context: CommandContext, number: int | None = None) -> list[Patch]:
    """Undo patch n; without a number all, newest first.

    Returns:
        The patches that were undone.

    Raises:
        PatchError: If there is no such patch, or its target has been changed since. Of all
            patches, those that can be undone are, before it is raised.
    """
    return context.journal.revert(number)
