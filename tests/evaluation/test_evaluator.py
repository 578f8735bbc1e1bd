"""A session's statements: what they yield, where they run, how they are stopped."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import linecache
import logging
import re
import sys
import threading
import traceback
import weakref
from pathlib import Path

import pytest

import console
from console.config.settings import EvaluationSettings
from console.context.namespace import Namespace
from console.evaluation.hooks import hooks
from console.interfaces.statements import OutcomeKind
from support.evaluators import Session, service, until
from support.servers import wait_until

PACKAGE = str(Path(console.__file__).parent)
MODES = ("thread", "loop")
BOTH_MODES = pytest.mark.parametrize("mode", MODES)
EACH_HOST = pytest.mark.parametrize("host", ["service", "none"])

NOTHING, VALUE, EXCEPTION = OutcomeKind.NOTHING, OutcomeKind.VALUE, OutcomeKind.EXCEPTION
INTERRUPTED, EXIT = OutcomeKind.INTERRUPTED, OutcomeKind.EXIT


def run(test, *, host="service", **settings):
    """Run a test with a session, in a process with or without a service's loop."""

    async def main(loop):
        session = Session(loop, EvaluationSettings(**settings))
        namespace = Namespace(session.namespace)
        namespace.install()
        try:
            async with asyncio.timeout(60):
                await test(session)
        finally:
            session.evaluator.close()
            session.sources.clear()
            namespace.uninstall()
            await asyncio.to_thread(session.host.close, 5)
            winding_down = asyncio.all_tasks() - {asyncio.current_task()}
            if winding_down:
                await asyncio.wait(winding_down)

    with contextlib.ExitStack() as stack:
        loop = stack.enter_context(service()) if host == "service" else None
        hooks.install()
        stack.callback(hooks.uninstall)
        asyncio.run(main(loop))


# ---- values


@BOTH_MODES
@EACH_HOST
@pytest.mark.parametrize(
    ("source", "kind", "text"),
    [
        ("1 + 1", VALUE, "2"),
        ("'é'", VALUE, "'é'"),
        ("None", NOTHING, ""),
        ("x = 1", NOTHING, ""),
        ("x = 20\nx += 1\nx * 2", VALUE, "42"),
        ("x = 1; x", VALUE, "1"),
        ("# a comment", NOTHING, ""),
        ("if True:\n    5", NOTHING, ""),
        ("  y = 1\n  y", VALUE, "1"),
        ("import asyncio\nawait asyncio.sleep(0, 5)", VALUE, "5"),
        ("import asyncio\nx = await asyncio.sleep(0, 5)\nx + 1", VALUE, "6"),
        ("import asyncio\n[await asyncio.sleep(0, n) for n in range(3)]", VALUE, "[0, 1, 2]"),
        ("import asyncio\nasyncio.get_running_loop().is_running()", VALUE, "True"),
        ("async def f(): return 7\nawait f()", VALUE, "7"),
    ],
)
def test_values(host, mode, source, kind, text):
    """A cell's trailing expression is its value; None and statements have none."""

    async def test(session):
        outcome = await session.run(source, mode)
        assert (outcome.kind, outcome.text, outcome.status) == (kind, text, 0)
        assert outcome.error_id == outcome.note == ""

    run(test, host=host)


@BOTH_MODES
def test_underscore(mode):
    """The last value that is not None is in ``_``, and not in the namespace."""

    async def test(session):
        assert await session.value("41 + 1", mode) == "42"
        assert (await session.run("None", mode)).kind is NOTHING
        assert (await session.run("x = 5", mode)).kind is NOTHING
        assert await session.value("_ + 1", mode) == "43"
        assert await session.value("_", mode) == "43"
        assert "_" not in session.namespace

    run(test)


def test_names_are_shared():
    """Two sessions share the namespace, and have a last value each."""

    async def test(session):
        other = Session(None, EvaluationSettings(), number=2, other=session)
        await session.run("x = 5\nx")
        assert await other.value("x + 1") == "6"
        assert await session.value("_") == "5"
        other.evaluator.close()

    run(test)


@BOTH_MODES
def test_where_statements_run(mode):
    """In mode thread a statement runs on its session's worker, in mode loop on the service's."""

    async def test(session):
        name = await session.value("import threading; threading.current_thread().name", mode)
        assert name == {"thread": "'console-session-1'", "loop": "'service'"}[mode]

    run(test)


def test_an_await_runs_the_whole_cell_on_the_loop():
    """A cell with an await somewhere runs on the service's loop from its first line on."""

    async def test(session):
        source = "import asyncio, threading\nn = threading.current_thread().name"
        assert await session.value(f"{source}\nawait asyncio.sleep(0)\nn") == "'service'"
        assert await session.value(f"{source}\nn") == "'console-session-1'"

    run(test)


