"""``sys.stdout``, ``sys.stderr`` and ``sys.stdin``, routed to the session whose code runs.

Each is replaced once while any console runs. A replacement looks up
`console.context.scope.current_scope`: text of a session's code goes to that session, all other
text unchanged to the host's own stream (about 0.4 us more for each ``print`` of the host). An
alternative that does not work: to replace ``sys.stdout`` during each statement, as Twisted's
manhole did, sends the host's output of that moment to the operator, and loses the output of tasks
that print later.
"""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterable
from types import FrameType
from typing import Any, TextIO

from console.context.own_code import STATEMENT_FILES
from console.context.scope import Scope, current_scope

_LOGGING_FILE = logging.Handler.emit.__code__.co_filename

_LOOK_BACK_FRAMES = 30
"""The depth of a log handler that renders before it writes (rich, for one)."""


class RoutedOutput(io.TextIOBase):
    """The replacement of ``sys.stdout`` or ``sys.stderr``."""

    def __init__(self, real: TextIO | None, *, error: bool) -> None:
        self._real = real
        self._error = error

    # ---- what a session sees differently

    def write(self, text: str) -> int:
        """Write to the running session, or to the host's stream."""
        scope = current_scope.get()
        if scope is not None and not _called_by_logging(sys._getframe(1)):  # noqa: SLF001
            # Checked here, as by a real stream, before the text is passed to another thread.
            if not isinstance(text, str):
                message = f"write() argument must be str, not {type(text).__name__}"  # type: ignore[unreachable]
                raise TypeError(message)
            if scope.sink.write(text, error=self._error):
                return len(text)
        return len(text) if self._real is None else self._real.write(text)

    def writelines(self, lines: Iterable[str]) -> None:  # type: ignore[override]  # str, as TextIO
        """Write each line."""
        for line in lines:
            self.write(line)

    def isatty(self) -> bool:
        """Whether the host's stream is a terminal; False in a session."""
        return self._foreign() is None and self._real is not None and self._real.isatty()

    def fileno(self) -> int:
        """Return the host's descriptor. Refused in a session, whose output has none."""
        if self._foreign() is not None or self._real is None:
            message = "the console's streams have no file descriptor"
            raise io.UnsupportedOperation(message)
        return self._real.fileno()

    @property
    def buffer(self) -> Any:
        """The binary stream below; in a session one that writes to the session."""
        scope = self._foreign()
        if scope is not None:
            return _SessionBytes(scope, error=self._error)
        return self._real.buffer if self._real is not None else None

    @property
    def encoding(self) -> str:  # type: ignore[override]  # writeable in typeshed only
        """UTF-8 in a session, whatever the host's locale."""
        if self._foreign() is not None or self._real is None:
            return "utf-8"
        return self._real.encoding

    @property
    def errors(self) -> str | None:  # type: ignore[override]  # writeable in typeshed only
        """How unencodable characters are written."""
        if self._foreign() is not None or self._real is None:
            return "backslashreplace"
        return self._real.errors

    # ---- without effect in a session

    def flush(self) -> None:
        """Flush the host's stream; a session's output needs none."""
        if self._foreign() is None and self._real is not None:
            self._real.flush()

    def close(self) -> None:
        """Do nothing: an unreferenced proxy must not close the host's stdout."""

    @property
    def closed(self) -> bool:
        """Whether the host's stream is closed."""
        return self._real is not None and self._real.closed

    def writable(self) -> bool:
        """Output streams are."""
        return True

    def __getattr__(self, name: str) -> Any:
        # Attributes beyond TextIOBase (line_buffering, reconfigure, a test runner's own) are the
        # host's stream's. Only called for what is not found here.
        return getattr(self._real, name)

    def _foreign(self) -> Scope | None:
        return current_scope.get()


class _SessionBytes(io.RawIOBase):
    """``sys.stdout.buffer`` in a session: bytes are shown as UTF-8."""

    def __init__(self, scope: Scope, *, error: bool) -> None:
        self._scope = scope
        self._error = error

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        raw = bytes(data)
        self._scope.sink.write(raw.decode("utf-8", "backslashreplace"), error=self._error)
        return len(raw)


class RoutedInput(io.TextIOBase):
    """The replacement of ``sys.stdin``: a session never reads the host's terminal."""

    def __init__(self, real: TextIO | None) -> None:
        self._real = real

    def _host(self) -> TextIO:
        if current_scope.get() is not None:
            message = "in a session, stdin has read(), readline() and iteration only"
            raise io.UnsupportedOperation(message)
        if self._real is None:
            message = "the host has no stdin"
            raise io.UnsupportedOperation(message)
        return self._real

    def read(self, size: int | None = -1, /) -> str:
        """Read the session's input up to its end, or the host's stdin."""
        scope = current_scope.get()
        if scope is None:
            return self._host().read(-1 if size is None else size)
        if size is not None and size >= 0:
            return self.readline(size)
        return "".join(iter(self.readline, ""))

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]  # str, as TextIO
        """Read a line from the session's terminal, or from the host's stdin."""
        scope = current_scope.get()
        if scope is not None and scope.source is not None:
            line = scope.source.rest or read_line(scope)
            end = len(line) if size is None or size < 0 else size
            scope.source.rest = line[end:]
            return line[:end]
        return self._host().readline(-1 if size is None else size)

    def fileno(self) -> int:
        """Return the host's descriptor. Refused in a session, or ``input()`` would use it."""
        return self._host().fileno()

    def isatty(self) -> bool:
        """Whether the host's stdin is a terminal."""
        return current_scope.get() is None and self._real is not None and self._real.isatty()

    def readable(self) -> bool:
        """Input streams are."""
        return True

    def close(self) -> None:
        """Do nothing: an unreferenced proxy must not close the host's stdin."""

    @property
    def closed(self) -> bool:
        """Whether the host's stream is closed."""
        return self._real is not None and self._real.closed

    def __getattr__(self, name: str) -> Any:
        if current_scope.get() is not None:
            message = f"a session's stdin has no attribute {name!r}"
            raise AttributeError(message)
        return getattr(self._real, name)


def read_line(scope: Scope, *, secret: bool = False) -> str:
    """Read a line from a session's terminal.

    Raises:
        io.UnsupportedOperation: Where the session has no input, or the thread must not wait.
    """
    if scope.source is None:
        message = "there is no input to read here"
        raise io.UnsupportedOperation(message)
    if not scope.may_read:
        message = "the statement that started this has ended, and the prompt reads the input now"
        raise io.UnsupportedOperation(message)
    return scope.source.read_line(secret=secret)


def _called_by_logging(frame: FrameType | None) -> bool:
    """Whether a log handler writes, directly or by means of ``print`` or rich, for example.

    Log records go to the host's stream, even if a session's code has logged them.
    """
    for _ in range(_LOOK_BACK_FRAMES):
        if frame is None:
            return False
        file = frame.f_code.co_filename
        if file in STATEMENT_FILES:
            return False
        if file == _LOGGING_FILE:
            return True
        frame = frame.f_back
    return False
