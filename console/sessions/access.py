"""Ends what is open when the user's access ends: removed, lowered, revoked, another password.

Now and then each user with something open is looked up again, on the authenticator's thread, one
after the other. A session is ended when two look-ups in a row say so, because an editor may have
the file half written at the first. What cannot be looked up ends nothing, and neither does a key or
certificate that has only expired: a short-lived certificate must not cut a repair short.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol

from console.interfaces.credentials import Access, AccessState, Principal, Role

logger = logging.getLogger("console.sessions")

CHECK_SECONDS: Final = 10.0
"""From one round to the next. Two rounds and their look-ups are less than half a minute."""

_NUMBERS: Final = 1000
"""Sessions whose login is remembered, for the changes of a password that they have made."""

_RANKS: Final = tuple(Role)


class Watched(Protocol):
    """Something open that a user holds: a session, or a connection without one."""

    @property
    def principal(self) -> Principal | None:
        """The user; None once it is closed."""

    def use_proof(self, proof: bytes) -> None:
        """Stand for the password of today from now on."""


class AccessWatch:
    """See the module's docstring. Lives on the console's loop.

    Args:
        look_up: The authenticator's.
        enabled: Whether anything is ended; look-ups are answered in any case.
    """

    def __init__(self, look_up: Callable[[Principal], Awaitable[Access]], *, enabled: bool) -> None:
        self._ask = look_up
        self._enabled = enabled
        self._watched: dict[Watched, Callable[[str], None]] = {}
        self._suspects: set[Watched] = set()
        self._logins: dict[int, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._round: asyncio.Task[None] | None = None

    def add(self, one: Watched, end: Callable[[str], None]) -> None:
        """Watch something; ``end`` is called once with the reason when its access has ended."""
        self._watched[one] = end
        if self._timer is None and self._round is None:
            self._wait()

    def remove(self, one: Watched) -> None:
        """Watch it no more. Can be called twice."""
        self._watched.pop(one, None)
        self._suspects.discard(one)
        if not self._watched:
            self.close()

    def note_session(self, number: int, principal: Principal) -> None:
        """Remember of which login a session is: its statements may change the password."""
        self._logins[number] = principal.login
        if len(self._logins) > _NUMBERS:
            del self._logins[next(iter(self._logins))]

    async def look_up(self, principal: Principal) -> Access:
        """Look up whether a login would still succeed. The state is never CHANGED."""
        return self._judged(await self._ask(principal), principal)

    def close(self) -> None:
        """Look no more. Can be called twice."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._round is not None:
            self._round.cancel()
            self._round = None

    def _judged(self, access: Access, principal: Principal) -> Access:
        """Decide about a changed password: it stays for the login that has changed it."""
        if access.state is not AccessState.CHANGED:
            return access
        login = self._logins.get(access.changed_by, 0)
        is_own = login != 0 and login == principal.login
        return replace(access, state=AccessState.HELD if is_own else AccessState.ENDED)

    def _wait(self) -> None:
        if self._enabled and self._watched:
            self._timer = asyncio.get_running_loop().call_later(CHECK_SECONDS, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._round = asyncio.get_running_loop().create_task(self._check(), name="console access")

    async def _check(self) -> None:
        try:
            await self._check_all()
        except Exception:  # the edge "access": the next round must come
            logger.exception("cannot look up who has access")
        self._round = None
        self._wait()

    async def _check_all(self) -> None:
        found: dict[object, Access] = {}
        suspects = set()
        for one in tuple(self._watched):
            principal = one.principal
            if principal is None or one not in self._watched:
                continue
            address = principal.address
            login = (principal.user, principal.key, principal.proof, address.host, address.uid)
            if login not in found:
                found[login] = await self._ask(principal)
            access = self._judged(found[login], principal)
            reason = _ended(principal, access)
            if not reason:
                if access.state is AccessState.HELD and access.principal.proof != principal.proof:
                    one.use_proof(access.principal.proof)
            elif one not in self._suspects:
                suspects.add(one)
            elif one in self._watched:  # it may have closed during the look-up
                self._watched[one](reason)
        self._suspects = suspects


def _ended(before: Principal, access: Access) -> str:
    """Say why the access has ended; empty if it has not, or if that is not known."""
    today = access.principal
    if access.state is AccessState.ENDED:
        return access.reason
    if access.state is AccessState.UNKNOWN:
        return ""
    if _RANKS.index(today.role) < _RANKS.index(before.role):
        return f"the role is {today.role.value} now"
    if today.command not in {None, before.command} or (before.pty and not today.pty):
        return "the key has other options now"
    return ""