def test_asyncio_run_works_in_a_thread():
    """A worker may run a loop of its own."""

    async def test(session):
        assert await session.value("import asyncio\nasyncio.run(asyncio.sleep(0, 5))") == "5"

    run(test)


@BOTH_MODES
def test_output(mode):
    """What a statement, its tasks and its threads print reaches the session, before the outcome."""

    async def test(session):
        await session.run("import sys; print('out'); print('err', file=sys.stderr)", mode)
        assert session.sink.text == "out\nerr\n"
        assert session.sink.errors == "err\n"
        await session.run(
            "import threading\nt = threading.Thread(target=print, args=('thread',))\n"
            "t.start(); t.join()",
            mode,
        )
        assert session.sink.text.endswith("thread\n")

    run(test)


def test_output_of_a_task_comes_later():
    """A task that outlives its statement still prints to the session."""

    async def test(session):
        await session.run(
            "import asyncio\ngo = asyncio.Event()\n"
            "async def later(): await go.wait(); print('later')\n"
            "task = asyncio.create_task(later())"
        )
        assert session.sink.text == ""
        await session.run("go.set(); await task")
        assert session.sink.text == "later\n"

    run(test)


def test_input():
    """input() of a statement prompts and reads on its session's terminal."""

    async def test(session):
        session.source.lines.append("typed\n")
        assert await session.value("input('? ')") == "'typed'"
        assert session.sink.text == "? "

    run(test)


@BOTH_MODES
def test_future_imports_carry_over(mode):
    """A future import holds for the later statements of the session."""

    async def test(session):
        await session.run("from __future__ import annotations", mode)
        source = "def f(x: no_such_name): pass\nf.__annotations__"
        assert await session.value(source, mode) == "{'x': 'no_such_name'}"
        other = Session(None, EvaluationSettings(), number=2, other=session)
        assert (await other.run(source, mode)).kind is EXCEPTION
        other.evaluator.close()

    run(test)


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("second", MODES)
def test_context_variables_carry_over(first, second):
    """A context variable that a statement sets keeps its value for the session's next one."""

    async def test(session):
        await session.run("import contextvars; v = contextvars.ContextVar('v', default=0)")
        await session.run("token = v.set(5)", first)
        assert await session.value("v.get()", second) == "5"
        await session.run("v.reset(token)", second)
        assert await session.value("v.get()", first) == "0"
        other = Session(None, EvaluationSettings(), number=2, other=session)
        await session.run("token = v.set(6)", first)
        assert await other.value("v.get()", second) == "0"
        other.evaluator.close()

    run(test)


def test_the_loop_is_woken():
    """A service's coroutine that waits for a queue notices what a worker's statement puts in it."""

    async def test(session):
        queue = None

        async def get():
            nonlocal queue
            queue = asyncio.Queue()
            return await queue.get()

        loop = session.host.loop()
        got = asyncio.run_coroutine_threadsafe(get(), loop)
        await until(lambda: queue is not None and queue._getters)
        session.namespace["queue"] = queue
        assert (await session.run("queue.put_nowait(5)")).kind is NOTHING
        assert await asyncio.wrap_future(got) == 5

    run(test)


@BOTH_MODES
def test_values_are_let_go(mode):
    """Once it is no more the last value, nothing of the console keeps a value alive."""

    async def test(session):
        await session.run("class Thing: pass", mode)
        await session.run("thing = Thing(); thing", mode)
        reference = weakref.ref(session.namespace["thing"])
        await session.run("del thing", mode)
        await session.run("1", mode)
        gc.collect()
        assert reference() is None

    run(test)


@BOTH_MODES
def test_the_last_error_is_let_go(mode):
    """A closed session keeps neither its last exception nor what its frames hold."""

    async def test(session):
        await session.run("class Thing: pass\ndef f(thing): raise ValueError(1)", mode)
        await session.run("f(Thing())", mode)
        assert isinstance(session.evaluator.last_error, ValueError)
        frame = session.evaluator.last_error.__traceback__.tb_next.tb_frame
        reference = weakref.ref(frame.f_locals["thing"])
        del frame
        session.evaluator.close()
        gc.collect()
        assert session.evaluator.last_error is None
        assert reference() is None

    run(test)


# ---- exceptions


@BOTH_MODES
def test_traceback(mode):
    """A traceback begins in the statement, with its line, and has an id that counts statements."""

    async def test(session):
        await session.run("def f():\n    raise ValueError('x')", mode)
        outcome = await session.run("\nf()", mode)
        assert outcome.kind is EXCEPTION
        assert outcome.status == 1
        assert outcome.error_id == "1.2"
        # Python 3.13 marks calls as well.
        assert re.sub(r"\n +[~^]+$", "", outcome.text, flags=re.MULTILINE) == (
            "Traceback (most recent call last):\n"
            '  File "<console-1.2>", line 1, in <module>\n'
            "    f()\n"
            '  File "<console-1.1>", line 2, in f\n'
            "    raise ValueError('x')\n"
            "ValueError: x"
        )

    run(test)


