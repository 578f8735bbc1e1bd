"""A session: one principal at one terminal, from admission to the last byte.

It turns the crank: the frontend reads a statement, the evaluator runs it, the frontend shows the
outcome. While a statement runs, typed text waits here; Ctrl-C in it interrupts the statement.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from console.events import (
    EventBus,
    ExceptionShown,
    SessionClosed,
    SessionOpened,
    StatementFinished,
    StatementStarted,
)
from console.interfaces.credentials import Principal
from console.interfaces.frontends import (
    Frontend,
    FrontendHost,
    HistoryLog,
    Preferences,
    SessionChoices,
)
from console.interfaces.statements import Evaluator, Outcome, OutcomeKind
from console.interfaces.terminals import Terminal
from console.introspect.sessions import SessionFacts
from console.limits import PASTE_CHARACTERS, TYPEAHEAD_CHARACTERS
from console.sessions.input import SessionInput
from console.sessions.output import SessionOutput
from console.sessions.startup import StartupFileError, UserStartup
from console.text import escape_line

logger = logging.getLogger("console.sessions")

_INTERRUPT = "\x03"

_LINE_CHARACTERS = 200
"""Kept of the statement that runs, for those who ask who is here."""
_PIECE_CHARACTERS = 64 * 1024
"""A large result is handed on in pieces of this size, as a client takes them."""

_KEPT_OUT = "(kept out of the history and the log: it looks like a secret)\n"


class SessionState(enum.Enum):
    """The life of a session, in this order."""

    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


Greet = Callable[["Session"], Awaitable[str]]
"""Returns what somebody sees first in a session, soon."""


MakeFrontend = Callable[[FrontendHost, Frontend | None], Frontend]
"""Returns the frontend that suits the terminal: the one there is, if it does."""


class Session:
    """See the module's docstring. Lives on the console's loop; follows `TerminalReceiver`."""

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
        greeting: Greet,
        startup: UserStartup,
        make_frontend: MakeFrontend,
        pending_output_characters: int,
    ) -> None:
        self.number = number
        self.principal = principal
        self.terminal = terminal
        self.namespace = namespace
        self.history = history
        self.choices = choices
        self.opened_at = time.time()
        self.private_names: dict[str, Any] = {}
        self.commands = commands
        self._events = events
        self._greeting = greeting
        self._startup = startup
        self._make_frontend = make_frontend
        self._state = SessionState.OPEN
        self._typed_at = self._waits_since = time.monotonic()
        self._statement = ("", "")
        self._lost = False
        self._reading = False
        self._typeahead: list[str] = []
        self._typeahead_size = 0
        self._eof = False
        self._reason = "left"
        self._status = 0
        self._frontend: Frontend | None = None
        self._evaluator: Evaluator | None = None
        self._task: asyncio.Task[None] | None = None
        self.output = SessionOutput(
            asyncio.get_running_loop(), self._deliver, pending_output_characters
        )
        self.input = SessionInput(terminal, self.output.write, self._input_wanted)

    def __repr__(self) -> str:
        return f"<session {self.number} of {self.principal.user} from {self.principal.peer}>"

    @property
    def state(self) -> SessionState:
        """Where in its life the session is."""
        return self._state

    @property
    def preferences(self) -> Preferences:
        """What the user prefers."""
        return self.choices.now

    @property
    def _has_person(self) -> bool:
        """Whether somebody sits there, as far as one can tell: no command, no piped input."""
        terminal = self.terminal
        return terminal.kind.interactive and terminal.command is None and not self._eof

    @property
    def waiting_seconds(self) -> float:
        """How long it has waited for somebody to type; 0 while a statement runs."""
        if not self._reading and not self.input.wanted:
            return 0.0
        return time.monotonic() - max(self._typed_at, self._waits_since)

    def names(self) -> Mapping[str, Any]:
        """Return what the session adds to the builtins, by name."""
        return self.private_names.copy()

    def facts(self) -> SessionFacts:
        """Tell of the session as it is now. Safe to call from any thread."""
        principal, frontend = self.principal, self._frontend
        statement, source = self._statement
        return SessionFacts(
            number=self.number,
            user=principal.user,
            role=principal.role.value,
            transport=principal.transport,
            peer=principal.peer,
            method=principal.method,
            frontend="" if frontend is None else frontend.name,
            opened_at=self.opened_at,
            idle_seconds=time.monotonic() - self._typed_at,
            statement=statement,
            source=source,
        )

    # ---- its life

    def open(
        self,
        frontend: Frontend,
        evaluator: Evaluator,
        on_closed: Callable[[Session], None],
    ) -> None:
        """Begin. ``on_closed`` is called once, when nothing of the session runs any more."""
        self._frontend = frontend
        self._evaluator = evaluator
        self._publish(SessionOpened, role=self.principal.role.value, frontend=frontend.name)
        self.terminal.attach(self)
        self._task = asyncio.get_running_loop().create_task(
            self._run(evaluator, on_closed), name=f"console session {self.number}"
        )

    def use_proof(self, proof: bytes) -> None:
        """Stand for the password of today from now on: the user has changed it here."""
        self.principal = replace(self.principal, proof=proof)

    def warn(self, text: str) -> None:
        """Show a person a line above the prompt, which stays as it is."""
        if self._has_person:
            before = "" if self._reading else "\n"  # a statement asks, with a prompt of its own
            self._deliver(f"{before}{text}\n", True)

    def end(self, notice: str) -> None:
        """End in order: tell the client why, end its prompt, interrupt its statement."""
        if self._state is not SessionState.OPEN:
            return
        self._enter(SessionState.CLOSING)
        self._reason = notice
        if self._frontend is not None:
            self._frontend.close()  # first, so that no prompt comes again below the notice
            if self.terminal.kind.interactive:
                text = notice if self._reading else f"\n{notice}"
                self._frontend.write(f"{text}\n")
            else:
                self._frontend.write(f"{notice}\n", error=True)
        if not self._reading and self._evaluator is not None:
            self._evaluator.interrupt()

    def abort(self) -> None:
        """End now, without waiting for the statement or the client."""
        self._enter(SessionState.CLOSING)
        self.terminal.abort()
        if self._task is not None:
            self._task.cancel()

    async def closed(self) -> None:
        """Wait until nothing of the session runs any more."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self, evaluator: Evaluator, on_closed: Callable[[Session], None]) -> None:
        try:
            await self._converse(evaluator)
            await self.output.drained()
        except asyncio.CancelledError:
            pass  # ends here: the task is ours, and whoever cancelled it waits for it to end
        except Exception:  # the edge "frontend": a broken screen ends one session, not the console
            logger.exception("session %d failed", self.number)
            self._reason = "internal error"
            self._status = 1
        finally:
            self._enter(SessionState.CLOSED)
            self.output.close()
            self.input.close()
            if self._frontend is not None:
                self._frontend.close()
            evaluator.close()
            self.private_names.clear()
            self.terminal.close(self._status)
            self._publish(
                SessionClosed,
                role=self.principal.role.value,
                reason=self._reason,
                duration_seconds=time.time() - self.opened_at,
            )
            on_closed(self)

    async def _converse(self, evaluator: Evaluator) -> None:
        if self.terminal.kind.interactive and self.terminal.command is None:
            greeting = await self._greeting(self)
            if self._state is SessionState.OPEN:
                self._deliver(greeting, False)
        # Where only commands are understood, nothing is run that is Python.
        if not self.commands and (self._has_person or self._startup.for_commands):
            await self._run_startup(evaluator)
        count = 0
        while self._state is SessionState.OPEN:
            source = await self._read()
            if source is None:
                return
            if isinstance(source, Outcome):
                outcome = self._refused(source)
                await self._show(outcome)
            else:
                count += 1
                outcome = await self._run_statement(source, count, evaluator)
            self._status = outcome.status
            if outcome.kind is OutcomeKind.EXIT:
                return

    async def _run_statement(self, source: str, count: int, evaluator: Evaluator) -> Outcome:
        secret = self.history.is_secret(source)
        outcome = await self._evaluate(source, count, evaluator, secret=secret)
        await self._show(outcome)
        if secret and not source.startswith(" ") and self._has_person:
            self.output.write(_KEPT_OUT, error=True)
            await self.output.drained()
        return outcome

    async def _run_startup(self, evaluator: Evaluator) -> None:
        """Run the user's startup file. Whatever comes of it, the prompt comes next."""
        try:
            file = self._startup.for_user(self.principal.user)
        except StartupFileError as problem:
            logger.warning("%s", problem)
            self.output.write(f"{problem}\n", error=True)
            await self.output.drained()
            return
        if file is None:
            return
        secret = self.history.is_secret(file.source)
        run = evaluator.run_file(file.source, str(file.path), private=True, secret=secret)
        outcome = await self._watch(run, file.source, 0, secret=secret)
        await self._show(outcome)
        if outcome.kind is OutcomeKind.EXIT:
            self.output.write(f"startup file {file.path}: exit() has ended it\n", error=True)
            await self.output.drained()

    def _suited(self) -> Frontend:
        """Return the frontend that suits the terminal as it is now: a new one, if it changed."""
        before = self._frontend
        frontend = self._frontend = self._make_frontend(self, before)
        if before is not None and frontend is not before:
            before.close()
        return frontend

    async def _show(self, outcome: Outcome) -> None:
        for error, text in self._suited().render(outcome):
            for start in range(0, len(text), _PIECE_CHARACTERS):
                # Room first: on this loop, which must not wait, what does not fit is dropped.
                await self.output.drained()
                self.output.write(text[start : start + _PIECE_CHARACTERS], error=error)
        await self.output.drained()

    def _refused(self, outcome: Outcome) -> Outcome:
        """Take what a frontend says of a statement that will not be run."""
        self._reason = "refused"
        text = "(not shown, as it is a secret)" if outcome.secret else escape_line(outcome.text)
        logger.info("session %d: not run: %s", self.number, text)
        return replace(outcome, kind=OutcomeKind.EXIT)

    async def _read(self) -> str | Outcome | None:
        while True:
            frontend = self._suited()
            text = "".join(self._typeahead)
            self._typeahead.clear()
            self._typeahead_size = 0
            self._reading = True
            self._waits_since = time.monotonic()
            try:
                if text:
                    frontend.feed(text)
                if self._eof:
                    frontend.feed_eof()
                self.terminal.resume_reading()
                source = await frontend.read()
            finally:
                self._reading = False
            rest = frontend.take_typeahead()
            if rest:
                self._keep(rest)
            replaced = frontend is not self._frontend
            if replaced:
                frontend.close()  # again: now no read of it is pending
            if source is not None or not replaced or self._state is not SessionState.OPEN:
                return source

    async def _evaluate(
        self, source: str, count: int, evaluator: Evaluator, *, secret: bool
    ) -> Outcome:
        # Ctrl-C that was typed right behind the statement is meant for it.
        if self.terminal.kind.interactive and _INTERRUPT in "".join(self._typeahead):
            asyncio.get_running_loop().call_soon(self.interrupt_received)
        run = evaluator.evaluate(source, secret=secret)
        return await self._watch(run, source, count, secret=secret)

    async def _watch(
        self, run: Awaitable[Outcome], source: str, count: int, *, secret: bool
    ) -> Outcome:
        """Wait for what comes of statements, and publish it."""
        # That something ran, and how long it was, is no secret.
        shown = f"({len(source)} characters, not shown as a secret)" if secret else source
        self._publish(StatementStarted, statement=count, source=shown)
        self._statement = (
            f"{self.number}.{count}",
            shown.strip().partition("\n")[0][:_LINE_CHARACTERS],
        )
        began = time.monotonic()
        outcome = await run
        self._statement = ("", "")
        self._publish(
            StatementFinished,
            statement=count,
            kind=outcome.kind.value,
            duration_seconds=time.monotonic() - began,
        )
        if outcome.error_id:
            text = "(not shown, as its statement is a secret)" if secret else outcome.text
            self._publish(ExceptionShown, error_id=outcome.error_id, traceback=text)
        return outcome

    def _enter(self, state: SessionState) -> None:
        if self._state is SessionState.CLOSED or self._state is state:
            return
        logger.debug("session %d: %s -> %s", self.number, self._state.value, state.value)
        self._state = state

    def _publish(self, event: Any, **fields: Any) -> None:
        self._events.publish(
            event(
                transport=self.principal.transport,
                peer=self.principal.peer,
                session=self.number,
                user=self.principal.user,
                **fields,
            )
        )

    def _deliver(self, text: str, error: bool) -> None:
        if self._frontend is not None:
            self._frontend.write(text, error=error)

    # ---- what the terminal tells (TerminalReceiver)

    def data_received(self, text: str) -> None:
        """Give typed text to the frontend, or keep it while a statement runs."""
        self._typed_at = time.monotonic()
        if self._reading and self._frontend is not None:
            self._frontend.feed(text)
            return
        _, interrupt, after = text.rpartition(_INTERRUPT)
        if interrupt and self.terminal.kind.interactive:  # in a pipe it is a byte like others
            # As a tty does it: what was typed before Ctrl-C goes with it.
            self._forget_typeahead()
            self.interrupt_received()
            text = after
        if text and self.input.wanted and not self._typeahead:
            text = self.input.feed(text)
        if text:
            self._keep(text)

    def interrupt_received(self) -> None:
        """Drop the line that is being typed, or interrupt the statement that runs."""
        if self._reading and self._frontend is not None:
            self._frontend.interrupt()
            return
        text = "".join(self._typeahead)
        self._forget_typeahead()
        after = text.rpartition(_INTERRUPT)[2] if _INTERRUPT in text else ""
        if after:
            self._keep(after)
        self.input.drop()
        if self._evaluator is not None:
            self._evaluator.interrupt()

    def eof_received(self) -> None:
        """Let the frontend finish what it has, and then end."""
        self._eof = self.input.unattended = True
        if self._reading and self._frontend is not None:
            self._frontend.feed_eof()
        elif self.input.wanted:
            self.input.feed_eof()

    def resized(self) -> None:
        """Draw anew for the new size."""
        if self._frontend is not None:
            self._frontend.resized()

    def kind_changed(self) -> None:
        """Go on with the frontend that suits, from the next prompt or by a new one."""
        before = self._frontend
        if self._reading and self._suited() is not before:
            self._reading = False  # its read ends now; what is typed waits for the next one

    def asked(self) -> None:
        """Say that we are here."""
        self._deliver("[yes]\n", False)

    def writing_paused(self) -> None:
        """Hold output back: the client does not read."""
        self.output.pause()

    def writing_resumed(self) -> None:
        """Let output go on."""
        self.output.resume()

    def connection_lost(self) -> None:
        """End: nobody is there any more."""
        if self._state is SessionState.OPEN:
            self._reason = "connection lost"
        self._enter(SessionState.CLOSING)
        self.output.close()
        self.input.close()
        if self._task is not None:
            self._task.cancel()

    def _input_wanted(self) -> None:
        """A statement reads a line: give it what has been typed ahead."""
        self._waits_since = time.monotonic()
        text = "".join(self._typeahead)
        self._typeahead.clear()
        self._typeahead_size = 0
        rest = self.input.feed(text)
        if rest:
            self._keep(rest)
        else:
            self.terminal.resume_reading()  # which may bring more before it returns
        if self._eof:
            self.input.feed_eof()

    def _keep(self, text: str) -> None:
        if self.terminal.kind.server_echo:
            # Somebody types, or pastes: reading goes on, or Ctrl-C would not be seen any more,
            # and neither would the end of the connection.
            room = PASTE_CHARACTERS - self._typeahead_size
            if len(text) > room:
                text = text[:room]
                self.terminal.write(b"\a")
        elif self._typeahead_size + len(text) > TYPEAHEAD_CHARACTERS:
            self.terminal.pause_reading()
        self._typeahead.append(text)
        self._typeahead_size += len(text)

    def _forget_typeahead(self) -> None:
        self._typeahead.clear()
        self._typeahead_size = 0
        self.terminal.resume_reading()
