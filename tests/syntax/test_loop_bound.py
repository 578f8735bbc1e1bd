"""Which statements run on the loop, decided from their source before anything runs."""

from __future__ import annotations

import ast
import asyncio
import inspect
import types

import pytest

from console.syntax.loop_bound import LOOP_BOUND, needs_loop


def needs(source, **namespace):
    return needs_loop(ast.parse(source), namespace)


@pytest.mark.parametrize("name", sorted(LOOP_BOUND))
def test_each_name_is_asyncios(name):
    """Each name of the rule is a callable of asyncio."""
    assert callable(getattr(asyncio, name))


@pytest.mark.parametrize("name", sorted(LOOP_BOUND))
def test_each_name_counts(name):
    """A call of each of them is seen, by attribute and by imported name."""
    assert needs(f"asyncio.{name}()", asyncio=asyncio)
    assert needs(f"from asyncio import {name}\n{name}()")
    assert needs(f"{name}()", **{name: getattr(asyncio, name)})


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasyncio.create_task(x)",
        "import asyncio; asyncio.create_task(x)",
        "import os, asyncio as aio\naio.create_task(x)",
        "import asyncio.tasks\nasyncio.create_task(x)",
        "import asyncio.tasks\nasyncio.tasks.create_task(x)",
        "import asyncio.tasks as tasks\ntasks.create_task(x)",
        "from asyncio import create_task\ncreate_task(x)",
        "from asyncio import sleep, create_task as ct\nct(x)",
        "from asyncio.tasks import create_task as ct\nct(x)",
        "from asyncio import tasks\ntasks.create_task(x)",
        "from asyncio import tasks as t\nt.create_task(x)",
        "from asyncio import *\ncreate_task(x)",
        "if True:\n    import asyncio as aio\n    aio.create_task(x)",
    ],
)
def test_each_form_of_import_in_the_same_cell(source):
    """A function is found under the name that the cell itself imports it by."""
    assert needs(source)


@pytest.mark.parametrize(
    ("source", "namespace"),
    [
        ("asyncio.create_task(x)", {"asyncio": asyncio}),
        ("aio.create_task(x)", {"aio": asyncio}),
        ("asyncio.tasks.create_task(x)", {"asyncio": asyncio}),
        ("tasks.create_task(x)", {"tasks": asyncio.tasks}),
        ("ct(x)", {"ct": asyncio.create_task}),
        ("Task(x)", {"Task": asyncio.Task}),
    ],
)
def test_each_form_of_import_in_an_earlier_cell(source, namespace):
    """A function is found under the name that an earlier cell has imported it by."""
    assert needs(source, **namespace)


@pytest.mark.parametrize(
    "source",
    [
        "if x:\n    asyncio.create_task(x)",
        "if asyncio.all_tasks():\n    pass",
        "for t in asyncio.all_tasks():\n    pass",
        "while x:\n    asyncio.create_task(x)",
        "with x:\n    asyncio.create_task(x)",
        "try:\n    x\nfinally:\n    asyncio.create_task(x)",
        "match x:\n    case 1:\n        asyncio.create_task(x)",
        "[asyncio.create_task(x) for x in y]",
        "{x: asyncio.create_task(x) for x in y}",
        "list(asyncio.create_task(x) for x in y)",
        "t = f(1, *[asyncio.create_task(x)])",
        "f'{asyncio.current_task()}'",
        "asyncio.get_running_loop().time()",
        "x if y else asyncio.gather(x)",
        "(t := asyncio.gather(x))",
    ],
)
def test_code_of_the_cell_itself_counts(source):
    """A call counts wherever the cell itself makes it: in blocks, comprehensions, arguments."""
    assert needs(source, asyncio=asyncio)


@pytest.mark.parametrize(
    "source",
    [
        "def f():\n    asyncio.create_task(x)",
        "async def f():\n    asyncio.create_task(x)",
        "f = lambda: asyncio.create_task(x)",
        "class A:\n    def f(self):\n        asyncio.create_task(x)",
        "class A:\n    t = asyncio.create_task(x)",
        "def f():\n    asyncio.create_task(x)\nf()",
    ],
)
def test_code_that_runs_later_does_not(source):
    """A call inside a function, a lambda or a class that the cell defines does not count."""
    assert not needs(source, asyncio=asyncio)


