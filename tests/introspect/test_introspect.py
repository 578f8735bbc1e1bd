"""Looking at a live service from outside, without running any of its code."""

from __future__ import annotations

import asyncio
import collections.abc
import contextlib
import re
import sys
import threading
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.introspect.listing import Listing, duration
from console.introspect.process import process_facts
from console.introspect.sessions import SessionFacts, list_sessions
from console.introspect.stacks import Place, describe_places, describe_thread, thread_places
from console.introspect.tasks import TaskFacts, list_tasks
from console.introspect.threads import describe_thread_places, list_threads
from console.patches.journal import PatchJournal

RUNS = []
"""What code of the values has been run: it must stay empty."""


def ran(name):
    RUNS.append(name)
    raise AssertionError(name)


class Meta(type):
    """A metaclass that runs when its classes are asked for anything."""

    def __getattribute__(cls, name):
        ran(f"metaclass {name}")

    def __instancecheck__(cls, instance):
        ran("instancecheck")


class Trap(metaclass=Meta):
    """A value that runs code whatever it is asked for."""

    def __getattribute__(self, name):
        ran(f"getattribute {name}")

    def __repr__(self):
        ran("repr")

    def __hash__(self):
        return object.__hash__(self)  # it has to be a key of a dict

    @property
    def __class__(self):
        ran("class")


class Words(str):
    """A text whose methods are its own."""

    __slots__ = ()

    def __str__(self):
        raise AssertionError(ran("str"))

    def __len__(self):
        raise AssertionError(ran("len"))

    def __repr__(self):
        ran("repr")

    def __format__(self, spec):
        ran("format")


class Named:
    """Its text is a subclass of str, which set_name() keeps."""

    def __str__(self):
        return Words("of words")


@pytest.fixture(autouse=True)
def _nothing_runs():
    """No test here runs code of the values that it looks at."""
    RUNS.clear()
    yield
    assert RUNS == []


