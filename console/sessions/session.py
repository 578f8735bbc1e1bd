"""A session: one principal at one terminal, from admission to the last byte.

This module has the session's states and their transitions. `console.sessions.terminal` has its
input and output; `console.sessions.repl` reads, runs and shows its statements.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from console.events import EventBus
from console.interfaces.credentials import Principal
from console.interfaces.frontends import Frontend, HistoryLog, Preferences, SessionChoices
from console.interfaces.statements import Evaluator
from console.interfaces.terminals import Terminal
from console.introspect.sessions import SessionFacts
from console.sessions.input import SessionInput
from console.sessions.output import SessionOutput
from console.sessions.publisher import SessionPublisher
from console.sessions.repl import Repl
from console.sessions.startup import StartupFileError, UserStartup
from console.sessions.terminal import MakeFrontend, SessionTerminal

logger = logging.getLogger("console.sessions")


class SessionState(enum.Enum):
    """The life of a session, in this order."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


Greet = Callable[["Session"], Awaitable[str]]
"""Returns the greeting, the lines above a session's first prompt. Takes less than a second."""


@dataclass(frozen=True, slots=True)
class Opening:
    """The actions before a session's first prompt: the greeting and the startup file."""

    greeting: Greet
    startup: UserStartup


class Session:
    """See the module's docstring. Lives on the console's loop; follows `FrontendHost`.

    Attributes:
        number: Names the session, to users and in the log.
        principal: The authenticated user.
        terminal: The user's terminal.
        namespace: The namespace of the statements, which all sessions share.
        commands: See `FrontendHost.commands`.
        history: The user's history.
        choices: The user's preferences in this session.
        opened_at: When it began (time.time).
    """

    def __init__(
        self,
        *,
        number: int,
        principal: Principal,
        terminal: Terminal,
        namespace: dict[str, Any],
        commands: tuple[str, ...],
        history: HistoryLog,
        choices: SessionChoices,
        events: EventBus,
        make_frontend: MakeFrontend,
        pending_output_characters: int,
    ) -> None:
        self.number = number
        self.principal = principal
        self.terminal = terminal
        self.namespace = namespace
        self.history = history
        self.choices = choices
        self.commands = commands
        self.opened_at = time.time()
        self._publisher = SessionPublisher(events, number, principal)
        self._state = SessionState.OPEN
        self._reason = "left"
        self._repl: Repl | None = None
        self._task: asyncio.Task[None] | None = None
        self._io = SessionTerminal(
            self,
            make_frontend,
            pending_output_characters=pending_output_characters,
            on_interrupt=self._interrupt,
            on_lost=self._lost,
        )

    def __repr__(self) -> str:
        return f"<session {self.number} of {self.principal.user} from {self.principal.peer}>"

    @property
    def state(self) -> SessionState:
        """The session's present state."""
        return self._state

    @property
    def preferences(self) -> Preferences:
        """The user's present preferences."""
        return self.choices.now

    @property
    def output(self) -> SessionOutput:
        """The sink of its statements' output."""
        return self._io.output

    @property
    def input(self) -> SessionInput:
        """The source of its statements' input."""
        return self._io.input

    @property
    def waiting_seconds(self) -> float:
        """How long it has waited for the user to type; 0 while a statement runs."""
        return self._io.waiting_seconds

    def names(self) -> Mapping[str, Any]:
        """Return the names that the session adds to the builtins, with their values."""
        return {} if self._repl is None else dict(self._repl.names)

    def facts(self) -> SessionFacts:
        """Return a description of the session as it is now. Safe to call from any thread."""
        principal, repl = self.principal, self._repl
        statement, source = ("", "") if repl is None else repl.statement
        return SessionFacts(
            number=self.number,
            user=principal.user,
            role=principal.role.value,
            transport=principal.transport,
            peer=principal.peer,
            method=principal.method,
            frontend=self._io.frontend_name,
            opened_at=self.opened_at,
            idle_seconds=self._io.idle_seconds,
            statement=statement,
            source=source,
        )

    def open(
        self,
        frontend: Frontend,
        evaluator: Evaluator,
        opening: Opening,
        on_closed: Callable[[Session], None],
    ) -> None:
        """Start the session. ``on_closed`` is called once, when its task has ended."""
        self._repl = repl = Repl(
            session=self.number,
            terminal=self._io,
            evaluator=evaluator,
            history=self.history,
            publisher=self._publisher,
        )
        self._publisher.opened(frontend.name)
        self._io.begin(frontend)
        self._task = asyncio.get_running_loop().create_task(
            self._run(repl, opening, on_closed), name=f"console session {self.number}"
        )

    def use_proof(self, proof: bytes) -> None:
        """Stand for the password of today from now on: the user has changed it here."""
        self.principal = replace(self.principal, proof=proof)

    def warn(self, text: str) -> None:
        """Show a line above the prompt, which stays intact, if a person uses the terminal."""
        self._io.warn(text)

    def end(self, notice: str) -> None:
        """End in order: tell the client why, end its prompt, interrupt its statement."""
        if self._state is not SessionState.OPEN:
            return
        self._enter(SessionState.CLOSING)
        self._reason = notice
        if self._io.end(notice):
            self._interrupt()

    def abort(self) -> None:
        """End now, without waiting for the statement or the client."""
        self._enter(SessionState.CLOSING)
        self.terminal.abort()
        if self._task is not None:
            self._task.cancel()

    async def closed(self) -> None:
        """Wait until the session's task has ended."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(
        self, repl: Repl, opening: Opening, on_closed: Callable[[Session], None]
    ) -> None:
        status = 1
        try:
            await self._begin(repl, opening)
            await repl.run()
            await self.output.drained()
            status = repl.status
        except asyncio.CancelledError:
            status = repl.status  # not raised again: only abort() and _lost() cancel this task
        except Exception:  # the edge "frontend": an error in it ends one session, not the console
            logger.exception("session %d failed", self.number)
            self._reason = "internal error"
        finally:
            self._enter(SessionState.CLOSED)
            self._io.close()
            repl.close()
            self.terminal.close(status)
            reason = "refused" if repl.refused and self._reason == "left" else self._reason
            self._publisher.closed(reason, time.time() - self.opened_at)
            on_closed(self)

    async def _begin(self, repl: Repl, opening: Opening) -> None:
        """Greet the user, and run their startup file."""
        if self.terminal.kind.interactive and self.terminal.command is None:
            greeting = await opening.greeting(self)
            if self._state is SessionState.OPEN:
                self._io.deliver(greeting)
        # A viewer's session runs no Python, so no startup file.
        if self.commands or not (self._io.has_user or opening.startup.for_commands):
            return
        try:
            file = opening.startup.for_user(self.principal.user)
        except StartupFileError as problem:
            logger.warning("%s", problem)
            await self._io.say(str(problem))
            return
        if file is not None:
            await repl.run_startup(file)

    def _enter(self, state: SessionState) -> None:
        if self._state is SessionState.CLOSED or self._state is state:
            return
        logger.debug("session %d: %s -> %s", self.number, self._state.value, state.value)
        self._state = state

    def _interrupt(self) -> None:
        if self._repl is not None:
            self._repl.interrupt()

    def _lost(self) -> None:
        """The client is gone."""
        if self._state is SessionState.OPEN:
            self._reason = "connection lost"
        self._enter(SessionState.CLOSING)
        if self._task is not None:
            self._task.cancel()
