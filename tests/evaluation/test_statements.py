"""Statements never harm the service: over the real clients, in both modes, on each kind of loop."""

import asyncio
import builtins
import contextlib
import getpass
import linecache
import logging
import re
import signal
import sys
import threading
import time
import warnings

import pytest

from console import Console
from support.clients import run_once
from support.rawsession import Raw
from support.servers import wait_until

# How a session comes in, and the kind of service behind it.
PLACES = (("telnet", "asyncio"), ("ssh", "uvloop"), ("ssh", "threaded"))

IMPORTS = "import asyncio, threading, time, queue, sys"


@pytest.fixture(params=PLACES, ids="-".join)
def session(request, get_host, login):
    """A full-screen session with a few modules imported."""
    way, kind = request.param
    client = login(way, get_host(kind))
    client.run(IMPORTS)
    return client


# ---- modes


def test_cells_that_call_for_the_loop_run_there(session):
    """create_task and get_running_loop do what they mean, under whatever name they are imported."""
    assert session.run("asyncio.get_running_loop().is_running()") == ["True"]
    session.run("from asyncio import create_task as ct")
    session.run("async def answer(): return 42")
    session.expect_prompt()  # ptpython wants one more Enter behind a compound statement
    session.run("t = ct(answer())")
    assert session.run("await t") == ["42"]


def test_threads_are_the_default_and_the_loop_a_choice(session):
    """A statement runs on a worker thread, with %loop on the loop's, and mode() tells and sets."""
    assert session.run("mode()") == ["'thread'"]
    assert "console-session" in session.run("threading.current_thread().name")[0]
    assert "console-session" not in session.run("%loop threading.current_thread().name")[0]
    session.run("mode('loop')")
    assert "console-session" not in session.run("threading.current_thread().name")[0]
    assert "console-session" in session.run("%thread threading.current_thread().name")[0]
    session.run("%thread")
    assert session.run("mode()") == ["'thread'"]


def test_deeper_calls_for_the_loop_get_a_hint(host, login):
    """'no running event loop' out of a function shows what to type to run the cell on the loop."""
    client = login("ssh", host)
    client.run(IMPORTS)
    client.run("deep = lambda: asyncio.get_running_loop()")
    assert "%loop deep()" in client.run("deep()")
    assert "running=True" in client.run("%loop deep()")[0]


def test_the_loop_notices_what_a_statement_changed(host, login):
    """queue.put_nowait from a worker wakes a getter on an otherwise idle loop at once."""
    client = login("telnet", host)
    client.run(IMPORTS)
    client.run("q = asyncio.Queue()")
    client.run("getter = asyncio.create_task(q.get())")
    client.run("q.put_nowait('woken')")
    client.expect_prompt()
    client.line("await getter")
    client.wait_for("'woken'")


# ---- Ctrl-C

