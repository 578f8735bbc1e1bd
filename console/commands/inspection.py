"""The queries of the inspecting commands about a live service, for viewers and operators.

Nothing here runs code of a statement, waits for the service's loop or takes a lock that a statement
may hold, so a query is answered even if the service is blocked. It may be called from any thread,
but is not called on the console's own, since listing ten thousand tasks takes long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from console.evaluation.guarded_coroutine import GuardedCoroutine
from console.evaluation.host_loop import HostLoop
from console.evaluation.statements import Statements
from console.introspect.listing import Listing, moment
from console.introspect.process import ProcessFacts, process_facts
from console.introspect.sessions import SessionFacts, list_sessions
from console.introspect.stacks import describe_thread
from console.introspect.tasks import TaskFacts, list_tasks
from console.introspect.threads import ThreadFacts, describe_thread_places, list_threads
from console.patches.journal import Patch, PatchJournal

NO_LOOP = "the service has no loop that has run yet"


class Inspection:
    """What one session may see of the service and of other sessions.

    Args:
        session: Its number.
        sessions: Tells of all open sessions; called from any thread.
        started_at: When the console began to listen (time.time).
        sources: Whether to show what others have typed, lines of source code (for which files are
            read) and patched values. Not for viewers: any of it may hold a password.
    """

    def __init__(
        self,
        *,
        session: int,
        sessions: Callable[[], Sequence[SessionFacts]],
        host: HostLoop,
        statements: Statements,
        journal: PatchJournal,
        started_at: float,
        sources: bool,
    ) -> None:
        self._session = session
        self._sessions = sessions
        self._host = host
        self._statements = statements
        self._journal = journal
        self._started_at = started_at
        self._sources = sources

    def tasks(self) -> Listing[TaskFacts]:
        """List the tasks of the service's loop: name, state, where each is suspended."""
        return list_tasks(self._host.known_loop, (GuardedCoroutine,))

    def threads(self) -> Listing[ThreadFacts]:
        """List the threads of the process: name, ident, daemon, where each is now."""
        return list_threads()

    def stack(self, ident: int | None = None) -> str:
        """Tell where a thread is: that of the service's loop if none is named."""
        if ident is None:
            ident = self._host.ident
            if not ident:
                return NO_LOOP
        return describe_thread(ident) if self._sources else describe_thread_places(ident)

    def who(self) -> Listing[SessionFacts]:
        """List the open sessions: user, role, address, since when, what runs."""
        return list_sessions(self._sessions(), sources=self._sources)

    def whoami(self) -> SessionFacts | None:
        """Tell of this session; None if it has ended."""
        return next((one for one in self._sessions() if one.number == self._session), None)

    def uptime(self) -> ProcessFacts:
        """Tell of the process: since when, memory, descriptors, versions."""
        return process_facts(self._started_at)

    def statements(self) -> str:
        """List the statements that run, and those that were left behind."""
        return self._statements.describe(sources=self._sources)

    def patches(self) -> Sequence[Patch]:
        """List the patches that are applied: with ``sources`` themselves, else without a value."""
        if self._sources:
            return list(self._journal.glance())
        return Listing(
            self._journal.glance(),
            {
                "PATCH": lambda row: row.number,
                "TARGET": lambda row: row.target.label(keys=False),
                "BY": lambda row: row.who,
                "MADE": lambda row: moment(row.made_at),
                "UNDONE": lambda row: "-" if row.ends_at is None else moment(row.ends_at),
            },
            "no patches",
        )