def test_nothing_global_is_left():
    """An exception of a statement sets no ``sys.last_*`` and leaves linecache as it was."""
    before = {name for name in vars(sys) if name.startswith("last_")}

    async def test(session):
        await session.run("1 / 0")
        assert linecache.getline("<console-1.1>", 1) == "1 / 0\n"

    run(test)
    assert {name for name in vars(sys) if name.startswith("last_")} == before
    assert not [name for name in linecache.cache if name.startswith("<console")]


CHAINS = {
    "cause": "try:\n    1 / 0\nexcept Exception as e:\n    raise ValueError from e",
    "context": "try:\n    1 / 0\nexcept Exception:\n    raise ValueError",
    "group": "raise ExceptionGroup('g', [ValueError(1), ExceptionGroup('h', [KeyError(2)])])",
    "group of raised": (
        "errors = []\nfor n in 1, 2:\n    try:\n        1 / 0\n"
        "    except Exception as e:\n        errors.append(e)\nraise ExceptionGroup('g', errors)"
    ),
    "except*": (
        "try:\n    raise ExceptionGroup('g', [ValueError(1), KeyError(2)])\n"
        "except* KeyError as e:\n    raise"
    ),
    "note": "e = ValueError(1)\ne.add_note('a note\\nof two lines')\nraise e",
    "recursion": "def f(): f()\nf()",
    "memory": "[0] * (1 << 60)",
    "generator exit": "raise GeneratorExit",
    "task group": (
        "import asyncio\nasync def bad(): raise ValueError('in task')\n"
        "async with asyncio.TaskGroup() as g: g.create_task(bad())"
    ),
    "awaited": "async def f(): raise ValueError('awaited')\nawait f()",
    "cancelled": "import asyncio\nraise asyncio.CancelledError('mine')",
    "cancelled task": (
        "import asyncio\nt = asyncio.create_task(asyncio.sleep(9))\nt.cancel()\nawait t"
    ),
    "timeout": ("import asyncio\nasync with asyncio.timeout(0):\n    await asyncio.sleep(9)"),
    "stop iteration": "raise StopIteration(5)",
    "stop async iteration": "raise StopAsyncIteration(5)",
    "repr": "class A:\n    def __repr__(self): raise ValueError('repr')\nA()",
    "no text": "class A:\n    def __repr__(self): return 5\nA()",
    "str": "class E(Exception):\n    def __str__(self): raise ValueError('str')\nraise E",
    "str exits": "class E(Exception):\n    def __str__(self): raise SystemExit\nraise E",
    "notes": (
        "class E(Exception):\n    @property\n    def __notes__(self): raise ValueError\nraise E"
    ),
    "notes exit": (
        "class E(Exception):\n    @property\n    def __notes__(self): raise SystemExit\nraise E"
    ),
    "notes forever": (
        "class E(BaseException):\n    @property\n    def __notes__(self): raise E\nraise E"
    ),
    "class": (
        "class E(Exception):\n    @property\n    def __class__(self): raise ValueError\nraise E"
    ),
    "class forever": (
        "class E(BaseException):\n    @property\n    def __class__(self): raise E\nraise E"
    ),
    "traceback forever": (
        "class E(BaseException):\n    @property\n    def __traceback__(self): raise E\nraise E"
    ),
    "str of a RuntimeError": (
        "class E(RuntimeError):\n    def __str__(self): raise ValueError\nraise E"
    ),
    "bool": "class E(Exception):\n    def __bool__(self): raise ValueError('bool')\nraise E",
    "false": "class E(Exception):\n    def __len__(self): return 0\nraise E",
    "own cause": "e = ValueError(1)\ne.__cause__ = e\nraise e",
    "thread": (
        "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(1) as pool: pool.submit(lambda: 1 / 0).result()"
    ),
}


@BOTH_MODES
@pytest.mark.parametrize("name", CHAINS)
def test_no_frame_of_ours_is_shown(name, mode):
    """Whatever is raised, however it is chained, is an outcome without a frame of the console."""

    async def test(session):
        outcome = await session.run(CHAINS[name], mode)
        assert outcome.kind is EXCEPTION
        assert outcome.error_id == "1.1"
        assert outcome.text
        assert PACKAGE not in outcome.text
        assert await session.value("6 * 7", mode) == "42"

    run(test)


