"""ptpython's editor on a terminal of ours. Heavy to import: see ``fullscreen.py``."""

from __future__ import annotations

import ast
import contextlib
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

from prompt_toolkit.application import create_app_session
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Filter
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.validation import DummyValidator, ValidationError, Validator
from ptpython.python_input import PythonInput

from console.evaluation.compiler import normalise, split_mode
from console.frontends.channel import ChannelInput, color_depth, make_output
from console.frontends.completion import StaticCompleter
from console.interfaces import FrontendHost, HistoryLog
from console.scope import muted

_HISTORY_ENTRIES = 1000
"""As many as the arrow keys reach: they are laid out anew for each prompt."""


class Editor:
    """Reads one statement at a time. Lives on the console's loop."""

    def __init__(self, host: FrontendHost) -> None:
        self._input = ChannelInput()
        self._output = make_output(host.terminal)
        with create_app_session(input=self._input, output=self._output):
            self._python = _ConsoleInput(host, self._input, self._output)
        self._closed = False

    @property
    def is_reading(self) -> bool:
        """Whether a prompt is up."""
        return self._python.app.is_running

    async def read(self) -> str:
        """Return what was typed up to Enter.

        Raises:
            EOFError: When the input ended, by Ctrl-D or with the connection.
            KeyboardInterrupt: When Ctrl-C dropped what had been typed.
        """
        if self._closed:
            raise EOFError
        # Without a session of its own, get_app() would return another session's application,
        # and keys typed here would appear there.
        with create_app_session(input=self._input, output=self._output):
            # Before the first key: prompt_toolkit loads the history behind the first drawing, and
            # an arrow key that is there already would find none.
            self._python.app.pre_run_callables.append(
                self._python.default_buffer.load_history_if_not_yet_loaded
            )
            try:
                return await self._python.app.run_async(
                    set_exception_handler=False, handle_sigint=False
                )
            except KeyboardInterrupt:
                self._python.default_buffer.reset()
                raise

    def feed(self, text: str) -> None:
        """Take typed text."""
        self._input.feed(text)

    def feed_eof(self) -> None:
        """End the input after what it has."""
        self._input.end()

    def take_typeahead(self) -> str:
        """Give back what was typed behind the statement."""
        return self._input.take_typeahead()

    def interrupt(self) -> None:
        """Drop what has been typed, as Ctrl-C does."""
        self._exit(KeyboardInterrupt)

    def print_above(self, write: Callable[[], None]) -> None:
        """Call ``write`` with the prompt out of the way, and draw the prompt again."""
        application = self._python.app
        application.renderer.erase()
        write()
        application.renderer.reset()
        application._redraw()  # noqa: SLF001 - as run_in_terminal() does, but at once

    def resized(self) -> None:
        """Draw anew for the new size."""
        if self.is_reading:
            self._python.app._on_resize()  # noqa: SLF001 - what SIGWINCH would call

    def close(self) -> None:
        """End a pending `read` with EOFError; if none is pending, let go of everything.

        Can be called twice, and has to be where a read was pending.
        """
        self._closed = True
        if not self._exit(EOFError):
            self._input.close()
            purge_filter_caches()

    def _exit(self, error: type[BaseException]) -> bool:
        application = self._python.app
        if not application.is_running or application.is_done:
            return False
        application.exit(exception=error)
        return True


