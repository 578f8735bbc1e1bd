"""Who somebody is: decided here, once, the same way for each transport.

The transports call in on the console's loop. What blocks, the store and the hashing, happens on
one thread of the authenticator's own: one, so that a hundred guesses at once cost one core and
20 MiB, and a store never sees two calls at a time. What waits for that thread is bounded, and
look-ups of keys, which are cheap, go before passwords, which are not: a flood of guesses does not
keep an operator with a key out.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from console.auth.passwords import verify
from console.errors import ConsoleError
from console.events import EventBus, LoginFailed, LoginSucceeded
from console.interfaces import AuthorizedKey, CredentialStore, Principal, Role
from console.limits import LOGIN_LINE_CHARACTERS
from console.text import escape_line

logger = logging.getLogger("console.auth")

WAITING_MOST: Final = 64
"""Checks of each sort that may wait: 64 passwords are 1.3 s of hashing, and a login's patience."""

T = TypeVar("T")


class Authenticator:
    """Turns credentials into a principal, and tells of each success and failure.

    Its methods are called on the console's loop. Cancelling one that waits leaves nothing behind;
    a check that had begun on the thread is finished there, and its result dropped.

    Args:
        store: Who may come in.
        events: Where `LoginSucceeded` and `LoginFailed` go.
    """

    def __init__(self, store: CredentialStore, events: EventBus) -> None:
        self._store = store
        self._events = events
        self._worker = _Worker()
        # Of each user whose proof was checked last; only users of the store come in here.
        self._roles: dict[str, Role] = {}

    async def password(
        self, user: str, password: str, *, transport: str, peer: str
    ) -> Principal | None:
        """Check a password.

        An unknown user costs the same time as a wrong password.

        Returns:
            Who it is; None if they are turned away, which has then been told.
        """
        try:
            reason = await self._worker.run(lambda: self._check_password(user, password))
        except _Refused as refused:
            reason = str(refused)
        if reason:
            self._failed(user, "password", reason, transport=transport, peer=peer)
            return None
        return self._succeeded(user, "password", "", transport=transport, peer=peer)

    async def authorized_key(self, user: str, blob: bytes) -> AuthorizedKey | None:
        """Find a public key among those that let this user in.

        That proves nothing yet: clients ask which of their keys is known before they sign. Once
        the signature has been verified, call `key_accepted`; if the key was the last hope, or
        the signature is wrong, `key_refused`.

        Args:
            user: As the peer sent it.
            blob: The key in wire form.
        """
        try:
            return await self._worker.run(lambda: self._find_key(user, blob), first=True)
        except _Refused:
            return None

    def key_accepted(
        self, user: str, key: AuthorizedKey, *, transport: str, peer: str
    ) -> Principal:
        """Let somebody in who has signed with a key that `authorized_key` found."""
        detail = f"{key.algorithm} {key.fingerprint}"
        return self._succeeded(user, "publickey", detail, transport=transport, peer=peer)

    def key_refused(
        self, user: str, *, transport: str, peer: str, reason: str = "no key of this user"
    ) -> None:
        """Tell that somebody was turned away who came with a key."""
        self._failed(user, "publickey", reason, transport=transport, peer=peer)

    def close(self) -> None:
        """Refuse what waits and what comes. Returns at once; can be called twice.

        The thread ends by itself after the check that it is at. It is a daemon: a store that
        never returns keeps neither the console's stop nor the process's exit waiting.
        """
        self._worker.close()

    # On the console's loop

    def _succeeded(
        self, user: str, method: str, detail: str, *, transport: str, peer: str
    ) -> Principal:
        self._events.publish(
            LoginSucceeded(transport=transport, peer=peer, user=user, method=method, detail=detail)
        )
        role = self._roles[user]
        return Principal(user=user, transport=transport, peer=peer, method=method, role=role)

    def _failed(self, user: str, method: str, reason: str, *, transport: str, peer: str) -> None:
        """Every failure of every transport passes here: the place for slowing a peer down."""
        self._events.publish(
            LoginFailed(
                transport=transport,
                peer=peer,
                user=user[:LOGIN_LINE_CHARACTERS],
                method=method,
                reason=reason,
            )
        )

    # On the worker's thread

    def _check_password(self, user: str, password: str) -> str:
        """Return why the password lets nobody in; empty if it does."""
        try:
            phc = self._store.password_hash(user)
        # The store may be anybody's code, and a sys.exit() in it is no reason to end the host.
        except (Exception, SystemExit) as error:  # noqa: BLE001 - logged, nobody gets in
            self._log_store_error(user, error)
            phc, reason = None, "the credential store failed"
        else:
            reason = "unknown user or no password" if phc is None else "wrong password"
        if not verify(phc, password):
            return reason
        return "" if self._learn_role(user) else "the credential store failed"

    def _find_key(self, user: str, blob: bytes) -> AuthorizedKey | None:
        found = None
        try:
            for key in self._store.authorized_keys(user):
                if hmac.compare_digest(key.blob, blob):
                    found = key
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as in _check_password()
            self._log_store_error(user, error)
            return None
        return found if found is None or self._learn_role(user) else None

    def _learn_role(self, user: str) -> bool:
        """Ask the store what a user may do. Whether it told: else nobody gets in."""
        try:
            ask = getattr(self._store, "role", None)
            self._roles[user] = Role.OPERATOR if ask is None else Role(ask(user))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as in _check_password()
            self._log_store_error(user, error)
            return False
        return True

    def _log_store_error(self, user: str, error: BaseException) -> None:
        # Ours say all in one line; a stranger's needs its traceback.
        logger.error(
            "credential store: %s; %s is not let in",
            escape_line(str(error) or type(error).__name__, 500),
            escape_line(user),
            exc_info=None if isinstance(error, ConsoleError) else error,
        )


