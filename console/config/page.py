"""The reference page of the configuration file, generated from the declarations.

``python -m console.config.page > docs/configuration.md`` updates the page.
"""

from __future__ import annotations

import sys
from pathlib import Path

from console.config.declaration import Declaration, as_toml, declarations, variable
from console.config.settings import tables

_INTRODUCTION = """\
# Configuration

<!-- Made by: python -m console.config.page > docs/configuration.md -->

`console run NAME.toml` reads one TOML file; `console init` writes one, and `console check` says
what is wrong with it. A service that makes its own `Console` or `Application` gives the same
settings in code: `TelnetSettings`, `SshSettings`, `EvaluationSettings` and `SessionSettings` have
these names.

```toml
name = "demo"
keys = "keys"

[telnet]
port = 4040

[ssh]
port = 8022
```

- A transport listens when it has a port. At least one is needed.
- An environment variable that is set and not empty wins over the file.
- Paths in the file are taken from the file's directory, those in variables from the current one.
- A key that does not exist and a value out of its range are errors.
"""


def page() -> str:
    """Return the text of docs/configuration.md."""
    parts = [_INTRODUCTION]
    for table, kind in tables().items():
        about = (kind.__doc__ or "").split("\n", maxsplit=1)[0]
        heading = f"`[{table}]`" if table else "Top of the file"
        rows = [
            f"| {' | '.join(cells)} |"
            for cells in (
                ("key", "type", "unit", "default", "environment variable", "meaning"),
                ("---",) * 6,
                *(cells_of(table, one) for one in declarations(kind)),
            )
        ]
        parts.append(f"## {heading}\n\n{about}\n\n" + "\n".join(rows) + "\n")
    return "\n".join(parts)


def cells_of(table: str, one: Declaration) -> tuple[str, ...]:
    """Return the cells of a setting's row: key, type, unit, default, variable, meaning."""
    facts = one.facts
    kind = {bool: "true, false", int: "whole number", float: "number", str: "text", Path: "path"}
    words = kind[one.kind]
    if facts.choices:
        words = ", ".join(f'`"{choice}"`' for choice in facts.choices)
    if facts.positive:
        words += " over 0"
    if facts.least is not None:
        words += f", {facts.least} to {facts.most}" if facts.most else f", at least {facts.least}"
    if facts.none_word:
        words += f', or `"{facts.none_word}"`'
    if one.required:
        default = "none, it must be given"
    elif facts.default_words:
        default = facts.default_words
    elif one.default is None and facts.none_word:
        default = f"`{as_toml(facts.none_word)}`"
    else:
        default = f"`{as_toml(one.default)}`"
    return (
        f"`{one.name}`",
        words,
        facts.unit,
        default,
        f"`{variable(table, one.name)}`",
        facts.meaning,
    )


if __name__ == "__main__":
    sys.stdout.write(page())
