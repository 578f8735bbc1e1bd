"""Lines that a statement reads from its session's terminal: ``input()``, ``getpass``, pdb.

The statement's thread waits; the console's loop does not. The thread waits in short intervals,
because an interrupt arrives only between two bytecodes, not in a blocking call.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections import deque
from collections.abc import Callable

from console.context.uninterrupted import Latch
from console.interfaces.terminals import Terminal
from console.line_discipline import EndOfFile, Line, LineDiscipline

_WAIT_SECONDS = 0.05

_REFUSAL = (
    "stdin cannot be read on a thread that runs an event loop, which would stop the service;"
    " read it in a statement of its own, without await, in mode 'thread'"
)


def _nothing() -> None:
    """Do nothing: the session has ended."""


def _nowhere(text: str) -> None:
    """Drop text: the session has ended."""


class _Request:
    """A statement's request for a line. ``answer`` is None until the line has arrived."""

    def __init__(self, *, secret: bool) -> None:
        self.secret = secret
        self.answer: str | None = None
        self.dropped = False
        self.answered = Latch()


class SessionInput:
    """An `InputSource` over a terminal. Lives on the console's loop, but for `read_line`."""

    def __init__(
        self,
        terminal: Terminal,
        echo: Callable[[str], object],
        on_wanted: Callable[[], None],
    ) -> None:
        self._terminal: Terminal | None = terminal
        self._raw = not terminal.kind.interactive
        self._piped: list[str] = []
        self._ended = False
        self._unattended = False
        self.rest = ""
        self._echo = echo
        self._on_wanted = on_wanted
        self._loop = asyncio.get_running_loop()
        self._discipline = LineDiscipline(echo=terminal.kind.server_echo)
        self._requests: deque[_Request] = deque()
        self._closed = False

    @property
    def page_rows(self) -> int:
        """See `InputSource.page_rows`."""
        terminal = self._watched()
        return 0 if terminal is None else terminal.size.rows

    @property
    def page_columns(self) -> int:
        """See `InputSource.page_columns`."""
        terminal = self._watched()
        return 0 if terminal is None else terminal.size.columns

    def _watched(self) -> Terminal | None:
        """Return the terminal, if a person uses it; else None."""
        terminal = self._terminal
        if terminal is None or self._raw or self._unattended or terminal.command is not None:
            return None
        return terminal

    def read_line(self, *, secret: bool = False) -> str:
        """See `InputSource.read_line`. Ctrl-C raises KeyboardInterrupt on the waiting thread."""
        if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the cheap way to ask
            raise io.UnsupportedOperation(_REFUSAL)
        request = _Request(secret=secret)
        try:
            self._loop.call_soon_threadsafe(self._begin, request)
            while not self._closed and not request.answered.wait(_WAIT_SECONDS):
                pass
        except RuntimeError:  # the console has stopped, and its loop is closed
            return ""
        finally:
            if request.answer is None:  # interrupted
                with contextlib.suppress(RuntimeError):
                    self._loop.call_soon_threadsafe(self._forget, request)
        if request.dropped:
            raise KeyboardInterrupt
        return request.answer or ""

    @property
    def wanted(self) -> bool:
        """Whether a statement waits for a line."""
        return bool(self._requests)

    def feed(self, text: str) -> str:
        """Take typed text. Returns the rest that no waiting statement has used."""
        if self._raw:
            self._piped.append(text)
            return self._answer_from_pipe()
        if self._terminal is not None:
            self._discipline.echo = self._terminal.kind.server_echo  # telnet clients change it
        self._discipline.feed(text)
        return self._answer()

    def feed_eof(self) -> None:
        """Note the end of input: a waiting statement gets the unfinished line, or EOF."""
        if self._raw:
            self._ended = True
            self._answer_from_pipe()
        else:
            self._discipline.feed_eof()
            self._answer()

    def set_unattended(self) -> None:
        """Note that input has ended: it was piped, so no person reads the output."""
        self._unattended = True

    def drop(self) -> None:
        """Handle Ctrl-C: discard the unfinished line; the waiting read raises KeyboardInterrupt."""
        if self._requests and not self._raw:
            self._discipline.discard()
            self._show()
        for request in self._requests:
            request.dropped = True
            request.answered.open()
        self._requests.clear()

    def close(self) -> None:
        """End all waits for a line. Can be called twice."""
        self._closed = True
        # A statement's scope may outlive the session, and must not keep the session alive.
        self._on_wanted = _nothing
        self._echo = _nowhere
        self._terminal = None
        for request in self._requests:
            request.answered.open()
        self._requests.clear()

    def _begin(self, request: _Request) -> None:
        self._requests.append(request)
        self._on_wanted()

    def _forget(self, request: _Request) -> None:
        with contextlib.suppress(ValueError):
            self._requests.remove(request)

    def _answer(self) -> str:
        while self._requests:
            request = self._requests[0]
            self._discipline.mask = "" if request.secret else None
            event = self._discipline.next()
            self._show()
            if event is None:
                return ""
            if isinstance(event, Line):
                request.answer = event.text + "\n"
            elif isinstance(event, EndOfFile):
                request.answer = ""
            else:
                continue
            self._requests.popleft()
            request.answered.open()
        return self._discipline.take_pending()

    def _answer_from_pipe(self) -> str:
        """Do as `_answer` for data from a pipe, in which control characters have no effect."""
        data = "".join(self._piped)
        self._piped.clear()
        while self._requests:
            end = data.find("\n") + 1
            if not end and not self._ended:
                self._piped.append(data)
                return ""
            end = end or len(data)
            request = self._requests.popleft()
            request.answer, data = data[:end], data[end:]
            request.answered.open()
        return data

    def _show(self) -> None:
        echo = self._discipline.take_output()
        if echo:
            self._echo(echo.replace("\r\n", "\n"))
