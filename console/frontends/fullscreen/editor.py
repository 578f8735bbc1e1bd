"""ptpython's editor on a terminal of ours. Heavy to import: see ``fullscreen.py``."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import AsyncGenerator, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from prompt_toolkit.application import create_app_session
from prompt_toolkit.clipboard import Clipboard
from prompt_toolkit.completion import DummyCompleter
from prompt_toolkit.cursor_shapes import (
    CursorShape,
    DynamicCursorShapeConfig,
    ModalCursorShapeConfig,
    SimpleCursorShapeConfig,
)
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, Filter
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import merge_key_bindings
from prompt_toolkit.key_binding.emacs_state import EmacsState
from prompt_toolkit.key_binding.vi_state import InputMode, ViState
from prompt_toolkit.layout.controls import SearchBufferControl
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.search import SearchState
from prompt_toolkit.styles import BaseStyle, DynamicStyle
from prompt_toolkit.validation import ValidationError, Validator
from ptpython.layout import CompletionVisualisation
from ptpython.python_input import PythonInput

from console.context.scope import muted
from console.frontends.fullscreen.completion import StaticCompleter
from console.frontends.fullscreen.explanation import Explanation, paste_hint
from console.frontends.fullscreen.keys import LONG_CHARACTERS, console_keys, python_keys
from console.frontends.fullscreen.layout import EditorLayout
from console.frontends.fullscreen.lexing import BoundedLexer
from console.frontends.fullscreen.predictive_echo import PredictiveEcho
from console.frontends.fullscreen.shared_application import (
    SharedApplication,
    initialise_python_input,
)
from console.frontends.fullscreen.terminal_io import ChannelInput, ChannelOutput, color_depth
from console.frontends.fullscreen.themes import result_colours, style_of
from console.frontends.fullscreen.write_coalescing import WriteCoalescing
from console.interfaces.frontends import FrontendHost, HistoryLog, Preferences
from console.syntax.cells import answer_question, normalise
from console.syntax.options import OptionError, split_options
from console.syntax.parsing import parse

_ESCAPE_SECONDS = 0.1
"""After Escape alone, for vi. The bytes of one key come together, or nearly."""

_HISTORY_ENTRIES = 1000
"""As many as the arrow keys reach: they are laid out anew for each prompt."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What outlives an editor of which its session has let go: nothing else outlives a statement.

    Attributes:
        vi: As `Editor.vi`.
        inserts: As `Editor.inserts`.
    """

    vi: bool
    inserts: bool
    preferences: Preferences
    paste_mode: bool
    clipboard: Clipboard
    search: SearchState
    vi_state: ViState
    emacs_state: EmacsState


class Editor:
    """Reads one statement at a time. Lives on the console's loop.

    Args:
        host: The session.
        out: Writes to its terminal.
        kept: What its last editor has left.
    """

    def __init__(self, host: FrontendHost, out: WriteCoalescing, kept: Kept | None = None) -> None:
        self._host = host
        self._input = ChannelInput(lambda: out.write(b"\a"))
        self._output = ChannelOutput(host.terminal, out)
        with create_app_session(input=self._input, output=self._output):
            self._python = _ConsoleInput(host, self._input, self._output)
        if kept is not None:
            self._python.restore(kept)
        self._closed = False

    @property
    def is_reading(self) -> bool:
        """Whether a prompt is up."""
        return self._python.app.is_running

    @property
    def vi(self) -> bool:
        """Whether it has vi's keys."""
        return self._python.vi_mode

    @property
    def inserts(self) -> bool:
        """Whether a plain key that is typed next is inserted: not so in vi's command mode."""
        state = self._python.app.vi_state
        return not self.vi or state.input_mode is InputMode.INSERT

    async def read(self) -> str:
        """Return what was typed up to Enter.

        Raises:
            EOFError: When the input ended, by Ctrl-D or with the connection.
            KeyboardInterrupt: When Ctrl-C dropped what had been typed.
        """
        if self._closed:
            raise EOFError
        self._python.prefer(self._host.preferences)
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

    @property
    def result_colours(self) -> dict[str, str]:
        """The colours of what statements come to; empty for none."""
        return result_colours(self._python.theme, self._python.color_depth)

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

    def keep(self) -> Kept:
        """Let go of everything else, while no `read` is pending.

        It is `purge_filter_caches` that lets it be collected.
        """
        self._closed = True
        self._input.close()
        return self._python.keep(inserts=self.inserts)

    def _exit(self, error: type[BaseException]) -> bool:
        application = self._python.app
        if not application.is_running or application.is_done:
            return False
        application.exit(exception=error)
        return True


