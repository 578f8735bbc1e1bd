"""The connections that have logged in: listed and ended where they are without a session."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

from console.interfaces.credentials import Access, Principal
from console.interfaces.transports import LoggedInConnection
from console.introspect.sessions import SessionFacts
from console.sessions.access import AccessWatch

WITHOUT_SESSION = "no session"
"""What stands for the frontend of a connection without a session."""


class OpenConnections:
    """Follows `LoggedInConnections`. Lives on the console's loop, but for what says otherwise.

    Args:
        numbers: The numbers of sessions. A connection gets one when it is listed first.
        access: Ends the connections of users whose access has ended.
    """

    def __init__(self, numbers: Iterator[int], access: AccessWatch) -> None:
        self._numbers = numbers
        self._access = access
        self._opened: dict[LoggedInConnection, float] = {}
        self._known: dict[int, LoggedInConnection] = {}
        self._lock = threading.Lock()

    def add(self, connection: LoggedInConnection) -> None:
        """List a connection that has logged in."""
        self._opened[connection] = time.time()
        self._access.add(connection, _ending(connection))

    def remove(self, connection: LoggedInConnection) -> None:
        """List it no more. Can be called twice."""
        self._access.remove(connection)
        with self._lock:
            self._opened.pop(connection, None)
            self._known = {n: one for n, one in self._known.items() if one is not connection}

    async def look_up(self, principal: Principal) -> Access:
        """Look up whether a login would still succeed."""
        return await self._access.look_up(principal)

    def find(self, number: int) -> LoggedInConnection | None:
        """Return the connection without a session of this number. Safe to call from any thread."""
        found = self._known.get(number)
        return None if found is None or found.has_session else found

    def facts(self) -> Iterator[SessionFacts]:
        """Tell of the connections without a session. Safe to call from any thread."""
        with self._lock:
            numbers = {one: number for number, one in self._known.items()}
            for connection, opened_at in tuple(self._opened.items()):
                principal = connection.principal
                if principal is None or connection.has_session:
                    continue
                if connection not in numbers:
                    numbers[connection] = next(self._numbers)
                    self._known[numbers[connection]] = connection
                yield SessionFacts(
                    number=numbers[connection],
                    user=principal.user,
                    role=principal.role.value,
                    transport=principal.transport,
                    peer=principal.peer,
                    method=principal.method,
                    frontend=WITHOUT_SESSION,
                    opened_at=opened_at,
                    idle_seconds=time.time() - opened_at,
                )


def _ending(connection: LoggedInConnection) -> Callable[[str], None]:
    def end(reason: str) -> None:
        if not connection.has_session:  # else its sessions end, each with its reason, and then it
            connection.end_access(f"your access has ended: {reason}")

    return end
