"""The commands that leave the session: ``exit`` and ``quit``."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from console.commands.context import LookingContext
from console.evaluation.guarded_coroutine import GuardedCoroutine
from console.interfaces.commands import Section, command
from console.interfaces.credentials import Role


@command(usage="exit(status)", section=Section.SESSION, role=Role.VIEWER, bare=True)
def exit_(_context: LookingContext, status: object = None) -> NoReturn:
    """Leave, as Ctrl-D does; the service goes on.

    Args:
        status: The exit status of ``ssh host 'statement'``, as for ``sys.exit``.

    Raises:
        RuntimeError: In a task or callback of the service's loop. SystemExit there would go
            through the loop, and end the service.
    """
    _leave(status)


@command(usage="quit(status)", section=Section.SESSION, role=Role.VIEWER, bare=True)
def quit_(_context: LookingContext, status: object = None) -> NoReturn:
    """Leave, as exit does."""
    _leave(status)


def _leave(status: object) -> NoReturn:
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the cheap way to ask
        task = asyncio.current_task()
        if task is None or not isinstance(task.get_coro(), GuardedCoroutine):
            raise RuntimeError("exit() ends a session from one of its statements only")
    raise SystemExit(status)
