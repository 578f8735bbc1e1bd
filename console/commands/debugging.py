"""The command that debugs what has been raised: ``pm``."""

from __future__ import annotations

from console.commands.context import CommandContext
from console.evaluation import debugger
from console.interfaces.commands import Section, command


@command(usage="pm()", section=Section.RUNNING)
def pm(context: CommandContext) -> None:
    """Debug where your last exception was; breakpoint() works too."""
    error = context.evaluator.last_error
    if error is None:
        context.show("no statement of this session has raised yet")
    else:
        debugger.post_mortem(error.__traceback__)
