"""From source to code: what a cell becomes, when it is complete, which lines tracebacks find."""

from __future__ import annotations

import ast
import codeop
import linecache
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.evaluation.compiler import SourceCache, compile_statement
from console.syntax.cells import is_complete, normalise, split_mode

# Text in which the beginnings and ends of Python's constructs are as frequent as letters.
CELLS = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "if x:",
                "def f():",
                "class A:",
                "try:",
                "else:",
                "await ",
                "lambda",
                "@",
                "\\",
                "%loop ",
            ]
        ),
        st.sampled_from(
            ["(", ")", "[", "]", "{", "}", "'", '"""', "f'{", "#", ":", "=", ";", "\\d"]
        ),
        st.sampled_from(["\n", "\n    ", "\t", " ", "\r\n", "\x00", "\x0c", "\ufeff", "\ud800"]),
        st.text(max_size=5),
    )
).map("".join)

TYPICAL = [
    "",
    " ",
    "# a comment",
    "1 + 1",
    "1 +",
    "(1,",
    "(1,\n2",
    "(1,\n2)",
    "[\n",
    "{'a':",
    "x = \\",
    "x = \\\n1",
    "'open",
    "'''open",
    "'''open\nand shut'''",
    "f'{1",
    "a b",
    ")",
    "if True:",
    "if True: pass",
    "if True: pass\n",
    "if True:\n    pass",
    "if True:\n    pass\n",
    "if True:\n    pass\n    ",
    "if True:\n    pass\n# a comment",
    "def f():\n    x = 1\n    \n    return x",
    "if True:\n    pass\nelse:",
    "if True:\n    pass\nelse:\n    pass\n",
    "def f(",
    "def f():",
    "def f():\n    return 1",
    "def f():\n\n",
    "def f():\n    return 1\n",
    "def f():\n    return 1\n\n    return 2\n",
    "async def f():\n    await g()",
    "async def f():\n    await g()\n",
    "@decorator",
    "@decorator\n",
    "@decorator\ndef f():\n    pass\n",
    "class A:",
    "class A: pass",
    "class A:\n    x = 1\n",
    "for x in []:",
    "for x in []:\n    pass\n",
    "while 0:\n    pass",
    "with a as b:\n    pass\n",
    "try:",
    "try:\n    pass\nexcept E:\n    pass\n",
    "try:\n    pass\nexcept* E:\n    pass",
    "match x:\n    case 1:\n        pass",
    "match x:\n    case 1:\n        pass\n",
    "lambda: (",
    "x = 1; y = 2",
    "import os",
    "return",
    "x = 08",
]


def value_of(statement, namespace):
    """Run a statement that needs no loop; return the value of its expression."""
    if statement.body is not None:
        exec(statement.body, namespace)
    return None if statement.expression is None else eval(statement.expression, namespace)


def compiled(source, **options):
    return compile_statement(source, "<test>", {}, **options)


# ---- compile_statement


@pytest.mark.parametrize(
    ("source", "has_body", "has_expression"),
    [
        ("1 + 1", False, True),
        ("x = 1", True, False),
        ("x = 1\nx", True, True),
        ("x = 1; x", True, True),
        ("x; y = 1", True, False),
        ("1;", False, True),
        ("def f(): pass", True, False),
        ("", False, False),
        ("# nothing", False, False),
    ],
)
def test_only_a_trailing_expression_has_a_value(source, has_body, has_expression):
    """A cell's last statement is compiled as an expression if it is one, the rest as its body."""
    statement = compiled(source)
    assert (statement.body is not None, statement.expression is not None) == (
        has_body,
        has_expression,
    )


def test_body_and_expression_share_the_namespace():
    """The trailing expression sees what the statements before it have set."""
    namespace = {}
    statement = compile_statement("x = 20\ny = x + 1\nx + y + 1", "<test>", namespace)
    assert value_of(statement, namespace) == 42
    assert (namespace["x"], namespace["y"]) == (20, 21)


