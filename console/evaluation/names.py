"""The names that each session has for itself: ``exit``, ``help``, ``mode`` and their like."""

from __future__ import annotations

import asyncio
import pydoc
import threading
from collections.abc import Callable
from typing import Any, NoReturn

from console.evaluation import debugger
from console.evaluation.evaluator import SessionEvaluator
from console.evaluation.host import HostLoop
from console.evaluation.interrupts import GuardedCoroutine
from console.evaluation.leftover import Statements
from console.interfaces import Role
from console.introspect.stacks import describe_thread
from console.patches import Patch, PatchJournal
from console.scope import current_scope

# Not in typeshed, though documented by name in pydoc's own source.
_PLAIN_TEXT = pydoc.plaintext  # type: ignore[attr-defined]

_HELP = """\
This is a Python prompt in the running process. help(object) is Python's own help.
What you change here changes the service.

  statement         runs in a thread of your session: time.sleep(9) stops nobody else
  await something   runs the whole cell on the service's event loop; so does one that itself
                    calls asyncio.create_task, all_tasks, get_running_loop and their like
  %loop statement   runs on the service's loop between two callbacks: atomic for it, but it waits;
                    what holds it too long is reported, and then interrupted
  %timeout 5 stmt   gives the statement up after 5 seconds; %json stmt answers with JSON
  %loop, %thread    where your statements run from now on; mode() tells
  Ctrl-C            drops the line, or stops the statement and gives the prompt back
  Tab               completes, without running any code of the service
  _                 the last value, your own
  patch(o, 'a', v)  sets o.a (or o[a] of a dict) and remembers what was there; minutes=5 undoes
                    it by itself unless you keep(n); patches() lists, revert(n) or revert() undo
  pm()              a debugger where your last exception was raised; breakpoint() works as well
  page(value)       a long value or text, screen by screen
  stack()           where the thread of the service's loop is now, even if it is stuck
  tasks()           the tasks of the service's loop, and where each is suspended; threads()
  statements()      what runs for all sessions, and what was left behind
  who(), whoami()   the open sessions; yours; uptime() tells of the process
  help(object)      what Python knows about an object
  exit(), Ctrl-D    leave; the service goes on
"""

_ADMIN_HELP = """\
  kick(n, reason)   ends session n in order: its user is told who did it, and why
  reload()          reads host keys and the like anew
"""

_MORE = "--more-- (Enter goes on, q ends) "


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


class Help:
    """Explains the console, or an object as Python's own ``help`` does, without a pager.

    pydoc's pager would use the server's terminal, and keep that choice for the whole process.
    """

    def __init__(self, role: Role = Role.OPERATOR) -> None:
        self._text = _HELP + (_ADMIN_HELP if role is Role.ADMIN else "")

    def __repr__(self) -> str:
        return "Type help() for help on this console, or help(object) for help on an object"

    def __call__(self, *objects: Any) -> None:
        """Print the help text, or the documentation of each object."""
        if not objects:
            print(self._text, end="")  # noqa: T201 - the session's stdout
        for thing in objects:
            page_text(pydoc.render_doc(thing, renderer=_PLAIN_TEXT))


def page_text(text: str) -> None:
    """Print text screen by screen, where there is a screen and a thread that may wait for it."""
    scope = current_scope.get()
    source = None if scope is None else scope.source
    rows = 0 if source is None or asyncio._get_running_loop() is not None else source.page_rows  # noqa: SLF001
    lines = text.split("\n")
    size = max(rows - 1, 1) if rows else len(lines)
    for start in range(0, len(lines), size):
        print("\n".join(lines[start : start + size]))  # noqa: T201 - the session's stdout
        if source is not None and start + size < len(lines):
            print(_MORE, end="")  # noqa: T201 - as above
            answer = source.read_line()
            if not answer or answer.strip().lower().startswith("q"):
                return


class Command:
    """A function of the console whose repr says how to use it."""

    def __init__(self, function: Callable[..., Any], usage: str) -> None:
        self._function = function
        self._usage = usage
        self.__doc__ = function.__doc__

    def __repr__(self) -> str:
        return self._usage

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._function(*arguments, **keywords)


def private_names(
    evaluator: SessionEvaluator,
    host: HostLoop,
    statements: Statements,
    journal: PatchJournal,
    who: str,
    *,
    role: Role = Role.OPERATOR,
) -> dict[str, Any]:
    """Make a session's own names; ``who`` stands in the journal of patches."""

    def patch(owner: Any, name: Any, new: Any, *, minutes: float | None = None) -> Patch:
        """Set an attribute, or an item of a dict or list, so that it can be undone."""
        return journal.patch(owner, name, new, minutes=minutes, who=who)

    def mode(name: str | None = None) -> str:
        """Tell where statements run, ``thread`` or ``loop``; or choose it."""
        if name is not None:
            evaluator.set_mode(name)
        return evaluator.mode

    def pm() -> None:
        """Open a debugger where the session's last exception was raised."""
        if evaluator.last_error is None:
            print("no statement of this session has raised yet")  # noqa: T201 - the session's
        else:
            debugger.post_mortem(evaluator.last_error.__traceback__)

    def page(value: object) -> None:
        """Show a long value or text, screen by screen."""
        page_text(value if isinstance(value, str) else repr(value))

    def stack(thread: int | threading.Thread | None = None) -> None:
        """Print where a thread is now: the one of the service's loop, or one that you name."""
        ident = thread.ident if isinstance(thread, threading.Thread) else thread
        if ident is None:
            ident = host.ident
        print(describe_thread(ident) if ident else "the service has no loop that has run yet")  # noqa: T201

    def list_statements() -> None:
        """Print the statements that run, and those that were left behind."""
        print(statements.describe())  # noqa: T201 - the session's stdout

    leave = Exit()
    return {
        "exit": leave,
        "help": Help(role),
        "mode": Command(mode, "mode() tells where statements run, mode('loop') chooses"),
        "keep": Command(journal.keep, "keep(n) lets a patch with a time limit stay"),
        "page": Command(page, "page(value) shows a long value screen by screen"),
        "patch": Command(
            patch, "patch(obj, 'name', value, minutes=None) changes what can be undone"
        ),
        "patches": Command(journal.patches, "patches() lists the patches that are applied"),
        "pm": Command(pm, "pm() opens a debugger where your last exception was raised"),
        "quit": leave,
        "revert": Command(journal.revert, "revert(n) undoes a patch, revert() all, newest first"),
        "stack": Command(stack, "stack() shows where the thread of the service's loop is now"),
        "statements": Command(list_statements, "statements() lists what runs for all sessions"),
    }