@BOTH_MODES
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (
            "cause",
            ["ZeroDivisionError: ", "The above exception was the direct cause", "ValueError"],
        ),
        ("context", ["ZeroDivisionError: ", "During handling of the above exc", "ValueError"]),
        ("group", ["| ExceptionGroup: g (2 sub-exceptions)", "| ValueError: 1", "KeyError: 2"]),
        ("except*", ["ExceptionGroup: g", "KeyError: 2"]),
        ("note", ["ValueError: 1\na note\nof two lines"]),
        ("recursion", ["[Previous line repeated", "RecursionError: maximum recursion depth"]),
        ("memory", ["MemoryError"]),
        ("generator exit", ["GeneratorExit"]),
        ("task group", ["unhandled errors in a TaskGroup", "ValueError: in task"]),
        ("cancelled", ["CancelledError: mine"]),
        ("cancelled task", ["CancelledError"]),
        ("timeout", ["TimeoutError"]),
        ("stop iteration", ["StopIteration"]),
        ("repr", ["in __repr__", "ValueError: repr"]),
        ("no text", ["TypeError: __repr__ returned non-string"]),
        ("str", ["E: <exception str() failed>"]),
        ("notes exit", ["E: "]),
        ("bool", ["E"]),
    ],
)
def test_what_is_shown(name, shown, mode):
    """A traceback shows causes, contexts, members of groups, notes, and what a text hides."""

    async def test(session):
        outcome = await session.run(CHAINS[name], mode)
        position = 0
        for part in shown:
            assert part in outcome.text[position:], outcome.text
            position = outcome.text.index(part, position)
        assert isinstance(session.evaluator.last_error, BaseException)

    run(test)


@BOTH_MODES
@pytest.mark.parametrize(
    "source", ["a b", "x = (1,\n     2 3)", "def f(:\n    pass", "return 5", "é = = 1", "'open"]
)
def test_syntax_errors(source, mode):
    """A syntax error is shown with its caret and without a traceback, as Python shows it."""
    try:
        compile(source, "<console-1.1>", "exec")
    except SyntaxError as error:
        expected = "".join(traceback.format_exception_only(error)).rstrip()

    async def test(session):
        outcome = await session.run(source, mode)
        assert outcome.kind is EXCEPTION
        assert outcome.text == expected
        assert outcome.error_id == "1.1"

    run(test)


def test_a_syntax_error_of_a_module_keeps_its_traceback():
    """A SyntaxError that a running statement raises shows where it was raised."""

    async def test(session):
        outcome = await session.run("compile('a b', '<other>', 'exec')")
        assert outcome.text.startswith("Traceback")
        assert 'File "<other>", line 1' in outcome.text

    run(test)


@BOTH_MODES
def test_carets(mode):
    """On Python 3.11 and later a traceback marks the part of the line that failed."""

    async def test(session):
        outcome = await session.run("x = None\ny = 1 + x.attribute", mode)
        line, caret = outcome.text.split("\n")[2:4]
        assert line == "    y = 1 + x.attribute"
        assert caret == "            ^^^^^^^^^^^"

    run(test)


@BOTH_MODES
@EACH_HOST
@pytest.mark.parametrize(
    ("source", "status", "text"),
    [
        ("sys.exit()", 0, ""),
        ("sys.exit(None)", 0, ""),
        ("sys.exit(3)", 3, ""),
        ("sys.exit(-1)", 255, ""),
        ("sys.exit(True)", 1, ""),
        ("sys.exit(256)", 0, ""),
        ("sys.exit('why')", 1, "why"),
        ("sys.exit('\\x1b[2J')", 1, "\\x1b[2J"),
        ("raise SystemExit(4)", 4, ""),
        ("exit()", 0, ""),
        ("quit(5)", 5, ""),
        ("def f(): sys.exit(6)\nf()", 6, ""),
        ("await asyncio.sleep(0); sys.exit(7)", 7, ""),
        ("import enum\nclass E(enum.IntEnum): BAD = 4\nsys.exit(E.BAD)", 4, ""),
        ("class A:\n    def __str__(self): 1 / 0\nsys.exit(A())", 1, None),
        ("class E(SystemExit):\n    @property\n    def code(self): raise E\nraise E", 1, None),
        ("class A:\n    def __repr__(self): sys.exit(8)\nA()", 8, ""),
    ],
)
def test_exits(host, mode, source, status, text):
    """sys.exit() ends the session with Python's own status, and ends nothing else."""

    async def test(session):
        await session.run("import asyncio, sys")
        outcome = await session.run(source, mode)
        assert outcome.kind is EXIT
        assert outcome.status == status
        assert text is None or outcome.text == text
        assert outcome.error_id == ""
        assert await session.value("await asyncio.sleep(0, 5)") == "5"

    run(test, host=host)


