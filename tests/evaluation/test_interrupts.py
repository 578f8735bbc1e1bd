"""Ctrl-C stops the statement that is asked for, or nothing: guards alone, and under a flood."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from console.evaluation.guarded_coroutine import GuardedCoroutine
from console.evaluation.interrupts import (
    SIGNAL,
    AsyncExceptionGuard,
    ConsoleInterrupt,
    SignalGuard,
    StatementToken,
)
from support.servers import SUPPORT, wait_until

EVALUATIONS = int(os.environ.get("CONSOLE_STRESS", "2000"))
STRESS = SUPPORT / "interrupt_stress.py"


@pytest.mark.timeout(300 + EVALUATIONS // 20)
@pytest.mark.parametrize("kind", ["worker", "main", "other", "uvloop"])
def test_under_a_flood_of_interrupts(kind):
    """Thousands of interrupts hit the statements they are meant for, and nothing else at all."""
    if kind == "uvloop":
        pytest.importorskip("uvloop")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(STRESS), kind, str(EVALUATIONS)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    result = json.loads(done.stdout)
    for failure in ("misdelivered", "lost", "escaped", "unraisable", "left_behind"):
        assert result[failure] == [], failure
    assert result["sigint_untouched"] is True
    assert result["counts"]["interrupted"] > 0
    assert sum(result["counts"].values()) == EVALUATIONS


# ---- both guards


def spin_until(event):
    """Run bytecode until another thread sets an event."""
    while not event.is_set():
        pass
    return "not interrupted"


class Guarded:
    """A guard, and a thread from which to run calls in it: the main one for signals."""

    def __init__(self, kind):
        self.guard = SignalGuard() if kind is SignalGuard else AsyncExceptionGuard()
        self._on_main = kind is SignalGuard

    def run(self, token, function, meanwhile=None):
        """Run a guarded call; ``meanwhile`` runs on another thread. Return the call's step."""
        steps = []

        def call():
            steps.append(self.guard.run(token, function))

        first, second = (call, meanwhile) if self._on_main else (meanwhile, call)
        thread = threading.Thread(target=second or (lambda: None))
        thread.start()
        if first is not None:
            first()
        thread.join(30)
        assert not thread.is_alive()
        return steps[0]

    def __enter__(self):
        if self._on_main:
            self.guard.install()
        return self

    def __exit__(self, *_):
        if self._on_main:
            self.guard.uninstall()


@pytest.fixture(params=[SignalGuard, AsyncExceptionGuard])
def guarded(request):
    before = signal.getsignal(SIGNAL), signal.getsignal(signal.SIGINT)
    with Guarded(request.param) as guarded:
        yield guarded
    assert (signal.getsignal(SIGNAL), signal.getsignal(signal.SIGINT)) == before


def test_values_and_errors_are_in_the_step(guarded):
    """What a guarded call returns or raises, an exit included, is in its step and never raised."""
    assert guarded.run(StatementToken(), lambda: 5).value == 5
    for error in (ValueError(), SystemExit(3), KeyboardInterrupt(), GeneratorExit()):

        def fail(error=error):
            raise error

        step = guarded.run(StatementToken(), fail)
        assert step.error is error
        assert step.value is None


def test_the_call_is_interrupted(guarded):
    """A call that runs bytecode is interrupted."""
    token, begun, ended = StatementToken(), threading.Event(), threading.Event()

    def call():
        begun.set()
        return spin_until(ended)

    def ask():
        begun.wait(30)
        # It may be where it must not be interrupted: ask until it is not.
        deadline = time.monotonic() + 30
        while guarded.guard.interrupt(token) and time.monotonic() < deadline:
            time.sleep(0.01)

    step = guarded.run(token, call, ask)
    ended.set()
    assert isinstance(step.error, ConsoleInterrupt)
    assert repr(step.error) == "KeyboardInterrupt()"


