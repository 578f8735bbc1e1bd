"""pdb on a session's terminal.

Only the thread that runs the statement is traced, so that other sessions and the host go on. The
host's SIGINT handler, ``~/.pdbrc`` of the server's user and ``sys.last_*`` are left alone.
"""

from __future__ import annotations

import asyncio
import io
import sys
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any

from console.context.own_code import is_own

if TYPE_CHECKING:
    import pdb  # noqa: T100 - offering a debugger is what this module does

_REFUSAL = (
    "a debugger cannot wait for you on a thread that runs an event loop, which would stop the"
    " service; call it from a statement without await, in mode 'thread'"
)


def set_trace(frame: FrameType) -> None:
    """Stop in a frame of the running statement.

    Raises:
        io.UnsupportedOperation: On a thread that runs an event loop.
    """
    _make().set_trace(frame)


def post_mortem(traceback: TracebackType | None) -> None:
    """Start the debugger in the frame where an exception was raised.

    Raises:
        io.UnsupportedOperation: On a thread that runs an event loop.
    """
    debugger = _make()
    debugger.reset()
    debugger.interaction(None, traceback)


def is_quit(error: BaseException) -> bool:
    """Whether a statement ended because the user quit its debugger."""
    bdb = sys.modules.get("bdb")  # not imported: no debugger has run
    return bdb is not None and issubclass(type(error), bdb.BdbQuit)


def _forget(frame: FrameType, name: str) -> None:
    # The dict of a module, which a statement's frame has. That of a function is a copy, or from
    # Python 3.13 on a view that takes nothing away.
    if isinstance(frame.f_locals, dict):
        frame.f_locals.pop(name, None)


def _make() -> pdb.Pdb:
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - get_running_loop() without a raise
        raise io.UnsupportedOperation(_REFUSAL)
    import pdb  # noqa: PLC0415, T100 - 20 ms that few sessions need

    class SessionPdb(pdb.Pdb):
        """pdb that Ctrl-C leaves: the statement ends and the session's prompt comes back."""

        def _cmdloop(self) -> None:
            self.cmdloop()

        # pdb keeps what it shows as --Return-- and --Exception-- in the frame's locals. Those of
        # a statement are the host's namespace.

        def user_return(self, frame: FrameType, return_value: Any) -> None:
            try:
                super().user_return(frame, return_value)
            finally:
                _forget(frame, "__return__")
                # Stepping off the end of a statement must not step into us.
                if frame.f_back is None or is_own(frame.f_back.f_code.co_filename):
                    self.set_continue()

        def user_exception(self, frame: FrameType, exc_info: Any) -> None:
            try:
                super().user_exception(frame, exc_info)
            finally:
                _forget(frame, "__exception__")

    streams: Any = {"stdin": sys.stdin, "stdout": sys.stdout}
    return SessionPdb(nosigint=True, readrc=False, skip=["console.*"], **streams)