@contextlib.contextmanager
def service():
    """A service's event loop, on a thread of its own."""
    loop = asyncio.SelectorEventLoop()
    thread = threading.Thread(target=loop.run_forever, name="service")
    thread.start()
    try:
        yield loop, thread
    finally:

        async def finish():
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(finish(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def on_loop(loop, make):
    """Call something on a loop that another thread runs; wait for the loop's next turn."""

    async def call():
        made = make()
        await asyncio.sleep(0)
        return made

    return asyncio.run_coroutine_threadsafe(call(), loop).result(30)


def functions(row):
    return [place.function.rpartition(".")[2] for place in row.places]


async def outer():
    await inner()


async def inner():
    await asyncio.sleep(300)


# ---- tasks


def test_tasks_tell_where_they_wait():
    """A task has its name, its state and the whole chain of awaits."""
    with service() as (loop, _):
        on_loop(loop, lambda: asyncio.create_task(outer(), name="job"))
        (row,) = list_tasks(loop)
    assert isinstance(row, TaskFacts)
    assert (row.name, row.state) == ("job", "waiting")
    assert functions(row) == ["outer", "inner", "sleep"]
    assert row.places[0].file == __file__
    assert row.places[0].line == outer.__code__.co_firstlineno + 1


def test_tasks_of_a_loop_that_is_stuck():
    """A loop in a call that does not return is looked at all the same, and its task is known."""
    begun, release = threading.Event(), threading.Event()

    async def hold():
        begun.set()
        release.wait(60)

    with service() as (loop, thread):
        on_loop(loop, lambda: asyncio.create_task(outer(), name="job"))
        held = asyncio.run_coroutine_threadsafe(hold(), loop)
        assert begun.wait(30)
        states = {row.name: row.state for row in list_tasks(loop)}
        stack = describe_thread_places(thread.ident)
        release.set()
        held.result(30)
    assert states.pop("job") == "waiting"
    assert list(states.values()) == ["running"]
    assert "thread 'service':" in stack
    assert "hold" in stack


def test_files_of_libraries_are_named_within_them():
    """A place in Python's own library or an installed one has no directory."""

    async def wait():
        await asyncio.Event().wait()

    with service() as (loop, _thread):
        on_loop(loop, lambda: asyncio.create_task(wait(), name="job"))
        table = repr(list_tasks(loop))
    assert f"{__file__}:" in table
    assert re.search(r" asyncio/locks\.py:\d+ in Event\.wait", table)
    assert str(Place("/x/lib/python3/site-packages/package/a.py", 3, "f")) == "package/a.py:3 in f"


def test_a_stack_has_one_line_for_what_is_only_the_loop():
    """A loop's frames around the service's are one line; where it waits by itself is shown."""

    async def look():
        return describe_thread(threading.get_ident())

    busy = asyncio.run(look())
    assert busy.count(" frames of asyncio]\n") == 1
    assert "base_events.py" not in busy
    assert ", in look\n" in busy

    with service() as (loop, thread):
        on_loop(loop, lambda: None)
        idle = describe_thread(thread.ident)
    assert ", in " in idle.splitlines()[-1] + idle.splitlines()[-2]


def test_a_cancelled_task_says_so():
    """A task that is being cancelled is marked."""

    async def stubborn():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(300)
        await asyncio.sleep(300)

    with service() as (loop, _):
        task = on_loop(loop, lambda: asyncio.create_task(stubborn()))
        on_loop(loop, task.cancel)
        on_loop(loop, lambda: None)
        (row,) = list_tasks(loop)
    assert row.state == "waiting, cancelling"


def test_tasks_of_hostile_kinds_run_nothing():
    """Names, classes and coroutines of the service's own are not asked for anything."""

    class Task(asyncio.Task):
        def get_name(self):
            ran("get_name")

        def get_coro(self):
            ran("get_coro")

        def cancelling(self):
            ran("cancelling")

        def __repr__(self):
            ran("task repr")

    class Coroutine(collections.abc.Coroutine):
        """What asyncio takes for a coroutine. It runs in each turn of the loop."""

        @property
        def cr_frame(self):
            ran("cr_frame")

        @property
        def cr_await(self):
            ran("cr_await")

        def send(self, value):
            return None

        def throw(self, error, *_):
            raise error

        def __await__(self):
            return self

    class Awaitable:
        def __await__(self):
            return (yield from asyncio.sleep(300).__await__())

        def __repr__(self):
            ran("awaitable repr")

    async def wait_for_object():
        await Awaitable()

    with service() as (loop, _):

        def make():
            named = asyncio.create_task(outer())
            named.set_name(Named())
            return (
                named,
                Task(outer(), loop=loop),
                asyncio.create_task(Coroutine(), name="object"),
                asyncio.create_task(wait_for_object(), name="awaitable"),
                asyncio.create_task(outer(), name="\x1b[2J\nforged\u202e"),
            )

        made = on_loop(loop, make)
        rows = {row.name: row for row in list_tasks(loop)}
        shown = repr(list_tasks(loop))
    assert len(rows) == len(made)
    assert type(next(name for name in rows if name == "of words")) is str
    assert rows["object"].places == ()
    assert functions(rows["awaitable"]) == ["wait_for_object", "__await__"]
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert r"\x1b[2J\nforged\u202e" in shown
    assert len(shown.split("\n")) == len(rows) + 1


def test_tasks_of_a_loop_that_makes_tasks_all_the_time():
    """Looking goes on while another thread adds and drops tasks, and disturbs it in nothing."""
    stop = threading.Event()
    begun = threading.Event()

    async def churn():
        while not stop.is_set():
            await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(200)))
            begun.set()

    with service() as (loop, _):
        on_loop(loop, lambda: asyncio.create_task(outer(), name="job"))
        churning = asyncio.run_coroutine_threadsafe(churn(), loop)
        assert begun.wait(30)
        totals = [list_tasks(loop).total for _ in range(200)]
        stop.set()
        churning.result(30)
    assert min(totals) >= 2


def test_many_tasks_are_counted_and_not_all_listed():
    """Of 1,500 tasks 1,000 are looked at, and the table says how many there are beside them."""
    with service() as (loop, _):
        on_loop(loop, lambda: [asyncio.create_task(asyncio.sleep(300)) for _ in range(1500)])
        listing = list_tasks(loop)
    assert (len(listing), listing.total) == (1000, 1500)
    assert repr(listing).endswith("\n... and 500 more")


def test_a_deep_chain_is_cut_in_the_middle():
    """Of many coroutines that await each other the first and the last ones are shown."""

    async def deep(levels):
        await (deep(levels - 1) if levels else asyncio.sleep(300))

    with service() as (loop, _):
        on_loop(loop, lambda: asyncio.create_task(deep(50)))
        (row,) = list_tasks(loop)
    assert len(row.places) == 52
    assert " > (48 more) > " in row.place
    assert row.place.endswith("in sleep")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="eager tasks came with Python 3.12")
def test_eager_tasks():
    """A task that began to run before it was scheduled is listed like the others."""

    async def main():
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        task = asyncio.create_task(outer(), name="eager")
        rows = await asyncio.to_thread(list_tasks, asyncio.get_running_loop())
        task.cancel()
        return rows

    rows = {row.name: row for row in asyncio.run(main())}
    assert functions(rows["eager"]) == ["outer", "inner", "sleep"]


def test_no_loop():
    """A service without a loop has no tasks, and the list says so."""
    assert repr(list_tasks(None)) == "the service has no event loop yet"


