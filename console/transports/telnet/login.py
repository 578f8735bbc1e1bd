"""The login of a telnet connection: the dialogue, its time, and the check of what was typed."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final

from console.interfaces.credentials import Principal
from console.transports.telnet.client_mode import ClientMode
from console.transports.telnet.login_dialogue import Attempt, Ended, LoginDialogue
from console.transports.telnet.stage import Link, Stage

TERMINAL_TYPE_SECONDS: Final = 0.5
"""How long a login waits for the terminal type that the client has promised."""


class Login(Stage):
    """The first stage: ends with `Link.logged_in`, or with the connection.

    Args:
        link: The connection.
        mode: What the client does by itself.
    """

    def __init__(self, link: Link, mode: ClientMode) -> None:
        self._link = link
        self._mode = mode
        self._authenticator = link.context.authenticator
        self._dialogue = LoginDialogue(
            link.context.banner, client_speaks_telnet=lambda: link.codec.answered
        )
        self._terminal_type = asyncio.Event()
        self._verifying: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(link.grace_seconds, self._timed_out)
        self._refreshed = self._authenticator.refresh()
        self._refreshed.add_done_callback(lambda _: self._refresh_done())

    def begin(self) -> None:
        """Show the banner and ask for the user name."""
        self._link.send(self._dialogue.take_output())

    @property
    def is_verifying(self) -> bool:
        return self._verifying is not None

    def typed(self, text: str) -> None:
        self._mode.typed(text)
        self._dialogue.feed(text)

    def interrupted(self) -> None:
        self.typed("\x03")

    def asked(self) -> None:
        self._link.send("\r\n[yes]\r\n")

    def terminal_type_known(self) -> None:
        self._terminal_type.set()

    def eof_received(self) -> None:
        self._dialogue.feed_eof()
        self.advance()

    def stop(self) -> None:
        self._timer.cancel()
        if self._verifying is not None:
            self._verifying.cancel()
            self._verifying = None

    def advance(self) -> None:
        # A client that types ahead has to wait until it is known whether a code is asked for.
        if not self._link.is_open or self.is_verifying or not self._refreshed.done():
            return
        self._dialogue.echo = self._mode.leaves_echo
        self._dialogue.ask_code = self._authenticator.asks_for_code
        step = self._dialogue.next()
        self._link.send(self._dialogue.take_output())
        if isinstance(step, Attempt):
            self._verifying = asyncio.get_running_loop().create_task(
                self._verify(step), name=f"console telnet login {self._link.peer}"
            )
        elif step is not None:
            self._end(step)

    def _refresh_done(self) -> None:
        with self._link.edge():
            self.advance()

    async def _verify(self, attempt: Attempt) -> None:
        with self._link.edge():
            principal = await self._authenticator.password(
                attempt.user,
                attempt.password,
                attempt.code,
                transport=self._link.name,
                peer=self._link.peer,
            )
            if principal is not None and self._link.codec.terminal_type_pending:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(TERMINAL_TYPE_SECONDS):
                        await self._terminal_type.wait()
            self._verifying = None
            if not self._link.is_open:
                return
            if principal is None:
                self._rejected()
            else:
                self._accepted(principal)

    def _rejected(self) -> None:
        ended = self._dialogue.rejected()
        self._link.send(self._dialogue.take_output())
        if ended is not None:
            self._end(ended)
            return
        self._link.resume_reading()
        self.advance()

    def _accepted(self, principal: Principal) -> None:
        self.stop()
        self._link.logged_in(principal, self._dialogue.accepted())

    def _end(self, ended: Ended) -> None:
        if ended.broken_rule:
            self._link.log_drop(ended.reason)
        self._link.close()

    def _timed_out(self) -> None:
        with self._link.edge():
            self._link.log_drop(f"no login within {self._link.context.grace_seconds:g} seconds")
            self._link.send("\r\nlogin timed out\r\n")
            self._link.close()
