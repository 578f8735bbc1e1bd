"""How a session shows the values of its statements.

At a terminal a value is laid out for its width, and what is too long is cut, with a line that says
what to type for the rest. Where a program reads, it is the plain ``repr``.

This runs user code (``__repr__``): call it only on the thread that evaluates.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any, Final

from console.config.settings import EvaluationSettings
from console.interfaces.statements import InputSource
from console.limits import PAGE_CHARACTERS
from console.results import rich_view
from console.results.hexview import buffer_octets, bytes_a_line, hex_lines, octets
from console.results.pager import page_lines, page_text
from console.results.pretty import Builder, Group, Layout, clipped_repr
from console.results.printer import clip, format_value
from console.results.shapes import is_compound
from console.results.tables import table
from console.text import escape_controls

_COLUMNS: Final = 80
"""Where a value is paged without a terminal."""


_WIDEST_DUMP: Final = 78


@dataclass(frozen=True, slots=True)
class View:
    """How much of a value is wanted: lines, and characters in all."""

    columns: int
    lines: int
    characters: int


@dataclass(frozen=True, slots=True)
class Shown:
    """The lines of a value, and what they leave out; empty if nothing."""

    lines: list[str]
    missing: str = ""


class Results:
    """The display of values in one session, with the user's choices.

    Attributes:
        pretty: Lay values out. False: the plain ``repr``, on one line.
        tables: Show lists of alike records as tables.
        rich: Let objects that can draw themselves by rich.
    """

    def __init__(self, settings: EvaluationSettings) -> None:
        self.pretty = True
        self.tables = True
        self.rich = True
        self._settings = settings

    def show(self, value: Any, source: InputSource | None, last: str) -> tuple[str, str]:
        """Return a value's text, and a hint for what it leaves out.

        Args:
            value: Not None.
            source: The session's terminal.
            last: What to type for the value.
        """
        limit = self._settings.result_characters
        columns = 0 if source is None else source.page_columns
        if not columns or not self.pretty:
            return format_value(value, limit), ""
        lines = self._settings.result_lines
        shown = self._lay_out(value, View(columns, lines, min(limit, lines * columns)))
        text = clip("\n".join(shown.lines), limit)
        return text, f"... {shown.missing}: {_page_command(last)}" if shown.missing else ""

    def page(self, value: Any, source: InputSource | None) -> None:
        """Print a value, screen by screen; a str as the text that it is, its controls escaped."""
        if isinstance(value, str):
            page_text(escape_controls(str.__str__(value)))
            return
        columns = (0 if source is None else source.page_columns) or _COLUMNS
        shown = self._lay_out(value, View(columns, PAGE_CHARACTERS, PAGE_CHARACTERS), whole=True)
        rest = [f"... {shown.missing}, not shown"] if shown.missing else []
        page_lines(shown.lines + rest)

    def page_bytes(self, value: Any, source: InputSource | None, start: int) -> None:
        """Print a dump of any object with a buffer, from a byte on, screen by screen."""
        columns = (0 if source is None else source.page_columns) or _COLUMNS
        start = max(0, start)
        piece = octets(value, start, _dump_bytes(columns)) or buffer_octets(
            value, start, _dump_bytes(columns)
        )
        if piece is None:
            message = f"hexdump() takes bytes or what has a buffer, not {type(value).__name__}"
            raise TypeError(message)
        shown = _dump(*piece, "", columns, start)
        rest = [f"... {shown.missing}, not shown"] if shown.missing else []
        page_lines(shown.lines + rest)

    def _lay_out(self, value: Any, view: View, *, whole: bool = False) -> Shown:
        """Lay a value out; with ``whole``, as a table only if that leaves nothing out."""
        if self.rich and rich_view.is_renderable(value):
            drawn = rich_view.draw(value, view.columns, view.characters)
            if drawn is not None:
                text, is_whole = drawn
                return _cut(escape_controls(text), view, "" if is_whole else "more")
        most = min(_dump_bytes(view.columns), view.lines * bytes_a_line(view.columns))
        piece = octets(value, 0, most)
        if piece is not None and len(repr(piece[0])) > view.columns:
            return _dump(*piece, type(value).__name__, view.columns)
        if not is_compound(value):
            text, characters = clipped_repr(value, view.characters)
            return _cut(text, view, f"{characters:,} more characters" if characters else "")
        builder = Builder(view.characters)
        root = builder.build(value)
        if not isinstance(root, Group):
            return _cut(root.text, view, "")
        if self.tables and root.width > view.columns:
            shown = _tabulate(root, view, whole=whole)
            if shown is not None:
                return shown
        return _arrange(root, view, is_whole=builder.is_whole)


def _page_command(last: str) -> str:
    # Pages are turned where a thread may wait for the key.
    waits = asyncio._get_running_loop() is None  # noqa: SLF001 - the cheap way to ask
    return f"page({last})" if waits else f"%thread page({last})"


def _cut(text: str, view: View, missing: str) -> Shown:
    lines = text.split("\n")
    if len(lines) > view.lines:
        missing = missing or f"{len(lines) - view.lines:,} more lines"
        del lines[view.lines :]
    return Shown(lines, missing)


def _arrange(root: Group, view: View, *, is_whole: bool) -> Shown:
    layout = Layout(root, view.columns)
    lines = layout.lines
    shown = len(root.children)
    is_cut = len(lines) > view.lines
    if is_cut:
        shown = layout.items_before(view.lines)
    items = len(root.children) + root.more - shown
    if items:
        missing = f"{items:,} more item{'s' if items > 1 else ''}"
    elif is_cut and is_whole:
        missing = f"{len(lines) - view.lines:,} more lines"
    else:
        missing = "" if is_whole and not is_cut else "not all is shown"
    return Shown(lines[: view.lines], missing)


def _tabulate(root: Group, view: View, *, whole: bool) -> Shown | None:
    made = table(root, view.columns)
    # Where most would be cut, it is no help.
    if made is None or 2 * made.cut > made.cells or (whole and (made.cut or made.left_out)):
        return None
    rows = made.rows[: max(view.lines - 3, 1)]
    left_out = (
        (len(root.children) + root.more - len(rows), "more row"),
        (made.left_out, "more column"),
        (made.cut, "cut cell"),
    )
    missing = ", ".join(f"{n:,} {word}{'s' if n > 1 else ''}" for n, word in left_out if n)
    return Shown([*made.head, *rows, made.foot], missing)


def _dump(data: bytes, total: int, name: str, columns: int, start: int = 0) -> Shown:
    lines = hex_lines(data, columns, start)
    if name:
        lines.append(f"({name} of {total:,})")
    missing = total - start - len(data)
    return Shown(lines, f"{missing:,} more bytes" if missing > 0 else "")


def _dump_bytes(columns: int) -> int:
    """Return how many bytes are dumped at once."""
    return PAGE_CHARACTERS // _WIDEST_DUMP * bytes_a_line(columns)
