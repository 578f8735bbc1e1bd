"""Pretty-printing: values laid out over lines, as wide as the terminal.

A value is first made into a tree of texts, with each repr (user code) called once, and then laid
out. The tree ends when it has about enough text for the limit, so the cost depends on the limit and
not on the value. A nested container gets half of the remaining limit, so that one large item does
not hide those after it.
"""

from __future__ import annotations

from bisect import bisect_left
from types import MethodType
from typing import Any, Final

from wcwidth import wcswidth

from console.results.shapes import Shape, is_compound, is_shown_by, shape_of
from console.text import escape_controls

_DEEPEST: Final = 60
"""The deepest nesting that is shown. A repr is limited by the stack only."""

_INDENT: Final = 4

_ITEM_CHARACTERS: Final = 1000
"""The limit of an item's own text: this, or an eighth of the remaining limit if that is more."""

_METHOD_CHARACTERS: Final = 200
"""The repr of a bound method contains its owner's; a longer one is shortened."""

_LEAST: Final = 500
"""The least that a nested container gets of the limit."""

_FILLING_SHARE: Final = 3
"""Items of a sequence that are at most this fraction of a line share lines: numbers, names."""

_MANY: Final = 10
"""Short items share lines beside longer ones only if they are at least this many."""

_NARROWEST: Final = 16
"""If the indentation leaves fewer columns, the terminal wraps the lines."""


class Atom:
    """A text that is not divided.

    Attributes:
        text: The text.
        width: Its columns; larger than any line if it has several lines.
        kind: The type of the value whose whole repr it is; None if the repr is cut.
    """

    __slots__ = ("kind", "text", "width")

    def __init__(self, text: str, kind: type | None = None) -> None:
        self.text = text
        self.width = _NO_LINE if "\n" in text else columns_of(text)
        self.kind = kind

    def flat(self) -> str:
        """Return it on one line."""
        return self.text


class Group:
    """The text of a container: its brackets, its items, and how many items are left out."""

    __slots__ = ("begin", "children", "comma", "end", "more", "record", "width")

    def __init__(self, shape: Shape) -> None:
        self.begin = shape.begin
        self.end = shape.end
        self.comma = shape.comma and shape.total == 1
        self.record = shape.record
        self.children: list[tuple[str, Atom | Group]] = []
        self.more = shape.total
        self.width = columns_of(shape.begin) + columns_of(shape.end) + self.comma

    def add(self, label: str, node: Atom | Group) -> None:
        """Add the next item."""
        self.width += columns_of(label) + node.width + (2 if self.children else 0)
        self.children.append((label, node))
        self.more -= 1

    def flat(self) -> str:
        """Return it on one line, as ``repr`` does."""
        items = [label + node.flat() for label, node in self.children]
        if self.more:
            items.append(_more(self.more))
        return f"{self.begin}{', '.join(items)}{',' if self.comma else ''}{self.end}"


Node = Atom | Group

_NO_LINE: Final = 1_000_000_000


def columns_of(text: str) -> int:
    """Return a text's columns on a terminal."""
    return len(text) if text.isascii() else max(wcswidth(text), 0) or len(text)


def clipped_repr(value: Any, limit: int) -> tuple[str, int]:
    """Return a repr of at most about ``limit`` characters, and how many are missing.

    Of a long str or bytes only that much is copied.
    """
    for kind in _LONG:
        if is_shown_by(value, kind):
            begin = kind.__getitem__(value, slice(0, limit))
            return escape_controls(kind.__repr__(begin)), max(0, kind.__len__(value) - limit)
    text = str.__str__(repr(value))  # exactly a str: a repr may return a subclass
    if type(value) is MethodType and len(text) > _METHOD_CHARACTERS:
        # A user who forgot the call's brackets does not want the owner's whole repr.
        text = f"{text.partition(' of ')[0]} of {object.__repr__(value.__self__)}>"
    return escape_controls(text[:limit]), max(0, len(text) - limit)


