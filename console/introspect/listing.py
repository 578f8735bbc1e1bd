"""Sequences of plain rows that print as a table."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar, overload

from console.text import escape_line

Row = TypeVar("Row")

_ROWS = 1000
"""Rows that are printed; the table says how many more there are."""

_CELL_CHARACTERS = 400


class Listing(Sequence[Row], Generic[Row]):
    """A sequence of rows whose repr is a table. Immutable; its rows hold no live object.

    Args:
        rows: The rows.
        columns: By heading, the function that returns a row's cell. Cells are escaped and clipped.
        empty: The text for an empty table.
        total: How many rows there would be, if not all were read; None for those given.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        columns: Mapping[str, Callable[[Row], object]],
        empty: str,
        total: int | None = None,
    ) -> None:
        self._rows = tuple(rows)
        self._columns = dict(columns)
        self._empty = empty
        self.total = len(self._rows) if total is None else total

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows)

    def __repr__(self) -> str:
        if not self._rows:
            return self._empty
        shown = self._rows[:_ROWS]
        table = [tuple(self._columns)]
        table += [
            tuple(escape_line(str(cell(row)), _CELL_CHARACTERS) for cell in self._columns.values())
            for row in shown
        ]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in table
        ]
        if self.total > len(shown):
            lines.append(f"... and {self.total - len(shown)} more")
        return "\n".join(lines)


def duration(seconds: float) -> str:
    """Return a duration as text, in its two largest units: ``3 d 4 h``."""
    whole = max(0, int(seconds))
    units = (("d", 86400), ("h", 3600), ("min", 60), ("s", 1))
    for (name, size), (next_name, next_size) in itertools.pairwise(units):
        if whole >= size:
            rest = whole % size // next_size
            return f"{whole // size} {name}" + (f" {rest} {next_name}" if rest else "")
    return f"{whole} s"


def moment(timestamp: float) -> str:
    """Return a time as text, in the server's time zone."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(timestamp))


def short_moment(timestamp: float) -> str:
    """Return a time as text, without the date if it is today's."""
    said, now = moment(timestamp), moment(time.time())
    day = said.partition(" ")[0]
    return said.removeprefix(f"{day} ") if now.startswith(day) else said