# ---- threads


def test_threads_of_hostile_classes_run_nothing():
    """A thread's facts are those of threading's own attributes."""
    begun, release = threading.Event(), threading.Event()

    class Hostile(threading.Thread):
        def run(self):
            begun.set()
            release.wait(60)

    thread = Hostile(name="of words", daemon=True)
    thread.start()
    assert begun.wait(30)
    for name in ("name", "ident", "daemon"):
        setattr(Hostile, name, property(lambda self, name=name: ran(name)))
    try:
        row = next(row for row in list_threads() if row.name == "of words")
        assert row.daemon
        assert row.place.file == threading.__file__
        assert f"{__file__}:" in describe_thread_places(row.ident)
        assert "of words" in repr(list_threads())
    finally:
        for name in ("name", "ident", "daemon"):
            delattr(Hostile, name)
        release.set()
        thread.join(30)


def test_threads_that_python_does_not_know():
    """A thread that was started below `threading` is listed too."""
    import _thread

    begun, release = threading.Lock(), threading.Lock()
    begun.acquire()
    release.acquire()

    def run():
        begun.release()
        release.acquire()

    ident = _thread.start_new_thread(run, ())
    assert begun.acquire(timeout=30)
    row = next(row for row in list_threads() if row.ident == ident)
    release.release()
    assert (row.name, row.daemon, row.place.function) == ("(not Python's)", None, run.__qualname__)


def test_a_stack_asks_no_loader():
    """A stack is shown without source, which would call an object in the globals."""
    frames = []
    names = {"__name__": "hostile", "__loader__": Trap(), "__spec__": Trap(), "note": None}
    names["note"] = lambda: frames.append(describe_places(thread_places(threading.get_ident())))
    exec(compile("def work():\n    note()\nwork()", "of words", "exec"), names)
    assert "  of words:2 in work\n" in frames[0]


def test_a_thread_that_has_ended():
    """A missing thread is not an error."""
    assert describe_thread_places(1) == (
        "thread 'unknown':\n  nowhere: there is no such thread, or it has ended"
    )


# ---- the rest


def test_the_process():
    """The process tells its age, memory and descriptors, and its repr is for people."""
    facts = process_facts(0)
    assert facts.rss_bytes > 2**20
    assert 2 < facts.descriptors < 10_000
    assert facts.started_at > 0
    assert repr(facts).startswith(f"process {facts.pid}  up ")


def test_patches_are_named_without_running_anything():
    """The label of a patch asks neither its owner nor its key nor their classes anything."""
    journal = PatchJournal(lambda seconds, call: None, print)
    plain = types.SimpleNamespace(a=1)
    journal.patch(plain, "a", Trap())
    journal.patch({}, Trap(), Trap())
    journal.patch({}, ("k",), 1)
    journal.patch({}, "k\x1b", 1)
    journal.patch({}, 10**5000, 1)
    journal.patch(types, "made_here", 1)
    assert [one.target.label() for one in journal.glance()] == [
        "<SimpleNamespace>.a",
        "<dict>[<Trap>]",
        "<dict>[<tuple>]",
        r"<dict>['k\\x1b']".replace(r"\\", "\\"),
        "<dict>[<int>]",
        "types.made_here",
    ]
    del types.made_here


def test_sessions_hide_what_others_type():
    """A viewer sees the name of a statement; its source is for operators and admins."""
    row = SessionFacts(
        number=3,
        user="boss",
        role="admin",
        transport="ssh",
        peer="192.0.2.1:5",
        method="publickey",
        frontend="line",
        opened_at=0,
        idle_seconds=90,
        statement="3.1",
        source="login('sekrit')\x1b[2J",
    )
    assert "sekrit" not in repr(list_sessions([row], sources=False))
    assert "3.1" in repr(list_sessions([row], sources=False))
    shown = repr(list_sessions([row], sources=True))
    assert r"login('sekrit')\x1b[2J" in shown
    assert "1 min 30 s" in shown
    assert repr(row).startswith("boss (admin) over ssh from 192.0.2.1:5, by publickey, session 3")


@given(st.lists(st.tuples(st.text(), st.integers())))
def test_a_table_has_a_line_for_each_row(rows):
    """Whatever a cell holds, a table has a heading and one line for each row."""
    listing = Listing(rows, {"A": lambda row: row[0], "B": lambda row: row[1]}, "none")
    assert list(listing) == rows
    assert len(repr(listing).split("\n")) == (len(rows) + 1 if rows else 1)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3661, "1 h 1 min"),
        (86400, "1 d"),
        (1e6, "11 d 13 h"),
    ],
)
def test_duration(seconds, text):
    """A duration is written in its two largest units."""
    assert duration(seconds) == text
