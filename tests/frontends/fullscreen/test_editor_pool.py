"""An editor that is idle for long is released, and the user does not notice."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import weakref

from prompt_toolkit.input import typeahead

from console.evaluation.gate import AT_ONCE, Gate
from console.frontends.fullscreen.editor_pool import SpareEditors
from console.frontends.fullscreen.frontend import FullscreenFrontend
from support.frontend_host import CAPABLE, FakeHost, editor_of, run, turns, until

SOON_SECONDS = 0.02


@contextlib.asynccontextmanager
async def person(spares, **options):
    """A user at a full-screen frontend, with the screen and the statements that were read."""
    host = FakeHost(CAPABLE, **options)
    frontend = FullscreenFrontend(host, spares)
    statements = []

    async def read():
        while (statement := await frontend.read()) is not None:
            statements.append(statement)

    task = asyncio.ensure_future(read())
    try:
        await turns()
        yield frontend, host, statements
    finally:
        frontend.close()
        await task
        frontend.close()


async def type_statement(frontend, statements, text):
    """Type a statement and Enter, and wait until it has been read."""
    count = len(statements)
    for key in text:
        frontend.feed(key)
        await turns()
    await editor_of(frontend)
    frontend.feed("\r")
    await until(lambda: len(statements) > count)


async def let_go(frontend):
    """Wait until the frontend has no editor."""
    await until(lambda: frontend._editor is None)


def test_an_idle_editor_is_let_go_of():
    """Nothing of it stays alive, the prompt stays as it is, and what is typed next is read."""

    async def test():
        async with person(SpareEditors(SOON_SECONDS)) as (frontend, host, statements):
            await type_statement(frontend, statements, "1+1")
            application = weakref.ref(frontend._editor._python.app)
            await let_go(frontend)
            # Its own last redraw and timers, if any, end when they are next run.
            for _ in range(1000):
                gc.collect()
                if application() is None:
                    break
                await asyncio.sleep(0.001)
            assert application() is None
            assert host.terminal.lines == [">>> 1+1", ">>>"]
            await type_statement(frontend, statements, "2+2")
            assert statements == ["1+1", "2+2"]
            assert host.terminal.lines == [">>> 1+1", ">>> 2+2", ">>>"]

    run(test)


def test_what_was_cut_is_still_there():
    """What was cut at an earlier prompt is pasted at a later one, by another editor."""

    async def test():
        async with person(SpareEditors(SOON_SECONDS)) as (frontend, _, statements):
            await type_statement(frontend, statements, "kept\x15first")
            assert statements == ["first"]
            await let_go(frontend)
            await type_statement(frontend, statements, "\x19")
            assert statements == ["first", "kept"]

    run(test)


def test_the_mode_of_editing_stays():
    """A user who has changed to vi's keys by F4 has them in the next editor too."""

    async def test():
        async with person(SpareEditors(SOON_SECONDS)) as (frontend, _, statements):
            frontend.feed("\x1bOS")
            await type_statement(frontend, statements, "a")
            assert frontend._vi
            await let_go(frontend)
            assert frontend._vi
            await type_statement(frontend, statements, "b")
            assert frontend._editor.vi

    run(test)


def test_an_editor_in_use_stays():
    """Typed text stays for any time."""

    async def test():
        spares = SpareEditors(SOON_SECONDS)
        async with person(spares) as (slow, host, typed), person(spares) as (quick, _, statements):
            await type_statement(slow, typed, "0")
            slow.feed("1+")
            editor = await editor_of(slow)
            await type_statement(quick, statements, "2")
            await let_go(quick)
            assert slow._editor is editor
            await host.terminal.shows(lambda lines: lines[-1] == ">>> 1+")
            await type_statement(slow, typed, "1")
            assert typed == ["0", "1+1"]

    run(test)


def test_who_has_left_is_forgotten():
    """A session that ends leaves nothing behind with those that are not in use."""

    async def test():
        spares = SpareEditors()
        async with person(spares) as (frontend, _, statements):
            await type_statement(frontend, statements, "1")
            assert list(spares._spare) == [frontend]
        assert not spares._spare
        assert spares._timer is None

    run(test)


def test_nothing_is_left_in_the_table_of_keys():
    """prompt_toolkit's table of keys typed ahead, which is never emptied, has none of a session."""

    async def test():
        async with person(SpareEditors()) as (frontend, _, statements):
            await type_statement(frontend, statements, "1")
            frontend.take_typeahead()
            await type_statement(frontend, statements, "2")

    before = set(typeahead._buffer)
    run(test)
    assert set(typeahead._buffer) == before


def test_editors_take_turns():
    """Of many users who press Enter at once few use their editors, and all are served."""

    async def test():
        spares, most = SpareEditors(), 0
        spares._gate = Gate(60)  # admits no other for a minute

        async def press(frontend, statements):
            frontend.feed("1+1\r")
            await until(lambda: statements == ["1+1"])

        async with contextlib.AsyncExitStack() as stack:
            people = [await stack.enter_async_context(person(spares)) for _ in range(3 * AT_ONCE)]
            presses = [asyncio.ensure_future(press(one, read)) for one, _, read in people]
            while not all(one.done() for one in presses):
                await asyncio.sleep(0)
                reading = sum(
                    one._editor is not None and one._editor.is_reading for one, _, _ in people
                )
                most = max(most, reading)
        assert 0 < most <= AT_ONCE

    run(test)


def test_who_types_on_delays_no_other():
    """More than have their turn at once may be in the middle of a line, as long as they like."""

    async def test():
        spares = SpareEditors()
        async with contextlib.AsyncExitStack() as stack:
            people = [await stack.enter_async_context(person(spares)) for _ in range(2 * AT_ONCE)]
            for frontend, _, _ in people:
                frontend.feed("1+")
                await editor_of(frontend)
            for frontend, _, statements in people:
                await type_statement(frontend, statements, "1")
                assert statements == ["1+1"]

    run(test)


def test_who_leaves_before_their_turn():
    """A session that ends while it waits for its turn ends."""

    async def test():
        spares = SpareEditors()
        spares._gate = Gate(60)  # admits no other for a minute
        async with contextlib.AsyncExitStack() as stack:
            people = [await stack.enter_async_context(person(spares)) for _ in range(3 * AT_ONCE)]
            for frontend, _, _ in people:
                frontend.feed("1+")
            await turns(1)
            frontend = people[-1][0]
            assert frontend._editor is None
            frontend.close()
            assert frontend not in spares._turns

    run(test)