def test_sys_exit_in_a_task_of_a_process_without_a_loop():
    """On our own loop, a task that exits ends the statement that awaits it and not the loop."""

    async def test(session):
        await session.run("import asyncio, sys\nasync def leave(): sys.exit(3)")
        outcome = await session.run("await asyncio.create_task(leave())")
        assert (outcome.kind, outcome.status) == (EXIT, 3)
        await session.run("task = asyncio.create_task(leave())\nawait asyncio.wait([task])")
        assert await session.value("repr(task.exception())") == "'SystemExit(3)'"
        assert await session.value("await asyncio.sleep(0, 5)") == "5"

    run(test, host="none")


@BOTH_MODES
def test_a_keyboard_interrupt_of_ones_own(mode):
    """A KeyboardInterrupt that a statement raises itself interrupts that statement only."""

    async def test(session):
        outcome = await session.run("raise KeyboardInterrupt", mode)
        assert (outcome.kind, outcome.text, outcome.status) == (
            INTERRUPTED,
            "KeyboardInterrupt",
            130,
        )
        assert await session.value("1", mode) == "1"

    run(test)


def test_the_hint_for_what_needs_a_loop():
    """Deep code that needs a loop on a worker thread fails with a hint about the loop."""

    async def test(session):
        await session.run("import asyncio\ndef f(): return asyncio.get_running_loop()")
        outcome = await session.run("f()")
        assert outcome.kind is EXCEPTION
        assert outcome.note.endswith("type:\n%loop f()")
        assert (await session.run("f()", "loop")).kind is VALUE
        assert (await session.run("raise RuntimeError('another')")).note == ""

    run(test)


def test_a_closed_host_loop():
    """When the service's loop is closed, an await fails with an outcome, and threads go on."""
    loop = asyncio.SelectorEventLoop()
    loop.close()

    async def main():
        session = Session(loop, EvaluationSettings())
        Namespace(session.namespace).install()
        outcome = await session.run("import asyncio\nawait asyncio.sleep(0)")
        assert outcome.kind is EXCEPTION
        assert "RuntimeError: Event loop is closed" in outcome.text
        assert await session.value("1 + 1") == "2"
        session.evaluator.close()
        session.sources.clear()

    asyncio.run(main())


# ---- reprs


@BOTH_MODES
def test_a_huge_repr_is_clipped(mode):
    """A repr of megabytes is clipped, and the cut is counted."""

    async def test(session):
        text = await session.value("'x' * 10_000_000", mode)
        assert text == "'" + "x" * 1999 + "\n... 9998002 more characters not shown"

    run(test, result_characters=2000)


@BOTH_MODES
def test_a_huge_traceback_is_clipped(mode):
    """An exception text of megabytes is clipped."""

    async def test(session):
        outcome = await session.run("raise ValueError('x' * 10_000_000)", mode)
        assert len(outcome.text) < 2100
        assert "more characters not shown" in outcome.text

    run(test, result_characters=2000)


@BOTH_MODES
def test_a_repr_is_escaped(mode):
    """Control characters of a repr or an exception's text do not reach the terminal."""

    async def test(session):
        source = "class A:\n    def __repr__(self): return '\\x1b[2J\\x9b\\u202e'\nA()"
        assert await session.value(source, mode) == "\\x1b[2J\\x9b\\u202e"
        outcome = await session.run("raise ValueError('\\x1b[2J')", mode)
        assert outcome.text.endswith("ValueError: \\x1b[2J")

    run(test)


@BOTH_MODES
def test_a_repr_can_be_interrupted(mode):
    """A repr that never ends is interrupted like the rest of its statement."""

    async def test(session):
        await session.run("class A:\n    def __repr__(self):\n        while True: pass")
        outcome = await session.interrupted("A()", mode)
        assert outcome.kind is INTERRUPTED
        assert await session.value("1", mode) == "1"

    run(test, report_seconds=30, interrupt_seconds=None)


# ---- interrupts


@EACH_HOST
@pytest.mark.parametrize(
    ("source", "mode"),
    [
        ("while True: pass", "thread"),
        ("while True: pass", "loop"),
        ("await asyncio.sleep(3600)", ""),
        ("while True: await asyncio.sleep(0)", ""),
        ("await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(3600))", ""),
        ("for _ in iter(int, 1): sum(range(100))", "thread"),
        ("import time\nwhile True: time.sleep(0.01)", "thread"),
        ("await asyncio.to_thread(lambda: None); await asyncio.Event().wait()", ""),
    ],
)
def test_interrupt(host, source, mode):
    """Ctrl-C ends what runs or waits, and the next statement works."""

    async def test(session):
        await session.run("import asyncio")
        outcome = await session.interrupted(source, mode)
        assert outcome.note == ""
        assert (outcome.kind, outcome.text, outcome.status) == (
            INTERRUPTED,
            "KeyboardInterrupt",
            130,
        )
        assert await session.value("6 * 7", mode) == "42"
        assert await session.value("await asyncio.sleep(0, 5)") == "5"

    run(test, host=host, report_seconds=30, interrupt_seconds=None)


