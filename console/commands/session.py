"""The names that each session has for itself: ``exit``, ``help``, ``mode`` and their like."""

from __future__ import annotations

import asyncio
import builtins
import threading
from collections.abc import Callable
from typing import Any, Final, NoReturn

from console.commands.help import Help
from console.commands.preferences import choice_commands
from console.context.scope import current_scope
from console.evaluation import debugger
from console.evaluation.evaluator import SessionEvaluator
from console.evaluation.host_loop import HostLoop
from console.evaluation.interrupts import GuardedCoroutine
from console.evaluation.statements import Statements
from console.interfaces.credentials import Role
from console.interfaces.frontends import SessionChoices
from console.interfaces.statements import InputSource
from console.introspect.describe import describe, find
from console.introspect.stacks import describe_thread
from console.patches.journal import Patch, PatchJournal
from console.results.pager import page_text
from console.results.results import Results
from console.syntax.cells import QUESTION_NAME
from console.text import escape_controls

_LAST: Final = object()


class Exit:
    """Leaves the session when it is called; says so when it is only looked at."""

    def __repr__(self) -> str:
        return "Use exit() or Ctrl-D (end of input) to leave; the service goes on"

    def __call__(self, status: object = None) -> NoReturn:
        """End the session. With ``ssh host 'statement'``, the status is the command's.

        Raises:
            RuntimeError: In a task or callback of the service's loop. SystemExit there would go
                through the loop, and end the service.
        """
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the cheap way to ask
            task = asyncio.current_task()
            if task is None or not isinstance(task.get_coro(), GuardedCoroutine):
                message = "exit() ends a session from one of its statements only"
                raise RuntimeError(message)
        raise SystemExit(status)


class Command:
    """A function of the console whose repr says how to use it."""

    def __init__(self, function: Callable[..., Any], usage: str) -> None:
        self._function = self.__wrapped__ = function  # by which a question finds it
        self._usage = usage
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return self._usage

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._function(*arguments, **keywords)


class _Look:
    """Tells what is known of an object: what ``name?`` and ``name??`` call."""

    def __init__(self, evaluator: SessionEvaluator, help_: Help) -> None:
        self._evaluator = evaluator
        self._help = help_

    def __call__(self, path: str, source: bool) -> None:
        if not path:
            self._help()
            return
        scopes = (self._evaluator.namespace, self._evaluator.names, vars(builtins))
        page_text(escape_controls(describe(find(path, scopes), source=source)))


def _result_names(results: Results) -> dict[str, Any]:
    """Make the names that show values, or choose how they are shown."""

    def page(value: object = _LAST) -> None:
        """Show a value or a text, the last value without one, screen by screen."""
        results.page(_last() if value is _LAST else value, _source())

    def hexdump(value: object = _LAST, start: int = 0) -> None:
        """Show bytes, or what has a buffer, in hexadecimal digits, from a byte on."""
        results.page_bytes(_last() if value is _LAST else value, _source(), start)

    def pretty(
        on: bool | None = None, *, tables: bool | None = None, rich: bool | None = None
    ) -> str | None:
        """Choose how values are shown in this session; without arguments, tell it."""
        chosen = {"pretty": on, "tables": tables, "rich": rich}
        for name, choice in chosen.items():
            if choice is not None:
                setattr(results, name, bool(choice))
        if any(choice is not None for choice in chosen.values()):
            return None
        return ", ".join(f"{name} {'on' if getattr(results, name) else 'off'}" for name in chosen)

    return {
        "hexdump": Command(hexdump, "hexdump(data, start=0) shows bytes screen by screen"),
        "page": Command(page, "page(value) shows a long value screen by screen"),
        "pretty": Command(
            pretty, "pretty(False) shows plain reprs, pretty() tells what is on; tables=, rich="
        ),
    }


def _last() -> object:
    scope = current_scope.get()
    return None if scope is None else scope.names.get("_")


def _source() -> InputSource | None:
    scope = current_scope.get()
    return None if scope is None else scope.source


def private_names(
    evaluator: SessionEvaluator,
    host: HostLoop,
    statements: Statements,
    journal: PatchJournal,
    *,
    choices: SessionChoices,
    who: str,
    role: Role = Role.OPERATOR,
) -> dict[str, Any]:
    """Make a session's own names; ``who`` stands in the journal of patches."""

    def patch(owner: Any, name: Any, new: Any, *, minutes: float | None = None) -> Patch:
        """Set an attribute, or an item of a dict or list, so that it can be undone."""
        return journal.patch(owner, name, new, minutes=minutes, who=who)

    def pm() -> None:
        """Open a debugger where the session's last exception was raised."""
        if evaluator.last_error is None:
            print("no statement of this session has raised yet")  # noqa: T201 - the session's
        else:
            debugger.post_mortem(evaluator.last_error.__traceback__)

    def stack(thread: int | threading.Thread | None = None) -> None:
        """Print where a thread is now: the one of the service's loop, or one that you name."""
        ident = thread.ident if isinstance(thread, threading.Thread) else thread
        if ident is None:
            ident = host.ident
        print(describe_thread(ident) if ident else "the service has no loop that has run yet")  # noqa: T201

    def list_statements() -> None:
        """Print the statements that run, and those that were left behind."""
        print(statements.describe())  # noqa: T201 - the session's stdout

    leave, help_ = Exit(), Help(role)
    return {
        **_result_names(evaluator.results),
        QUESTION_NAME: _Look(evaluator, help_),
        "exit": leave,
        "help": help_,
        "keep": Command(journal.keep, "keep(n) lets a patch with a time limit stay"),
        "patch": Command(
            patch, "patch(obj, 'name', value, minutes=None) changes what can be undone"
        ),
        "patches": Command(journal.patches, "patches() lists the patches that are applied"),
        "pm": Command(pm, "pm() opens a debugger where your last exception was raised"),
        "quit": leave,
        "revert": Command(journal.revert, "revert(n) undoes a patch, revert() all, newest first"),
        "stack": Command(stack, "stack() shows where the thread of the service's loop is now"),
        "statements": Command(list_statements, "statements() lists what runs for all sessions"),
        **{
            name: Command(function, usage)
            for name, (function, usage) in choice_commands(evaluator, choices).items()
        },
    }
