"""The commands that look at the service, its process and its sessions, for every role.

They answer a viewer and an operator by the same code: what a viewer is not to see, the session's
`Inspection` leaves out.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

from console.commands.context import LookingContext
from console.interfaces.commands import Section, command
from console.interfaces.credentials import Role
from console.introspect.listing import Listing
from console.introspect.process import ProcessFacts
from console.introspect.sessions import SessionFacts
from console.introspect.tasks import TaskFacts
from console.introspect.threads import ThreadFacts
from console.patches.journal import Patch


@command(usage="tasks()", section=Section.LOOKING, role=Role.VIEWER, bare=True)
def tasks(context: LookingContext) -> Listing[TaskFacts]:
    """List the tasks of the service's loop, and where each waits."""
    return context.inspection.tasks()


@command(usage="threads()", section=Section.LOOKING, role=Role.VIEWER, bare=True)
def threads(context: LookingContext) -> Listing[ThreadFacts]:
    """List the threads of the process, and where each is now."""
    return context.inspection.threads()


@command(
    usage="stack(thread)", section=Section.LOOKING, role=Role.VIEWER, bare=True, number="IDENT"
)
def stack(context: LookingContext, thread: int | threading.Thread | None = None) -> None:
    """Show where the service's loop is, stuck or not, or a thread.

    Args:
        context: The session.
        thread: Another thread, or its identifier.
    """
    ident = thread.ident if isinstance(thread, threading.Thread) else thread
    context.show(context.inspection.stack(ident))


@command(usage="statements()", section=Section.LOOKING, role=Role.VIEWER, bare=True)
def statements(context: LookingContext) -> None:
    """Show what runs for all sessions, and what was left behind."""
    context.show(context.inspection.statements() or "no statements")


@command(usage="who()", section=Section.LOOKING, role=Role.VIEWER, bare=True)
def who(context: LookingContext) -> Listing[SessionFacts]:
    """List the open sessions: user, address, what runs."""
    return context.inspection.who()


@command(usage="whoami()", section=Section.LOOKING, role=Role.VIEWER, bare=True)
def whoami(context: LookingContext) -> SessionFacts | None:
    """Tell of your own session."""
    return context.inspection.whoami()


@command(usage="uptime()", section=Section.LOOKING, role=Role.VIEWER, bare=True)
def uptime(context: LookingContext) -> ProcessFacts:
    """Tell of the process: since when, memory, versions."""
    return context.inspection.uptime()


@command(usage="patches()", section=Section.CHANGING, role=Role.VIEWER, bare=True)
def patches(context: LookingContext) -> Sequence[Patch]:
    """List the patches that are applied."""
    return context.inspection.patches()
