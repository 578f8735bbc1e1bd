"""What Tab offers, found without running any code of the host."""

from __future__ import annotations

import contextlib
import keyword
import sys
import time
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

from console.frontends.fullscreen.completion import StaticCompleter, attributes
from console.introspect.static import static_attribute

RUNS = []
"""What code of the values has been run: it must stay empty."""


def ran(name):
    RUNS.append(name)
    raise AssertionError(name)


class Meta(type):
    """A metaclass that runs when its classes are asked for anything."""

    def __getattribute__(cls, name):
        ran(f"metaclass {name}")

    def __dir__(cls):
        ran("metaclass dir")

    def __instancecheck__(cls, instance):
        ran("instancecheck")

    @property
    def of_meta(cls):
        ran("metaclass property")


class Base:
    inherited = 1


class Trap(Base, metaclass=Meta):
    """A value that runs code whatever it is asked for."""

    plain = "class attribute"

    def __init__(self):
        object.__setattr__(self, "own", {"key": 1})

    def method(self):
        ran("method")

    @property
    def danger(self):
        ran("property")

    @classmethod
    def make(cls):
        ran("classmethod")

    @staticmethod
    def help_out():
        ran("staticmethod")

    def __getattribute__(self, name):
        ran(f"getattribute {name}")

    def __getattr__(self, name):
        ran(f"getattr {name}")

    def __dir__(self):
        ran("dir")

    @property
    def __class__(self):
        ran("class")

    def __repr__(self):
        ran("repr")

    def __eq__(self, other):
        ran("eq")

    def __hash__(self):
        raise AssertionError(ran("hash"))

    def __bool__(self):
        raise AssertionError(ran("bool"))

    def __len__(self):
        raise AssertionError(ran("len"))

    def __iter__(self):
        ran("iter")

    def __getitem__(self, key):
        ran("getitem")


class Slots:
    __slots__ = ("filled", "unfilled")

    def __init__(self):
        self.filled = Base()


class DictProperty:
    @property
    def __dict__(self):
        ran("__dict__")

    visible = 1


class Descriptor:
    def __get__(self, instance, owner):
        ran("descriptor")

    @property
    def __class__(self):
        ran("class of descriptor")


class WithDescriptor:
    attribute = Descriptor()


class LazyModule(types.ModuleType):
    loaded = 1

    def __getattribute__(self, name):
        ran(f"module {name}")


class Keys(dict):
    def keys(self):
        ran("keys")

    def __iter__(self):
        ran("iter of keys")

    def items(self):
        ran("items")

    def get(self, key, default=None):
        ran("get")


class OwnDict:
    visible = 1

    def __init__(self):
        self.__dict__ = Keys(own=1)


def module_with_getattr():
    module = types.ModuleType("with_getattr")
    module.there = 1
    module.__getattr__ = lambda name: ran(f"module getattr {name}")
    module.__dir__ = lambda: ran("module dir")
    return module


@pytest.fixture
def namespace():
    """Names of a host, most of which run code when they are asked."""
    RUNS.clear()
    trap = object.__new__(Trap)
    object.__setattr__(trap, "own", {"key": 1, "kind": 2, 3: 4, "_private": 5})
    base = Base()
    base.child = trap
    names = {
        "foo": 12,
        "food": {"apple": Base(), "pear": 2},
        "trap": trap,
        "Trap": Trap,
        "base": base,
        "slots": Slots(),
        "dict_property": DictProperty(),
        "with_descriptor": WithDescriptor(),
        "own_dict": OwnDict(),
        "lazy": LazyModule("lazy"),
        "module": module_with_getattr(),
        "keys": Keys(apple=1),
        "listed": [1, Base()],
        "nested": {"in": {"deep": 1}},
        "sys": sys,
        "_hidden": 1,
        5: "no name",
        "__builtins__": {},
    }
    yield names
    assert RUNS == []


def complete(namespace, text, private=("exit", "statements")):
    """Return what Tab offers behind a text, in order."""
    completer = StaticCompleter(namespace, lambda: dict.fromkeys(private))
    found = completer.get_completions(Document(text), CompleteEvent(completion_requested=True))
    return [completion.text for completion in found]


def inserted(namespace, text):
    """Return the texts as they stand after each completion."""
    completer = StaticCompleter(namespace, dict)
    found = completer.get_completions(Document(text), CompleteEvent(completion_requested=True))
    return [text[: len(text) + one.start_position] + one.text for one in found]


# ---- names


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("fo", ["foo", "food", "for", "format"]),
        ("x = foo", ["foo", "food"]),
        ("f(foo", ["foo", "food"]),
        ("print(1);foo", ["foo", "food"]),
        ("awa", ["await"]),
        ("statem", ["statements"]),
        ("_hid", ["_hidden"]),
        ("no_such", []),
        ("__builtins_", []),
        ("", []),
        ("foo ", []),
        ("f(", []),
    ],
)
def test_names(namespace, text, offered):
    """Names of the namespace, builtins, keywords and the session's own names are offered."""
    assert complete(namespace, text) == offered