@pytest.mark.parametrize(
    "source",
    [
        "await x",
        "await x; 1",
        "async for x in y: pass",
        "async with x: pass",
        "[x async for x in y]",
        "y = [await x for x in y]",
        "if a:\n    b = await c",
    ],
)
def test_a_top_level_await_needs_the_loop(source):
    """A cell that awaits, in its body or in its expression, needs a running loop."""
    assert compiled(source).needs_loop


@pytest.mark.parametrize(
    "source", ["x", "async def f():\n    await x", "lambda: (yield)", "f(x)", "'await x'"]
)
def test_other_code_needs_no_loop(source):
    """A cell that awaits nothing itself can run without a loop."""
    assert not compiled(source).needs_loop


def test_future_flags_of_the_body_hold_for_the_expression():
    """A future import changes how the rest of its own cell is compiled."""
    source = "from __future__ import annotations\ndef f(x: no_such_name): pass\nf.__annotations__"
    assert value_of(compiled(source), {}) == {"x": "no_such_name"}


def test_future_flags_carry_over():
    """A cell's future imports are returned, and later cells can be compiled with them."""
    first = compiled("from __future__ import annotations")
    assert first.future_flags
    assert compiled("1").future_flags == 0
    later = compiled(
        "def f(x: no_such_name): pass\nf.__annotations__", future_flags=first.future_flags
    )
    assert value_of(later, {}) == {"x": "no_such_name"}
    assert later.future_flags == first.future_flags


def test_our_own_future_imports_stay_here():
    """The console's own ``from __future__ import annotations`` does not leak into statements."""
    namespace = {}
    value_of(compiled("def f(x: int): pass"), namespace)
    assert namespace["f"].__annotations__ == {"x": int}


@pytest.mark.parametrize("source", ["a b", "return 1", "x = = 1", "\x00", "(" * 300, "1 = x"])
def test_what_cannot_be_compiled_raises(source):
    """Source that is not Python is refused with a SyntaxError or a ValueError."""
    with pytest.raises((SyntaxError, ValueError)):
        compiled(source)


def test_compiling_leaves_the_warning_filters_alone():
    """Neither compiling a cell nor asking whether it is complete changes the process's filters."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before = warnings.filters[:]
        assert not is_complete("if x:")
        compiled("x is 1")
        assert warnings.filters == before


# ---- normalise and split_mode


@pytest.mark.parametrize(
    ("pasted", "meant"),
    [
        ("x", "x"),
        ("  x = 1\n  y = 2", "x = 1\ny = 2"),
        ("\tif x:\n\t\ty", "if x:\n\ty"),
        ("x\r\ny\rz", "x\ny\nz"),
        ("\n\nx\n\n", "x"),
        ("\n  x\n", "x"),
        ("if x:\n    y", "if x:\n    y"),
        ("  'a\n  b'", "'a\nb'"),
        ("", ""),
        ("\n", ""),
    ],
)
def test_normalise(pasted, meant):
    """A common indentation, CR LF and surrounding blank lines are undone; the rest is kept."""
    assert normalise(pasted) == meant


@given(CELLS | st.text())
def test_normalised_text_is_the_same_but_for_blanks(text):
    """Normalising drops or changes nothing but blanks, and leaves no CR."""
    normalised = normalise(text)
    assert "\r" not in normalised
    assert normalised.split() == text.split()


@pytest.mark.parametrize(
    ("source", "mode", "rest"),
    [
        ("%loop x", "loop", "x"),
        ("%thread x", "thread", "x"),
        ("%loop\nx\ny", "loop", "x\ny"),
        ("%loop  \n  x", "loop", "  x"),
        ("  %loop x", "loop", "x"),
        ("%loop", "loop", ""),
        ("%thread ", "thread", ""),
        ("%looper x", "", "%looper x"),
        ("%timeit x", "", "%timeit x"),
        ("x %loop", "", "x %loop"),
        ("%loop.x", "", "%loop.x"),
        ("", "", ""),
    ],
)
def test_split_mode(source, mode, rest):
    """A mode in front of a cell is split off; anything else stays part of the cell."""
    assert split_mode(source) == (mode, rest)


# ---- is_complete


@pytest.mark.parametrize("source", TYPICAL)
def test_is_complete_as_codeop(source):
    """A cell is complete exactly where Python's own plain prompt would not ask for more."""
    try:
        expected = codeop.compile_command(source) is not None
    except (SyntaxError, ValueError, OverflowError):
        expected = True
    assert is_complete(source) == expected


