"""Statements of many sessions begin a few at a time."""

import asyncio

from console.config.settings import EvaluationSettings
from console.evaluation.gate import AT_ONCE, Gate
from console.interfaces.statements import OutcomeKind
from support.evaluators import Session, service, until

MANY = 3 * AT_ONCE

LONG_SECONDS = 60
"""Seconds for which a test's gate admits no other."""


def test_a_few_begin_and_the_next_follow_in_order():
    """No more than a few begin, and each that ends lets the one in that has waited longest."""

    async def main():
        gate, begun = Gate(LONG_SECONDS), []
        for number in range(MANY):
            gate.enter(number, lambda number=number: begun.append(number))
        first = list(begun)
        gate.leave(2)
        return first, list(begun)

    first, then = asyncio.run(main())
    assert first == list(range(AT_ONCE))
    assert then == list(range(AT_ONCE + 1))


def test_those_that_stay_are_passed_by():
    """Where none ends, all begin nevertheless."""

    async def main():
        gate, last = Gate(), asyncio.Event()
        for number in range(MANY):
            gate.enter(number, last.set if number == MANY - 1 else lambda: None)
        assert not last.is_set()
        async with asyncio.timeout(LONG_SECONDS / 2):
            await last.wait()

    asyncio.run(main())


def test_one_that_is_withdrawn_never_begins():
    """What is withdrawn before it begins does not begin; what has begun cannot be withdrawn."""

    async def main():
        gate, begun = Gate(LONG_SECONDS), []
        for number in range(AT_ONCE + 2):
            gate.enter(number, lambda number=number: begun.append(number))
        assert gate.withdraw(AT_ONCE)
        assert not gate.withdraw(0)
        gate.leave(0)
        gate.leave(1)
        return begun

    assert asyncio.run(main()) == [*range(AT_ONCE), AT_ONCE + 1]


def sessions(loop, count, gate=None):
    """Make evaluators of one console."""
    settings = EvaluationSettings()
    first = Session(loop, settings)
    first.statements._gate = gate or Gate()
    return [first, *(Session(loop, settings, number=n, other=first) for n in range(2, count + 1))]


def close(many):
    """End the sessions of one console, and forget the sources of their statements."""
    for one in many:
        one.evaluator.close()
    many[0].sources.clear()


def test_statements_that_wait_for_the_last_one_end():
    """Many statements wait for what one that came behind all of them does."""

    async def main(loop):
        many = sessions(loop, MANY)
        await many[0].run("import threading; event = threading.Event()")
        waiting = [asyncio.ensure_future(one.run("event.wait(20)")) for one in many[:-1]]
        await many[-1].run("event.set()")
        outcomes = await asyncio.gather(*waiting)
        close(many)
        return [outcome.text for outcome in outcomes]

    with service() as loop:
        assert asyncio.run(main(loop)) == ["True"] * (MANY - 1)


def test_ctrl_c_before_the_beginning():
    """A statement that is interrupted before it begins never runs, and its session goes on."""

    async def main(loop):
        many = sessions(loop, AT_ONCE + 1, Gate(LONG_SECONDS))
        await many[0].run("import threading; event = threading.Event(); ran = False")
        waiting = [asyncio.ensure_future(one.run("event.wait(20)")) for one in many[:-1]]
        late = asyncio.ensure_future(many[-1].run("ran = True"))
        await asyncio.sleep(0)  # each has asked to begin
        assert many[-1].evaluator.interrupt()
        outcome = await late
        many[0].namespace["event"].set()
        await asyncio.gather(*waiting)
        ran = await many[-1].value("ran")
        listed = many[-1].statements.describe()
        close(many)
        return outcome.kind, ran, listed

    with service() as loop:
        assert asyncio.run(main(loop)) == (OutcomeKind.INTERRUPTED, "False", "")


def test_a_session_that_ends_before_its_statement_begins():
    """Nothing of it runs, or is left in the list of statements."""

    async def main(loop):
        many = sessions(loop, AT_ONCE + 1, Gate(LONG_SECONDS))
        await many[0].run("import threading; event = threading.Event(); ran = False")
        waiting = [asyncio.ensure_future(one.run("event.wait(20)")) for one in many[:-1]]
        late = asyncio.ensure_future(many[-1].run("ran = True"))
        await asyncio.sleep(0)
        many[-1].evaluator.close()
        await late
        many[0].namespace["event"].set()
        await asyncio.gather(*waiting)
        ran = await many[0].value("ran")
        await until(lambda: not many[0].statements.describe())
        close(many)
        return ran

    with service() as loop:
        assert asyncio.run(main(loop)) == "False"
