"""The evaluator of viewers' sessions, which runs a few commands and evaluates no Python.

A viewer's input is matched against the grammar below and looked up among the commands that the role
permits. It is never passed to ``compile``, ``eval``, ``exec``, ``getattr`` or an object of the
service. A viewer's session has no `SessionEvaluator` and an empty namespace, and a command gets a
`LookingContext` and at most one number.

::

    command = name [ "(" [ integer ] ")" | integer ]      blanks are free
    name    = letters a to z
    integer = up to 20 digits 0 to 9                      a thread's ident takes 64 bits
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from console.commands.context import LookingContext
from console.commands.inspection import Inspection
from console.evaluation.worker import StatementWorker
from console.interfaces.commands import Command, CommandRegistry
from console.interfaces.credentials import Principal, Role
from console.interfaces.statements import Outcome, OutcomeKind
from console.limits import RESULT_CHARACTERS
from console.results.printer import clip

logger = logging.getLogger("console.evaluation")

_COMMAND = re.compile(r"([a-z]{1,20})(?:[ \t]*\([ \t]*([0-9]{1,20})?[ \t]*\)|[ \t]+([0-9]{1,20}))?")

_LONGEST_CHARACTERS: Final = 80
"""No command is longer, so longer input is refused without matching it."""


@dataclass(frozen=True, slots=True)
class ViewerCommand:
    """A parsed command: its name, and its number if there was one."""

    name: str
    number: int | None = None


def parse(source: str) -> ViewerCommand | None:
    """Parse a command; None if the text is not one."""
    text = source.strip(" \t\r\n") if len(source) <= _LONGEST_CHARACTERS else ""
    match = _COMMAND.fullmatch(text)
    if match is None:
        return None
    number = match[2] or match[3]
    return ViewerCommand(match[1], None if number is None else int(number))


class ViewerEvaluator:
    """Runs a viewer's commands. Implements `console.interfaces.statements.Evaluator`.

    They run on a thread of the session, so that a long one does not delay other sessions.

    Args:
        principal: The session's user.
        session: The session's number.
        commands: All commands; those that the role of a viewer permits are understood.
        inspection: Answers about the service.
        result_characters: What is longer is cut.
    """

    def __init__(
        self,
        *,
        principal: Principal,
        session: int,
        commands: CommandRegistry,
        inspection: Inspection,
        result_characters: int = RESULT_CHARACTERS,
    ) -> None:
        self._principal = principal
        self._session = session
        self._commands = commands
        self._inspection = inspection
        self._limit = result_characters
        self._permitted = {one.name: one for one in commands.permitted(Role.VIEWER)}
        self._worker: StatementWorker | None = None
        self._pending: asyncio.Future[Outcome] | None = None

    @property
    def names(self) -> Mapping[str, Any]:
        """An empty mapping: a viewer's input is not looked up in it. See `Evaluator.names`."""
        return {}

    async def evaluate(self, source: str, *, secret: bool = False) -> Outcome:
        """Run a command; list the commands if it is not one. See `Evaluator.evaluate`."""
        typed = parse(source)
        command = None if typed is None else self._permitted.get(typed.name)
        if typed is None or command is None:
            return _refusal(f"you may type: {', '.join(self._permitted)}")
        if typed.number is not None and not command.number:
            return _refusal(f"{command.name} takes no number")
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Outcome] = loop.create_future()
        self._pending = answered

        def work() -> None:
            outcome = self._answer(command, typed.number)
            with contextlib.suppress(RuntimeError):  # the console has stopped meanwhile
                loop.call_soon_threadsafe(_settle, answered, outcome)

        if self._worker is None:
            self._worker = StatementWorker(f"console-session-{self._session}")
        self._worker.submit(work)
        return await answered

    async def run_file(
        self, source: str, file: str, *, private: bool, secret: bool = False
    ) -> Outcome:
        """Refuse it: a file holds Python. See `Evaluator.run_file`."""
        return _refusal(f"{file}: is not run for a viewer")

    def interrupt(self) -> bool:
        """Give up waiting for the answer. See `Evaluator.interrupt`."""
        if self._pending is None or self._pending.done():
            return False
        _settle(self._pending, Outcome(OutcomeKind.INTERRUPTED, "KeyboardInterrupt", status=130))
        self.close()  # its thread ends with the answer; the next one gets another
        return True

    def close(self) -> None:
        """Let the thread end. Can be called twice."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None

    def _answer(self, command: Command, number: int | None) -> Outcome:
        shown: list[str] = []
        context = LookingContext(
            principal=self._principal,
            session=self._session,
            commands=self._commands,
            inspection=self._inspection,
            show=shown.append,
            page=shown.append,
        )
        arguments = () if number is None else (number,)
        try:
            value = command.function(context, *arguments)
            if value is not None:
                shown.append(repr(value))
        except SystemExit:
            return Outcome(OutcomeKind.EXIT)
        except Exception:  # the edge "statement": a fault of ours must not end the session
            logger.exception("cannot answer %s", command.name)
            return _refusal(f"{command.name} failed; the service's log says why")
        return Outcome(OutcomeKind.VALUE, clip("\n".join(shown), self._limit))


def _refusal(text: str) -> Outcome:
    return Outcome(OutcomeKind.EXCEPTION, text, status=1)


def _settle(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():
        future.set_result(outcome)
