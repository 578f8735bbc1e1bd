"""The commands by which a user chooses how sessions are: ``editing``, ``theme``, ``mode``."""

from __future__ import annotations

from console.commands.context import CommandContext
from console.interfaces.commands import Section, command


@command(usage="editing('vi')", section=Section.SESSION)
def editing(context: CommandContext, name: str | None = None) -> str:
    """Choose the editor's keys, or 'emacs'; kept for next sessions.

    Raises:
        ValueError: If there is no such choice.
    """
    if name is not None:
        _choose(context, "editing", name)
    return context.choices.now.editing


@command(usage="theme('light')", section=Section.SESSION)
def theme(context: CommandContext, name: str | None = None) -> str:
    """Choose colours, or 'dark', 'plain', 'terminal'; kept too.

    Raises:
        ValueError: If there is no such choice.
    """
    if name is not None:
        _choose(context, "theme", name)
    return context.choices.now.theme


@command(usage="mode('loop')", section=Section.SESSION)
def mode(context: CommandContext, name: str | None = None, *, keep: bool = False) -> str:
    """Choose where statements run, or 'thread'; keep=True keeps it.

    Raises:
        ValueError: If there is no such mode.
    """
    if name is not None:
        context.evaluator.set_mode(name)
        if keep:
            _choose(context, "mode", name)
    return context.evaluator.mode


def _choose(context: CommandContext, name: str, value: str) -> None:
    problem = context.choices.choose(name, value)
    if problem:
        context.show(f"this holds for this session only: {problem}")
