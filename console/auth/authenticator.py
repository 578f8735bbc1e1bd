"""Authentication: credentials are turned into a principal, the same way for each transport.

The transports call in on the console's loop. What blocks, the store and the hashing, happens on
one thread (``check_thread.py``). Look-ups of keys, which are cheap, go there before passwords,
which are not, and passwords from a source with a successful login before those of others: a flood
of guesses does not keep an operator out.

A guess waits for its source's turn (``turns.py``), and a failure is answered at a fixed time after
its beginning (``throttle.py``), so that neither patience nor a stopwatch helps a guesser.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import itertools
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from console.auth.check_thread import CheckThread, Refused
from console.auth.guessing.codes import Codes
from console.auth.guessing.throttle import INTERVAL_SECONDS, Throttle, source_of
from console.auth.guessing.turns import Turn, Turns, sleep_until
from console.auth.keys.grants import Grant, grant
from console.auth.password_changes import changed_by, digest
from console.auth.passwords import verify
from console.config.settings import LoginSettings
from console.errors import ConsoleError
from console.events import EventBus, LoginFailed, LoginSucceeded
from console.interfaces.credentials import (
    Access,
    AccessState,
    CredentialStore,
    OfferedKey,
    Peer,
    Principal,
    Role,
)
from console.limits import LOGIN_LINE_CHARACTERS
from console.text import escape_line

logger = logging.getLogger("console.auth")

KEY_ANSWER_SECONDS: Final = 0.01
"""Keys are refused after a multiple of this: reading the file of a user who has one takes longer
than finding that there is none."""

_FIRST = -1
"""The rank of what is cheap: keys."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What came of a check: a role, or why the login is refused."""

    role: Role = Role.OPERATOR
    refusal: str = ""
    proof: bytes = field(default=b"", repr=False)