@pytest.mark.parametrize(
    "source",
    [
        "asyncio.run(x)",
        "asyncio.Runner()",
        "asyncio.sleep(1)",
        "asyncio.Queue()",
        "asyncio.new_event_loop()",
        "asyncio.create_task",
        "t = asyncio.gather",
    ],
)
def test_what_asks_for_no_loop_does_not(source):
    """What makes its own loop, needs none yet, or is not called, runs in the session's thread."""
    assert not needs(source, asyncio=asyncio)


@pytest.mark.parametrize(
    ("source", "namespace"),
    [
        ("create_task(x)", {}),
        ("asyncio.create_task(x)", {}),
        ("create_task(x)", {"create_task": lambda x: x}),
        ("group.create_task(x)", {"group": object()}),
        ("service.asyncio.create_task(x)", {"service": object()}),
        ("loop().create_task(x)", {"loop": object}),
        ("asyncio.create_task(x)", {"asyncio": types.SimpleNamespace(create_task=print)}),
        ("asyncio.create_task(x)", {"asyncio": types.ModuleType("asyncio_like")}),
        ("from mine import create_task\ncreate_task(x)", {}),
        ("import mine as asyncio\nasyncio.create_task(x)", {}),
        ("import mine as asyncio\nasyncio.create_task(x)", {"asyncio": asyncio}),
        ("from mine import asyncio\nasyncio.create_task(x)", {"asyncio": asyncio}),
        ("from mine import create_task\ncreate_task(x)", {"create_task": asyncio.create_task}),
        ("from . import create_task\ncreate_task(x)", {}),
    ],
)
def test_a_name_that_only_looks_alike_does_not(source, namespace):
    """A function of the same name that is not asyncio's is not taken for it."""
    assert not needs(source, **namespace)


def test_values_of_the_namespace_are_never_touched():
    """Telling where a cell runs neither compares, asks nor evaluates the host's values."""
    touched = []

    class Recorder:
        def __getattribute__(self, name):
            touched.append(name)
            return object.__getattribute__(self, name)

        def __eq__(self, other):
            touched.append("==")
            return True

        __hash__ = None

        def __bool__(self):
            touched.append("bool")
            return True

        def __call__(self, *arguments):
            touched.append("call")

        def __str__(self):
            touched.append("str")
            return "asyncio"

        @property
        def __class__(self):
            touched.append("class")
            return types.ModuleType

    class LazyModule(types.ModuleType):
        def __getattribute__(self, name):
            touched.append(name)
            return super().__getattribute__(name)

    recorder, lazy = Recorder(), LazyModule("asyncio")
    source = "x()\nx.create_task()\nx.y.create_task(x)\nx == 1\nm.create_task()\nm.tasks.gather()"
    assert not needs(source, x=recorder, m=lazy)
    assert touched == []
    # What would have been recorded is recorded.
    assert recorder == 1
    assert touched


@pytest.mark.parametrize("name", ["run", "Runner", "sleep", "to_thread", "wait_for"])
def test_the_rest_of_asyncio_is_no_part_of_the_rule(name):
    """What makes its own loop, or does nothing before it is awaited, is not in the rule."""
    assert name not in LOOP_BOUND


def test_functions_that_ask_for_the_loop_are_all_there():
    """Each plain function of asyncio that asks for the running loop when called is in the rule."""
    asking = set()
    for name in asyncio.__all__:
        function = getattr(asyncio, name)
        if not inspect.isfunction(function) or inspect.iscoroutinefunction(function):
            continue
        if {"get_running_loop", "_get_running_loop"} & set(function.__code__.co_names):
            asking.add(name)
    # run() refuses where a loop runs already; Runner and the child watcher ask for other reasons.
    assert asking - LOOP_BOUND <= {"run", "iscoroutine", "get_child_watcher", "_get_running_loop"}