STATEMENTS = [
    "while True: pass",
    "%loop time.sleep(60)",
    "%loop time.sleep(60); 1",
    "await asyncio.sleep(60)",
    "queue.Queue().get()",
    "threading.Lock().__enter__(); l = threading.Lock(); l.acquire(); l.acquire()",
    "stubborn()",
    "while True: print('flood ' * 10)",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_one_ctrl_c_gives_the_prompt_back(statement, session):
    """One Ctrl-C ends or leaves behind whatever runs; this session and another one go on."""
    session.enter_block(
        "def stubborn():",
        "while True:",
        "try: time.sleep(0.001)" if session.fullscreen else "    try: time.sleep(0.001)",
        "except Exception: pass" if session.fullscreen else "    except Exception: pass",
    )
    session.expect_prompt()
    session.type(statement)
    session.wait_until(lambda: session.cursor_line == f">>> {statement}", "the echo")
    session.type("\r" if not statement.startswith("while") else "\r\r")
    session.wait_until(
        lambda: not session.cursor_line.startswith((">>>", "...")), "the statement to run"
    )
    time.sleep(0.05)  # so that Ctrl-C mostly finds it running; any other moment is right as well
    session.type("\x03")
    # Megabytes of a flood are on their way, and the screen that reads them here is slow.
    session.expect_prompt(seconds=200)
    assert session.run("foo") == ["12"]
    assert session.host.alive


def test_a_blocked_worker_is_left_behind_and_listed(host, login):
    """Where nothing can wake a worker, the session says where it is, and statements() lists it."""
    client = login("ssh", host)
    client.run(IMPORTS)
    client.expect_prompt()
    client.line("print('be' + 'gins'); time.sleep(4); print('late')")
    client.wait_for("begins")
    client.type("\x03")
    client.expect_prompt()
    assert "left behind" in client.text
    listed = "\n".join(client.run("statements()"))
    assert "left behind" in listed
    assert "time.sleep(4)" in listed
    wait_until(lambda: "has ended" in host.stderr, "the end of what was left behind, in the log")


def test_where_a_statement_waits_for_the_console(host, login):
    """A statement that is in one of the console's words is shown where it has called that."""
    shown = login("nc", host).run("statements()")
    assert re.fullmatch(r" +<console-\d+\.1>:1 in <module>: statements\(\)", shown[-1])


def test_a_lost_connection_interrupts_what_it_ran(host, login):
    """A statement ends soon after its client has vanished."""
    client = login("ssh", host)
    client.run("import time")
    client.run("ticks = []")
    client.expect_prompt()
    client.type("while True: ticks.append(time.sleep(0.01))")
    client.type("\r\r")
    wait_until(lambda: host.ask(get="ticks") != "[]", "the statement to run")
    client.close()

    def stands_still():
        before = host.ask(get="ticks")
        time.sleep(0.1)
        return host.ask(get="ticks") == before

    wait_until(stands_still, "the statement to end")


# ---- the host's loop


def test_a_statement_that_holds_the_loop_is_reported_and_interrupted(get_host, login):
    """On the loop, a statement is reported with its stack, and interrupted after two seconds."""
    host = get_host("asyncio")
    client = login("telnet", host)
    client.run("import time")
    shown = "\n".join(client.run("%loop time.sleep(30)"))
    assert "held the service's loop" in shown
    assert "time.sleep(30)" in shown
    assert "%thread" in shown
    assert shown.rstrip().endswith("KeyboardInterrupt")
    assert re.search(r"statement \d+\.\d+ has held the service's loop", host.stderr)


def test_a_stuck_service_can_be_entered(get_host, login):
    """While the service's own code blocks its loop, one can log in, run statements, and see why."""
    host = get_host("asyncio")
    first = login("ssh", host)
    first.run("import asyncio, threading; culprit_gate = threading.Event()")
    first.run("def culprit(): culprit_gate.wait(60)")
    first.expect_prompt()
    first.run("asyncio.get_running_loop().call_later(0.3, culprit) and None")
    for way in ("telnet", "ssh"):
        client = login(way, host)
        assert client.run("foo") == ["12"]
    # The logins may have been quicker than the timer.
    wait_until(lambda: "in culprit" in "\n".join(client.run("stack()")), "the loop to be held")
    client.line("await asyncio.sleep(0)")
    client.wait_until(lambda: client.cursor_line == "", "the statement to wait for the loop")
    client.type("\x03")
    client.expect_prompt()
    assert "culprit" in client.text
    client.run("culprit_gate.set()")
    assert client.run("%loop foo") == ["12"]  # the next test finds the loop free


@pytest.mark.parametrize("kind", ["asyncio", "uvloop"])
def test_the_heartbeat_of_the_host_survives_statements(kind, get_host, login):
    """No statement in thread mode, and no client that vanishes, stops the loop for long."""
    host = get_host(kind)
    client = login("ssh", host)
    client.run(IMPORTS)
    host.ask(lag=True)
    for statement in (
        "time.sleep(2)",
        "sum(n for n in range(20_000_000))",
        "[x for x in range(300_000)] and 1",
    ):
        client.run(statement)
    assert host.ask(lag=True) < 1


# ---- output


def test_output_of_100_mb_arrives_complete(host):
    """100 MB printed by one statement reach a client that reads, to the last byte."""
    done = run_once("ssh", host, "print('x' * (100 * 2**20))", key=host.key_file, timeout=120)
    assert done.returncode == 0
    assert len(done.stdout) == 100 * 2**20 + 1


def test_a_client_that_does_not_read_harms_no_other(host, raw, login):
    """Its output is bounded, its worker waits, and the loop and other sessions go on."""
    silent = raw(host)
    before = host.statistics()["rss"]
    host.ask(lag=True)
    silent.send("for n in range(10_000_000): print('never read ' * 10)\n\n")
    other = login("telnet", host)
    for _ in range(5):
        assert other.run("foo") == ["12"]
    assert host.ask(lag=True) < 1
    assert host.statistics()["rss"] - before < 64 * 2**20
    silent.close()
    wait_until(
        lambda: "never read" not in other.run("statements()")[-1], "the end of the statement"
    )


def test_a_loop_drops_unread_output(host, raw):
    """A statement on the loop never waits for its client: what is too much is counted and said."""
    silent = raw(host)
    silent.run("import time")
    silent.send("%loop for n in range(300): print('0123456789' * 10_000)\n\n")
    shown = silent.wait_for(b">>> ")
    assert "characters of output dropped" in shown
    assert len(shown) < 30_000_000


def test_late_output_of_tasks_appears_above_the_prompt(session):
    """A task's output during typing appears above an intact prompt."""
    session.run("async def later(): await asyncio.sleep(0.5); print('from the task')")
    session.expect_prompt()
    session.run("t = asyncio.create_task(later())")
    session.expect_prompt()
    session.type("'typed ' + 'text'")
    session.wait_for("from the task")
    session.wait_until(lambda: session.cursor_line == ">>> 'typed ' + 'text'", "the typed text")
    session.line()
    session.wait_for("'typed text'")


# ---- input


def test_input_and_getpass(session):
    """input() echoes what is typed and getpass() does not; both return it."""
    session.expect_prompt()
    session.line("name = input('name? ')")
    session.wait_until(lambda: session.cursor_line == "name?", "the question")
    session.line("Bob")
    session.expect_prompt()
    assert session.run("name") == ["'Bob'"]
    session.run("import getpass")
    session.expect_prompt()
    session.line("secret = getpass.getpass()")
    session.wait_until(lambda: session.cursor_line == "Password:", "the question")
    session.line("hidden words")
    session.expect_prompt()
    assert "hidden words" not in session.text
    assert session.run("len(secret)") == ["12"]


def test_ctrl_c_and_ctrl_d_in_input(session):
    """In input(), Ctrl-C interrupts the statement and Ctrl-D is the end of the file."""
    session.expect_prompt()
    session.line("input('first? ')")
    session.wait_until(lambda: session.cursor_line == "first?", "the question")
    session.type("\x03")
    session.expect_prompt()
    session.line("input('second? ')")
    session.wait_until(lambda: session.cursor_line == "second?", "the question")
    session.type("\x04")
    session.wait_for("EOFError")
    session.expect_prompt()


def test_debugger(session):
    """breakpoint() steps, changes a name and goes on; pm() looks at the last exception."""
    session.expect_prompt()
    session.line("x = 1; breakpoint(); print('x is', x)")
    session.wait_until(lambda: session.cursor_line == "(Pdb)", "the debugger")
    session.line("x = 7")
    session.line("c")
    session.wait_for("x is 7")
    session.expect_prompt()
    session.run("def divide(n): return 1 / n")
    session.expect_prompt()
    session.run("divide(0)")
    session.expect_prompt()
    session.line("pm()")
    session.wait_until(lambda: session.cursor_line == "(Pdb)", "the debugger")
    session.line("p 'n is', n")
    session.wait_for("('n is', 0)")
    session.type("\x03")
    session.expect_prompt()
    session.line("breakpoint()")
    session.wait_until(lambda: session.cursor_line == "(Pdb)", "the debugger")
    session.type("\x04")
    session.expect_prompt()
    assert session.run("foo") == ["12"]


def test_stdin_on_the_loop_is_refused_with_advice(host, login):
    """On the loop, input() and breakpoint() say why not, and what to do instead."""
    client = login("ssh", host)
    assert "mode 'thread'" in "".join(client.run("%loop input()"))
    assert "mode 'thread'" in "".join(client.run("%loop breakpoint()"))


def test_help_is_shown_page_by_page(session):
    """help(str) stops after a screen, goes on at Enter, and ends at q."""
    session.expect_prompt()
    session.line("help(str)")
    session.wait_for("--more--")
    session.line()
    session.wait_for("--more--")
    session.line("q")
    session.expect_prompt()


def test_a_client_that_dies_in_input_frees_its_worker(host, login):
    """A statement that waits for input ends when its client vanishes."""
    client = login("telnet", host)
    client.expect_prompt()
    client.line("input('forever? ')")
    client.wait_until(lambda: client.cursor_line == "forever?", "the question")
    workers = host.statistics()["threads"]
    client.close()
    wait_until(lambda: len(host.statistics()["threads"]) < len(workers), "the worker's end")


def test_stdin_of_a_command(host):
    """A command reads the standard input of ssh."""
    done = run_once(
        "ssh", host, "import sys; [line for line in sys.stdin]", input=b"a\nb\n", key=host.key_file
    )
    assert done.stdout == b"['a\\n', 'b\\n']\n"
    with contextlib.suppress(UnicodeDecodeError):
        assert done.stderr.decode() == ""


# ---- afterwards


def process_state(loop):
    """What a console could leave changed in the process that it looked into."""
    return {
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "wakeup": signal.set_wakeup_fd(signal.set_wakeup_fd(-1)),
        "path": list(sys.path),
        "hooks": (
            *(sys.displayhook, sys.excepthook, sys.breakpointhook, sys.unraisablehook),
            *(threading.excepthook, threading.Thread.start, getpass.getpass),
        ),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "main": sorted(vars(sys.modules["__main__"])),
        "builtins": sorted(vars(builtins)),
        "trace": (sys.gettrace(), sys.getprofile(), threading.gettrace()),
        "last": [
            hasattr(sys, name) for name in ("last_exc", "last_value", "last_traceback", "ps1")
        ],
        "filters": list(warnings.filters),
        "sources": [name for name in linecache.cache if name.startswith("<console")],
        "loggers": [list(logging.getLogger(name).handlers) for name in ("", "console")],
        "executor": loop._default_executor,
        "factory": loop.get_task_factory(),
        "handler": loop.get_exception_handler(),
        "tasks": asyncio.all_tasks(loop),
        "threads": {t.name for t in threading.enumerate() if not t.name.startswith("visitor")},
    }


def visit(port):
    """A session that does a bit of everything."""
    raw = Raw(port)
    assert raw.run("import asyncio, sys, time, warnings, pdb, logging") == ""
    for statement in (
        "1/0",
        "%loop 1/0",
        "await asyncio.sleep(0)",
        "%loop time.sleep(0.01)",
        "warnings.warn('as it may')",
        "help(int.real)",
        "'a\\d'",
        "asyncio.create_task(asyncio.sleep(0)) and None",
        "import threading; threading.Thread(target=print, args=('thread',)).start()",
        "sys.exc_info()",
    ):
        raw.run(statement)
    for endless in ("while True: pass\n", "%loop while True: pass\n", "await asyncio.sleep(60)"):
        raw.send(f"print('be', 'gins', flush=True)\n{endless}\n")
        raw.wait_for(b"be gins")
        raw.wait_for(b">>> ")
        raw.socket.sendall(b"\x03")
        raw.wait_for(b"KeyboardInterrupt")
        raw.wait_for(b">>> ")
    raw.send("breakpoint()\n")
    raw.wait_for(b"(Pdb) ")
    raw.send("c\n")
    raw.wait_for(b">>> ")
    raw.send("1/0\npm()\n")
    raw.wait_for(b"(Pdb) ")
    raw.send("q\n")
    raw.wait_for(b">>> ")
    raw.send("exit()\n")
    while raw.socket.recv(65536):
        pass
    raw.close()


def test_the_host_is_the_same_afterwards(tmp_path):
    """A session that did everything, and the console's end, leave the process as it was."""
    namespace = {"foo": 12}

    async def main():
        loop = asyncio.get_running_loop()
        before = process_state(loop)
        console = Console(
            "visited",
            namespace=namespace,
            credentials={"boss": "sekrit"},
            telnet=0,
            keys=tmp_path / "keys",
            history=tmp_path / "history",
        )
        failures = []

        def run():
            try:
                visit(console.telnet_port)
            except BaseException as error:
                failures.append(error)
            loop.call_soon_threadsafe(left.set)

        async with console:
            left = asyncio.Event()
            threading.Thread(target=run, name="visitor").start()
            await left.wait()
        if failures:
            raise failures[0]
        wait_until(
            lambda: {t.name for t in threading.enumerate()} - {"visitor"} <= before["threads"],
            "the end of the console's threads",
        )
        return before, process_state(loop)

    before, after = asyncio.run(main())
    for name, value in before.items():
        assert after[name] == value, name
    # The registry is Python's own record of a statement that warned, as in any module.
    names = ["asyncio", "foo", "logging", "pdb", "sys", "threading", "time", "warnings"]
    assert sorted(set(namespace) - {"__warningregistry__"}) == names