def test_another_call_is_not_interrupted(guarded):
    """An interrupt for a statement that does not run now is refused, and hits no other."""
    token, begun, ended = StatementToken(), threading.Event(), threading.Event()
    asked = []

    def call():
        begun.set()
        return spin_until(ended)

    def ask():
        begun.wait(30)
        asked.append(guarded.guard.interrupt(StatementToken()))
        ended.set()

    step = guarded.run(token, call, ask)
    assert asked == [False]
    assert (step.value, step.error, step.late) == ("not interrupted", None, None)


def test_nothing_to_interrupt(guarded):
    """Between calls, and after the one that was asked for, an interrupt is refused."""
    token = StatementToken()
    assert guarded.guard.interrupt(token) is False
    guarded.run(token, lambda: 5)
    assert guarded.guard.interrupt(token) is False
    assert guarded.run(token, lambda: sum(range(10_000))).error is None


def test_no_interrupt_arrives_after_the_call(guarded):
    """However late an interrupt is asked for, it is over when the guarded call is."""
    ended = threading.Event()
    current = [None]

    def flood():
        while not ended.is_set():
            guarded.guard.interrupt(current[0])

    flooder = threading.Thread(target=flood)
    flooder.start()

    def calls():
        for _ in range(500):
            current[0] = token = StatementToken()
            step = guarded.guard.run(token, lambda: sum(range(100)))
            # Here nothing is guarded: an interrupt would end the test.
            assert step.error is None or isinstance(step.error, ConsoleInterrupt)
            sum(range(50))

    try:
        if isinstance(guarded.guard, SignalGuard):
            calls()
        else:
            failures = []

            def run():
                try:
                    calls()
                except BaseException as error:
                    failures.append(error)

            thread = threading.Thread(target=run)
            thread.start()
            thread.join(60)
            assert failures == []
    finally:
        ended.set()
        flooder.join(30)


# ---- SignalGuard


def test_a_signal_wakes_a_blocked_call():
    """On the main thread even a blocked C call is interrupted."""
    guard, token = SignalGuard(), StatementToken()
    guard.install()
    begun = threading.Event()

    def ask():
        begun.wait(30)
        deadline = time.monotonic() + 30
        while guard.interrupt(token) and time.monotonic() < deadline:
            time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        step = guard.run(token, lambda: (begun.set(), time.sleep(60)))
    finally:
        guard.uninstall()
        thread.join(30)
    assert isinstance(step.error, ConsoleInterrupt)


def test_the_signal_of_other_code_is_passed_on():
    """A handler that the host had for the signal is called when the signal is not ours."""
    received = []
    before = signal.signal(SIGNAL, lambda number, frame: received.append(number))
    theirs = signal.getsignal(SIGNAL)
    try:
        guard = SignalGuard()
        guard.install()
        guard.install()
        signal.raise_signal(SIGNAL)
        assert received == [SIGNAL]
        step = guard.run(StatementToken(), lambda: signal.raise_signal(SIGNAL))
        assert step.error is None
        assert received == [SIGNAL] * 2
        guard.uninstall()
        guard.uninstall()
        assert signal.getsignal(SIGNAL) is theirs
    finally:
        signal.signal(SIGNAL, before)


