"""Events as a service gets them: which there are, and what its subscribers may do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from queue import SimpleQueue

import asyncssh
import pytest

from console import ConfigurationError, Console, SessionSettings
from console.events import (
    ConnectionDropped,
    Event,
    ExceptionShown,
    LoginFailed,
    LoginSucceeded,
    SessionClosed,
    SessionOpened,
    StatementFinished,
    StatementStarted,
)
from console.limits import STOP_SECONDS, SUBSCRIBER_CHARACTERS, SUBSCRIBER_EVENTS
from console.server.subscribers import Subscribers
from support.rawclients import line_login
from support.servers import DEADLINE_SECONDS, SUPPORT, clean_environment, wait_until


def fact(number=0):
    return ConnectionDropped(transport="ssh", peer="192.0.2.1:1", reason=str(number))


def statement(size):
    return StatementStarted(
        transport="ssh", peer="", session=1, user="boss", statement=1, source="x" * size
    )


class Clock:
    """A clock that tests set."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class Gated:
    """A subscriber whose calls wait until the gate is open. Keeps the events."""

    def __init__(self):
        self.entered, self.gate, self.got = threading.Event(), threading.Event(), []

    def __call__(self, event):
        self.entered.set()
        assert self.gate.wait(DEADLINE_SECONDS)
        self.got.append(event)

    @property
    def numbers(self):
        return [int(event.reason) for event in self.got]


GATED = f"event subscriber {__name__}.Gated"


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def gated():
    """A subscriber whose calls wait; they go on after the test at the latest."""
    one = Gated()
    yield one
    one.gate.set()


@pytest.fixture
def subscribed(clock):
    """Make `Subscribers` on the test's clock; ``later`` has what they want to be called."""
    made, later = [], []

    def subscribed(*subscribers):
        made.append(Subscribers(subscribers, lambda _, call: later.append(call), clock))
        return made[-1]

    subscribed.later = later
    yield subscribed
    for one in made:
        one.close(0.0)
    wait_until(lambda: not event_threads(), "no thread is left")


def event_threads():
    return [one for one in threading.enumerate() if one.name == "console-events"]


def messages(caplog):
    return [one.getMessage() for one in caplog.records if one.name == "console.events"]


# ---------------------------------------------------------------- queues and their thread


def test_no_thread_before_the_first_event(subscribed):
    """The thread is started by the first event, is a daemon, and there is one for all."""
    seen = SimpleQueue()
    subscribers = subscribed(*[lambda _: seen.put(threading.current_thread())] * 3)
    assert not event_threads()
    subscribers.deliver(fact())
    threads = {seen.get(timeout=DEADLINE_SECONDS) for _ in range(3)}
    assert threads == set(event_threads())
    assert [one.daemon for one in threads] == [True]
    assert threading.current_thread() not in threads


def test_a_queue_that_overflows(subscribed, gated, caplog):
    """The events beyond a full queue are dropped; the log has the begin, and then the number."""
    subscribers = subscribed(gated)
    subscribers.deliver(fact(0))
    assert gated.entered.wait(DEADLINE_SECONDS)
    for number in range(1, SUBSCRIBER_EVENTS + 8):
        subscribers.deliver(fact(number))
    full = f"{GATED}: its queue is full; events are dropped until it has caught up"
    assert messages(caplog) == [full]
    gated.gate.set()
    wait_until(lambda: len(messages(caplog)) > 1, "it has caught up")
    assert messages(caplog) == [full, f"{GATED}: events dropped: 7"]
    subscribers.deliver(fact(5000))
    wait_until(lambda: gated.numbers[-1] == 5000, "it gets events again")
    assert gated.numbers == [*range(SUBSCRIBER_EVENTS + 1), 5000]


def test_an_overflow_that_lasts(subscribed, gated, clock, caplog):
    """While events are dropped, their number is logged once a minute."""
    subscribers = subscribed(gated)
    subscribers.deliver(fact())
    assert gated.entered.wait(DEADLINE_SECONDS)
    for _ in range(SUBSCRIBER_EVENTS + 3):
        subscribers.deliver(fact())
    clock.now += 61
    for _ in range(4):
        subscribers.deliver(fact())
    assert [text.rpartition(": ")[2] for text in messages(caplog)[1:]] == ["4"]
    subscribers.close(0.0)
    assert messages(caplog)[-1].endswith(f"events dropped: {SUBSCRIBER_EVENTS + 3}")


