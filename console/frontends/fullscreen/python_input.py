"""ptpython's PythonInput, adapted: our completer, keys, layout and history; no evaluation."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

from prompt_toolkit.clipboard import Clipboard
from prompt_toolkit.completion import DummyCompleter, WordCompleter
from prompt_toolkit.cursor_shapes import (
    CursorShape,
    DynamicCursorShapeConfig,
    ModalCursorShapeConfig,
    SimpleCursorShapeConfig,
)
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import merge_key_bindings
from prompt_toolkit.key_binding.emacs_state import EmacsState
from prompt_toolkit.key_binding.vi_state import ViState
from prompt_toolkit.layout.controls import SearchBufferControl
from prompt_toolkit.lexers import SimpleLexer
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.search import SearchState
from prompt_toolkit.styles import BaseStyle, DynamicStyle
from prompt_toolkit.validation import DummyValidator, ValidationError, Validator
from ptpython.layout import CompletionVisualisation
from ptpython.python_input import PythonInput

from console.context.scope import muted
from console.frontends.fullscreen.bounds import BoundedBuffer, Registers
from console.frontends.fullscreen.completion import StaticCompleter
from console.frontends.fullscreen.explanation import Explanation, paste_hint
from console.frontends.fullscreen.keys import LONG_CHARACTERS, console_keys, python_keys
from console.frontends.fullscreen.layout import EditorLayout
from console.frontends.fullscreen.lexing import BoundedLexer
from console.frontends.fullscreen.predictive_echo import PredictiveEcho
from console.frontends.fullscreen.shared_application import (
    SharedApplication,
    create_buffer,
    initialise_python_input,
)
from console.frontends.fullscreen.terminal_io import ChannelInput, color_depth
from console.frontends.fullscreen.themes import style_of
from console.interfaces.frontends import FrontendHost, HistoryLog, Preferences
from console.syntax.cells import answer_question, normalise
from console.syntax.options import OptionError, split_options
from console.syntax.parsing import parse

_ESCAPE_SECONDS = 0.1
"""How long a lone Escape waits for the rest of a key's sequence, which arrives nearly at once."""

