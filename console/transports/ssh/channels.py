"""The session channels of one SSH connection (RFC 4254): how many, for whom, and the time without.

A login is looked up again when a shell or a command is asked for: a connection, and a channel on
it, may stay open for days, and the user, the key or the password may be gone meanwhile.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final, Protocol

import asyncssh

from console.interfaces.credentials import AccessState, Peer, Principal
from console.interfaces.transports import TransportContext
from console.limits import CHANNELS
from console.transports.ssh.requests import take_few_variables, take_requests
from console.transports.ssh.terminal import SshTerminal

logger = logging.getLogger("console.ssh")

IDLE_SECONDS: Final = 300.0
"""How long a connection may be open without a session, as a ControlMaster that waits for one."""

FRESH_SECONDS: Final = 1.0
"""So long after a login its user need not be looked up again, for the first session."""

_REMOVED: Final = "the user, the key or the password has been taken out"
_REMOVED_WORDS: Final = "you are not let in any more"

Opened = tuple["asyncssh.SSHServerChannel[bytes]", SshTerminal | Awaitable[SshTerminal]]
"""What asyncssh takes for a channel: the channel, and its session, or what will return it."""


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
        self._terminals: set[SshTerminal] = set()
        self._look_ups: set[asyncio.Task[None]] = set()
        # One look-up at a time for a connection: all users share the queue.
        self._one_at_a_time = asyncio.Lock()
        self._writing_held = False
        self._fresh_since = -math.inf
        self._idle: asyncio.TimerHandle | None = None
        self.principal: Principal | None = None

    @property
    def has_session(self) -> bool:
        """Whether a shell or a command runs on any channel. May be asked from any thread."""
        return any(one.has_session for one in tuple(self._terminals))

    def logged_in(self, principal: Principal) -> None:
        """Let sessions be opened."""
        self.principal = principal
        self._fresh_since = asyncio.get_running_loop().time()
        self._changed()

    def use_proof(self, proof: bytes) -> None:
        """Stand for the password of today from now on."""
        if self.principal is not None:
            self.principal = replace(self.principal, proof=proof)

    def open(self) -> Opened | None:
        """Open a channel for a shell or a command, in bytes; None if it is refused."""
        if self.principal is None:
            return None
        channel = self._link.create_server_channel(encoding=None)
        if len(self._terminals) >= CHANNELS:
            return channel, self._open_in_place(channel)
        return channel, self._begin(channel, self.principal)

    async def _open_in_place(self, channel: asyncssh.SSHServerChannel[bytes]) -> SshTerminal:
        """Open a channel in the place of one that the client has closed just before.

        asyncssh lets go of a closed channel in the loop's next turn, and may have read the request
        for another one together with the end of that.
        """
        await asyncio.sleep(0)
        if self.principal is None or len(self._terminals) >= CHANNELS:
            logger.info("%s: more than %d sessions on one connection", self._link.peer, CHANNELS)
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_CONNECT_FAILED, "too many sessions")
        return self._begin(channel, self.principal)

    def _begin(
        self, channel: asyncssh.SSHServerChannel[bytes], principal: Principal
    ) -> SshTerminal:
        terminal = self._terminal(principal)
        take_requests(channel, functools.partial(self._requested, terminal))
        take_few_variables(channel)
        return terminal

    def _requested(self, terminal: SshTerminal, grant: Callable[[], None]) -> None:
        """Begin a session, once the user has been looked up if the login is not a fresh one."""
        now = asyncio.get_running_loop().time()
        fresh, self._fresh_since = now < self._fresh_since + FRESH_SECONDS, -math.inf
        if fresh:
            grant()
            return
        task = asyncio.get_running_loop().create_task(
            self._look_up(terminal, grant), name="console look-up"
        )
        self._look_ups.add(task)
        task.add_done_callback(self._look_ups.discard)

    async def _look_up(self, terminal: SshTerminal, grant: Callable[[], None]) -> None:
        async with self._one_at_a_time:
            if self.principal is None or terminal.is_gone:
                return
            access = await self._context.logged_in.look_up(self.principal)
        if access.state is AccessState.HELD:
            self.principal = access.principal
            terminal.use(access.principal)
        elif access.state is AccessState.ENDED and not self.has_session:
            logger.info("%s: %s", self._link.peer, access.reason)
            self._link.end(_REMOVED, _REMOVED_WORDS)
            return
        else:
            reason = _REMOVED_WORDS if access.state is AccessState.ENDED else access.reason
            logger.info("%s: a session refused: %s", self._link.peer, access.reason)
            terminal.refuse(reason)
        grant()

    def _terminal(self, principal: Principal) -> SshTerminal:
        terminal = SshTerminal(
            principal,
            self._context.admit,
            drop=self._link.log_drop,
            disconnect=functools.partial(
                self._link.disconnect, asyncssh.DISC_BY_APPLICATION, "ended by an administrator"
            ),
            on_changed=self._changed,
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

    def _changed(self) -> None:
        """Forget channels that are gone; end a connection without a session after a while."""
        self._terminals = {one for one in self._terminals if not one.is_gone}
        if self.has_session:
            self._stop_idling()
        elif self._idle is None and self.principal is not None:
            self._idle = asyncio.get_running_loop().call_later(
                IDLE_SECONDS, self._link.disconnect, asyncssh.DISC_BY_APPLICATION, "idle"
            )

    def close(self) -> None:
        """End with the connection. Can be called twice."""
        self.principal = None
        self._stop_idling()
        for task in tuple(self._look_ups):
            task.cancel()

    def _stop_idling(self) -> None:
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
