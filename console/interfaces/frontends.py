"""Frontends: how statements are read and outcomes shown, and what a frontend may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from console.interfaces.statements import Outcome
from console.interfaces.terminals import Terminal

EDITING = ("emacs", "vi")
"""How the keys of the editor work."""

THEMES = ("terminal", "dark", "light", "plain")
"""Colours of the editor: the terminal's own sixteen, for a dark or a light ground, or none."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a user has chosen for their sessions; ``mode`` is empty if they leave it to us."""

    editing: str = "emacs"
    theme: str = "terminal"
    mode: str = ""


class SessionChoices(Protocol):
    """The preferences that hold in one session. Safe to use from any thread."""

    now: Preferences

    def choose(self, name: str, value: str, *, keep: bool = True) -> str:
        """Change one for this session, and for later ones of the user unless told not to.

        Returns:
            Why it holds for this session only; empty if nothing is wrong.

        Raises:
            ValueError: If there is no such choice.
        """


class HistoryLog(Protocol):
    """The statements that one user has typed, over all sessions and transports."""

    def entries(self) -> Sequence[str]:
        """Return the entries, oldest first."""

    def append(self, entry: str) -> None:
        """Keep an entry, in memory and on disk. A disk that fails is logged once, never raised."""

    def is_secret(self, entry: str) -> bool:
        """Whether an entry is not to be kept, or shown to other users, in a log for one."""


class FrontendHost(Protocol):
    """What a frontend may use of its session."""

    @property
    def terminal(self) -> Terminal:
        """Where the frontend draws."""

    @property
    def history(self) -> HistoryLog:
        """The user's history."""

    @property
    def namespace(self) -> dict[str, Any]:
        """The live names, for completion. Never written."""

    @property
    def preferences(self) -> Preferences:
        """What the user prefers, as it is now: looked at before each prompt."""

    def names(self) -> Mapping[str, Any]:
        """Return what the session adds to the builtins, by name; for completion."""

    @property
    def commands(self) -> Sequence[str]:
        """The words that are understood, where each line is one of them: a viewer's session.

        Empty where statements are Python. If not, nothing typed may be compiled or evaluated by
        the frontend either, and only these words are completed.
        """


class Frontend(Protocol):
    """Reads statements from a terminal and shows what came of them.

    The session calls `read` and then, for the statement it returned, `render`; text that arrives
    in between is kept by the session and fed when the next `read` begins.
    """

    name: str

    async def read(self) -> str | Outcome | None:
        """Return the next statement, never a blank one; None when the input has ended.

        An `Outcome` instead of a statement is of one that will not be run; it is shown, and its
        status ends the session.
        """

    def feed(self, text: str) -> None:
        """Take typed text. Called while `read` waits, and just before it does."""

    def feed_eof(self) -> None:
        """No more input comes: `read` returns None after what it still has."""

    def interrupt(self) -> None:
        """Ctrl-C at the prompt: drop what has been typed."""

    def take_typeahead(self) -> str:
        """Give back text that was fed but not used by the statement just read."""

    def render(self, outcome: Outcome) -> Iterable[tuple[bool, str]]:
        """Return (is error, text) pairs that show an outcome, in order."""

    def write(self, text: str, *, error: bool = False) -> None:
        """Write text of the session's code to the terminal; above an intact prompt if one is up."""

    def resized(self) -> None:
        """The terminal's size changed."""

    def close(self) -> None:
        """End a pending `read` with None and release everything. Can be called twice."""
