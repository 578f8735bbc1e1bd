"""``help``: what one can do here, and Python's own help."""

from __future__ import annotations

import pydoc
from typing import Any

from console.interfaces.credentials import Role
from console.results.pager import page_text

# Not in typeshed, though documented by name in pydoc's own source.
_PLAIN_TEXT = pydoc.plaintext  # type: ignore[attr-defined]


_HELP = """\
This is a Python prompt in the running process: what you change here changes
the service. help(object) is Python's own help.

Running
  statement         in a thread of your session: time.sleep(9) stops nobody else
  await something   on the service's event loop, the whole cell; also where it
                    itself calls asyncio.create_task, all_tasks and the like
  %loop statement   on the service's loop between two callbacks: atomic for it,
                    but it waits; what holds it too long is interrupted
  %timeout 5 stmt   gives it up after 5 seconds; %json stmt answers with JSON
  Ctrl-C            drops the line, or stops the statement
  pm()              debugs where your last exception was; breakpoint() works too
Looking
  Tab, F1           completes; shows signature and documentation
  name?, name??     tells of an object, or its source; like Tab runs none of its
                    code
  _                 your last value
  page(value)       all of a value or text, screen by screen, with search
  hexdump(data)     bytes in hexadecimal
  stack()           where the service's loop is now, even if it is stuck
  tasks()           its tasks, and where each is suspended; threads()
  statements()      what runs for all sessions, and what was left behind
  who(), whoami()   the open sessions; yours; uptime() tells of the process
Changing
  patch(o, 'a', v)  sets o.a (or o[a] of a dict) and remembers what was there;
                    minutes=5 undoes it by itself unless you keep(n)
  patches()         what is applied; revert(n) or revert() undoes
Your sessions
  editing('vi')     the editor's keys, or 'emacs'; kept for your next sessions
  theme('light')    its colours: 'terminal', 'dark', 'light', 'plain'; kept too
  mode('loop')      where statements run from now on; kept with keep=True
  pretty(False)     plain reprs; also pretty(tables=False), pretty(rich=False)
  a leading space   keeps a statement out of history and log, as a secret
  exit(), Ctrl-D    leave; the service goes on
"""


_ADMIN_HELP = """\
Administering
  kick(n, reason)   ends session n; its user is told who did it, and why
  reload()          reads host keys and the like anew
"""


class Help:
    """Explains the console, or an object as Python's own ``help`` does, without pydoc's pager.

    That would use the server's terminal, and keep that choice for the whole process.
    """

    def __init__(self, role: Role = Role.OPERATOR) -> None:
        self._text = _HELP + (_ADMIN_HELP if role is Role.ADMIN else "")

    def __repr__(self) -> str:
        return "Type help() for help on this console, or help(object) for help on an object"

    def __call__(self, *objects: Any) -> None:
        """Show the help text, or the documentation of each object."""
        if not objects:
            page_text(self._text.rstrip("\n"))
        for thing in objects:
            page_text(pydoc.render_doc(thing, renderer=_PLAIN_TEXT))
