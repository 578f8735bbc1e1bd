"""Evaluates statements under a flood of interrupts, and counts what should not happen.

Usage: ``python interrupt_stress.py {main|other|worker|uvloop} EVALUATIONS [SEED]``. Prints one JSON
object. ``main``, ``other`` and ``uvloop`` say where the host's loop runs (uvloop: on the main
thread); ``worker`` evaluates on the session's worker only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sys
import threading
import time

from console.config.settings import EvaluationSettings
from console.evaluation.compiler import SourceCache
from console.evaluation.evaluator import SessionEvaluator
from console.evaluation.hooks import hooks
from console.evaluation.host_loop import HostLoop
from console.evaluation.statements import Statements
from console.interfaces.statements import Outcome, OutcomeKind

SYNC = [
    "0",
    "0",
    "spin(1000)",
    "nested()",
    "sorted(range(300), key=lambda value: -value)",
    "time.sleep(0.0005)",
    "raise ValueError(1)",
    "swallow()",
]
ASYNC = [
    "await asyncio.sleep(0)",
    "await asyncio.sleep(0.0005)",
    "spin(300); await asyncio.sleep(0); spin(300); await asyncio.sleep(0.0002); spin(300)",
    "await asyncio.gather(asyncio.sleep(0), asyncio.sleep(0))",
    "await careful()",
]
ENDLESS = ["while True: pass", "while True: spin(50)"]
ENDLESS_ASYNC = ["await asyncio.sleep(3600)", "while True: await asyncio.sleep(0)"]


def spin(count):
    total = 0
    for number in range(count):
        total += number
    return total


def nested():
    try:
        spin(300)
    finally:
        spin(50)
    return 1


def swallow():
    try:
        spin(1000)
    except KeyboardInterrupt:
        return "swallowed"
    return 2


async def careful():
    try:
        await asyncio.sleep(0.0005)
    except asyncio.CancelledError:
        return "swallowed"
    return 6


# From before the statement has begun to after most have ended.
DELAYS = [0, 0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001]

NAMESPACE = {
    "spin": spin,
    "nested": nested,
    "swallow": swallow,
    "careful": careful,
    "asyncio": asyncio,
    "time": time,
}


class Sink:
    def write(self, text, *, error=False):
        return True


class Source:
    page_rows = page_columns = 0

    def read_line(self, *, secret=False):
        return ""


class Report:
    def __init__(self):
        self.counts = {"value": 0, "nothing": 0, "exception": 0, "interrupted": 0}
        self.misdelivered = []
        self.lost = []
        self.left_behind = []
        self.unraisable = []
        self.escaped = []
        self.heartbeats = 0


def flood(current, ended):
    """Interrupt the running statement as often as one thread can."""
    while not ended.is_set():
        execution = current[0]
        if execution is not None:
            execution.interrupt()
        time.sleep(0)


async def drive(evaluator, report, count, mixed, seed):
    chance = random.Random(seed)
    current = [None]
    ended = threading.Event()
    flooder = threading.Thread(target=flood, args=(current, ended), daemon=True)
    flooder.start()
    for number in range(count):
        is_async = mixed and chance.random() < 0.5
        asked = chance.random() < 0.7
        corpus = ASYNC if is_async else SYNC
        if asked and chance.random() < 0.1:
            corpus = ENDLESS_ASYNC if is_async else ENDLESS
        source = chance.choice(corpus)
        if mixed and not is_async and chance.random() < 0.5:
            source = f"%loop {source}"
        task = asyncio.ensure_future(evaluator.evaluate(source))
        await asyncio.sleep(chance.choice(DELAYS))
        if asked and not task.done():
            current[0] = evaluator._watch and evaluator._watch.execution
            # Pressed once for the endless ones, which the flood alone may miss between steps.
            if corpus in (ENDLESS, ENDLESS_ASYNC) or chance.random() < 0.3:
                evaluator.interrupt()
        try:
            outcome = await asyncio.wait_for(task, 30)
        except TimeoutError:
            report.lost.append(source)
            break
        finally:
            current[0] = None
        account(report, number, source, asked, outcome)
    ended.set()
    flooder.join()


def account(report, number, source, asked, outcome: Outcome):
    report.counts[outcome.kind.value] = report.counts.get(outcome.kind.value, 0) + 1
    if outcome.kind is OutcomeKind.INTERRUPTED:
        if not asked:
            report.misdelivered.append((number, source))
        if outcome.note:
            report.left_behind.append((number, source, outcome.note))
    elif outcome.kind is OutcomeKind.EXCEPTION and "raise ValueError" not in source:
        report.escaped.append((number, source, outcome.text))


def run_console(host_loop, report, count, mixed, seed, finished):
    """The console's thread, with a loop of its own, as in a real console."""

    async def main():
        evaluator = SessionEvaluator(
            session=1,
            namespace=NAMESPACE,
            names={},
            sink=Sink(),
            source=Source(),
            host=HostLoop(host_loop),
            sources=SourceCache(),
            settings=EvaluationSettings(report_seconds=20, interrupt_seconds=None),
            statements=Statements(),
        )
        await drive(evaluator, report, count, mixed, seed)
        evaluator.close()

    try:
        with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
            runner.run(main())
    except BaseException as error:
        report.escaped.append(("console", repr(error)))
    finally:
        finished()


async def host(report, count, seed):
    """The service: work of its own, sync and async, which must never see an interrupt."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: report.escaped.append(("loop", repr(context))))
    done = asyncio.Event()
    thread = threading.Thread(
        target=run_console,
        args=(loop, report, count, True, seed, lambda: loop.call_soon_threadsafe(done.set)),
    )
    thread.start()
    while not done.is_set():
        spin(200)
        report.heartbeats += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done.wait(), 0.001)
    thread.join()


def main():
    kind, count = sys.argv[1], int(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    report = Report()
    sys.unraisablehook = lambda raised: report.unraisable.append(repr(raised.exc_value))
    threading.excepthook = lambda raised: report.escaped.append(("thread", repr(raised.exc_value)))
    sigint = signal.getsignal(signal.SIGINT)
    factory = asyncio.SelectorEventLoop
    if kind == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop

    def run_host():
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(host(report, count, seed))
        except BaseException as error:
            report.escaped.append(("host", repr(error)))

    began = time.monotonic()
    hooks.install()  # as a console does while it runs
    if kind == "worker":
        thread = threading.Thread(
            target=run_console, args=(None, report, count, False, seed, lambda: None)
        )
        thread.start()
        thread.join()
    elif kind == "other":
        thread = threading.Thread(target=run_host)
        thread.start()
        thread.join()
    else:
        run_host()
    hooks.uninstall()
    result = vars(report) | {
        "kind": kind,
        "evaluations": count,
        "seconds": round(time.monotonic() - began, 1),
        "sigint_untouched": signal.getsignal(signal.SIGINT) is sigint,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
