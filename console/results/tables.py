"""Lists of records with equal fields as tables, cut to the terminal's width.

A table is made from the tree of ``pretty.py``, so each repr runs only once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from wcwidth import wcwidth

from console.results.pretty import Atom, Group, Node, columns_of

_GAP: Final = "  "

_NARROWEST: Final = 8
"""Columns are cut down to this width; then columns are left out, from the right."""

_ELLIPSIS: Final = "…"

_NUMBERS: Final = frozenset({complex, float, int})

# A str that looks like another value, or begins or ends with a blank, keeps its quotes.
_AMBIGUOUS: Final = re.compile(r"|\s.*|.*\s|[-+.\d].*|None|True|False|nan|inf|\.\.\.", re.DOTALL)


_DECIMAL: Final = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(slots=True)
class Table:
    """The lines of a table.

    Attributes:
        head: The column names and the rule below them.
        rows: One line for each record.
        foot: The type and number of the records.
        left_out: The number of columns that did not fit.
        cut: The number of cells that are cut.
        cells: The number of cells that are shown.
    """

    head: list[str]
    rows: list[str]
    foot: str
    left_out: int
    cut: int
    cells: int


def table(root: Node, columns: int) -> Table | None:
    """Make a table, ``columns`` wide; None unless the tree is a list of records alike."""
    records = _alike(root)
    if records is None or not isinstance(root, Group):
        return None
    labels = [label for label, _ in records[0].children]
    is_dict = records[0].record == "dict"
    names = [label[1:-3] if is_dict else label[:-1] for label in labels]
    by_label = [dict(one.children) for one in records]
    index = [str(number) for number in range(len(records))]
    made = [_Column("", index, right=True)]
    for name, label in zip(names, labels, strict=True):
        nodes = [one[label] for one in by_label]
        right = all(isinstance(one, Atom) and one.kind in _NUMBERS for one in nodes)
        cells = [_cell(one) for one in nodes]
        made.append(_Column(name, _by_point(cells) if right else cells, right=right))
    fitting = _fit(made, columns)
    lines = [
        _GAP.join(column.cell(row) for column in fitting).rstrip()
        for row in range(-1, len(records))
    ]
    rule = _GAP.join("-" * column.width for column in fitting[1:])
    total = len(root.children) + root.more
    return Table(
        head=[lines[0], " " * (fitting[0].width + len(_GAP)) + rule],
        rows=lines[1:],
        foot=f"({'list' if root.begin == '[' else 'tuple'} of {total:,} {records[0].record})",
        left_out=len(made) - len(fitting),
        cut=sum(column.cut() for column in fitting),
        cells=(len(fitting) - 1) * len(records),
    )


def _alike(root: Node) -> list[Group] | None:
    """Return the records of a list or tuple that has only records with equal fields."""
    if not isinstance(root, Group) or root.begin not in {"[", "("}:
        return None
    records = [node for _, node in root.children if isinstance(node, Group)]
    if len(records) < len(root.children):
        return None
    while records and records[-1].more:  # the last records, cut at the tree's limit
        records.pop()
    first = records[0] if len(records) > 1 else None
    if first is None or not first.record:
        return None
    labels = {label for label, _ in first.children}
    for one in records:
        if one.record != first.record or one.more or labels != {label for label, _ in one.children}:
            return None
    return records


class _Column:
    """A column: its name, its cells and its width."""

    def __init__(self, name: str, cells: list[str], *, right: bool) -> None:
        self._name = name
        self._cells = cells
        self._right = right
        self._widths = [columns_of(cell) for cell in cells]
        self.natural = max(columns_of(name), *self._widths)
        self.width = self.natural

    def cell(self, row: int) -> str:
        """Return a cell as wide as the column; the name is in row -1."""
        text = self._name if row < 0 else self._cells[row]
        width = columns_of(text) if row < 0 else self._widths[row]
        if width > self.width:
            text = _cut(text, self.width)
            width = columns_of(text)
        blanks = " " * (self.width - width)
        return blanks + text if self._right else text + blanks

    def cut(self) -> int:
        """Return how many cells are cut."""
        return sum(width > self.width for width in self._widths)


def _fit(made: list[_Column], columns: int) -> list[_Column]:
    """Narrow the widest columns until all fit; then leave out columns on the right."""
    fitting = list(made)
    while True:
        room = columns - len(_GAP) * (len(fitting) - 1)
        widths = [column.natural for column in fitting]
        widest = max(widths)
        while widest > _NARROWEST and sum(min(width, widest) for width in widths) > room:
            widest -= 1
        if sum(min(width, widest) for width in widths) <= room or len(fitting) == 2:
            for column in fitting:
                column.width = min(column.natural, widest)
            return fitting
        fitting.pop()


def _cell(node: Node) -> str:
    text = node.flat().replace("\n", " ")
    if isinstance(node, Atom) and node.kind is str and not _AMBIGUOUS.fullmatch(text[1:-1]):
        return text[1:-1]
    return text


def _by_point(cells: list[str]) -> list[str]:
    """Align the decimal points of numbers, if none is written with an exponent."""
    if not all(_DECIMAL.fullmatch(cell) for cell in cells):
        return cells
    behind = [len(cell.partition(".")[2]) + ("." in cell) for cell in cells]
    most = max(behind)
    return [cell + " " * (most - own) for cell, own in zip(cells, behind, strict=True)]


def _cut(text: str, width: int) -> str:
    kept = []
    room = width - 1
    for character in text:
        room -= max(wcwidth(character), 0)
        if room < 0:
            break
        kept.append(character)
    return "".join(kept) + _ELLIPSIS