_HISTORY_ENTRIES = 1000
"""Entries that the arrow keys reach: they are loaded anew for each prompt."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The state of a released editor, for the session's next one.

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


class ConsoleInput(PythonInput):
    """PythonInput, without the parts that affect the server or read the host's values."""

    def __init__(self, host: FrontendHost, input: ChannelInput, output: Any) -> None:  # noqa: A002
        self._kind = host.terminal.kind
        self._applied = Preferences()
        self._explanation = Explanation(host)
        initialise_python_input(
            self,
            get_globals=dict,  # the lexer and the menus must not read the host's values
            input=input,
            output=output,
            color_depth=color_depth(self._kind),
            # A viewer's commands are not Python: they are not lexed, parsed or looked up.
            _lexer=SimpleLexer() if host.commands else BoundedLexer(),
            _completer=DummyCompleter(),  # the buffer gets ours; ptpython's takes 1 ms to make
            _validator=DummyValidator() if host.commands else _StatementValidator(),
            _extra_toolbars=[self._explanation.container, paste_hint(lambda: self.paste_mode)],
        )
        buffer = self.default_buffer
        self.history = buffer.history = _SharedHistory(host.history)
        if host.commands:
            buffer.completer = WordCompleter(list(host.commands), sentence=True)
            self.accept_input_on_enter = 1  # a command has one line
        else:
            buffer.completer = StaticCompleter(host.namespace, host.names)
        buffer.auto_suggest = None  # it would start a task for each key, without effect
        # jedi looks signatures up while the user types, in threads, by evaluating.
        buffer.on_text_changed -= self._on_input_timeout
        buffer.on_text_changed += self._explanation.hide
        self.show_status_bar = False
        self.show_meta_enter_message = False
        self.complete_while_typing = False
        self.completion_visualisation = CompletionVisualisation.POP_UP
        self.enable_history_search = True  # the arrow keys search by the typed prefix
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
        # Otherwise breakpoint() anywhere in the host would open pdb at this user's prompt.
        self.app._enable_breakpointhook = contextlib.nullcontext  # type: ignore[method-assign, assignment]  # noqa: SLF001
        # `Editor.resized` reports each resize: polling twice a second is not needed.
        self.app.terminal_size_polling_interval = None
        self.app.ttimeoutlen = _ESCAPE_SECONDS
        self.prefer(host.preferences)

    def prefer(self, preferences: Preferences) -> None:
        """Apply the user's changed preferences; a mode that was changed by a key stays."""
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
        """The name of the current theme."""
        return self._applied.theme

    def keep(self, *, inserts: bool) -> Kept:
        """Return the state for the session's next editor."""
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
        """Take over the state of the session's last editor."""
        self._applied = kept.preferences
        self.vi_mode = kept.vi
        self.paste_mode = kept.paste_mode
        self.app.clipboard = kept.clipboard
        self.app.vi_state = kept.vi_state
        self.app.emacs_state = kept.emacs_state
        self._search.searcher_search_state = kept.search

    @property
    def _search(self) -> SearchBufferControl:
        layout: EditorLayout = self.ptpython_layout  # type: ignore[assignment]  # see shared_application.py
        return layout.search.control

    def explain(self) -> None:
        """Show or hide the explanation of the name at the cursor."""
        self._explanation.toggle(self.default_buffer.document)

    def on_reset(self) -> None:
        """Begin a new statement."""
        super().on_reset()
        self._explanation.hide()

    def _generate_style(self) -> BaseStyle:
        return style_of(self._applied.theme)

    def _create_options(self) -> list[Any]:
        """Return none: the menu of options takes a third of a session's memory."""
        return []

    _create_buffer = create_buffer

    def _create_application(self, input: Any, output: Any) -> SharedApplication:  # noqa: A002
        editor: EditorLayout = self.ptpython_layout  # type: ignore[assignment]  # see shared_application.py
        application: SharedApplication = SharedApplication(
            layout=editor.layout,
            key_bindings=merge_key_bindings([python_keys(self), console_keys(self.explain)]),
            color_depth=lambda: self.color_depth,
            paste_mode=Condition(lambda: self.paste_mode),
            style=DynamicStyle(lambda: self._current_style),
            include_default_pygments_style=False,
            enable_page_navigation_bindings=False,
            reverse_vi_search_direction=True,
            # Waiting until the loop is idle takes two sessions 10 ms, as each waits for the other.
            # Input that has arrived is handled at once anyway.
            max_render_postpone_time=None,
            cursor=DynamicCursorShapeConfig(
                lambda: self.all_cursor_shape_configs[self.cursor_shape_config]
            ),
            input=input,
            output=output,
        )
        buffer: BoundedBuffer = self.default_buffer  # type: ignore[assignment]  # create_buffer made it
        application.key_processor.bell = input.bell
        application.key_processor.on_idle = input.go_on
        application.vi_state.named_registers = Registers()
        # A search among keys that arrive before the history is there would find nothing.
        buffer.on_history_loaded = input.go_on
        input.is_held = lambda: application.key_processor.is_busy or buffer.history_loads
        application.echo = PredictiveEcho(
            application, self.default_buffer, editor.control, application.key_processor
        )
        input.echo = application.echo.show
        return application


class _StatementValidator(Validator):
    """Finds syntax errors at Enter, before the statement is submitted.

    ptpython's own validator reads the class of each of the host's values, to find ``__future__``
    features.
    """

    def validate(self, document: Document) -> None:
        """Raise a ValidationError if the text cannot be parsed.

        A long text is not parsed here, but on the session's worker thread when it runs.
        """
        if len(document.text) > LONG_CHARACTERS:
            return
        try:
            _, source = split_options(document.text)
        except OptionError as error:
            raise ValidationError(0, str(error)) from None
        try:
            # Only parsed, and muted: warnings are shown when the statement runs.
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
    """prompt_toolkit's history over the user's `HistoryLog`, read anew for each prompt."""

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
