"""Makes the `Outcome` of a statement: its value's text, or its traceback.

This runs user code (``__repr__``, ``__str__``): call it only where the statement ran, and guarded
like the statement.
"""

from __future__ import annotations

import asyncio
from typing import Any

from console.evaluation import debugger
from console.evaluation.interrupts import Guard, StatementToken
from console.evaluation.request import StatementRequest, Surroundings
from console.interfaces.statements import InputSource, Outcome, OutcomeKind
from console.results.json_document import Facts, facts_of_error, facts_of_value
from console.results.printer import clip, drop_own_frames, format_exception, format_value

INTERRUPTED = Outcome(OutcomeKind.INTERRUPTED, "KeyboardInterrupt", status=130)

NO_FACTS = Facts()

_NO_LOOP_MESSAGES = ("no running event loop", "There is no current event loop")

_HINT_CHARACTERS = 2000
"""The most of a statement that a hint repeats for the user to type again."""


class OutcomeBuilder:
    """Makes the outcome of one statement.

    Attributes:
        facts: The data of the outcome for JSON.
    """

    def __init__(
        self,
        request: StatementRequest,
        surroundings: Surroundings,
        source: InputSource | None,
        token: StatementToken,
    ) -> None:
        self.facts = NO_FACTS
        self._error: BaseException | None = None
        self._request = request
        self._in = surroundings
        self._source = source
        self._token = token

    def succeeded(self, value: Any) -> Outcome:
        """Show a value, and keep it as ``_``."""
        if value is None:
            return Outcome(OutcomeKind.NOTHING)
        settings = self._in.settings
        if self._request.as_json:
            self.facts = facts_of_value(value, settings.pending_output_characters)
            text = self.facts.data or format_value(value, settings.result_characters)
            hint = ""
        else:
            # A name "_" of the service takes precedence over the session's.
            last = "" if "_" in self._in.namespace else "_"
            text, hint = self._in.results.show(value, self._source, last)
        self._in.names["_"] = value
        return Outcome(OutcomeKind.VALUE, text, note=hint)

    def take_error(self) -> BaseException | None:
        """Return and forget the exception that was shown, so that its frames can be freed."""
        error, self._error = self._error, None
        return error

    def failed(self, error: BaseException, *, compiling: bool = False) -> Outcome:
        """Make the outcome of an exception: a traceback, an exit or an interrupt."""
        # type(), not isinstance(), which reads __class__, and that may be user code.
        kind = type(error)
        if issubclass(kind, SystemExit):
            return _exit_outcome(error)
        if debugger.is_quit(error):
            return Outcome(OutcomeKind.INTERRUPTED, status=1)
        if issubclass(kind, KeyboardInterrupt) or (
            self._token.interrupted and issubclass(kind, asyncio.CancelledError)
        ):
            return INTERRUPTED
        drop_own_frames(error)
        text = format_exception(
            error, compiling=compiling, limit_characters=self._in.settings.result_characters
        )
        if self._request.as_json:
            self.facts = facts_of_error(error)
        self._error = error
        return Outcome(
            OutcomeKind.EXCEPTION,
            text,
            status=1,
            error_id=self._request.name,
            note=self._hint(error),
        )

    def failed_at_last(self, error: BaseException, guard: Guard) -> Outcome:
        """As `failed`, for an exception that escaped the statement. Guarded; never raises."""
        step = guard.run(self._token, self.failed, error)
        if isinstance(step.value, Outcome):
            return step.value
        if isinstance(step.error, KeyboardInterrupt):
            return INTERRUPTED
        # The exception's own code (__traceback__ as a property, say) raises when it is read.
        text = f"{type(error).__name__}: it cannot be shown"
        return Outcome(OutcomeKind.EXCEPTION, text, status=1, error_id=self._request.name)

    def _hint(self, error: BaseException) -> str:
        # Exactly RuntimeError, as asyncio raises it: a subclass could run user code here.
        if type(error) is not RuntimeError or self._request.file or _runs_loop():
            return ""
        text = error.args[0] if error.args else None
        if type(text) is not str or not any(message in text for message in _NO_LOOP_MESSAGES):
            return ""
        source = self._request.source
        separator = "\n" if "\n" in source else " "
        return (
            "This ran in a thread of your session. To run it on the service's event loop, type:\n"
            f"%loop{separator}{clip(source, _HINT_CHARACTERS)}"
        )


def _runs_loop() -> bool:
    return asyncio._get_running_loop() is not None  # noqa: SLF001 - the cheap way to ask


def _exit_outcome(error: BaseException) -> Outcome:
    """Turn ``sys.exit(...)`` into an outcome, with the status that Python itself would give."""
    try:
        code = getattr(error, "code", None)
        if code is None:
            return Outcome(OutcomeKind.EXIT)
        if issubclass(type(code), int):
            return Outcome(OutcomeKind.EXIT, status=int.__and__(code, 0xFF))
        text = clip(str(code))
    except KeyboardInterrupt:
        raise  # Ctrl-C, while the message was made
    except BaseException as failure:  # noqa: BLE001 - the message is user code's
        text = f"sys.exit() got a value that str() fails on ({type(failure).__name__})"
    return Outcome(OutcomeKind.EXIT, text, status=1)