def test_a_handler_that_was_set_since_stays():
    """Giving the signal back leaves a handler alone that was set since."""
    before = signal.getsignal(SIGNAL)
    guard = SignalGuard()
    guard.install()
    theirs = signal.SIG_IGN
    signal.signal(SIGNAL, theirs)
    try:
        guard.uninstall()
        assert signal.getsignal(SIGNAL) is theirs
    finally:
        signal.signal(SIGNAL, before)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_profiler_goes_on_after_a_guarded_call(interrupted):
    """A thread with a profiler goes on calling functions when a guarded call has ended."""
    program = (
        "import sys, threading, time\n"
        "from console.evaluation.interrupts import AsyncExceptionGuard\n"
        "guard, token, begun = AsyncExceptionGuard(), object(), threading.Event()\n"
        "def compute():\n"
        "    begun.set()\n"
        "    while len(sys.argv) > 1:\n"
        "        pass\n"
        "thread = threading.Thread(target=guard.run, args=(token, compute))\n"
        "thread.start()\n"
        "begun.wait()\n"
        "while thread.is_alive():\n"
        "    guard.interrupt(token)\n"
        "    time.sleep(0.01)\n"
        "thread.join()\n"
        "sys.setprofile(lambda *_: None)\n"
        "(lambda: None)()\n"
        "sys.setprofile(None)\n"
        "print('went on')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *(["compute"] if interrupted else [])],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout == "went on\n", done.stderr


def test_delicate_code_is_not_interrupted_at_once():
    """An interrupt that finds asyncio's or threading's own code on top is put off, not for ever."""
    guard, token = SignalGuard(), StatementToken()
    guard.install()
    waiting = threading.Event()
    asked = []

    def ask():
        while guard._current is not token:
            time.sleep(0.001)
        deadline = time.monotonic() + 30
        # In Event.wait(), of threading: the first tries are vetoed.
        while guard.interrupt(token) and time.monotonic() < deadline:
            asked.append(time.monotonic())
            time.sleep(0.01)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        step = guard.run(token, lambda: waiting.wait(60))
    finally:
        guard.uninstall()
        thread.join(30)
    assert isinstance(step.error, ConsoleInterrupt)
    assert asked[-1] - asked[0] > 0.05


# ---- locks


def test_a_callback_of_the_collector_is_not_interrupted(strays):
    """The service's own code that the garbage collector calls in a statement runs to its end."""
    begun, ended = [], []

    def count(numbers):
        return sum(1 for _ in numbers)

    def callback(phase, info):
        begun.append(phase)
        count(range(500))
        ended.append(phase)

    def collect():
        while True:
            gc.collect(0)
            count(range(1000))

    guard = AsyncExceptionGuard()
    gc.callbacks.append(callback)
    try:
        for _ in range(100):
            token = StatementToken()
            thread = threading.Thread(target=guard.run, args=(token, collect))
            thread.start()
            while thread.is_alive():
                guard.interrupt(token)
                time.sleep(0)
    finally:
        gc.callbacks.remove(callback)
    assert begun
    assert begun == ended


def test_no_lock_is_left_behind():
    """An interrupt that finds a thread entering or leaving a Condition leaves it free."""
    condition = threading.Condition()
    guard = AsyncExceptionGuard()

    def call():
        while True:
            with condition:
                pass

    for _ in range(50):
        token = StatementToken()
        thread = threading.Thread(target=guard.run, args=(token, call))
        thread.start()
        deadline = time.monotonic() + 30
        while thread.is_alive() and time.monotonic() < deadline:
            guard.interrupt(token)
            # Contended, so that the thread is often found in the middle of taking it.
            assert condition.acquire(timeout=30)
            condition.release()
        thread.join(30)
        assert condition.acquire(timeout=30)
        condition.release()


def test_a_deadlock_on_the_main_thread_is_interrupted():
    """On the main thread, waiting for a Condition that is never released is interrupted."""
    guard, token = SignalGuard(), StatementToken()
    guard.install()
    condition = threading.Condition()
    held, ended = threading.Event(), threading.Event()

    def hold():
        with condition:
            held.set()
            deadline = time.monotonic() + 30
            while not ended.is_set() and time.monotonic() < deadline:
                guard.interrupt(token)
                time.sleep(0.02)

    def wait():
        held.wait(30)
        with condition:
            return "not interrupted"

    thread = threading.Thread(target=hold)
    thread.start()
    try:
        step = guard.run(token, wait)
    finally:
        guard.uninstall()
        ended.set()
        thread.join(30)
    assert isinstance(step.error, ConsoleInterrupt)
    assert condition.acquire(timeout=30)
    condition.release()


# ---- GuardedCoroutine


def finish(coroutine, guard=None):
    """Run a guarded coroutine as a task; return the step it ends with, and its token."""
    token = StatementToken()

    async def main():
        task = asyncio.Task(GuardedCoroutine(coroutine, guard or AsyncExceptionGuard(), token))
        return await task

    return asyncio.run(main()), token


async def give(value):
    await asyncio.sleep(0)
    return value


async def fail(error):
    await asyncio.sleep(0)
    raise error


def test_a_coroutine_gives_its_value():
    """A guarded coroutine's task ends with a step that holds its value."""
    step, token = finish(give(5))
    assert (step.value, step.error) == (5, None)
    assert token.busy_since is None


@pytest.mark.parametrize(
    "error", [ValueError(), SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError()]
)
def test_what_a_coroutine_raises_stays_in_the_step(error):
    """Nothing that a coroutine raises, an exit included, gets to the loop."""
    step, _ = finish(fail(error))
    assert step.error is error
    assert step.value is None


def test_the_token_knows_when_a_step_runs():
    """While a step runs, the token says since when; while the coroutine waits, it says so."""
    token = StatementToken()
    seen = []

    async def look():
        seen.append(token.busy_since is not None)
        await asyncio.sleep(0)
        seen.append(token.busy_since is not None)

    async def main():
        task = asyncio.Task(GuardedCoroutine(look(), AsyncExceptionGuard(), token))
        while not task.done():
            await asyncio.sleep(0)
            seen.append(token.busy_since)

    asyncio.run(main())
    assert [one for one in seen if one is not None] == [True, True]


def test_cancelling():
    """A guarded coroutine is cancelled as any other, may clean up, and may refuse."""
    cleaned = []

    async def wait():
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def refuse():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "refused"

    async def main(coroutine):
        task = asyncio.Task(GuardedCoroutine(coroutine, AsyncExceptionGuard(), StatementToken()))
        await asyncio.sleep(0)
        task.cancel()
        return await task

    step = asyncio.run(main(wait()))
    assert isinstance(step.error, asyncio.CancelledError)
    assert cleaned == [True]
    assert asyncio.run(main(refuse())).value == "refused"


def test_an_interrupt_that_comes_between_two_steps():
    """An interrupt that arrives when a step has just ended is delivered in the next one."""

    class LateGuard(AsyncExceptionGuard):
        """Reports one interrupt as late, as if it had come in the last instruction."""

        late = ConsoleInterrupt()

        def run(self, token, function, *arguments):
            step = super().run(token, function, *arguments)
            if step.error is None and self.late is not None:
                step.late, self.late = self.late, None
            return step

    async def wait():
        try:
            await asyncio.sleep(60)
        except KeyboardInterrupt:
            return "interrupted"

    assert finish(wait(), LateGuard())[0].value == "interrupted"


def test_an_interrupt_that_comes_before_the_step():
    """An interrupt that hits before the coroutine was entered reaches the coroutine."""

    class EarlyGuard(AsyncExceptionGuard):
        """Fails one step before it has begun."""

        early = 1

        def run(self, token, function, *arguments):
            if self.early == 0:
                self.early = -1

                def function(argument):
                    raise ConsoleInterrupt

            self.early -= 1
            return super().run(token, function, *arguments)

    async def wait():
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(60)
        except KeyboardInterrupt:
            return "interrupted"

    assert finish(wait(), EarlyGuard())[0].value == "interrupted"


def test_asyncios_tools_see_the_users_code():
    """What looks at tasks finds the user's coroutine and its frames."""

    async def main():
        coroutine = asyncio.sleep(60)
        guarded = GuardedCoroutine(coroutine, AsyncExceptionGuard(), StatementToken())
        task = asyncio.Task(guarded)
        await asyncio.sleep(0)
        assert guarded.cr_code is coroutine.cr_code
        assert [frame.f_code for frame in task.get_stack()] == [coroutine.cr_code]
        assert guarded.cr_await is coroutine.cr_await
        assert guarded.cr_running is False
        task.cancel()
        await task

    asyncio.run(main())


def test_awaiting_a_guarded_coroutine():
    """A guarded coroutine can be awaited, and gives its step."""

    async def main():
        step = await GuardedCoroutine(give(5), AsyncExceptionGuard(), StatementToken())
        assert step.value == 5

    asyncio.run(main())


def test_closing_a_guarded_coroutine():
    """Closing it closes the user's coroutine, which never runs."""
    coroutine = give(5)
    guarded = GuardedCoroutine(coroutine, AsyncExceptionGuard(), StatementToken())
    guarded.close()
    assert coroutine.cr_frame is None
    wait_until(lambda: guarded.cr_frame is None, "the end of the coroutine")