def called(first, /, order, *rest, express=False, **more):
    ran("called")


class Built:
    def __init__(self, size, *, colour="red"):
        ran("init")

    def turn(self, angle):
        ran("turn")


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("called(", ["order=", "express="]),
        ("called(1, ", ["order=", "express="]),
        ("x = called(1, express=True, ", ["order="]),
        ("called(1, expr", ["express="]),
        ("called(called(1), ord", ["order=", "ord"]),
        ("called(1, order=ord", ["ord"]),
        ("called(1)", []),
        ("Built(", ["size=", "colour="]),
        ("built.turn(", ["angle="]),
        ("mine(", ["pages="]),
        ("trap(", []),
        ("no_such(", []),
    ],
)
def test_parameters(text, offered):
    """Within a call its parameters are offered, without those that are given already."""
    RUNS.clear()
    names = {"called": called, "Built": Built, "built": object.__new__(Built), "trap": Trap}
    completer = StaticCompleter(names, lambda: {"mine": lambda pages: None, "exit": 1})
    found = completer.get_completions(Document(text), CompleteEvent(completion_requested=True))
    assert [one.text for one in found] == offered
    assert RUNS == []


def test_options():
    """In front of a statement the options are offered, within it a % is an operator."""
    assert complete({}, "%") == ["json", "loop", "thread", "timeout"]
    assert complete({}, "%timeout 5 %js") == ["json"]
    assert complete({"loop": 1}, "5 %loo") == ["loop"]
    assert complete({"loop": 1}, "x = 5\n%loo") == ["loop"]


def test_names_of_the_session(namespace):
    """A session's own names are completed further, and shown with their signatures."""
    mine = {"_": [Base()], "helper": lambda amount: None}
    completer = StaticCompleter(namespace, lambda: mine)

    def offered(text):
        return list(completer.get_completions(Document(text), CompleteEvent()))

    assert [one.text for one in offered("_[0].inh")] == ["inherited"]
    assert [one.display_meta_text for one in offered("helpe")] == ["function (amount)"]


def test_keywords_are_all_there(namespace):
    """Every keyword is offered behind its own first letters."""
    for word in keyword.kwlist:
        assert word in complete(namespace, word[:-1])


def test_private_names_come_last(namespace):
    """Names with underscores are offered when one is typed, dunder names last."""
    namespace.update({"_one": 1, "__two": 2})
    offered = complete(namespace, "_")
    assert offered.index("_hidden") < offered.index("_one") < offered.index("__two")
    assert not [name for name in complete(namespace, "base.") if name.startswith("_")]


def test_completions_replace_what_was_typed(namespace):
    """A completion stands where the beginning of the name stood."""
    assert inserted(namespace, "x = base.inh") == ["x = base.inherited"]
    assert inserted(namespace, "food['ap") == ["food['apple"]


def test_no_more_than_a_screenful(namespace):
    """A huge number of names is cut."""
    namespace.update({f"many_{n}": n for n in range(2000)})
    assert len(complete(namespace, "many")) == 500


# ---- attributes


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("trap.", ["danger", "help_out", "inherited", "make", "method", "own", "plain"]),
        ("trap.da", ["danger"]),
        ("trap.danger.", []),
        ("trap.no_such.", []),
        ("Trap.pl", ["plain"]),
        ("Trap.of_", ["of_meta"]),
        ("base.", ["child", "inherited"]),
        ("base.child.own.ke", ["keys"]),
        ("base . child . pl", ["plain"]),
        ("slots.", ["filled", "unfilled"]),
        ("slots.filled.", ["inherited"]),
        ("slots.unfilled.", []),
        ("dict_property.", ["visible"]),
        ("own_dict.", ["visible"]),
        ("own_dict.own.", []),
        ("with_descriptor.attr", ["attribute"]),
        ("with_descriptor.attribute.", []),
        ("lazy.", ["loaded"]),
        ("lazy.loaded.bit_l", ["bit_length"]),
        ("module.", ["there"]),
        ("module.no_such.", []),
        ("sys.stdlib_module_n", ["stdlib_module_names"]),
        ("sys.path.app", ["append"]),
        ("len.__na", ["__name__"]),
        ("int.from_b", ["from_bytes"]),
        ("trap.method.__na", ["__name__"]),
        ("f().pl", []),
        ("food['apple'].inh", ["inherited"]),
        ("food['none'].inh", []),
        ("keys['apple'].bit_l", []),
        ("listed[1].inh", ["inherited"]),
        ("x = listed[-1].inh", ["inherited"]),
        ("listed[9].inh", []),
        ("listed[foo].inh", []),
        ("trap[0].pl", []),
        ("(base).inh", []),
        ("'text'.up", []),
        ("no_such.", []),
        ("5.", []),
    ],
)
def test_attributes(namespace, text, offered):
    """Attributes are offered where they are stored; what only code would tell is not."""
    assert complete(namespace, text) == offered


