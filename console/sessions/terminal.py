"""A session's terminal: routes input to its reader, and output to the client in order.

Input goes to the frontend while the frontend reads, or to the statement that waits for a line.
Otherwise it is kept as typeahead for the next of these. Ctrl-C goes to the frontend while it
reads, and interrupts the running statement otherwise.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable
from typing import Concatenate, Final, ParamSpec

from console.audit.failure_log import FailureLog
from console.interfaces.frontends import Frontend, FrontendHost
from console.interfaces.statements import Outcome
from console.sessions.input import SessionInput
from console.sessions.output import SessionOutput
from console.sessions.typeahead import INTERRUPT, Room, Typeahead

logger = logging.getLogger("console.sessions")

P = ParamSpec("P")

_PIECE_CHARACTERS: Final = 64 * 1024
"""A large result is written in pieces of this size, each after the client took the last."""

_BELL: Final = b"\a"

MakeFrontend = Callable[[FrontendHost, Frontend | None], Frontend]
"""Returns the frontend for the terminal's kind: the present one, if it still fits."""


def _edge(
    method: Callable[Concatenate[SessionTerminal, P], None],
) -> Callable[Concatenate[SessionTerminal, P], None]:
    """Guard the edge "terminal event": an exception of the method is logged, the session goes on.

    Otherwise it would propagate to the transport, which would end the connection with all its
    channels.
    """

    @functools.wraps(method)
    def guarded(self: SessionTerminal, /, *arguments: P.args, **keywords: P.kwargs) -> None:
        try:
            method(self, *arguments, **keywords)
        except Exception as error:  # noqa: BLE001 - the edge "terminal event": it is logged
            self.event_failed(method.__name__, error)

    return guarded


