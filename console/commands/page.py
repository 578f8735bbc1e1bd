"""The reference page of the commands, generated from their declarations.

``python -m console.commands.page > docs/commands.md`` updates the page.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

from console.commands.discovery import discover
from console.commands.help import topics
from console.interfaces.commands import Command, CommandRegistry, Section

_INTRODUCTION = """\
# Commands

<!-- Made by: python -m console.commands.page > docs/commands.md -->

What the console adds to Python, at the prompt and in `ssh HOST 'STATEMENT'`. `help()` shows the
same for your role, and `name?` tells how a command is called.

- A command has a least role. Admins may call what operators may, and operators what viewers may; a
  call by a user of a lower role raises `NotPermitted`. What roles are: [roles.md](roles.md).
- A bare word needs no parentheses: `tasks` and Enter runs `tasks()`, and so do `ssh HOST tasks` and
  `%json tasks`. The word must be the whole statement. In a script on stdin and in a startup file it
  is only a name, as in Python. The name of any other command, alone, shows how it is used.
- A name of the service wins: where it has a `tasks` of its own, that is meant, bare or called.
- For a viewer each line is one of the commands of that role, as a word or as a call; nothing is
  evaluated. `stack IDENT` or `stack(IDENT)` names a thread by its number.
"""


def page(commands: CommandRegistry) -> str:
    """Return the text of docs/commands.md."""
    parts = [_INTRODUCTION]
    for section in Section:
        listed = [one for one in commands if one.section is section]
        lines = [f"## {section.value}", ""]
        if listed:
            lines += _table(("command", "role", "bare word", "what it does"), map(_cells, listed))
        rows = [(f"`{one.left}`", f"{one.text}.") for one in topics(section)]
        if rows:
            lines += [""] if listed else []
            lines += _table(("beside the commands", "what it does"), rows)
        if listed or rows:
            parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _cells(one: Command) -> tuple[str, ...]:
    return f"`{one.usage}`", one.role.value, "yes" if one.bare else "no", f"{one.help}."


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    cells = [heading, ("---",) * len(heading), *rows]
    return [f"| {' | '.join(row)} |" for row in cells]


if __name__ == "__main__":
    sys.stdout.write(page(discover()))