class Authenticator:
    """Turns credentials into a principal, and publishes each success and failure.

    Its methods are called on the console's loop. Cancelling one that waits leaves nothing behind;
    a check that had begun on the thread is finished there, and its result dropped. A guess that
    has begun counts as a failure then, and its delay is still served.

    Args:
        store: The users.
        events: Where `LoginSucceeded` and `LoginFailed` go.
        settings: What a failure costs.
    """

    def __init__(
        self, store: CredentialStore, events: EventBus, settings: LoginSettings | None = None
    ) -> None:
        self._store = store
        self._events = events
        self._settings = settings or LoginSettings()
        self._throttle = Throttle(self._settings)
        self._turns = Turns()
        self._checks = CheckThread()
        self._codes = Codes()  # of the checks' thread
        self._logins = itertools.count(1)
        self._unknown = ""
        self._refreshing: asyncio.Task[None] | None = None
        self.asks_for_code = False

    # ---- passwords

    async def password(
        self, user: str, password: str, code: str = "", *, transport: str, peer: Peer
    ) -> Principal | None:
        """Check a password, and the code of a user who has a second factor.

        An unknown user, a wrong password and a wrong code are answered at the same time.

        Returns:
            The principal; None if the login is refused, which has then been published.
        """
        tell = functools.partial(self._failed, user, "password", transport=transport, peer=peer)
        source = source_of(peer)
        check = functools.partial(self._check_password, user, password, code, source)
        if self._throttle.is_spared(peer):
            return await self._guess(Turn(), user, check, tell, transport=transport, peer=peer)
        async with self._turns.of(source) as turn:
            return await self._guess(turn, user, check, tell, transport=transport, peer=peer)

    async def _guess(
        self,
        turn: Turn,
        user: str,
        check: Callable[[], _Verdict],
        tell: Callable[[str], None],
        *,
        transport: str,
        peer: Peer,
    ) -> Principal | None:
        user = user[:LOGIN_LINE_CHARACTERS]
        if self._throttle.is_besieged(peer, user):
            async with self._turns.of(f"user {user}", self._throttle.rank(peer)) as at_user:
                at_user.free_at = asyncio.get_running_loop().time() + INTERVAL_SECONDS
        began = asyncio.get_running_loop().time()
        # Before anything that can be cancelled: a peer that hangs up leaves the delay to the next.
        turn.free_at = began + self._throttle.delay_seconds(peer, user)
        try:
            verdict = await self._checks.run(check, rank=self._throttle.rank(peer))
        except Refused as refused:
            verdict = _Verdict(refusal=str(refused))
        except asyncio.CancelledError:
            self._throttle.failed(peer, user)
            tell("left before the answer")
            raise
        if not verdict.refusal:
            turn.free_at = began + INTERVAL_SECONDS
            self._throttle.succeeded(peer)
            self._events.publish(
                LoginSucceeded(transport=transport, peer=str(peer), user=user, method="password")
            )
            return Principal(
                user,
                transport,
                str(peer),
                "password",
                verdict.role,
                proof=verdict.proof,
                address=peer,
                login=next(self._logins),
            )
        self._throttle.failed(peer, user)
        tell(verdict.refusal)
        await sleep_until(turn.free_at)
        return None

    # ---- keys

    async def key(
        self, user: str, offered: OfferedKey, *, transport: str, peer: Peer
    ) -> Callable[[], Principal] | str:
        """Look a public key or certificate up among those that open this user's account.

        That proves nothing yet: clients ask which of their keys is known before they sign.

        Returns:
            A function to call once the signature has been verified, which publishes the login and
            returns the principal; or the reason why the key is refused.
        """
        began = asyncio.get_running_loop().time()
        try:
            found = await self._checks.run(
                functools.partial(self._find_key, user, offered, peer), rank=_FIRST
            )
        except Refused as refused:
            found = str(refused)
        if not isinstance(found, str):
            granted, role = found
            principal = Principal(
                user,
                transport,
                str(peer),
                "publickey",
                role,
                granted.command,
                granted.pty,
                key=offered,
                address=peer,
                login=next(self._logins),
            )
            return functools.partial(self._key_accepted, principal, granted.detail)
        if self._throttle.key_refused(peer):
            async with self._turns.of(f"keys of {source_of(peer)}") as turn:
                turn.free_at = asyncio.get_running_loop().time() + INTERVAL_SECONDS
        now = asyncio.get_running_loop().time()
        await sleep_until(now + KEY_ANSWER_SECONDS - (now - began) % KEY_ANSWER_SECONDS)
        return found

    async def look_up(self, principal: Principal) -> Access:
        """Look up whether an earlier login would still succeed.

        Returns:
            What has become of it, with the role and the key's options of today. It is UNKNOWN
            while the store cannot be read, or too many checks wait.
        """
        try:
            return await self._checks.run(functools.partial(self._look_up, principal), rank=_FIRST)
        except Refused as refused:
            return Access(AccessState.UNKNOWN, principal, str(refused))

    def key_refused(self, user: str, reason: str, *, transport: str, peer: Peer) -> None:
        """Tell of a login by key that was refused."""
        self._failed(user, "publickey", reason, transport=transport, peer=peer)

    def _key_accepted(self, principal: Principal, detail: str) -> Principal:
        self._throttle.succeeded(principal.address)
        self._events.publish(
            LoginSucceeded(
                transport=principal.transport,
                peer=principal.peer,
                user=principal.user,
                method=principal.method,
                detail=detail,
            )
        )
        return principal

    # ---- codes

    def refresh(self) -> asyncio.Task[None]:
        """Start to update `asks_for_code` from the store. Returns the task that does so."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(
                self._refresh(), name="console second factors"
            )
        return self._refreshing

    async def _refresh(self) -> None:
        with contextlib.suppress(Refused):  # the next connection asks again
            self.asks_for_code = await self._checks.run(self._has_second_factors, rank=_FIRST)

    def standing(self, peer: Peer) -> int:
        """Order peers where connections are evicted: the higher, the sooner."""
        return self._throttle.standing(peer)

    # ---- the end

    def close(self) -> None:
        """Refuse what waits and what comes. Returns at once; can be called twice.

        The thread ends by itself after the check that it is at. It is a daemon: a store that
        never returns keeps neither the console's stop nor the process's exit waiting.
        """
        self._checks.close()

    def _failed(self, user: str, method: str, reason: str, *, transport: str, peer: Peer) -> None:
        self._events.publish(
            LoginFailed(
                transport=transport,
                peer=str(peer),
                user=user[:LOGIN_LINE_CHARACTERS],
                method=method,
                reason=reason,
            )
        )

    # ---- on the checks' thread

    def _check_password(self, user: str, password: str, code: str, source: str) -> _Verdict:
        try:
            phc = self._store.password_hash(user)
        # The store is the service's code, and a sys.exit() in it is no reason to end the host.
        except (Exception, SystemExit) as error:  # noqa: BLE001 - logged, the login is refused
            self._log_store_error(user, error)
            phc, reason = None, "the credential store failed"
        else:
            reason = "unknown user or no password" if phc is None else "wrong password"
        if not verify(phc, password):
            return _Verdict(refusal=reason)
        try:
            # Only now: a code is used up by this.
            if self._store.has_second_factor(user):
                refusal = self._check_code(user, code, source)
                if refusal:
                    return _Verdict(refusal=refusal)
            return _Verdict(self._role(user), proof=digest(phc or ""))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as above
            self._log_store_error(user, error)
            return _Verdict(refusal="the credential store failed")

    def _check_code(self, user: str, code: str, source: str) -> str:
        """Use a code up; return why it is refused, empty if it is right."""
        if not self._store.use_code(user, code):
            if not code.strip():
                return "no code"
            self._codes.wrong(user, source)
            return "wrong code"
        if not self._codes.right(user, source):
            return "a right code, but codes were guessed at: the next one lets in"
        return ""

    def _find_key(self, user: str, offered: OfferedKey, peer: Peer) -> tuple[Grant, Role] | str:
        try:
            keys = self._store.authorized_keys(user)
            granted = grant(user, offered, keys, peer, time.time())
            if isinstance(granted, str):
                return granted
            revoked = self._store.is_revoked(offered)
            return str(revoked) if revoked else (granted, self._role(user))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as in _check_password()
            self._log_store_error(user, error)
            return "the credential store failed"

    def _look_up(self, principal: Principal) -> Access:
        try:
            store = self._store.strict()
            if principal.key is None:
                access = _password_access(store, principal)
            else:
                access = _key_access(store, principal, principal.key)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as in _check_password()
            self._log_unknown(error)
            return Access(AccessState.UNKNOWN, principal, "the users cannot be read")
        self._unknown = ""
        return access

    def _has_second_factors(self) -> bool:
        try:
            return bool(self._store.second_factor())
        except (Exception, SystemExit) as error:  # noqa: BLE001 - as in _check_password()
            self._log_store_error("each user with a password", error)
            return True

    def _role(self, user: str) -> Role:
        # A store that keeps to no type may return what is no role: this raises, and no login is
        # granted.
        return Role(self._store.role(user))

    def _log_unknown(self, error: BaseException) -> None:
        """Log once for each error: open sessions are looked up again and again."""
        text = escape_line(str(error) or type(error).__name__, 500)
        if text != self._unknown:
            self._unknown = text
            logger.error(
                "credential store: %s; open sessions go on, new ones are refused",
                text,
                exc_info=None if isinstance(error, ConsoleError) else error,
            )

    def _log_store_error(self, user: str, error: BaseException) -> None:
        # Our errors say all in one line; one of the service's code needs its traceback.
        logger.error(
            "credential store: %s; %s is not let in",
            escape_line(str(error) or type(error).__name__, 500),
            escape_line(user),
            exc_info=None if isinstance(error, ConsoleError) else error,
        )


def _password_access(store: CredentialStore, principal: Principal) -> Access:
    phc = store.password_hash(principal.user)
    if phc is None:
        reason = "the user or the password has been removed"
        return Access(AccessState.ENDED, principal, reason)
    today = replace(principal, role=Role(store.role(principal.user)), proof=digest(phc))
    if today.proof == principal.proof:
        return Access(AccessState.HELD, today)
    reason = "the password has been changed"
    return Access(AccessState.CHANGED, today, reason, changed_by(today.proof))


def _key_access(store: CredentialStore, principal: Principal, key: OfferedKey) -> Access:
    keys, state = store.authorized_keys(principal.user), AccessState.HELD
    granted = grant(principal.user, key, keys, principal.address, time.time())
    reason = ""
    if isinstance(granted, str):
        # As of the earliest time: what that grants has only expired.
        then = 0 if key.certificate is None else key.certificate.valid_after
        state, reason = AccessState.EXPIRED, granted
        granted = grant(principal.user, key, keys, principal.address, then)
    if isinstance(granted, str):
        return Access(AccessState.ENDED, principal, granted)
    revoked = store.is_revoked(key)
    if revoked:
        return Access(AccessState.ENDED, principal, str(revoked))
    role = Role(store.role(principal.user))
    today = replace(principal, role=role, command=granted.command, pty=granted.pty)
    return Access(state, today, reason)