class Builder:
    """Makes the tree of one value. Runs its reprs: see `console.results.printer`.

    Args:
        characters: The approximate limit of the text.

    Attributes:
        is_whole: Whether nothing was left out.
    """

    def __init__(self, characters: int) -> None:
        self.is_whole = True
        self._left = characters
        self._around: dict[int, str] = {}

    def build(self, value: Any) -> Node:
        """Make the tree. Raises the exceptions of a ``__repr__``."""
        return self._node(value, 0)

    def _node(self, value: Any, depth: int) -> Node:
        again = self._around.get(id(value))
        if again is not None:
            return self._taking(Atom(again))
        if depth >= _DEEPEST and is_compound(value):
            self.is_whole = False
            return self._taking(Atom("..."))
        shape = shape_of(value, self._left // 3 + 1)  # an item takes three characters at least
        if shape is None:
            return self._taking(self._atom(value, depth))
        group = Group(shape)
        floor = min(self._left // 2, self._left - _LEAST) if depth else 0
        self._around[id(value)] = shape.again
        try:
            for label, item in shape.parts:
                if self._left <= floor and group.children:
                    break
                before = f"{self._node(label, depth + 1).flat()}: " if shape.keyed else label
                group.add(before, self._node(item, depth + 1))
                self._left -= 2 if shape.keyed else len(before) + 2
        finally:
            del self._around[id(value)]
        if group.more:
            self.is_whole = False
            group.width += columns_of(_more(group.more)) + 2
        return group

    def _taking(self, atom: Atom) -> Atom:
        self._left -= len(atom.text)
        return atom

    def _atom(self, value: Any, depth: int) -> Atom:
        limit = max(_ITEM_CHARACTERS, self._left // 8) if depth else self._left
        text, missing = clipped_repr(value, limit)
        if missing:
            self.is_whole = False
            return Atom(f"{text}... {missing:,} more characters")
        return Atom(text, type(value))


_LONG: Final[tuple[Any, ...]] = (str, bytes, bytearray)


def _more(count: int) -> str:
    return f"... {count:,} more"


class Layout:
    """The lines of a tree.

    Args:
        node: The tree.
        columns: The terminal's width.

    Attributes:
        lines: The lines.
    """

    def __init__(self, node: Node, columns: int) -> None:
        self.lines: list[str] = []
        self._columns = columns
        self._starts: list[int] = []
        self._lay(node, "", "", 0, self._starts)

    def items_before(self, line: int) -> int:
        """Return how many items of the outermost container begin before a line."""
        return bisect_left(self._starts, line)

    def _lay(
        self, node: Node, lead: str, trail: str, indent: int, starts: list[int] | None = None
    ) -> None:
        room = self._columns - columns_of(lead) - len(trail)
        if isinstance(node, Atom):
            if "\n" in node.text:
                text = node.text.replace("\n", "\n" + " " * columns_of(lead))
                self.lines += f"{lead}{text}{trail}".split("\n")
            else:
                self.lines.append(f"{lead}{node.text}{trail}")
        elif node.width <= room or self._columns - indent < _NARROWEST:
            self.lines.append(f"{lead}{node.flat()}{trail}")
        else:
            self._lay_group(node, lead, trail, indent, starts)

    def _filling(self, group: Group) -> set[Node]:
        """Return the items that share lines: the short ones, if they are many or all."""
        most = self._columns // _FILLING_SHARE
        short: set[Node] = {
            node
            for label, node in group.children
            if not label and isinstance(node, Atom) and node.width <= most
        }
        return short if len(short) >= min(len(group.children), _MANY) else set()

    def _lay_group(
        self, group: Group, lead: str, trail: str, indent: int, starts: list[int] | None
    ) -> None:
        self.lines.append(lead + group.begin)
        inner = indent + _INDENT
        margin = " " * inner
        filling = self._filling(group)
        run: list[str] = []
        width = 0
        for label, child in group.children:
            fills = child in filling
            if run and (not fills or width + child.width + 2 > self._columns):
                self.lines.append(margin + " ".join(run))
                run = []
            if starts is not None:
                starts.append(len(self.lines))
            if fills:
                width = (width + 1 if run else inner) + child.width + 1
                run.append(child.flat() + ",")
            else:
                self._lay(child, margin + label, ",", inner)
        if run:
            self.lines.append(margin + " ".join(run))
        if group.more:
            self.lines.append(margin + _more(group.more))
        self.lines.append(" " * indent + group.end + trail)
