"""The login of one SSH connection (RFC 4252, RFC 4256): keys, passwords and how often one may try.

asyncssh asks; what it is told here is counted against the limits of a connection, decided by the
authenticator, and kept until asyncssh says that the peer has been authenticated.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import asyncssh

from console.auth.keys.asyncssh_keys import read_offer
from console.interfaces.credentials import Peer, Principal
from console.interfaces.transports import Authenticator
from console.limits import KEY_OFFERS, LOGIN_TRIES

CODE_PROMPT: Final = "Code (Enter if you have none): "

_TRIES_ENDED: Final = "too many tries"


class Login:
    """Checks the credentials of one connection. Lives on the console's loop.

    Args:
        authenticator: Decides about them.
        peer: The other end.
        end: Ends the connection, with a reason for the log, None if it is there already, and with
            the words that the client is sent.
    """

    def __init__(
        self, authenticator: Authenticator, peer: Peer, end: Callable[[str | None, str], None]
    ) -> None:
        self._authenticator = authenticator
        self._peer = peer
        self._end = end
        self._tries = 0
        self._offers = 0
        self._questions = 0
        self._key_refusal: tuple[str, str] | None = None
        # What was checked last, and for which user: what the proof will have been given for.
        self._proof: tuple[str, Callable[[], Principal]] | None = None

    def proven(self, username: str) -> Callable[[], Principal] | None:
        """Return what makes the principal and tells of the login; None without a checked proof.

        Args:
            username: As asyncssh has authenticated it.
        """
        if self._proof is None or self._proof[0] != username:
            return None
        return self._proof[1]

    def failed(self) -> None:
        """Tell of the keys of a connection that is gone, if it has tried nothing else."""
        if self._key_refusal is not None and not self._tries:
            user, reason = self._key_refusal
            self._authenticator.key_refused(user, reason, transport="ssh", peer=self._peer)

    # ---- keys

    async def key_offered(
        self, username: str, data: bytes, *, signed: bool
    ) -> asyncssh.SSHKey | None:
        """Return the key that verifies the signature; None if it does not open this account.

        Args:
            username: The account.
            data: A public key or certificate, in wire form.
            signed: Whether a signature comes with it; else the client asks if it should sign.
        """
        self._proof = None
        self._offers += 1
        if self._offers > KEY_OFFERS:
            self._end(f"more than {KEY_OFFERS} keys offered", "too many keys")
            return None
        offer = read_offer(data)
        if offer is None:
            self._key_refusal = username, "no usable key"
            return None
        answer = await self._authenticator.key(username, offer[0], transport="ssh", peer=self._peer)
        if isinstance(answer, str):
            self._key_refusal = username, answer
            return None
        if signed:
            self._proof = username, answer
        return offer[1]

    def signature_refused(self, username: str) -> None:
        """Tell of a key that opens the account, shown by a client that does not hold it."""
        self._proof = None
        self._key_refusal = None
        self._authenticator.key_refused(
            username, "wrong signature", transport="ssh", peer=self._peer
        )
        self._tries += 1
        self._end_after_last_try()

    # ---- passwords and codes

    async def prompts(self) -> list[tuple[str, bool]]:
        """Return what is asked for, each with whether it is echoed: password and code at once.

        Two questions would tell after the first whether the password was right.
        """
        await asyncio.shield(self._authenticator.refresh())
        prompts = [("Password: ", False)]
        if self._authenticator.asks_for_code:
            prompts.append((CODE_PROMPT, False))
        self._questions = len(prompts)
        return prompts

    async def answered(self, username: str, answers: Sequence[str]) -> bool:
        """Check the answers to `prompts`."""
        if len(answers) != self._questions:
            self._end("answers to questions that were not asked", "wrong number of answers")
            return False
        return await self.password(username, answers[0], "".join(answers[1:]))

    async def password(self, username: str, password: str, code: str = "") -> bool:
        """Check a password and a code."""
        self._proof = None
        if self._tries >= LOGIN_TRIES:  # asked again without waiting for the answers
            self._end(None, _TRIES_ENDED)
            return False
        self._tries += 1
        principal = await self._authenticator.password(
            username, password, code, transport="ssh", peer=self._peer
        )
        if principal is None:
            self._end_after_last_try()
            return False
        self._proof = username, lambda: principal
        return True

    def _end_after_last_try(self) -> None:
        if self._tries >= LOGIN_TRIES:
            self._end(None, _TRIES_ENDED)
