"""The editor's screen: the text, a menu at the cursor, and lines below it.

ptpython's own layout also has a side bar, a status bar, signatures and four floats. They are never
shown here, but computing their size at each key took half of the key's time.
"""

from __future__ import annotations

from collections.abc import Sequence

from prompt_toolkit.application import get_app
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus, is_done
from prompt_toolkit.layout import (
    BufferControl,
    CompletionsMenu,
    Dimension,
    Float,
    FloatContainer,
    HSplit,
    Layout,
    ScrollOffsets,
    Window,
)
from prompt_toolkit.layout.containers import AnyContainer
from prompt_toolkit.layout.processors import (
    ConditionalProcessor,
    DisplayMultipleCursors,
    HighlightIncrementalSearchProcessor,
    HighlightMatchingBracketProcessor,
    HighlightSelectionProcessor,
    TabsProcessor,
)
from prompt_toolkit.lexers import Lexer
from prompt_toolkit.widgets.toolbars import ArgToolbar, SearchToolbar, ValidationToolbar
from ptpython.layout import PythonPromptMargin
from ptpython.python_input import PythonInput

from console.frontends.fullscreen.lexing import LongLine, SpecialCharacters
from console.frontends.fullscreen.prompt import reserved_rows

_MENU_ROWS = 12


def _text_height() -> Dimension | None:
    application = get_app()
    if application.is_done:
        return None
    return Dimension(min=reserved_rows(application.output.get_size().rows))


class EditorLayout:
    """Replaces `ptpython.layout.PtPythonLayout`, and takes its arguments."""

    def __init__(
        self,
        python_input: PythonInput,
        *,
        lexer: Lexer,
        extra_toolbars: Sequence[AnyContainer],
        **_unused: object,
    ) -> None:
        self.search = search = SearchToolbar(python_input.search_buffer)
        self.control = BufferControl(
            buffer=python_input.default_buffer,
            search_buffer_control=search.control,
            lexer=lexer,
            include_default_input_processors=False,
            input_processors=[
                LongLine(),
                SpecialCharacters(),
                ConditionalProcessor(
                    HighlightIncrementalSearchProcessor(), has_focus(search.control)
                ),
                HighlightSelectionProcessor(),
                DisplayMultipleCursors(),
                TabsProcessor(),
                ConditionalProcessor(
                    HighlightMatchingBracketProcessor(chars="[](){}"),
                    has_focus(DEFAULT_BUFFER) & ~is_done,
                ),
            ],
            preview_search=True,
        )
        text = Window(
            self.control,
            left_margins=[PythonPromptMargin(python_input)],
            # The last row stays free for a message.
            scroll_offsets=ScrollOffsets(bottom=1, left=4, right=4),
            height=_text_height,
            wrap_lines=True,
        )
        menu = CompletionsMenu(
            max_height=_MENU_ROWS, scroll_offset=python_input.completion_menu_scroll_offset
        )
        self.layout = Layout(
            HSplit(
                [
                    FloatContainer(text, floats=[Float(menu, xcursor=True, ycursor=True)]),
                    ArgToolbar(),
                    search,
                    ValidationToolbar(),
                    *extra_toolbars,
                ]
            ),
            focused_element=text,
        )
