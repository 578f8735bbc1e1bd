"""What a value looks like at a terminal, what it costs, and whose code runs for it."""

from __future__ import annotations

import ast
import collections
import dataclasses
import enum
import json
import re
import sys
import threading
import types
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.config.settings import EvaluationSettings
from console.evaluation.compiler import compile_statement
from console.results.pretty import Builder, Layout, columns_of
from console.results.results import Results
from support.clients import run_once
from support.rawsession import Raw
from support.servers import ROOT

WHOLE = 10_000_000


class Source:
    """A terminal of a session, with lines typed ahead."""

    page_rows = 24
    rest = ""

    def __init__(self, columns=80, lines=()):
        self.page_columns = columns
        self.lines = list(lines)

    def read_line(self, *, secret=False):
        return self.lines.pop(0) + "\n" if self.lines else ""


def show(value, columns=80, *, last="_", **settings):
    """Return what stands on a terminal for a value: the lines, and the hint if there is one."""
    choice = {name: settings.pop(name) for name in ("tables", "rich") if name in settings}
    results = Results(EvaluationSettings(**settings))
    for name, chosen in choice.items():
        setattr(results, name, chosen)
    text, hint = results.show(value, Source(columns), last)
    return text.split("\n") + ([hint] if hint else [])


def laid_out(value, columns):
    """Return the lines of a value, however long."""
    return Layout(Builder(WHOLE).build(value), columns).lines


@dataclasses.dataclass
class Peer:
    name: str
    port: int
    tags: list = dataclasses.field(default_factory=list)
    hidden: int = dataclasses.field(default=0, repr=False)
    kinds: dataclasses.InitVar[int] = 0


Point = namedtuple("Point", "x y")  # noqa: PYI024 - its repr is what is tested


class Plain(dict):
    def items(self):
        raise AssertionError("must not be called")

    __iter__ = keys = values = __len__ = __getitem__ = items


class Loud(list):
    def __repr__(self):
        return "loud"


class Text(str):
    __slots__ = ()

    def __getitem__(self, item):
        raise AssertionError("must not be called")

    __len__ = __str__ = __iter__ = split = __getitem__


class Colour(enum.Enum):
    RED = 1


atoms = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.binary()
)
values = st.recursive(
    atoms,
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=5)
    ),
    max_leaves=40,
)


# ---------------------------------------------------------------- layout


@given(value=values)
def test_what_fits_a_line_is_the_repr(value):
    """A value that fits the width looks as Python's own prompt shows it."""
    assert laid_out(value, WHOLE) == [repr(value)]


@given(value=values, columns=st.integers(10, 120))
def test_what_is_wrapped_is_the_same_value(value, columns):
    """Whatever the width, the lines read as the value."""
    assert ast.literal_eval("\n".join(laid_out(value, columns))) == value


@given(value=st.recursive(st.integers(0, 99), lambda inner: st.lists(inner, max_size=9)))
def test_lines_keep_to_the_width(value):
    """No line of short items is too wide, unless it is indented nearly to the terminal's end."""
    lines = laid_out(value, 60)
    assert all(len(line) <= 60 for line in lines if len(line) - len(line.lstrip()) < 44)


def test_a_large_container_is_wrapped():
    """One entry a line, short items together, nested containers where they fit."""
    value = {"name": "demo", "ports": list(range(8000, 8012)), "peer": Peer("a" * 20, 1, ["x"] * 4)}
    assert show(value, 50) == [
        "{",
        "    'name': 'demo',",
        "    'ports': [",
        "        8000, 8001, 8002, 8003, 8004, 8005, 8006,",
        "        8007, 8008, 8009, 8010, 8011,",
        "    ],",
        "    'peer': Peer(",
        "        name='aaaaaaaaaaaaaaaaaaaa',",
        "        port=1,",
        "        tags=['x', 'x', 'x', 'x'],",
        "    ),",
        "}",
    ]