class _ConsoleInput(PythonInput):
    """PythonInput, less what would reach into the server or into the host's values."""

    def __init__(self, host: FrontendHost, input: ChannelInput, output: Any) -> None:  # noqa: A002
        super().__init__(
            get_globals=dict,  # the lexer and the menus need none of the host's values
            input=input,
            output=output,
            color_depth=color_depth(host.terminal.kind),
            _validator=DummyValidator() if host.commands else _StatementValidator(),
            extra_key_bindings=_key_bindings(),
        )
        self.history = self.default_buffer.history = _SharedHistory(host.history)
        if host.commands:
            self.default_buffer.completer = WordCompleter(list(host.commands), sentence=True)
            self.accept_input_on_enter = 1  # a command has one line
        else:
            self.default_buffer.completer = StaticCompleter(host.namespace, host.names)
        # jedi looks signatures up while one types, in threads, by evaluating.
        self.default_buffer.on_text_changed -= self._on_input_timeout
        self.show_status_bar = False
        self.show_meta_enter_message = False
        self.complete_while_typing = False
        self.confirm_exit = False
        # Ctrl-Z would stop the server's process group, an editor would open on its screen.
        self.enable_system_bindings = False
        self.enable_open_in_editor = False
        self.insert_blank_line_after_output = False
        self.highlight_matching_parenthesis = True
        self.vi_keep_last_used_mode = True
        # Otherwise breakpoint() anywhere in the host would open in this operator's prompt.
        self.app._enable_breakpointhook = contextlib.nullcontext  # type: ignore[method-assign, assignment]  # noqa: SLF001
        # We tell it of each resize: it need not ask twice a second.
        self.app.terminal_size_polling_interval = None

    def _create_options(self) -> list[Any]:
        """No menu of options: it costs a third of a session's memory."""
        return []


class _StatementValidator(Validator):
    """Finds syntax errors at Enter, before the statement leaves the editor.

    ptpython's own asks each of the host's values for its class, to find ``__future__`` features.
    """

    def validate(self, document: Document) -> None:
        """Raise a ValidationError where the text cannot be compiled."""
        _, source = split_mode(document.text)
        try:
            # Only parsed, and muted: warnings are said when the statement runs.
            with muted():
                ast.parse(normalise(source), "<input>")
        except SyntaxError as error:
            within = Document(source).translate_row_col_to_index(
                (error.lineno or 1) - 1, (error.offset or 1) - 1
            )
            index = len(document.text) - len(source) + within
            raise ValidationError(index, f"Syntax Error: {error.msg}") from None
        except (ValueError, OverflowError, MemoryError, RecursionError) as error:
            raise ValidationError(0, f"Error: {error}") from None


def _key_bindings() -> KeyBindings:
    """Ctrl-] leaves, as with telnet's own escape; keys of menus that are not here do nothing."""
    bindings = KeyBindings()

    # Eager: emacs mode has "c-], any key", and would wait a second for that key.
    @bindings.add("c-]", eager=True)
    def leave(event: KeyPressEvent) -> None:
        event.app.exit(exception=EOFError)

    @bindings.add("f2")
    @bindings.add("f3")
    def nothing(event: KeyPressEvent) -> None:
        """The option menu and the history application of ptpython."""

    return bindings


class _SharedHistory(History):
    """prompt_toolkit's history over the user's log, read anew for each prompt."""

    def __init__(self, log: HistoryLog) -> None:
        super().__init__()
        self._log = log

    async def load(self) -> AsyncGenerator[str, None]:
        """Yield the newest entries first."""
        for entry in self.load_history_strings():
            yield entry

    def load_history_strings(self) -> Iterator[str]:
        """Return the newest entries first."""
        return iter(self._log.entries()[: -_HISTORY_ENTRIES - 1 : -1])

    def append_string(self, string: str) -> None:
        """Keep an entry."""
        self._log.append(string)

    def store_string(self, string: str) -> None:
        """Keep an entry."""
        self._log.append(string)


def purge_filter_caches() -> None:
    """Let go of finished sessions.

    prompt_toolkit memoises ``global_filter & filter_of_a_session`` in the global filter for ever
    (filters/base.py), which kept every finished session alive: 0.6 MB each. The caches only save
    work, so that emptying them, those of the combined filters included, is always safe.
    """
    seen: set[int] = set()
    waiting = [
        value
        for name, module in list(sys.modules.items())
        if name.startswith(("prompt_toolkit", "ptpython"))
        for value in list(vars(module).values())
        if isinstance(value, Filter)
    ]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        for cache in (found._and_cache, found._or_cache):  # noqa: SLF001 - no public way
            waiting.extend(cache.values())
            cache.clear()
        if found._invert_result is not None:  # noqa: SLF001 - as above
            waiting.append(found._invert_result)  # noqa: SLF001 - as above
