"""The names that each session has for itself: ``exit``, ``quit``, ``help``."""

from __future__ import annotations

import pydoc
from typing import Any, NoReturn

# Not in typeshed, though documented by name in pydoc's own source.
_PLAIN_TEXT = pydoc.plaintext  # type: ignore[attr-defined]

_HELP = """\
This is a Python prompt in the running process. What you change here changes the service.

  statement         runs in a thread of your session: time.sleep(9) stops nobody else
  await something   runs the whole cell on the service's event loop
  _                 the last value, your own
  Tab               completes, without running any code of the service
  Ctrl-C            drops the line, or asks a running await to stop
  help(object)      what Python knows about an object
  exit(), Ctrl-D    leave; the service goes on
"""


class Exit:
    """Leaves the session when it is called; says so when it is only looked at."""

    def __repr__(self) -> str:
        return "Use exit() or Ctrl-D (end of input) to leave; the service goes on"

    def __call__(self, status: object = None) -> NoReturn:
        """End the session. With ``ssh host 'statement'``, the status is the command's."""
        raise SystemExit(status)


class Help:
    """Explains the console, or an object as Python's own ``help`` does, without a pager.

    pydoc's pager would use the server's terminal, and keep that choice for the whole process.
    """

    def __repr__(self) -> str:
        return "Type help() for help on this console, or help(object) for help on an object"

    def __call__(self, *objects: Any) -> None:
        """Print the help text, or the documentation of each object."""
        if not objects:
            print(_HELP, end="")  # noqa: T201 - the session's stdout
        for thing in objects:
            print(pydoc.render_doc(thing, renderer=_PLAIN_TEXT))  # noqa: T201 - as above


def private_names() -> dict[str, Any]:
    """Make a session's own names."""
    leave = Exit()
    return {"exit": leave, "quit": leave, "help": Help()}