class _ConsoleInput(PythonInput):
    """PythonInput, less what would reach into the server or into the host's values."""

    def __init__(self, host: FrontendHost, input: ChannelInput, output: Any) -> None:  # noqa: A002
        self._kind = host.terminal.kind
        self._applied = Preferences()
        self._explanation = Explanation(host)
        initialise_python_input(
            self,
            get_globals=dict,  # the lexer and the menus need none of the host's values
            input=input,
            output=output,
            color_depth=color_depth(self._kind),
            _lexer=BoundedLexer(),
            _completer=DummyCompleter(),  # the buffer gets ours; ptpython's takes 1 ms to make
            _validator=_StatementValidator(),
            _extra_toolbars=[self._explanation.container, paste_hint(lambda: self.paste_mode)],
        )
        buffer = self.default_buffer
        self.history = buffer.history = _SharedHistory(host.history)
        buffer.completer = StaticCompleter(host.namespace, host.names)
        buffer.auto_suggest = None  # a task for each key, to do nothing
        # jedi looks signatures up while one types, in threads, by evaluating.
        buffer.on_text_changed -= self._on_input_timeout
        buffer.on_text_changed += self._explanation.hide
        self.show_status_bar = False
        self.show_meta_enter_message = False
        self.complete_while_typing = False
        self.completion_visualisation = CompletionVisualisation.POP_UP
        self.enable_history_search = True  # the arrow keys find what begins like what is typed
        self.confirm_exit = False
        # Ctrl-Z would stop the server's process group, an editor would open on its screen.
        self.enable_system_bindings = False
        self.enable_open_in_editor = False
        self.insert_blank_line_after_output = False
        self.highlight_matching_parenthesis = True
        self.vi_keep_last_used_mode = True
        self.all_cursor_shape_configs = {
            "emacs": SimpleCursorShapeConfig(CursorShape._NEVER_CHANGE),  # noqa: SLF001 - its only name
            "vi": ModalCursorShapeConfig(),
        }
        self.cursor_shape_config = "emacs"
        # Otherwise breakpoint() anywhere in the host would open in this operator's prompt.
        self.app._enable_breakpointhook = contextlib.nullcontext  # type: ignore[method-assign, assignment]  # noqa: SLF001
        # We tell it of each resize: it need not ask twice a second.
        self.app.terminal_size_polling_interval = None
        self.app.ttimeoutlen = _ESCAPE_SECONDS
        self.prefer(host.preferences)

    def prefer(self, preferences: Preferences) -> None:
        """Be as the user wants it; what a key has changed since stays, if the user did not."""
        before, self._applied = self._applied, preferences
        if preferences.editing != before.editing:
            self.vi_mode = preferences.editing == "vi"
        if preferences.theme != before.theme:
            self._current_style = style_of(preferences.theme)
            plain = preferences.theme == "plain"
            self.color_depth = ColorDepth.DEPTH_1_BIT if plain else color_depth(self._kind)
        self.cursor_shape_config = "vi" if self.vi_mode else "emacs"

    @property
    def theme(self) -> str:
        """The name of the theme that holds now."""
        return self._applied.theme

    def keep(self, *, inserts: bool) -> Kept:
        """Return what the session's next editor goes on with."""
        return Kept(
            vi=self.vi_mode,
            inserts=inserts,
            preferences=self._applied,
            paste_mode=self.paste_mode,
            clipboard=self.app.clipboard,
            search=self._search.searcher_search_state,
            vi_state=self.app.vi_state,
            emacs_state=self.app.emacs_state,
        )

    def restore(self, kept: Kept) -> None:
        """Go on with what the session's last editor has left."""
        self._applied = kept.preferences
        self.vi_mode = kept.vi
        self.paste_mode = kept.paste_mode
        self.app.clipboard = kept.clipboard
        self.app.vi_state = kept.vi_state
        self.app.emacs_state = kept.emacs_state
        self._search.searcher_search_state = kept.search

    @property
    def _search(self) -> SearchBufferControl:
        layout: EditorLayout = self.ptpython_layout  # type: ignore[assignment]  # see sharing.py
        return layout.search.control

    def explain(self) -> None:
        """Show or hide what is known of what the cursor is at."""
        self._explanation.toggle(self.default_buffer.document)

    def on_reset(self) -> None:
        """Begin a new statement."""
        super().on_reset()
        self._explanation.hide()

    def _generate_style(self) -> BaseStyle:
        return style_of(self._applied.theme)

    def _create_options(self) -> list[Any]:
        """No menu of options: it costs a third of a session's memory."""
        return []

    def _create_application(self, input: Any, output: Any) -> SharedApplication:  # noqa: A002
        editor: EditorLayout = self.ptpython_layout  # type: ignore[assignment]  # see sharing.py
        application: SharedApplication = SharedApplication(
            layout=editor.layout,
            key_bindings=merge_key_bindings([python_keys(self), console_keys(self.explain)]),
            color_depth=lambda: self.color_depth,
            paste_mode=Condition(lambda: self.paste_mode),
            style=DynamicStyle(lambda: self._current_style),
            include_default_pygments_style=False,
            enable_page_navigation_bindings=False,
            reverse_vi_search_direction=True,
            # To wait until the loop has nothing else to do takes two sessions 10 ms of asking
            # each other. What has come is handled at once anyway.
            max_render_postpone_time=None,
            cursor=DynamicCursorShapeConfig(
                lambda: self.all_cursor_shape_configs[self.cursor_shape_config]
            ),
            input=input,
            output=output,
        )
        application.echo = PredictiveEcho(application, self.default_buffer, editor.control)
        input.echo = application.echo.show
        return application


class _StatementValidator(Validator):
    """Finds syntax errors at Enter, before the statement leaves the editor.

    ptpython's own asks each of the host's values for its class, to find ``__future__`` features.
    """

    def validate(self, document: Document) -> None:
        """Raise a ValidationError where the text cannot be compiled.

        A long one is not tried: that is done on the session's own thread, when it runs.
        """
        if len(document.text) > LONG_CHARACTERS:
            return
        try:
            _, source = split_options(document.text)
        except OptionError as error:
            raise ValidationError(0, str(error)) from None
        try:
            # Only parsed, and muted: warnings are said when the statement runs.
            with muted():
                parse(answer_question(normalise(source)))
        except SyntaxError as error:
            within = Document(source).translate_row_col_to_index(
                (error.lineno or 1) - 1, (error.offset or 1) - 1
            )
            index = len(document.text) - len(source) + within
            raise ValidationError(index, f"Syntax Error: {error.msg}") from None
        except (ValueError, OverflowError, MemoryError, RecursionError) as error:
            raise ValidationError(0, f"Error: {error}") from None


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
