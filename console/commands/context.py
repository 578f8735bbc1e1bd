"""The context of a command, its first argument: access to its session and to the console."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from console.commands.inspection import Inspection
from console.evaluation.evaluator import SessionEvaluator
from console.evaluation.host_loop import HostLoop
from console.interfaces.commands import CommandRegistry
from console.interfaces.credentials import Principal
from console.interfaces.frontends import SessionChoices
from console.patches.journal import PatchJournal

Kick = Callable[[int, str, Principal, int], str]
"""Ends a session: its number, a reason, the principal that asks and the number of its session.
Returns what it did, in words."""


@dataclass(frozen=True, kw_only=True)
class LookingContext:
    """The context of a viewer's commands: nothing in it evaluates or changes anything.

    Attributes:
        principal: The session's user.
        session: The session's number.
        commands: All commands.
        inspection: Answers about the service.
        show: Shows a text to the session's user. Ends with a newline of its own.
        page: The same, screen by screen where the terminal has a screen.
    """

    principal: Principal
    session: int
    commands: CommandRegistry
    inspection: Inspection
    show: Callable[[str], None]
    page: Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class CommandContext(LookingContext):
    """The context of a command in a session of an operator or admin.

    A command runs where its statement runs: on the session's worker thread or on the host's loop.

    Attributes:
        evaluator: The session's.
        host: The service's loop.
        journal: The patches of all sessions.
        choices: What the user has chosen for the session, and for later ones.
        who: The user as the journal of patches names them.
        kick: Ends another session. Safe to call from any thread.
        reload: Reads host keys and certificates anew and says what was read. It blocks; safe to
            call from any thread.
    """

    evaluator: SessionEvaluator
    host: HostLoop
    journal: PatchJournal
    choices: SessionChoices
    who: str
    kick: Kick
    reload: Callable[[], str]
