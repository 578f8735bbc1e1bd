"""The commands that show values or choose how: ``page``, ``hexdump``, ``pretty``."""

from __future__ import annotations

from typing import Final

from console.commands.context import CommandContext
from console.context.scope import current_scope
from console.interfaces.commands import Section, command
from console.interfaces.statements import InputSource

_LAST: Final = object()


@command(usage="page(value)", section=Section.LOOKING)
def page(context: CommandContext, value: object = _LAST) -> None:
    """Show all of a value or text by screens, with search."""
    context.evaluator.results.page(_last() if value is _LAST else value, _source())


@command(usage="hexdump(data)", section=Section.LOOKING)
def hexdump(context: CommandContext, value: object = _LAST, start: int = 0) -> None:
    """Show bytes, or what has a buffer, in hexadecimal."""
    context.evaluator.results.page_bytes(_last() if value is _LAST else value, _source(), start)


@command(usage="pretty(False)", section=Section.SESSION)
def pretty(
    context: CommandContext,
    on: bool | None = None,
    *,
    tables: bool | None = None,
    rich: bool | None = None,
) -> str | None:
    """Choose plain reprs, or only tables=False or rich=False."""
    results = context.evaluator.results
    if on is None and tables is None and rich is None:
        chosen = {"pretty": results.pretty, "tables": results.tables, "rich": results.rich}
        return ", ".join(f"{name} {'on' if choice else 'off'}" for name, choice in chosen.items())
    results.pretty = results.pretty if on is None else bool(on)
    results.tables = results.tables if tables is None else bool(tables)
    results.rich = results.rich if rich is None else bool(rich)
    return None


def _last() -> object:
    scope = current_scope.get()
    return None if scope is None else scope.names.get("_")


def _source() -> InputSource | None:
    scope = current_scope.get()
    return None if scope is None else scope.source
