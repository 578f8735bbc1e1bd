"""Frontends, which read statements and show outcomes, and the interfaces that they may use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from console.interfaces.statements import Outcome
from console.interfaces.terminals import Terminal

EDITING = ("emacs", "vi")
"""The editor's key bindings."""

THEMES = ("terminal", "dark", "light", "plain")
"""Colours of the editor: the terminal's own sixteen, for a dark or light background, or none."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """A user's preferences for sessions. An empty ``mode`` means the console's setting."""

    editing: str = "emacs"
    theme: str = "terminal"
    mode: str = ""


class SessionChoices(Protocol):
    """The preferences in force in one session. Safe to use from any thread."""

    now: Preferences

    def choose(self, name: str, value: str, *, keep: bool = True) -> str:
        """Change a preference for this session and, with ``keep``, for the user's later sessions.

        Returns:
            The reason why the change could not be kept; empty if there is none.

        Raises:
            ValueError: If the preference has no such value.
        """


class HistoryLog(Protocol):
    """The statements that one user has typed, over all sessions and transports."""

    def entries(self) -> Sequence[str]:
        """Return the entries, oldest first."""

    def append(self, entry: str) -> None:
        """Keep an entry, in memory and on disk. A write error is logged once, never raised."""

    def is_secret(self, entry: str) -> bool:
        """Whether an entry may hold a secret: not kept, not logged, not shown to other users."""


class FrontendHost(Protocol):
    """The part of a session that its frontend may use."""

    @property
    def terminal(self) -> Terminal:
        """The terminal that the frontend writes to."""

    @property
    def history(self) -> HistoryLog:
        """The user's history."""

    @property
    def namespace(self) -> dict[str, Any]:
        """The namespace of the statements, for completion. A frontend does not change it."""

    @property
    def preferences(self) -> Preferences:
        """The user's present preferences. A frontend reads them before each prompt."""

    def names(self) -> Mapping[str, Any]:
        """Return the names that the session adds to the builtins, with values; for completion."""

    @property
    def commands(self) -> Sequence[str]:
        """The commands of a viewer's session, in which each line is one of them.

        Empty in a session whose statements are Python. If it is not empty, the frontend too must
        neither compile nor evaluate its input, and completes only these words.
        """


class Frontend(Protocol):
    """Reads statements from a terminal and shows their outcomes.

    The session calls `read` and then, with the outcome of the statement that it returned,
    `render`. The session keeps text that arrives in between, and feeds it when the next `read`
    begins.
    """

    name: str

    async def read(self) -> str | Outcome | None:
        """Return the next statement, never a blank one; None when the input has ended.

        It returns an `Outcome` for a statement that it refuses to have run. The outcome is shown,
        and the session ends with its status.
        """

    def feed(self, text: str) -> None:
        """Take typed text. Called while `read` waits, and just before it does."""

    def feed_eof(self) -> None:
        """Note the end of input: `read` returns the statements that it still has, then None."""

    def interrupt(self) -> None:
        """Handle Ctrl-C at the prompt: discard the line or statement that is being typed."""

    def take_typeahead(self) -> str:
        """Return and forget the text that was fed after the end of the statement just read."""

    def render(self, outcome: Outcome) -> Iterable[tuple[bool, str]]:
        """Return (is error, text) pairs that show an outcome, in order."""

    def write(self, text: str, *, error: bool = False) -> None:
        """Write output of the session's code; above the prompt, if one is shown."""

    def resized(self) -> None:
        """Handle a change of the terminal's size."""

    def close(self) -> None:
        """End a pending `read` with None and release everything. Can be called twice."""