def test_nothing_to_interrupt():
    """Without a statement there is nothing to interrupt, and the next one is left alone."""

    async def test(session):
        assert session.evaluator.interrupt() is False
        assert await session.value("1") == "1"
        assert session.evaluator.interrupt() is False
        assert await session.value("sum(range(100_000))") == "4999950000"

    run(test)


@BOTH_MODES
def test_user_code_may_catch_the_interrupt(mode):
    """A statement that catches KeyboardInterrupt ends as it likes."""

    async def test(session):
        source = (
            "try:\n    print('begun')\n    while True: pass\n"
            "except KeyboardInterrupt:\n    x = 'caught'\nx"
        )
        outcome = await session.interrupted(source, mode)
        assert (outcome.kind, outcome.text) == (VALUE, "'caught'")

    run(test, report_seconds=30, interrupt_seconds=None)


def test_a_coroutine_cleans_up():
    """An interrupted await is cancelled once: what it awaits while it cleans up is not."""

    async def test(session):
        outcome = await session.interrupted(
            "import asyncio\ntry:\n    print('begun'); await asyncio.sleep(3600)\n"
            "finally:\n    await asyncio.sleep(0.1); print('clean')"
        )
        assert outcome.kind is INTERRUPTED
        assert session.sink.text == "begun\nclean\n"

    run(test)


def test_other_sessions_go_on():
    """While one session's statement runs, and is interrupted, another session's work."""

    async def test(session):
        other = Session(None, EvaluationSettings(), number=2, other=session)
        task = asyncio.ensure_future(session.run("print('begun')\nwhile True: pass"))
        await until(lambda: session.sink.text)
        assert await other.value("1 + 1") == "2"
        assert await other.value("import asyncio; await asyncio.sleep(0, 3)") == "3"
        session.evaluator.interrupt()
        assert (await task).kind is INTERRUPTED
        assert await other.value("1 + 1") == "2"
        other.evaluator.close()

    run(test)


def test_a_sleep_is_left_behind(caplog):
    """A time.sleep() in a worker is left behind: the prompt is back, its late output is logged."""

    async def test(session):
        task = asyncio.ensure_future(
            session.run("import time\nprint('begun')\ntime.sleep(2)\nprint('late')")
        )
        await until(lambda: session.sink.text)
        session.evaluator.interrupt()
        outcome = await task
        assert outcome.kind is INTERRUPTED
        assert outcome.status == 130
        assert outcome.note.startswith("statement 1.1 does not stop: <console-1.1>:3 in <module>")
        assert await session.value("6 * 7") == "42"
        await session.run("statements()")
        listed = session.sink.text
        assert re.search(r"^1\.1  \d+ s  left behind  import time$", listed, re.MULTILINE), listed
        assert "<console-1.1>:3 in <module>: time.sleep(2)" in listed
        await until(lambda: "1.1, left behind, has ended" in caplog.text)
        await session.run("statements()")
        assert session.sink.text.count("1.1  ") == 1

    run(test)
    # It was interrupted at last, before it could print.
    assert "late output" not in caplog.text
    assert "left behind, has ended: interrupted" in caplog.text


def test_late_output_is_logged(caplog):
    """What a statement prints after it was left behind goes to the log, escaped."""
    gate = threading.Lock()
    gate.acquire()

    async def test(session):
        session.namespace["gate"] = gate
        outcome = await session.interrupted(
            "try:\n    print('begun'); gate.acquire()\nexcept BaseException: pass\n"
            "print('late\\x1b[2J')"
        )
        assert "does not stop" in outcome.note
        gate.release()
        await until(lambda: "1.1, left behind, has ended" in caplog.text)
        assert session.sink.text == "begun\n"

    run(test)
    (record,) = [r for r in caplog.records if r.name == "console.output"]
    assert record.getMessage() == "late output of statement 1.1: late\\x1b[2J"


def test_context_after_a_statement_was_left_behind():
    """The session's context variables survive a statement that was left behind in them."""
    gate = threading.Lock()
    gate.acquire()

    async def test(session):
        session.namespace["gate"] = gate
        await session.run("import contextvars; v = contextvars.ContextVar('v'); t = v.set(5)")
        assert (await session.interrupted("gate.acquire()")).note
        assert await session.value("v.get()") == "5"
        gate.release()

    run(test)


# ---- statements that hold the loop


def test_a_statement_that_holds_the_loop(caplog):
    """A statement that holds the service's loop is reported with its stack, then interrupted."""

    async def test(session):
        outcome = await session.run("def spin():\n    while True: pass\nspin()", "loop")
        assert outcome.kind is INTERRUPTED
        said = session.sink.errors
        assert re.search(r"\[this statement has held the service's loop for \d+\.\d\d s\]", said)
        assert 'File "<console-1.1>", line 2, in spin' in said
        assert PACKAGE not in said
        assert "[interrupted: it held the service's loop for more than 0.2 s;" in said
        assert said.count("has held") == 1
        assert await session.value("1", "loop") == "1"

    run(test, report_seconds=0.05, interrupt_seconds=0.2)
    (record,) = [r for r in caplog.records if "has held" in r.getMessage()]
    assert record.levelno == logging.WARNING
    assert "line 2, in spin" in record.getMessage()