def test_short_items_share_lines_among_their_like():
    """In a long sequence, or where all are short; else each has a line of its own."""
    assert show([["x" * 60, 5, 6]], 40)[2:5] == [
        f"        '{'x' * 60}',",
        "        5,",
        "        6,",
    ]
    assert show(["x" * 60, *range(10)], 40)[2] == "    0, 1, 2, 3, 4, 5, 6, 7, 8, 9,"


@pytest.mark.parametrize(
    "value",
    [
        Peer("x", 1),
        Point(1, 2),
        {1},
        frozenset({1}),
        set(),
        frozenset(),
        type("Set", (set,), {})({1}),
        type("Frozen", (frozenset,), {})({1}),
        type("List", (list,), {})([1]),
        type("Dict", (dict,), {})({1: 2}),
        type("Tuple", (tuple,), {})((1,)),
        type("Peer2", (Peer,), {})("x", 1),
        deque([1, 2], maxlen=3),
        deque([1]),
        deque(),
        defaultdict(list, {1: [2]}),
        OrderedDict(a=1),
        Counter("abca"),
        Counter(a="x", b=1),
        types.MappingProxyType({"a": 1}),
        types.MappingProxyType(OrderedDict(a=1)),
        types.SimpleNamespace(a=1, b=[2]),
        {"a": 1}.keys(),
        {"a": 1}.values(),
        {"a": 1}.items(),
        sys.version_info,
        Colour.RED,
        Peer,
        float("nan"),
        {float("nan"): 1, float("nan"): 2},
        (1,),
        ((),),
        b"x",
        bytearray(b"x"),
        range(3),
        collections.UserDict(a=1),
        Exception("x"),
    ],
    ids=lambda value: f"{type(value).__name__}",
)
def test_each_kind_looks_as_its_repr(value):
    """What is taken apart is put together again as ``repr`` does it."""
    assert show(value, 200) == [repr(value)]
    assert show([value], 200) == [repr([value])]
    assert (
        "".join(laid_out([value] * 30, 30))
        .replace(" ", "")
        .replace(",)", ")")
        .startswith("[" + repr(value).replace(" ", "").replace(",)", ")")[:20])
    )


def test_attrs_classes_are_wrapped():
    """As dataclasses; one with a repr function of its own is shown by its own repr."""
    attrs = pytest.importorskip("attrs")

    @attrs.define
    class Server:
        name: str
        ports: list
        secret: str = attrs.field(default="x", repr=False)

    @attrs.define
    class Odd:
        name: str = attrs.field(repr=lambda text: text.upper())

    server = Server("a" * 30, list(range(10)))
    assert show(server, 200) == [repr(server)]
    assert show(server, 60) == [
        "Server(",
        "    name='aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',",
        "    ports=[0, 1, 2, 3, 4, 5, 6, 7, 8, 9],",
        ")",
    ]
    assert show(Odd("a" * 60), 40) == [repr(Odd("a" * 60))]
    assert show([server, server], 70)[0].split() == ["name", "ports"]


def test_cycles_end():
    """A container inside of itself is shown as ``repr`` shows it."""
    one: list = [1]
    one.append(one)
    two: dict = {}
    two["self"] = [two]
    peer = Peer("x", 1)
    peer.tags.append(peer)
    again: deque = deque()
    again.append(again)
    for value in (one, two, peer, again):
        assert show(value, 200) == [repr(value)]


def test_depth_is_bounded():
    """A thousand lists in each other are shown down to some depth; the hint says that it ends."""
    value: list = []
    for _ in range(100_000):
        value = [value]
    shown = show(value)
    assert shown[0] == "["
    assert shown[-1] == "... not all is shown: page(_)"


# ---------------------------------------------------------------- whose code runs


def test_only_reprs_run():
    """Methods that a subclass overrides are not called: not items, not __len__, not __iter__."""
    value = [Plain(a=1), Text("text"), Loud([1]), {"k": Plain(a=1)}]
    assert show(value, 200) == ["[{'a': 1}, 'text', loud, {'k': {'a': 1}}]"]
    assert show(value, 25)[1] == "    {'a': 1},"
    assert show(Text("x" * 100_000))[-1] == "... 84,000 more characters: page(_)"


