"""The session channels of one SSH connection (RFC 4254): how many, for whom, and the time without.

A login is looked up again before each session but the first: a connection may stay open for days,
and the user, the key or the password may be gone meanwhile.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
import weakref
from collections.abc import Awaitable
from typing import Final, Protocol

import asyncssh

from console.interfaces.credentials import OfferedKey, Peer, Principal
from console.interfaces.transports import TransportContext
from console.limits import CHANNELS
from console.transports.ssh.requests import take_any_command, take_few_variables
from console.transports.ssh.terminal import SshTerminal

logger = logging.getLogger("console.ssh")

IDLE_SECONDS: Final = 300.0
"""How long a connection may be open without a session, as a ControlMaster that waits for one."""

FRESH_SECONDS: Final = 5.0
"""So long after a login its user need not be looked up again, for the first session."""

_REMOVED: Final = "the user, the key or the password has been taken out"
_REMOVED_WORDS: Final = "you are not let in any more"

Opened = tuple[
    "asyncssh.SSHServerChannel[bytes]",
    SshTerminal | Awaitable[SshTerminal],
]
"""What asyncssh takes for a channel: the channel, and its session, perhaps later."""


class Link(Protocol):
    """The connection, as far as its channels use it."""

    peer: Peer

    def create_server_channel(self, encoding: None) -> asyncssh.SSHServerChannel[bytes]:
        """Make a channel in bytes."""

    def disconnect(self, code: int, reason: str) -> None:
        """End the connection, with one of the reasons of RFC 4253 section 11.1."""

    def end(self, reason: str | None, words: str) -> None:
        """End the connection for breaking a rule."""

    def log_drop(self, reason: str) -> None:
        """Tell that the connection, or a channel of it, is ended for breaking a rule."""


class SessionChannels:
    """Opens a terminal for each session channel. Lives on the console's loop.

    Args:
        link: The connection.
        context: What the transport gets.

    Attributes:
        principal: The user who has logged in; None before the login.
    """

    def __init__(self, link: Link, context: TransportContext) -> None:
        self._link = link
        self._context = context
        self._offered: OfferedKey | None = None
        self._terminals: weakref.WeakSet[SshTerminal] = weakref.WeakSet()
        self._writing_held = False
        self._fresh_since = -math.inf
        self._idle: asyncio.TimerHandle | None = None
        self.principal: Principal | None = None

    def logged_in(self, principal: Principal, offered: OfferedKey | None) -> None:
        """Let sessions be opened.

        Args:
            principal: The user.
            offered: The key of the login; None for a password.
        """
        self.principal = principal
        self._offered = offered
        self._fresh_since = asyncio.get_running_loop().time()
        self._begin_to_idle()

    def open(self) -> Opened | None:
        """Open a channel for a shell or a command, in bytes; None if it is refused."""
        if self.principal is None:
            return None
        if sum(terminal.is_open for terminal in self._terminals) >= CHANNELS:
            logger.info("%s: more than %d sessions on one connection", self._link.peer, CHANNELS)
            return None
        self.stop_idling()
        channel = self._link.create_server_channel(encoding=None)
        take_any_command(channel)
        take_few_variables(channel)
        is_fresh = asyncio.get_running_loop().time() < self._fresh_since + FRESH_SECONDS
        self._fresh_since = -math.inf
        return channel, self._terminal(self.principal) if is_fresh else self._renewed()

    async def _renewed(self) -> SshTerminal:
        """Make another terminal for the user of an older login, if it would still succeed."""
        principal = self.principal
        if principal is not None:
            principal = await self._context.authenticator.renew(
                principal, self._offered, self._link.peer
            )
        if principal is None:
            self._link.end(_REMOVED, _REMOVED_WORDS)
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, _REMOVED_WORDS
            )
        self.principal = principal
        return self._terminal(principal)

    def _terminal(self, principal: Principal) -> SshTerminal:
        terminal = SshTerminal(
            principal,
            self._context.admit,
            drop=self._link.log_drop,
            disconnect=functools.partial(
                self._link.disconnect, asyncssh.DISC_BY_APPLICATION, "ended by an administrator"
            ),
            on_closed=self._begin_to_idle,
        )
        self._terminals.add(terminal)
        if self._writing_held:
            terminal.hold_writing("connection")
        return terminal

    # ---- flow control

    def hold_writing(self) -> None:
        """Hold output back: the client takes nothing more."""
        self._writing_held = True
        for terminal in tuple(self._terminals):
            terminal.hold_writing("connection")

    def release_writing(self) -> None:
        """Let output go on."""
        self._writing_held = False
        for terminal in tuple(self._terminals):
            terminal.release_writing("connection")

    # ---- the time without a session

    def _begin_to_idle(self) -> None:
        """End a connection without a session after a while: no list shows it, to be ended there."""
        self.stop_idling()
        if not any(one.is_open for one in self._terminals):
            self._idle = asyncio.get_running_loop().call_later(
                IDLE_SECONDS, self._link.disconnect, asyncssh.DISC_BY_APPLICATION, "idle"
            )

    def stop_idling(self) -> None:
        """Stop the time. Can be called twice."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
