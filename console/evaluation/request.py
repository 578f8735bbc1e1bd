"""The inputs of a statement's execution: the request itself, and its session's environment."""

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
    """The environment that all statements of a session share.

    Attributes:
        bare_words: The commands that a statement runs by consisting of the name alone.
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
    """A statement to run, with its options.

    Attributes:
        name: Names the statement to users, in lists and in the log: ``SESSION.COUNT``.
        source: The cell, as `normalise` returns it.
        mode: Where to run it unless it needs the loop: ``thread`` or ``loop``.
        as_json: Whether the outcome is written as JSON.
        lines_above: The number of blank lines before the cell, for line numbers in tracebacks.
        secret: Its source is shown neither in the log nor to other users.
        file: The file that holds it; empty if it was typed.
        private: Whether the names that it binds are visible in this session only.
        future_flags: The ``from __future__`` features of earlier statements.
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
        """The file name of its code, as tracebacks show it."""
        return self.file or f"<console-{self.name}>"

    @property
    def shown_source(self) -> str:
        """The statement as shown to other users and in the log: redacted if it is secret."""
        if self.file:
            return f"startup file {Path(self.file).name}"
        return "(not shown, as it is a secret)" if self.secret else self.source