def test_a_repr_runs_once():
    """Whether a value is wrapped or not, each ``__repr__`` in it is called once."""
    calls = []

    class Counting:
        def __repr__(self):
            calls.append(self)
            return "c" * 30

    value = [{"a": Counting(), "b": [Counting()]}, {"a": 1, "b": 2}]
    for columns in (30, 60, 500):
        calls.clear()
        show(value, columns)
        assert len(calls) == 2


def test_a_repr_that_raises_raises():
    """As for any statement: the exception is the statement's outcome."""

    class Bad:
        def __repr__(self):
            raise ZeroDivisionError

    for value in (Bad(), [Bad()], {"a": {1: Bad()}}, {Bad(): 1}, Peer(Bad(), 1)):
        with pytest.raises(ZeroDivisionError):
            show(value)


def test_a_repr_of_user_code_stays():
    """A dataclass with a repr of its own, or one that only looks generated, is left alone."""
    import reprlib

    @dataclasses.dataclass(repr=False)
    class Own:
        a: int

        @reprlib.recursive_repr()
        def __repr__(self):
            return "own"

    class Named(Point):
        def __repr__(self):
            return "named"

    class Odd:
        __repr__ = lambda self: "odd"  # noqa: E731
        __attrs_attrs__ = ()

    assert show([Own(1), Named(1, 2), Odd()]) == ["[own, named, odd]"]


def test_control_characters_are_escaped():
    """No escape sequence gets to the terminal from a repr, a key, a field or a cell."""

    class Evil:
        def __repr__(self):
            return "\x1b[2J\u202e"

    odd = types.SimpleNamespace(**{"\x1b[2J": 1})
    for value in (Evil(), [Evil()], {Evil(): Evil()}, [{"a\x1b[2J": Evil()}] * 9, {"a": odd}):
        for columns in (20, 200):
            assert "\x1b" not in "".join(show(value, columns))


def test_a_repr_of_several_lines_is_indented():
    """The second line of an array stands below the first."""

    class Array:
        def __repr__(self):
            return "array([1,\n       2])"

    assert show(Array()) == ["array([1,", "       2])"]
    assert show({"a": Array()}) == ["{", "    'a': array([1,", "                2]),", "}"]


# ---------------------------------------------------------------- bounds


def test_the_work_is_bounded_by_what_is_shown():
    """Ten million items: neither copied nor walked; the hint says how many there are."""
    value = [None] * 10_000_000
    asked = 0

    class Item:
        def __repr__(self):
            nonlocal asked
            asked += 1
            return "item"

    value[:20_000] = [Item() for _ in range(20_000)]
    shown = show({"one": value, "two": 2})
    assert shown[-2:] == ["    'two': 2,", "}"] or shown[-1].endswith(": page(_)")
    assert any("'two': 2" in line for line in shown)
    assert asked < 5_000
    shown = show(value)
    assert len(shown) == 201
    assert shown[-1].startswith("... 9,99")
    assert shown[-1].endswith(" more items: page(_)")