@pytest.mark.parametrize(
    ("source", "complete"),
    [
        ("await x", True),
        ("await (x,", False),
        ("async with x:", False),
        ("async with x:\n    pass", False),
        ("async with x:\n    pass\n", True),
        ("async for x in y:\n    pass\n", True),
        ("%loop", True),
        ("%loop x", True),
        ("%loop if x:", False),
        ("%loop\nif x:\n    pass", False),
        ("%loop\nif x:\n    pass\n", True),
    ],
)
def test_is_complete_knows_await_and_modes(source, complete):
    """Top-level await and a mode in front of a cell do not confuse the plain prompt."""
    assert is_complete(source) is complete


@pytest.mark.parametrize(
    "source", ["\x00", "(" * 300, "-" * 100_000 + "1", "x = '\ud800'", "1" * 5000, "\\d"]
)
def test_what_cannot_be_compiled_is_complete(source):
    """A cell that the compiler refuses is run, so that the error is shown."""
    assert is_complete(source)


@given(CELLS | st.text())
def test_is_complete_never_raises(text):
    """Whatever is typed, the plain prompt gets an answer."""
    assert is_complete(text) in {True, False}


@given(CELLS | st.text())
def test_a_cell_that_parses_is_complete_after_a_blank_line(text):
    """An empty line behind a cell without open brackets or strings always ends it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(split_mode(text)[1])
        except (SyntaxError, ValueError, OverflowError, MemoryError, RecursionError):
            return
    if not text.endswith("\\"):
        assert is_complete(text + "\n")


# ---- SourceCache


@pytest.fixture
def cached():
    """Return the sources that linecache has; it must have the same ones after the test."""
    before = dict(linecache.cache)
    yield lambda: sorted(set(linecache.cache) - set(before))
    ours = {name for name in linecache.cache if name.startswith("<test")}
    assert not ours


def test_lines_are_found(cached):
    """Lines of a statement are found by number, each with a newline, also after checkcache()."""
    cache = SourceCache()
    cache.add("<test-1>", "first\nsecond")
    linecache.checkcache()
    assert linecache.getline("<test-1>", 2) == "second\n"
    cache.clear()
    assert linecache.getline("<test-1>", 2) == ""


def test_the_oldest_goes_first(cached):
    """Beyond the bound on their number, the oldest sources are forgotten."""
    cache = SourceCache(limit=3)
    for number in range(10):
        cache.add(f"<test-{number}>", "x")
    assert cached() == ["<test-7>", "<test-8>", "<test-9>"]
    cache.clear()
    assert cached() == []


def test_the_bound_on_characters(cached):
    """Beyond the bound on their size, the oldest sources are forgotten; the newest stays."""
    cache = SourceCache(limit_characters=100)
    cache.add("<test-1>", "x" * 60)
    cache.add("<test-2>", "x" * 60)
    assert cached() == ["<test-2>"]
    cache.add("<test-3>", "x" * 1000)
    assert cached() == ["<test-3>"]
    cache.clear()


def test_clear_leaves_other_sources(cached):
    """Clearing forgets our own sources only."""
    linecache.cache["<other>"] = (1, None, ["x\n"], "<other>")
    cache = SourceCache()
    cache.add("<test-1>", "x")
    cache.clear()
    cache.clear()
    assert cached() == ["<other>"]
    del linecache.cache["<other>"]
