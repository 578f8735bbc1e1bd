"""What is to be run, and in what: the values that a statement's execution begins with."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.config.settings import EvaluationSettings
from console.evaluation.compiler import SourceCache
from console.evaluation.host_loop import HostLoop
from console.results.results import Results


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every statement of a session runs in.

    Attributes:
        bare_words: Commands that run where one of them is all of a statement.
    """

    namespace: dict[str, Any]
    names: MutableMapping[str, Any]
    host: HostLoop
    sources: SourceCache
    settings: EvaluationSettings
    results: Results
    bare_words: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRequest:
    """A statement to run, and how.

    Attributes:
        name: Names the statement to users, in lists and in the log: ``SESSION.COUNT``.
        source: The cell, as `normalise` leaves it.
        mode: Where to run it unless it needs the loop: ``thread`` or ``loop``.
        as_json: What comes of it is written as JSON.
        lines_above: Lines of a script that stand before the cell, for the numbers in tracebacks.
        secret: Its source is shown neither in the log nor to other users.
        file: The file that holds it; empty if it was typed.
        private: Whether the names that it binds are the session's own.
        future_flags: ``from __future__`` features of earlier statements.
    """

    name: str
    source: str
    mode: str
    as_json: bool = False
    lines_above: int = 0
    secret: bool = False
    file: str = ""
    private: bool = False
    future_flags: int = 0

    @property
    def filename(self) -> str:
        """What tracebacks call it."""
        return self.file or f"<console-{self.name}>"

    @property
    def shown_source(self) -> str:
        """The statement as other users may see it, and the log."""
        if self.file:
            return f"startup file {Path(self.file).name}"
        return "(not shown, as it is a secret)" if self.secret else self.source