@pytest.mark.parametrize("columns", [20, 80, 1000])
@pytest.mark.parametrize(
    "value",
    [
        "x" * 10_000_000,
        b"\xff" * 10_000_000,
        list(range(1_000_000)),
        dict.fromkeys(range(1000), "x" * 1000),
        [["x" * 10_000] * 1000] * 1000,
        [{"a" * 500: "b" * 500}] * 10_000,
        set(range(100_000)),
        dict.fromkeys(range(1_000_000)),
        memoryview(bytes(10_000_000)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_shown_is_bounded(value, columns):
    """No more lines and no more characters than the settings say, and a hint that there is more."""
    shown = show(value, columns, result_characters=20_000, result_lines=50)
    assert len(shown) <= 53  # with what a table or dump says below, the note of a cut, and the hint
    assert sum(len(line) + 1 for line in shown) <= 20_100
    assert shown[-1].startswith("... ")
    assert shown[-1].endswith(": page(_)")


def test_a_dict_that_changes_is_shown():
    """Another thread may add and remove what it likes meanwhile."""
    value = {number: [number] for number in range(2000)}
    held = set(range(2000))
    ended = threading.Event()

    def change():
        number = 0
        while not ended.is_set():
            value[f"new{number % 50}"] = held.add(number + 5000)
            value.pop(f"new{(number - 25) % 50}", None)
            held.discard(number + 4900)
            number += 1

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(50):
            assert show(value)[0] == "{"
            assert show(held)[0] == "{"
    finally:
        ended.set()
        thread.join()


def test_long_items_are_cut_and_told():
    """One long text does not hide what stands behind it."""
    shown = show({"log": "x" * 50_000, "port": 1})
    assert "'... 48," in shown[1]
    assert shown[2:] == ["    'port': 1,", "}", "... not all is shown: page(_)"]


def test_more_lines_are_counted():
    """Of a text of many lines the hint says how many are missing, and what to type."""

    class Frame:
        def __repr__(self):
            return "\n".join(map(str, range(1434)))

    assert show(Frame())[-2:] == ["199", "... 1,234 more lines: page(_)"]
    assert show(Frame(), last="")[-1] == "... 1,234 more lines: page()"


class Owner:
    def __init__(self, text):
        self.text = text

    def __repr__(self):
        return self.text

    def method(self):
        """What is shown without a call."""


def test_a_method_without_its_call():
    """A bound method is shown as Python does, but for an owner with much to say."""
    assert show(Owner("short").method) == ["<bound method Owner.method of short>"]
    owner = Owner("x" * 1000)
    shown = "".join(show([owner.method], 300))
    assert shown == f"[<bound method Owner.method of {object.__repr__(owner)}>]"


# ---------------------------------------------------------------- tables


def test_alike_records_are_a_table():
    """Dicts with the same keys: columns as wide as they need, numbers on the right."""
    rows = [
        {"id": 7, "name": "a" * 30, "ok": True, "note": None},
        {"name": "漢字", "id": 12, "ok": False, "note": "None"},
        {"id": 1, "name": "", "ok": False, "note": "1 "},
    ]
    assert show(rows) == [
        "   id  name                            ok     note",
        "   --  ------------------------------  -----  ------",
        "0   7  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  True   None",
        "1  12  漢字                            False  'None'",
        "2   1  ''                              False  '1 '",
        "(list of 3 dict)",
    ]


@pytest.mark.parametrize("kind", [Peer, Point, types.SimpleNamespace])
def test_records_of_each_kind_are_a_table(kind):
    """Dataclasses, named tuples and namespaces too; the last line says what they are."""
    rows = [
        kind(**dict.fromkeys(("x", "y"), "x" * 20)) if kind is not Peer else Peer("x" * 20, 1)
    ] * 5
    shown = show(rows, 60)
    assert len(shown) == 8
    assert shown[-1] == f"(list of 5 {'namespace' if kind not in {Peer, Point} else kind.__name__})"


@pytest.mark.parametrize(
    "value",
    [
        [{"a": "x" * 40}, {"b": "x" * 40}],
        [{"a": "x" * 40}, {"a": "x" * 40, "b": 1}],
        [{"a": "x" * 40}, Peer("x" * 40, 1)],
        [{"a": "x" * 80}],
        [{1: "x" * 80}, {1: "x" * 40}],
        [{"a": "x" * 40}, ["x" * 40]],
        {"a": {"b": "x" * 40}, "c": {"b": "x" * 40}},
        [[], []] * 30,
        [Plain(a="x" * 30), Loud()] * 4,
    ],
)
def test_what_is_no_table(value):
    """Records that differ, a single one, and all else are laid out as they are."""
    assert show(value)[0] in {"[", "{"}


def test_points_of_numbers_stand_below_each_other():
    """Numbers of a column are lined up by their points, unless one is written otherwise."""
    rows = [{"name": "x" * 60, "price": price} for price in (7.2, 69.55, 10, -0.5)]
    assert [line[65:] for line in show(rows)[2:-1]] == [" 7.2", "69.55", "10", "-0.5"]
    rows[0]["price"] = 1e30
    assert [line[65:] for line in show(rows)[2:-1]] == ["1e+30", "69.55", "   10", " -0.5"]


def test_a_small_list_stays_on_its_line():
    """What fits is shown as Python shows it, records or not."""
    assert show([{"a": 1}, {"a": 2}]) == ["[{'a': 1}, {'a': 2}]"]


def test_a_table_fits_the_width():
    """Wide cells are cut first, then columns left out; the hint counts both."""
    rows = [
        {"id": number, "text": "x" * (90 if number else 20), "end": number} for number in range(4)
    ]
    shown = show(rows, 60)
    assert all(columns_of(line) <= 60 for line in shown)
    assert shown[3].endswith("…    1")
    assert shown[-1] == "... 3 cut cells: page(_)"
    wide = [{f"column_{number}": number for number in range(30)} for _ in range(3)]
    shown = show(wide, 60)
    assert all(len(line) <= 60 for line in shown)
    assert shown[-1] == "... 25 more columns: page(_)"
    long = [Point(number, "x" * 30) for number in range(100_000)]
    shown = show(long, 60, result_lines=20)
    assert len(shown) == 21
    assert shown[-1] == "... 99,983 more rows: page(_)"


def test_where_most_cells_would_be_cut_there_is_no_table():
    """Long texts are better off as they are."""
    rows = [{"a": "x" * 100, "b": "y" * 100}] * 3
    assert show(rows, 60)[:2] == ["[", "    {"]


# ---------------------------------------------------------------- bytes


def test_bytes_are_dumped():
    """Long bytes, of each kind, as hexdump -C shows them; short ones as they are."""
    data = b"GET / HTTP/1.1\r\n" + bytes(range(20)) + b"\xff" * 30
    assert show(data) == [
        "00000000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|",
        "00000010  00 01 02 03 04 05 06 07  08 09 0a 0b 0c 0d 0e 0f  |................|",
        "00000020  10 11 12 13 ff ff ff ff  ff ff ff ff ff ff ff ff  |................|",
        "00000030  ff ff ff ff ff ff ff ff  ff ff ff ff ff ff ff ff  |................|",
        "00000040  ff ff                                             |..|",
        "(bytes of 66)",
    ]
    assert show(bytearray(data))[-1] == "(bytearray of 66)"
    assert show(memoryview(data))[-1] == "(memoryview of 66)"
    assert show(data, 60)[0] == "00000000  47 45 54 20 2f 20 48 54  |GET / HT|"
    assert show(b"\x00short") == [r"b'\x00short'"]
    assert show(memoryview(data)[::2])[0].startswith("<memory at")
    released = memoryview(data)
    released.release()
    assert show(released)[0].startswith("<released memory at")


def test_a_bytearray_can_be_resized_while_it_is_shown():
    """Nothing keeps hold of its buffer: a service that appends to it gets no BufferError."""
    data = bytearray(100_000)
    ended = threading.Event()
    failed = []

    def grow():
        while not ended.is_set():
            try:
                data.append(1)
            except BufferError as error:
                failed.append(error)

    thread = threading.Thread(target=grow)
    thread.start()
    try:
        for _ in range(200):
            show(data)
    finally:
        ended.set()
        thread.join()
    assert not failed


# ---------------------------------------------------------------- rich


def test_rich_objects_draw_themselves():
    """As plain text, within the width; switched off, or with no rich there, by their repr."""
    table = pytest.importorskip("rich.table").Table("a", "b")
    table.add_row("1", "[red]2")
    assert show(table, 40)[1] == "┃ a ┃ b ┃"
    assert "\x1b" not in "".join(show(table, 40))
    assert show(table, rich=False)[0].startswith("<rich.table.Table object")
    assert show([table], 200)[0].startswith("[<rich.table.Table object")
    assert show(type(table)) == ["<class 'rich.table.Table'>"]


def test_rich_output_is_bounded():
    """An object that never stops to draw itself is stopped."""
    pytest.importorskip("rich")

    class Endless:
        def __rich_console__(self, console, options):
            while True:
                yield "x\x1b[2J"

    shown = show(Endless(), result_characters=5000)
    assert sum(map(len, shown)) < 20_000
    assert shown[-1] == "... more: page(_)"
    assert "\x1b" not in "".join(shown)


def test_without_rich_it_is_the_repr(monkeypatch):
    """A class may say how rich draws it where rich is not installed."""
    monkeypatch.setitem(sys.modules, "rich.console", None)

    class Drawn:
        def __rich__(self):
            raise AssertionError("must not be drawn")

        def __repr__(self):
            return "drawn"

    assert show(Drawn()) == ["drawn"]


# ---------------------------------------------------------------- the pager


@pytest.fixture
def page(monkeypatch, capsys):
    """Page a value with some keys typed; return what the terminal shows."""
    from console.context.scope import Scope, current_scope

    def page(value, *lines, columns=80, rows=24):
        source = Source(columns, lines)
        source.page_rows = rows
        token = current_scope.set(Scope(1, None, source, {}))
        try:
            Results(EvaluationSettings()).page(value, source)
        finally:
            current_scope.reset(token)
        assert not source.lines, "all keys were used"
        return capsys.readouterr().out

    return page


LINES = "\n".join(
    f"line {number}" + (" Needle" if number % 40 == 0 else "") for number in range(1, 101)
)


def firsts(shown):
    """Return the first line of each screen, and where the pager says that it is."""
    return [part.split("--more-- lines ")[-1] for part in shown.split(" (Enter")[:-1]]


def test_pages_are_turned(page):
    """Enter shows the next screen, and the end ends it."""
    assert firsts(page(LINES, "", "", "", "")) == [f"{n}-{n + 22} of 100" for n in (1, 24, 47, 70)]
    assert page("short") == "short\n"
    assert firsts(page(LINES, "q")) == ["1-23 of 100"]


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        (["/needle", "q"], ["1-23", "40-62"]),
        (["/needle", "n", "q"], ["1-23", "40-62", "80-100"]),
        (["/needle", "n", "n", "q"], ["1-23", "40-62", "80-100", "40-62"]),
        (["/needle", "N", "q"], ["1-23", "40-62", "80-100"]),
        (["/Needle", "q"], ["1-23", "40-62"]),
        (["/NEEDLE", "q"], ["1-23", "1-23"]),
        (["n", "q"], ["1-23", "1-23"]),
        (["G", "b", "q"], ["1-23", "78-100", "55-77"]),
        (["", "b", "q"], ["1-23", "24-46", "1-23"]),
        (["50", "q"], ["1-23", "50-72"]),
        (["999999999999", "1", "q"], ["1-23", "100-100", "1-23"]),
        (["h", "?", ""], ["1-23"]),
    ],
)
def test_pager_finds_and_goes(page, keys, places):
    """Search, the next hit and the one before, back, a line by its number, the end."""
    if keys == ["h", "?", ""]:
        shown = page(LINES, *keys, "q")
        assert "the next line with that word" in shown
        return
    assert [place.removesuffix(" of 100") for place in firsts(page(LINES, *keys))] == places


def test_pages_fit_the_screen(page):
    """A line that the terminal wraps counts for what it takes."""
    shown = page("\n".join(["x" * 100] * 50), "q", columns=40, rows=10)
    assert firsts(shown) == ["1-3 of 50"]
    assert firsts(page("x" * 10_000 + "\ny", "q", columns=40, rows=10)) == ["1-1 of 2"]


def test_a_page_has_all_of_a_value(page):
    """What a result leaves out is on its pages: all rows, all columns, whole cells."""
    rows = [{"id": number, "text": "x" * 90} for number in range(30)]
    assert "x" * 90 in page(rows, "G", "q")
    assert "…" not in page(rows, "G", "q")
    shown = page([Point(number, "x" * 30) for number in range(1000)], "G", "q")
    assert "999  999  xxx" in shown
    assert "99999, \n" not in shown
    shown = page(list(range(10_000_000)), "G", "q")
    assert "more items, not shown\n" in shown
    assert "000001f0" in page(bytes(512), "G", "q")


# ---------------------------------------------------------------- in a session


def test_terminals_get_it_and_programs_do_not(host, login):
    """At an SSH terminal a table, at nc wrapped at 80 columns; plain reprs for exec and pipes."""
    statement = "[dict(name='x' * 20, n=i) for i in range(4)]"
    plain = repr([{"name": "x" * 20, "n": i} for i in range(4)])
    client = login("ssh", host)
    assert client.run(statement)[-1] == "(list of 4 dict)"
    key = host.key_file
    assert run_once("ssh", host, statement, key=key).stdout.decode() == f"{plain}\n"
    assert run_once("ssh", host, input=statement.encode(), key=key).stdout.decode() == f"{plain}\n"
    raw = Raw(host.telnet_port)
    try:
        assert raw.run("list(range(40))").split("\n")[0] == "["
        assert max(map(len, raw.run("list(range(1000))").split("\n"))) <= 80
        raw.run("pretty(False)")
        assert raw.run("list(range(40))").strip() == repr(list(range(40)))
        assert raw.run("pretty()").strip() == "'pretty off, tables on, rich on'"
    finally:
        raw.close()


def test_json_at_a_terminal_is_not_laid_out(host):
    """A document is one line, with the whole repr in it, and no hint for what is cut."""
    raw = Raw(host.telnet_port, host.user, host.password)
    try:
        found = json.loads(raw.run("%json set(range(1000))"))
        assert (found["value"], found["note"]) == (repr(set(range(1000))), "")
        assert json.loads(raw.run("%json list(range(1000))"))["value"] == list(range(1000))
        assert raw.run("set(range(1000))").startswith("{\n")
    finally:
        raw.close()


def test_a_script_through_nc_gets_plain_reprs(host):
    """If the input has ended before a statement runs, there is no user at a terminal."""
    import subprocess

    from support.clients import need

    need("nc")
    script = f"{host.user}\n{host.password}\nlist(range(60))\n"
    done = subprocess.run(
        ["nc", "-N", "127.0.0.1", str(host.telnet_port)],
        input=script.encode(),
        capture_output=True,
        timeout=30,
    )
    assert repr(list(range(60))).encode() in done.stdout


def test_the_hint_works(host, login):
    """What the line below a result says can be typed, in a thread and on the loop."""
    client = login("ssh", host)
    client.line("list(range(100_000))")
    client.wait_for(" more items: page(_)")
    client.expect_prompt()
    client.line("page(_)")
    client.wait_for("--more-- lines 1-49 of")
    client.line("/99999")
    client.wait_for("99999,")
    client.line("q")
    client.expect_prompt()
    client.line("%loop list(range(100_000))")
    client.wait_for(" more items: %thread page(_)")
    client.run("hexdump(b'abc')")
    assert "00000000  61 62 63" in client.text


# ---------------------------------------------------------------- the page


def examples_of(text):
    """Return (statement, what the page shows for it) of each example."""
    found = []
    for block in re.findall(r"^```pycon\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        for part in re.split(r"^>>> ", block, flags=re.MULTILINE)[1:]:
            statement, *shown = part.splitlines()
            while shown and shown[0].startswith("..."):
                if not shown[0].startswith("... ") or shown[0][4].isdigit():
                    break
                statement += "\n" + shown.pop(0)[4:]
            found.append((statement, shown))
    return found


def test_the_page_shows_what_there_is():
    """Each example of docs/results.md is what 80 columns show; [...] stands for any lines."""
    names = {}
    examples = examples_of((ROOT / "docs" / "results.md").read_text())
    assert len(examples) > 6
    for source, expected in examples:
        statement = compile_statement(source, "<page>", names)
        if statement.body is not None:
            exec(statement.body, names)
        if statement.expression is None:
            assert not expected
            continue
        shown = show(eval(statement.expression, names))
        if "[...]" in expected:
            cut = expected.index("[...]")
            after = len(expected) - cut - 1
            shown[cut : len(shown) - after] = ["[...]"]
        assert shown == expected, source