class SessionTerminal:
    """See the module's docstring. Lives on the console's loop; follows `TerminalReceiver`.

    Args:
        host: The session, as its frontend sees it.
        make_frontend: Makes the frontends.
        pending_output_characters: The limit of the output that waits for the client.
        on_interrupt: Called for Ctrl-C while no frontend reads.
        on_lost: Called when the terminal is gone, after the waits for it have been ended.

    Attributes:
        output: The sink of the statements' output.
        input: The source of the statements' input.
    """

    def __init__(
        self,
        host: FrontendHost,
        make_frontend: MakeFrontend,
        *,
        pending_output_characters: int,
        on_interrupt: Callable[[], object],
        on_lost: Callable[[], None],
    ) -> None:
        self._host = host
        self._make_frontend = make_frontend
        self._on_interrupt = on_interrupt
        self._on_lost = on_lost
        self._terminal = host.terminal
        self._frontend: Frontend | None = None
        self._typeahead = Typeahead()
        self._typed_at = self._waits_since = time.monotonic()
        self._reading = False
        self._eof = False
        self._ended = False
        self._failures = FailureLog(logger)
        self.output = SessionOutput(
            asyncio.get_running_loop(), self.deliver, pending_output_characters
        )
        self.input = SessionInput(self._terminal, self.output.write, self._input_wanted)

    @property
    def frontend_name(self) -> str:
        """The name of the present frontend; empty before `begin`."""
        return "" if self._frontend is None else self._frontend.name

    @property
    def ended(self) -> bool:
        """Whether no more statements are to be read: the session ends, or the client is gone."""
        return self._ended

    @property
    def has_user(self) -> bool:
        """Whether a person seems to use it: interactive, no command, and input not at its end."""
        terminal = self._terminal
        return terminal.kind.interactive and terminal.command is None and not self._eof

    @property
    def idle_seconds(self) -> float:
        """The seconds since the last input."""
        return time.monotonic() - self._typed_at

    @property
    def waiting_seconds(self) -> float:
        """How long it has waited for the user to type; 0 while a statement runs."""
        if not self._reading and not self.input.wanted:
            return 0.0
        return time.monotonic() - max(self._typed_at, self._waits_since)

    # ---- called by the session

    def begin(self, frontend: Frontend) -> None:
        """Set the first frontend, and receive the terminal's events from now on."""
        self._frontend = frontend
        self._terminal.attach(self)

    async def read(self) -> str | Outcome | None:
        """Return the next statement; None when the input or the session has ended.

        It returns an `Outcome` for a statement that the frontend refuses: see `Frontend.read`.
        """
        while True:
            frontend = self._suited()
            text = self._typeahead.take()
            self._reading = True
            self._waits_since = time.monotonic()
            try:
                if text:
                    frontend.feed(text)
                if self._eof:
                    frontend.feed_eof()
                self._terminal.resume_reading()
                source = await frontend.read()
            finally:
                self._reading = False
            rest = frontend.take_typeahead()
            if rest:
                self._keep(rest)
            replaced = frontend is not self._frontend
            if replaced:
                frontend.close()  # a second time, now that its read has returned
            if source is not None or not replaced or self._ended:
                return source

    async def show(self, outcome: Outcome) -> None:
        """Show a statement's outcome, and wait until the output has drained."""
        for error, text in self._suited().render(outcome):
            for start in range(0, len(text), _PIECE_CHARACTERS):
                # Wait for room first: `write` drops the excess when it is called on this loop.
                await self.output.drained()
                self.output.write(text[start : start + _PIECE_CHARACTERS], error=error)
        await self.output.drained()

    async def say(self, text: str) -> None:
        """Write a message of the console on the error stream, after the output that waits."""
        self.output.write(f"{text}\n", error=True)
        await self.output.drained()

    def deliver(self, text: str, error: bool = False) -> None:
        """Hand text to the frontend at once, before output that waits."""
        if self._frontend is not None:
            self._frontend.write(text, error=error)

    def warn(self, text: str) -> None:
        """Show a line above the prompt, which stays intact, if a person uses the terminal."""
        if self.has_user:
            before = "" if self._reading else "\n"  # end the line of a statement's own prompt
            self.deliver(f"{before}{text}\n", error=True)

    def interrupt_at_once(self) -> None:
        """Interrupt the statement that begins now, if the typeahead contains Ctrl-C."""
        if self._terminal.kind.interactive and self._typeahead.has_interrupt:
            asyncio.get_running_loop().call_soon(self.interrupt_received)

    def end(self, notice: str) -> bool:
        """End the prompt and tell the client why. Returns whether a statement runs."""
        self._ended = True
        if self._frontend is not None:
            self._frontend.close()  # first, so that no prompt comes again below the notice
            if self._terminal.kind.interactive:
                self._frontend.write(f"{notice}\n" if self._reading else f"\n{notice}\n")
            else:
                self._frontend.write(f"{notice}\n", error=True)
        return not self._reading

    def close(self) -> None:
        """Close the statement's streams and the frontend. Can be called twice."""
        self._ended = True
        self.output.close()
        self.input.close()
        if self._frontend is not None:
            self._frontend.close()

    # ---- called by the terminal (TerminalReceiver)

    @_edge
    def data_received(self, text: str) -> None:
        """Pass text to the reader, or keep it as typeahead; interrupt the statement for Ctrl-C."""
        self._typed_at = time.monotonic()
        if self._reading and self._frontend is not None:
            self._frontend.feed(text)
            return
        _, interrupt, after = text.rpartition(INTERRUPT)
        if interrupt and self._terminal.kind.interactive:  # in a pipe \x03 has no meaning
            # Ctrl-C flushes the input before it, as a terminal driver does.
            self._typeahead.clear()
            self.interrupt_received()
            text = after
        if text and self.input.wanted and not self._typeahead:
            text = self.input.feed(text)
        if text:
            self._keep(text)

    @_edge
    def interrupt_received(self) -> None:
        """Drop the line that is being typed, or interrupt the statement that runs."""
        if self._reading and self._frontend is not None:
            self._frontend.interrupt()
            return
        self._typeahead.interrupt()
        self._terminal.resume_reading()
        self.input.drop()
        self._on_interrupt()

    @_edge
    def eof_received(self) -> None:
        """Pass the end of input to the frontend, or to the statement that waits for a line."""
        self._eof = True
        self.input.set_unattended()
        if self._reading and self._frontend is not None:
            self._frontend.feed_eof()
        elif self.input.wanted:
            self.input.feed_eof()

    @_edge
    def resized(self) -> None:
        """Have the frontend redraw for the new size."""
        if self._frontend is not None:
            self._frontend.resized()

    @_edge
    def kind_changed(self) -> None:
        """Change to the frontend for the new kind: now at a prompt, else at the next prompt."""
        before = self._frontend
        if self._reading and self._suited() is not before:
            self._reading = False  # its read ends now; input is kept for the next read

    @_edge
    def asked(self) -> None:
        """Answer that the session is alive."""
        self.deliver("[yes]\n")

    @_edge
    def writing_paused(self) -> None:
        """Pause the output: the transport's write buffer is full."""
        self.output.pause()

    @_edge
    def writing_resumed(self) -> None:
        """Resume the output."""
        self.output.resume()

    def connection_lost(self) -> None:
        """End the session: the client is gone."""
        self._ended = True
        self.output.close()
        self.input.close()
        self._on_lost()

    # ----

    def event_failed(self, event: str, error: Exception) -> None:
        """Log that an event of the terminal could not be handled, and ring the bell."""
        self._failures.tell(f"{self._host!r}: {event}", error)
        self._terminal.write(_BELL)

    def _suited(self) -> Frontend:
        """Return the frontend for the terminal's present kind: a new one, if the kind changed."""
        before = self._frontend
        frontend = self._frontend = self._make_frontend(self._host, before)
        if before is not None and frontend is not before:
            before.close()
        return frontend

    def _input_wanted(self) -> None:
        """Feed the typeahead to the statement that has begun to read a line."""
        self._waits_since = time.monotonic()
        rest = self.input.feed(self._typeahead.take())
        if rest:
            self._keep(rest)
        else:
            self._terminal.resume_reading()  # may call data_received() before it returns
        if self._eof:
            self.input.feed_eof()

    def _keep(self, text: str) -> None:
        match self._typeahead.keep(text, typed=self._terminal.kind.server_echo):
            case Room.CUT:
                self._terminal.write(_BELL)
            case Room.FULL:
                self._terminal.pause_reading()
