"""The commands by which a user chooses how sessions are: ``editing``, ``theme``, ``mode``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from console.evaluation.evaluator import SessionEvaluator
from console.interfaces.frontends import EDITING, THEMES, SessionChoices


def choice_commands(
    evaluator: SessionEvaluator, choices: SessionChoices
) -> dict[str, tuple[Callable[..., Any], str]]:
    """Return the commands by name, each with its usage."""

    def choose(name: str, value: str) -> None:
        problem = choices.choose(name, value)
        if problem:
            print(f"this holds for this session only: {problem}")  # noqa: T201 - the session's

    def editing(name: str | None = None) -> str:
        """Tell how the keys of the editor work, ``emacs`` or ``vi``; or choose it for good."""
        if name is not None:
            choose("editing", name)
        return choices.now.editing

    def theme(name: str | None = None) -> str:
        """Tell which colours the editor has; or choose them for good."""
        if name is not None:
            choose("theme", name)
        return choices.now.theme

    def mode(name: str | None = None, *, keep: bool = False) -> str:
        """Tell where statements run, ``thread`` or ``loop``; or choose it, for good if asked."""
        if name is not None:
            evaluator.set_mode(name)
            if keep:
                choose("mode", name)
        return evaluator.mode

    return {
        "editing": (editing, _usage("editing", EDITING)),
        "mode": (
            mode,
            "mode() tells where statements run, mode('loop') chooses; keep=True for good",
        ),
        "theme": (theme, _usage("theme", THEMES)),
    }


def _usage(name: str, choices: tuple[str, ...]) -> str:
    calls = ", ".join(f"{name}({choice!r})" for choice in choices)
    return f"{name}() tells what is chosen; {calls} choose it, for your next sessions too"
