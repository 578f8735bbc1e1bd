"""F1: the signature and documentation of the name at the cursor, below the prompt."""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterator

from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition, is_done
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.layout.containers import ConditionalContainer, Window
from prompt_toolkit.layout.controls import FormattedTextControl
from prompt_toolkit.layout.dimension import Dimension

from console.interfaces.frontends import FrontendHost
from console.introspect.describe import documentation_of, find, kind_of
from console.introspect.signature import signature_of
from console.syntax.parsing import PATH
from console.text import escape_controls

_LOOK_BACK_CHARACTERS = 512
_ROWS = 12
_LINES = 100

_PATH_BEFORE = re.compile(rf"{PATH}$")
_WORD = re.compile(r"\w*")


class Explanation:
    """The text, and the part of the screen that shows it."""

    def __init__(self, host: FrontendHost) -> None:
        self._host = host
        self._text = ""
        self.container = ConditionalContainer(
            Window(
                FormattedTextControl(self._shown),
                style="class:explanation",
                height=Dimension(max=_ROWS),
                wrap_lines=True,
                dont_extend_height=True,
            ),
            filter=Condition(lambda: bool(self._text)) & ~is_done,
        )

    def _shown(self) -> StyleAndTextTuples:
        head, end, rest = self._text.partition("\n")
        return [("bold", head), ("", end + rest)]

    def hide(self, _sender: object = None) -> None:
        """Show nothing."""
        self._text = ""

    def toggle(self, document: Document) -> None:
        """Show the explanation of the name at the cursor, or hide the one that is shown."""
        self._text = "" if self._text else self._explain(document)

    def _explain(self, document: Document) -> str:
        scopes = (self._host.namespace, self._host.names(), vars(builtins))
        for path in paths_at(document):
            try:
                subject = find(path, scopes)
            except (NameError, AttributeError, LookupError):
                continue
            signature = signature_of(subject.value, bound=subject.bound) or ""
            head = f"{path}{signature}  {kind_of(subject.value, bound=subject.bound)}"
            lines = documentation_of(subject.value).splitlines()[:_LINES]
            return escape_controls("\n".join([head, *lines]))
        return "The name at the cursor cannot be explained without running code."


def paste_hint(is_on: Callable[[], bool]) -> ConditionalContainer:
    """Make the line shown in paste mode, which F6 may have switched on by mistake."""
    text = "paste mode: Enter begins a line, Alt-Enter runs, F6 ends it"
    return ConditionalContainer(
        Window(FormattedTextControl(text), style="class:explanation", height=1),
        filter=Condition(is_on) & ~is_done,
    )


def paths_at(document: Document) -> Iterator[str]:
    """Yield the names to explain: the one at the cursor, then those of the calls around it."""
    line = document.current_line_before_cursor[-_LOOK_BACK_CHARACTERS:]
    rest = _WORD.match(document.current_line_after_cursor)
    match = _PATH_BEFORE.search(line + (rest.group() if rest else ""))
    if match:
        yield match.group()
    for path, _given in calls_around(line):
        yield path


def calls_around(line: str) -> Iterator[tuple[str, str]]:
    """Yield the calls that are open at a line's end, innermost first.

    Of each the name of the callee, and the text after its bracket.
    """
    depth = 0
    for at in range(len(line) - 1, -1, -1):
        if line[at] in ")]}":
            depth += 1
        elif line[at] in "([{":
            depth -= 1
            match = _PATH_BEFORE.search(line[:at]) if depth < 0 and line[at] == "(" else None
            if match:
                yield match.group(), line[at + 1 :]
            depth = max(depth, 0)