def test_a_report_without_an_interrupt(caplog):
    """Without a limit, a statement that holds the loop is reported and ends by itself."""

    async def test(session):
        await session.run("import threading; event = threading.Event()")
        task = asyncio.ensure_future(session.run("event.wait()", "loop"))
        await until(lambda: "has held the service's loop" in session.sink.errors)
        session.namespace["event"].set()
        assert (await task).text == "True"
        assert "interrupted" not in session.sink.errors

    run(test, report_seconds=0.05, interrupt_seconds=None)


def test_waiting_is_not_holding():
    """A statement that awaits for long does not hold the loop: it is neither reported nor ended."""

    async def test(session):
        outcome = await session.run("import asyncio\nawait asyncio.sleep(0.7, 'slept')")
        assert (outcome.text, session.sink.text) == ("'slept'", "")

    run(test, report_seconds=0.4, interrupt_seconds=0.4)


def test_a_thread_does_not_block():
    """A statement in a thread may run as long as it likes."""

    async def test(session):
        outcome = await session.run("import time\ntime.sleep(0.3)\n'slept'")
        assert (outcome.text, session.sink.text) == ("'slept'", "")

    run(test, report_seconds=0.05, interrupt_seconds=0.1)


# ---- modes


def test_modes():
    """mode() tells where statements run and chooses it; so does a mode without a statement."""

    async def test(session):
        where = "__import__('threading').current_thread().name"
        assert await session.value("mode()") == "'thread'"
        assert await session.value("mode('loop')") == "'loop'"
        assert await session.value(where) == "'service'"
        assert await session.value(where, "thread") == "'console-session-1'"
        outcome = await session.run("%thread")
        assert (outcome.kind, outcome.note) == (NOTHING, "statements run in mode 'thread' now")
        assert await session.value(where) == "'console-session-1'"
        outcome = await session.run("mode('nonsense')")
        assert outcome.text.endswith(
            "ValueError: no mode 'nonsense'; there are 'thread' and 'loop'"
        )
        assert await session.value("mode()") == "'thread'"
        assert (await session.value("mode")).startswith("mode('loop'): Choose where")

    run(test)


def test_the_mode_of_the_settings():
    """The mode of the settings is where statements run at first."""

    async def test(session):
        assert await session.value("mode()") == "'loop'"
        name = await session.value("__import__('threading').current_thread().name")
        assert name == "'service'"

    run(test, mode="loop")


# ---- private names


@BOTH_MODES
def test_private_names(mode):
    """help, page, stack and pm print to the session, from a thread and from the loop."""

    async def test(session):
        for source, shown in [
            ("help()", "This is a Python prompt in the running process"),
            ("help(len)", "Return the number of items in a container"),
            ("page([1, 2])", "[1, 2]"),
            ("page('text')", "text"),
            ("pm()", "no statement of this session has raised yet"),
            ("import threading; stack(threading.current_thread())", "<console-1."),
            ("statements()", "statements()"),
        ]:
            session.sink.text = ""
            assert (await session.run(source, mode)).kind is NOTHING
            assert shown in session.sink.text, source

    run(test)


def test_stack_of_the_loop():
    """stack() shows where the service's loop is, even while a statement holds it."""

    async def test(session):
        other = Session(None, EvaluationSettings(interrupt_seconds=None), number=2, other=session)
        await session.run("import threading; event = threading.Event()")
        task = asyncio.ensure_future(other.run("print('begun'); event.wait()", "loop"))
        await until(lambda: other.sink.text)
        await session.run("stack()")
        assert "<console-2.1>" in session.sink.text
        session.namespace["event"].set()
        await task
        other.evaluator.close()

    run(test, report_seconds=30)


def test_post_mortem():
    """pm() opens a debugger in the frame that raised, which Ctrl-C and ``q`` leave."""

    async def test(session):
        await session.run("def f(answer): raise ValueError\nf(42)")
        session.source.lines += ["p answer\n", "q\n"]
        await session.run("pm()")
        assert "(Pdb) 42\n" in session.sink.text
        assert PACKAGE not in session.sink.text

    run(test)


# ---- the end


def workers():
    return [t for t in threading.enumerate() if t.name == "console-session-1"]