def test_a_queue_is_bounded_in_characters(subscribed, gated, caplog):
    """Large statements fill a queue too; a single one larger than that is still handed on."""
    got = []
    subscribers = subscribed(gated, got.append)
    subscribers.deliver(fact())
    assert gated.entered.wait(DEADLINE_SECONDS)
    for _ in range(3):
        subscribers.deliver(statement(SUBSCRIBER_CHARACTERS // 2))
    assert len(messages(caplog)) == 2  # both queues have room for two
    huge = statement(SUBSCRIBER_CHARACTERS + 1)
    other = subscribed(got.append)
    other.deliver(huge)
    wait_until(lambda: got == [huge], "it was handed on")


def test_a_slow_subscriber_and_a_fast_one(subscribed, clock):
    """A slow subscriber gets one event a turn, while the fast one empties its queue."""
    calls, begin = [], threading.Event()
    done = threading.Event()

    def slow(_):
        assert begin.wait(DEADLINE_SECONDS)
        calls.append("slow")
        clock.now += 0.02
        if calls.count("slow") == 4:
            done.set()

    subscribers = subscribed(slow, lambda _: calls.append("fast"))
    for number in range(4):
        subscribers.deliver(fact(number))
    begin.set()
    assert done.wait(DEADLINE_SECONDS)
    assert calls == ["slow", *["fast"] * 4, *["slow"] * 3]


@pytest.mark.parametrize("by_event", [True, False])
def test_a_call_that_lasts(subscribed, gated, clock, caplog, by_event):
    """After five seconds in one call the other subscribers go on, on a thread of their own."""
    other = SimpleQueue()
    subscribers = subscribed(gated, other.put)
    subscribers.deliver(fact(0))
    assert gated.entered.wait(DEADLINE_SECONDS)
    subscribers.deliver(fact(1))
    (look,) = subscribed.later
    assert other.empty()
    clock.now += 5.0
    if by_event:
        subscribers.deliver(fact(2))
    else:
        look()
    expected = 3 if by_event else 2
    got = [int(other.get(timeout=DEADLINE_SECONDS).reason) for _ in range(expected)]
    assert got == list(range(expected))
    assert messages(caplog) == [f"{GATED}: a call has lasted 5 s; the other subscribers go on"]
    gated.gate.set()
    wait_until(lambda: gated.numbers == list(range(expected)), "it goes on where it was")
    wait_until(lambda: len(event_threads()) == 1, "one thread is left")


def test_two_calls_that_last(subscribed, clock):
    """Each subscriber that hangs has one thread; what returns first goes on without the other."""
    first, second = Gated(), Gated()
    subscribers = subscribed(first, second)
    subscribers.deliver(fact(0))
    assert first.entered.wait(DEADLINE_SECONDS)
    clock.now += 5.0
    subscribers.deliver(fact(1))
    assert second.entered.wait(DEADLINE_SECONDS)
    clock.now += 5.0
    subscribers.deliver(fact(2))
    assert len(event_threads()) == 2
    first.gate.set()
    wait_until(lambda: first.numbers == [0, 1, 2], "the first goes on without another event")
    assert second.got == []
    second.gate.set()
    wait_until(lambda: second.numbers == [0, 1, 2], "and the second")


def test_a_subscriber_that_raises(subscribed, clock, caplog):
    """A failure is logged with its traceback, once a minute for each kind, and its number."""
    errors = [ValueError("a\nforged line"), ValueError(), ValueError(), SystemExit(), ValueError()]
    done = SimpleQueue()

    def broken(event):
        done.put(event)
        raise errors[int(event.reason)]

    subscribers = subscribed(broken)
    for number in range(4):
        subscribers.deliver(fact(number))
    wait_until(lambda: len(messages(caplog)) == 2, "each kind is logged")
    clock.now += 61
    subscribers.deliver(fact(4))
    wait_until(lambda: len(messages(caplog)) == 3, "it is logged again")
    first, exit_, again = messages(caplog)
    name = f"event subscriber {__name__}.test_a_subscriber_that_raises.<locals>.broken"
    assert first.startswith(f"{name}: failed on ConnectionDropped:\n  | Traceback")
    assert first.endswith("  | ValueError: a\n  | forged line")
    assert "SystemExit" in exit_
    assert again.startswith(f"{name}: failed on ConnectionDropped, 2 more times since the last")
    assert [one.levelno for one in caplog.records] == [logging.ERROR] * 3
    assert done.qsize() == 5


def test_closing_hands_on_what_is_queued(subscribed, caplog):
    """What is queued when the console stops is handed on; what comes later is not."""
    got = []
    subscribers = subscribed(got.append)
    events = [fact(number) for number in range(500)]
    for event in events:
        subscribers.deliver(event)
    subscribers.close(DEADLINE_SECONDS)
    subscribers.close(DEADLINE_SECONDS)
    assert got == events
    subscribers.deliver(fact())
    assert got == events
    assert not event_threads()
    assert messages(caplog) == []


def test_closing_leaves_a_call_that_hangs(subscribed, gated, caplog):
    """A call that does not return is left to its thread, and no other begins behind it."""
    subscribers = subscribed(gated)
    for number in range(4):
        subscribers.deliver(fact(number))
        assert gated.entered.wait(DEADLINE_SECONDS)
    subscribers.close(0.0)
    assert messages(caplog) == [f"{GATED}: events dropped: 3"]
    gated.gate.set()
    wait_until(lambda: not event_threads(), "its thread ends")
    assert gated.numbers == [0]


# ---------------------------------------------------------------- a console's


@pytest.fixture
def serve(tmp_path):
    """Start a console with subscribers; it is stopped after the test."""
    with contextlib.ExitStack() as stack:

        def serve(*subscribers, **settings):
            given = {
                "namespace": {},
                "credentials": {"boss": "sekrit"},
                "keys": tmp_path / "keys",
                "history": tmp_path / "history",
                "telnet": 0,
            }
            console = Console("demo", subscribers=subscribers, **{**given, **settings})
            return stack.enter_context(console)

        yield serve


class Kept:
    """A subscriber that keeps what it gets."""

    def __init__(self):
        self.events = []

    def __call__(self, event):
        self.events.append(event)

    def of(self, *kinds):
        return [one for one in self.events if isinstance(one, kinds)]

    def wait(self, kind, number=1):
        """Wait for so many events of a kind; return them."""
        wait_until(lambda: len(self.of(kind)) >= number, f"{number} of {kind.__name__}")
        return self.of(kind)


def test_what_a_telnet_session_tells(serve):
    """A session is told from login to close, in order, with the statements' sources and ends."""
    kept = Kept()
    before = time.time()
    console = serve(kept)
    with line_login(console.telnet_port) as client:
        assert client.run("6 * 7") == "42"
        client.run("1 / 0")
        client.run("x = 1")
        client.send("exit()\n")
        client.rest()
    kept.wait(SessionClosed)
    names = [type(one).__name__ for one in kept.events]
    run = ["StatementStarted", "StatementFinished"]
    assert names == [
        "LoginSucceeded",
        "SessionOpened",
        *run,
        *run,
        "ExceptionShown",
        *run,
        *run,
        "SessionClosed",
    ]
    assert [(one.statement, one.source) for one in kept.of(StatementStarted)] == [
        (1, "6 * 7"),
        (2, "1 / 0"),
        (3, "x = 1"),
        (4, "exit()"),
    ]
    finished = kept.of(StatementFinished)
    assert [one.kind for one in finished] == ["value", "exception", "nothing", "exit"]
    (shown,) = kept.of(ExceptionShown)
    assert "ZeroDivisionError" in shown.traceback
    (opened,) = kept.of(SessionOpened)
    assert (opened.user, opened.transport, opened.role, opened.frontend) == (
        "boss",
        "telnet",
        "admin",
        "line",
    )
    assert before <= opened.at <= time.time()
    assert {one.peer for one in kept.events} == {opened.peer}
    assert opened.peer.startswith("127.0.0.1:")


async def exchange(console, statement):
    """Log in by SSH, with a wrong password first; run a statement as a command."""
    options = {"username": "boss", "known_hosts": None, "client_keys": None, "agent_path": None}
    where = ("127.0.0.1", console.ssh_port)
    with contextlib.suppress(asyncssh.PermissionDenied):
        await asyncssh.connect(*where, password="wrong", **options)
    async with asyncssh.connect(*where, password="sekrit", **options) as connection:
        return (await connection.run(statement)).stdout


def test_what_an_ssh_command_tells(serve):
    """A login that fails, one that succeeds, and a command, are told with their fields."""
    kept = Kept()
    console = serve(kept, ssh=0)
    assert asyncio.run(exchange(console, "print('x')")) == "x\n"
    kept.wait(SessionClosed)
    failed, *_ = kept.of(LoginFailed)
    assert (failed.user, failed.transport, failed.method) == ("boss", "ssh", "password")
    (login,) = kept.of(LoginSucceeded)
    assert (login.user, login.transport, login.method) == ("boss", "ssh", "password")
    assert [one.frontend for one in kept.of(SessionOpened)] == ["once"]
    assert [one.source for one in kept.of(StatementStarted)] == ["print('x')"]


def test_secrets_are_not_told(serve, caplog):
    """Of a statement that looks like a secret, events and log have the length, and no traceback."""
    caplog.set_level(logging.INFO, "console")
    kept = Kept()
    console = serve(kept)
    source = "login(password='marker')"
    with line_login(console.telnet_port) as client:
        client.run(source)
    kept.wait(SessionClosed)
    (started,) = kept.of(StatementStarted)
    assert started.source == f"({len(source)} characters, not shown as a secret)"
    assert "marker" not in repr(kept.events)
    assert "marker" not in caplog.text
    assert "session 1 statement 1 started: user=boss transport=telnet" in caplog.text


def test_the_log_is_written_before_the_statement_runs(serve, caplog):
    """A statement finds its own entry in the log, and the ends of those before it."""
    caplog.set_level(logging.INFO, "console.audit")
    seen = []
    console = serve(namespace={"look": lambda: seen.append([*caplog.messages])})
    with line_login(console.telnet_port) as client:
        client.run("1 + 1")
        client.run("look()")
    (entries,) = seen
    assert [entry.split(": ")[0] for entry in entries if " statement " in entry] == [
        "session 1 statement 1 started",
        "session 1 statement 1 ended",
        "session 1 statement 2 started",
    ]
    assert entries[-1].endswith(" source=look()")


def test_a_statement_that_outlives_its_session(serve):
    """A statement whose session ends first is told as abandoned, before the session's end."""
    kept, gate, entered = Kept(), threading.Event(), threading.Event()

    def wait():
        entered.set()
        gate.wait(DEADLINE_SECONDS)

    console = serve(kept, namespace={"wait": wait})
    client = line_login(console.telnet_port)
    client.send("wait()\n")
    assert entered.wait(DEADLINE_SECONDS)
    client.close(reset=True)
    kept.wait(SessionClosed)
    gate.set()
    finished, closed = kept.events[-2:]
    assert (finished.kind, finished.statement) == ("abandoned", 1)
    assert closed.reason == "connection lost"


def test_startup_files_are_told(serve, tmp_path):
    """The console's startup file and the user's are statements number 0."""
    (tmp_path / "keys" / "startup").mkdir(parents=True, mode=0o700)
    console_file, user_file = tmp_path / "console.py", tmp_path / "keys" / "startup" / "boss.py"
    for file, source in ((console_file, "a = 1\n"), (user_file, "b = 2\n")):
        file.write_text(source)
        file.chmod(0o600)
    tmp_path.chmod(0o700)
    (tmp_path / "keys").chmod(0o700)
    kept = Kept()
    console = serve(kept, sessions=SessionSettings(startup=console_file))
    kept.wait(StatementFinished)
    with line_login(console.telnet_port):
        ends = kept.wait(StatementFinished, 2)
    ours, users = kept.of(StatementStarted)
    assert (ours.transport, ours.peer, ours.session, ours.user, ours.statement, ours.source) == (
        "startup",
        str(console_file),
        0,
        "",
        0,
        "a = 1\n",
    )
    assert (users.transport, users.session, users.user, users.statement, users.source) == (
        "telnet",
        1,
        "boss",
        0,
        "b = 2\n",
    )
    assert [one.kind for one in ends] == ["nothing", "nothing"]


def test_subscribers_disturb_no_session(serve, caplog):
    """Beside one subscriber that raises and one that hangs, sessions run and the others get all."""
    entered, gate = threading.Event(), threading.Event()
    kept = Kept()

    def broken(event):
        raise RuntimeError("broken")

    def hanging(event):
        entered.set()
        gate.wait(DEADLINE_SECONDS)

    console = serve(broken, kept, hanging)
    try:
        with line_login(console.telnet_port) as client:
            assert entered.wait(DEADLINE_SECONDS)
            assert client.run("6 * 7") == "42"
    finally:
        gate.set()
    kept.wait(SessionClosed)
    assert [one.source for one in kept.of(StatementStarted)] == ["6 * 7"]
    assert "  | RuntimeError: broken" in caplog.text


def test_a_stop_with_a_subscriber_that_hangs(serve, gated, caplog):
    """A stop takes no longer than it may, and says how many events a hanging subscriber missed."""
    console = serve(gated)
    with line_login(console.telnet_port):
        assert gated.entered.wait(DEADLINE_SECONDS)
        began = time.monotonic()
        console.stop()
    assert time.monotonic() - began < STOP_SECONDS + 1.0  # and what a busy machine adds
    assert console.state.value == "stopped"
    (entry,) = messages(caplog)
    assert entry == f"{GATED}: events dropped: 2"


def test_the_last_event_is_handed_on_by_a_stop(serve):
    """The sessions that a stop ends are told to subscribers before it returns."""
    kept = Kept()
    console = serve(kept)
    with line_login(console.telnet_port):
        console.stop()
    (closed,) = kept.of(SessionClosed)
    assert closed.reason == "demo is stopping this console."
    console.start()
    with line_login(console.telnet_port):
        kept.wait(SessionOpened, 2)


def test_a_subscriber_that_stops_the_console(serve):
    """A subscriber may stop the console: neither waits for the other for ever."""
    stopped = threading.Event()

    def stop(event):
        if isinstance(event, StatementStarted):
            console.stop()
            stopped.set()

    console = serve(stop)
    with line_login(console.telnet_port) as client:
        client.send("1 + 1\n")
        assert stopped.wait(DEADLINE_SECONDS)
        client.rest()
    assert console.state.value == "stopped"


FORK = """
import os, threading
from console import Console
from support.rawclients import line_login
from support.servers import wait_until

def tell(event):
    told.append(type(event).__name__)

def threads():
    return [one.name for one in threading.enumerate() if one.name == "console-events"]

told = []
console = Console("forks", telnet=0, credentials={"boss": "sekrit"}, subscribers=[tell])
with console, line_login(console.telnet_port) as client:
    wait_until(lambda: len(told) == 2, "the login")
    child = os.fork()
    if not child:
        print(threads(), told)
        with console, line_login(console.telnet_port):
            wait_until(lambda: len(told) == 4, "the login in the child")
        print(threads(), told[2:], flush=True)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    print(threads(), told)
    print(client.run("6 * 7"))
print(threads(), told[2:])
"""


def test_a_fork(tmp_path):
    """In a forked child no subscriber is called until it starts a console; the parent goes on."""
    environment = clean_environment(tmp_path)
    path = [str(SUPPORT.parent), environment.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", FORK],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, path))},
        capture_output=True,
        text=True,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 0, done.stderr
    login = "['LoginSucceeded', 'SessionOpened'"
    assert done.stdout.splitlines() == [
        f"[] {login}]",
        f"[] {login}, 'SessionClosed']",
        f"['console-events'] {login}]",
        "42",
        "[] ['StatementStarted', 'StatementFinished', 'SessionClosed']",
    ]


# ---------------------------------------------------------------- the setting


async def later(event):
    """Subscribe in vain."""


class Later:
    async def __call__(self, event):
        """Subscribe in vain."""


@pytest.mark.parametrize(
    ("subscribers", "problem"),
    [
        ([print, 12], "= 12: cannot be called; give functions that take an event"),
        (print, "= <built-in function print>: not a list; give a list of functions"),
        (12, "= 12: not a list; give a list of functions"),
        ([later], ": is async; give a function that hands the event to your loop"),
        ([Later()], ": is async; give a function that hands the event to your loop"),
    ],
)
def test_what_is_no_subscriber(subscribers, problem):
    """What could not be called, or would return a coroutine, is refused at once."""
    with pytest.raises(ConfigurationError) as caught:
        Console("demo", telnet=0, subscribers=subscribers)
    assert str(caught.value).startswith("setting subscribers = ")
    assert str(caught.value).endswith(problem)


def test_events_are_values():
    """Events are compared by what they tell, not by when, and cannot be changed."""
    assert fact(1) == fact(1) != fact(2)
    assert issubclass(ConnectionDropped, Event)
    with pytest.raises(AttributeError):
        fact().reason = "another"