class _Refused(Exception):
    """A check was not made. The text says why. Never leaves this module."""


@dataclass(frozen=True, slots=True)
class _Job:
    call: Callable[[], Any]
    future: Future[Any]


class _Worker:
    """One daemon thread, started by the first job, that runs jobs one at a time.

    No ThreadPoolExecutor: the interpreter joins its threads at exit, after shutdown(wait=False)
    too, so that a store that hangs would keep the host's process from ending.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._first: deque[_Job] = deque()
        self._second: deque[_Job] = deque()
        self._thread: threading.Thread | None = None
        self._flooded = False
        self._closed = False

    async def run(self, call: Callable[[], T], *, first: bool = False) -> T:
        """Run a call on the thread and return its result.

        Args:
            call: What to run. It raises neither SystemExit nor KeyboardInterrupt: they would end
                the thread.
            first: Go before the calls that are not ``first``.

        Raises:
            _Refused: If too many wait already, or the worker is closed before its turn.
        """
        job = _Job(call, Future[T]())
        self._submit(job, self._first if first else self._second)
        # Cancelling this cancels the job while it waits; the thread then passes over it.
        result: T = await asyncio.wrap_future(job.future)
        return result

    def close(self) -> None:
        """Refuse what waits, and let the thread end."""
        with self._changed:
            self._closed = True
            refused = [*self._first, *self._second]
            self._first.clear()
            self._second.clear()
            self._changed.notify()
        for job in refused:
            if job.future.set_running_or_notify_cancel():
                job.future.set_exception(_Refused("the console is closing"))

    def _submit(self, job: _Job, jobs: deque[_Job]) -> None:
        with self._changed:
            if self._closed:
                raise _Refused("the console is closing")
            if len(jobs) >= WAITING_MOST:
                if not self._flooded:  # said once for each flood, not for each guess
                    logger.warning("%d logins wait for their check; more are refused", len(jobs))
                self._flooded = True
                raise _Refused("too many logins wait for their check")
            jobs.append(job)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="console-auth", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _next(self) -> _Job | None:
        """Wait for a job; None once the worker is closed."""
        with self._changed:
            while not (self._first or self._second):
                if self._closed:
                    return None
                self._flooded = False
                self._changed.wait()
            return (self._first or self._second).popleft()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            if not job.future.set_running_or_notify_cancel():
                continue  # whoever asked is gone
            try:
                result = job.call()
            except Exception as error:  # noqa: BLE001 - it travels to whoever asked
                job.future.set_exception(error)
            else:
                job.future.set_result(result)
            # An idle thread keeps no password, which is in the call.
            del job