@pytest.mark.parametrize("source", ["while True: pass", "%loop while True: pass"])
def test_close_ends_a_running_statement(source):
    """A statement whose session is closed is asked to stop, and its worker ends."""

    async def test(session):
        task = asyncio.ensure_future(session.run(source))
        await until(lambda: "1.1" in session.statements.describe())
        session.evaluator.close()
        session.evaluator.close()
        task.cancel()
        await until(lambda: not workers() and not session.statements.describe())

    run(test, report_seconds=30, interrupt_seconds=None)


def test_close_ends_a_waiting_statement():
    """An await whose session is closed is cancelled."""

    async def test(session):
        task = asyncio.ensure_future(
            session.run("import asyncio\nprint('begun')\nawait asyncio.sleep(3600)")
        )
        await until(lambda: session.sink.text)
        session.evaluator.close()
        task.cancel()
        await until(lambda: not session.statements.describe())

    run(test)


def test_keep_running(caplog):
    """With keep_running a statement outlives its session, and its output is logged."""
    gate = threading.Event()

    async def test(session):
        session.namespace["gate"] = gate
        task = asyncio.ensure_future(
            session.run("print('begun')\ngate.wait()\ndone = True\nprint('late')")
        )
        await until(lambda: session.sink.text)
        session.evaluator.close()
        task.cancel()
        assert "done" not in session.namespace
        gate.set()
        await until(lambda: session.namespace.get("done") and not workers())
        assert session.sink.text == "begun\n"

    run(test, keep_running=True)
    assert "late output of statement 1.1: late" in caplog.text


def test_close_without_a_statement():
    """An evaluator that never ran anything is closed, twice."""

    async def test(session):
        session.evaluator.close()
        session.evaluator.close()
        assert session.names == {}
        assert workers() == []

    run(test)


def test_a_worker_for_each_session():
    """A session has one worker, which ends with it."""

    async def test(session):
        for _ in range(3):
            await session.run("1")
        assert len(workers()) == 1
        session.evaluator.close()
        await asyncio.to_thread(wait_until, lambda: not workers(), "the end of the worker")

    run(test)


# ---- its life


@pytest.mark.parametrize(
    ("mode", "states"),
    [
        ("thread", ["queued -> on its worker", "on its worker -> ended"]),
        (
            "loop",
            [
                "queued -> on its worker",
                "on its worker -> on the host's loop",
                "on the host's loop -> ended",
            ],
        ),
    ],
)
def test_each_change_of_state_is_logged(mode, states, caplog):
    """A statement is queued, runs on its worker, on the host's loop if it needs it, and ends."""

    async def test(session):
        with caplog.at_level(logging.DEBUG, "console.evaluation"):
            await session.run("1", mode)
        assert caplog.messages == [f"statement 1.1: {state}" for state in states]

    run(test)


@pytest.mark.parametrize("source", ["print('seen')", "await asyncio.sleep(0); print('seen')"])
def test_a_loop_that_a_log_handler_runs(source):
    """A statement's output is its session's, though frames of logging are below it."""
    loop = asyncio.SelectorEventLoop()

    class Handler(logging.Handler):
        def emit(self, record):
            loop.run_forever()

    logger = logging.getLogger("test_evaluator.loop")
    handler = Handler()
    logger.addHandler(handler)
    thread = threading.Thread(target=logger.critical, args=("run",))
    thread.start()

    async def main():
        session = Session(loop, EvaluationSettings())
        session.namespace["asyncio"] = asyncio
        outcome = await session.run(source, "loop")
        session.evaluator.close()
        session.sources.clear()
        assert (outcome.kind, session.sink.text) == (NOTHING, "seen\n")

    hooks.install()
    try:
        asyncio.run(main())
    finally:
        hooks.uninstall()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
        logger.removeHandler(handler)


# ---- pages


PAGES = "page('\\n'.join('vwxyz'))"


@pytest.mark.parametrize(
    ("source", "asks"), [(PAGES, True), (f"%json {PAGES}", False), (f"%loop {PAGES}", False)]
)
def test_pages_are_turned_where_the_question_is_seen(source, asks):
    """A long text is paged at a terminal, not into JSON nor on a thread that runs a loop."""

    async def test(session):
        session.source.page_rows = 3
        outcome = await session.run(source)
        shown = outcome.document + session.sink.text
        assert ("--more--" in shown, "z" in shown) == (asks, not asks)

    run(test)


def test_no_page_is_asked_for_once_the_prompt_is_back():
    """A thread that outlives its statement prints all of a text: what is typed is the prompt's."""

    async def test(session):
        session.source.page_rows = 3
        session.namespace["go_on"] = go_on = threading.Event()
        session.namespace["threading"] = threading
        await session.run(
            "thread = threading.Thread(target=lambda: (go_on.wait(30), " + PAGES + "))\n"
            "thread.start()"
        )
        go_on.set()
        await asyncio.to_thread(session.namespace["thread"].join, 30)
        assert session.sink.text == "v\nw\nx\ny\nz\n"

    run(test)