@pytest.mark.parametrize(
    ("text", "offered"),
    [
        ("food['", ["apple", "pear"]),
        ('food["ap', ["apple"]),
        ("x = food['p", ["pear"]),
        ("trap.own['k", ["key", "kind"]),
        ("trap.own['_", ["_private"]),
        ("trap['", []),
        ("keys['", []),
        ("no_such['", []),
        ("food[ap", []),
        ("nested['in']['", ["deep"]),
        ("nested['out']['", []),
    ],
)
def test_keys(namespace, text, offered):
    """String keys of plain dicts are offered, and no other mapping is asked for its own."""
    assert complete(namespace, text) == offered


@pytest.mark.parametrize(
    ("text", "contained"),
    [
        ("import o", "os"),
        ("import os.pa", "os.path"),
        ("import os, sy", "sys"),
        ("from collections.a", "collections.abc"),
        ("from os import pat", "path"),
        ("from os import sep, pat", "path"),
        ("from os import (pat", "path"),
        ("    from os import pat", "path"),
        ("import antigravi", "antigravity"),
    ],
)
def test_imports(namespace, text, contained):
    """Modules that are loaded, the standard library's, and names of loaded modules are offered."""
    assert contained in complete(namespace, text)


def test_nothing_is_imported(namespace):
    """Offering a module does not import it."""
    before = set(sys.modules)
    assert "antigravity" in complete(namespace, "import antig")
    assert complete(namespace, "from antigravity import ") == []
    assert set(sys.modules) == before


# ---- attributes() and static_attribute()


def test_static_attribute(namespace):
    """An attribute is found where it is stored, and nothing else is."""
    trap = namespace["trap"]
    assert static_attribute(trap, "plain") == "class attribute"
    assert static_attribute(trap, "own")["key"] == 1
    assert static_attribute(trap, "inherited") == 1
    absent = static_attribute(trap, "no_such")
    assert static_attribute(trap, "danger") is absent
    assert static_attribute(namespace["slots"], "filled").inherited == 1
    assert static_attribute(namespace["slots"], "unfilled") is absent
    assert isinstance(static_attribute(trap, "make"), types.FunctionType)


@pytest.mark.parametrize("value", [None, 5, "x", [], {}, int, type, object(), sys, len, print])
def test_as_dir(value):
    """For ordinary values the names are those of dir(), but for what metaclasses hide."""
    assert set(dir(value)) <= set(attributes(value)) | {"__class__"}


def test_the_traps_do_work():
    """The values of these tests do run code when they are asked as usual."""
    RUNS.clear()
    trap = object.__new__(Trap)
    for ask in (
        lambda: trap.danger,
        lambda: dir(trap),
        lambda: isinstance(trap, int),
        lambda: bool(trap),
        lambda: Trap.plain,
        lambda: WithDescriptor().attribute,
        lambda: LazyModule("lazy").loaded,
        lambda: module_with_getattr().no_such,
        lambda: DictProperty().__dict__,
        lambda: list(Keys()),
    ):
        before = len(RUNS)
        with contextlib.suppress(AssertionError):
            ask()
        assert len(RUNS) > before
    RUNS.clear()


# ---- whatever is typed


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["trap", "base", "child", "own", "food", "slots", "lazy", "module", "Trap"]
        ),
        st.sampled_from(
            [".", ".", "[", "['", '["', "(", ")", " ", ",", "=", "\n", "import ", "from "]
        ),
        st.text(max_size=4),
    )
).map("".join)


@given(LINES)
def test_arbitrary_lines(text):
    """Whatever is typed, Tab neither raises nor runs any code of the values."""
    RUNS.clear()
    trap = object.__new__(Trap)
    object.__setattr__(trap, "own", {"key": Trap})
    base = Base()
    base.child = trap
    namespace = {
        "trap": trap,
        "Trap": Trap,
        "base": base,
        "food": {"trap": trap},
        "slots": Slots(),
        "lazy": LazyModule("lazy"),
        "module": module_with_getattr(),
    }
    for line in (text, text + ".", text + ".o"):
        for one in complete(namespace, line):
            assert one.isprintable()
    assert RUNS == []


@pytest.mark.parametrize(
    "text", ["a." * 20_000, "a" * 50_000, "x['" * 10_000, "import " + "a, " * 20_000, " " * 50_000]
)
def test_long_lines_take_no_time(namespace, text):
    """A line of tens of thousands of characters is answered in little time."""
    began = time.process_time()
    complete(namespace, text)
    assert time.process_time() - began < 5  # 36 s where it took the square of the length
