"""Key bindings and styles shared by all editors, so that an editor takes 3 ms instead of 20.

ptpython builds 50 colour schemes for each prompt, and prompt_toolkit 700 key bindings for each
application; none depends on the session. Neither library accepts others, nor ptpython another
layout. So copies of their constructors are run, in which the names of the builders are replaced;
the originals do not change for a host that uses the libraries itself.
"""

from __future__ import annotations

from collections.abc import Coroutine
from types import FunctionType
from typing import Any

from prompt_toolkit.application import Application
from prompt_toolkit.filters import Filter
from prompt_toolkit.key_binding import KeyBindings
from prompt_toolkit.key_binding.bindings.page_navigation import load_page_navigation_bindings
from prompt_toolkit.key_binding.defaults import load_key_bindings
from prompt_toolkit.styles import BaseStyle, DynamicStyle
from ptpython.python_input import PythonInput

from console.frontends.fullscreen.layout import EditorLayout
from console.frontends.fullscreen.predictive_echo import PredictiveEcho
from console.frontends.fullscreen.terminal_io import ChannelInput, ChannelOutput
from console.frontends.fullscreen.themes import style_of


def with_names(function: Any, **names: Any) -> Any:
    """Return a copy of a Python function that finds these names in place of its module's."""
    copy = FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    copy.__kwdefaults__ = function.__kwdefaults__
    return copy


def _merged(bindings: Any) -> KeyBindings:
    """Flatten a tree of key bindings into one table."""
    table = KeyBindings()
    table.bindings.extend(bindings.bindings)
    return table


# Made at import, which runs on a thread of its own (`console.lazy_imports`).
_DEFAULT_BINDINGS = _merged(load_key_bindings())
_PAGE_BINDINGS = _merged(load_page_navigation_bindings())
_DEFAULT_STYLE = style_of("terminal")


def _no_styles() -> dict[str, BaseStyle]:
    return {}


initialise_python_input = with_names(
    PythonInput.__init__,
    PtPythonLayout=EditorLayout,
    PtpythonLexer=lambda lexer: lexer,  # ptpython's adds one for shell commands
    get_all_code_styles=_no_styles,
    get_all_ui_styles=_no_styles,
)


class _NoTask:
    def cancel(self) -> None:
        """Do nothing."""


_NO_TASK = _NoTask()


class SharedApplication(Application[str]):
    """An application with the shared key bindings and styles."""

    echo: PredictiveEcho | None = None
    input: ChannelInput
    output: ChannelOutput

    __init__ = with_names(
        Application.__init__,
        load_key_bindings=lambda: _DEFAULT_BINDINGS,
        load_page_navigation_bindings=lambda: _PAGE_BINDINGS,
    )

    def invalidate(self) -> None:
        """Schedule a layout; a little later if the screen already shows the typed text."""
        if self.echo is None or not self.echo.put_off(super().invalidate):
            super().invalidate()

    def _redraw(self, render_as_done: bool = False) -> None:
        # The first layout waits until the keys that have already arrived are handled.
        is_first = self.renderer.last_rendered_screen is None
        if is_first and not render_as_done and self.input.has_keys:
            return
        if is_first:
            self.output.write_raw("\r")  # over the prompt that was written as text
        if not render_as_done:
            super()._redraw()
            return
        with self.output.held():  # the statement's output follows soon
            if self.echo is None or not self.echo.leave():
                super()._redraw(render_as_done=True)

    def create_background_task(self, coroutine: Coroutine[Any, Any, None]) -> Any:
        """Run a coroutine until the application ends.

        The task that flushes a held-back Escape some time after each key is not made where none
        can be held back: at Enter the statement would wait until it is cancelled.
        """
        name = getattr(coroutine, "__name__", "")
        if name == "auto_flush_input" and not self.input.may_hold_back:
            coroutine.close()
            return _NO_TASK
        return super().create_background_task(coroutine)

    def _create_merged_style(self, include_default_pygments_style: Filter) -> BaseStyle:
        return DynamicStyle(lambda: self.style or _DEFAULT_STYLE)
