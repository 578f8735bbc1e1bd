"""What follows closely goes in one piece, and nothing stays held back."""

from __future__ import annotations

import asyncio

from console.frontends.fullscreen.write_coalescing import WriteCoalescing
from support.frontend_host import editing, editor_of, run, until


def test_a_statement_is_one_piece():
    """The end of the typed line, the value and the next prompt are written at once."""

    async def test():
        async with editing() as (frontend, terminal, task):
            frontend.feed("1")
            editor = await editor_of(frontend)
            application = editor._python.app
            await until(lambda: application.renderer.last_rendered_screen is not None)
            frontend._out._hold_seconds = 60  # on a busy machine two milliseconds may pass
            count = len(terminal.written)
            frontend.feed("\r")
            assert await task == "1"
            frontend.write("1\n")
            reading = asyncio.ensure_future(frontend.read())
            await until(lambda: frontend._waiting_at_literal)
            (data, _), *more = terminal.written[count:]
            assert more == []
            assert data.startswith(b"\r\n")
            assert b"1\r\n" in data
            assert data.endswith(b">>> \x1b[0m")
            frontend.close()
            await reading

    run(test)


def test_what_is_held_comes_by_itself():
    """If nothing follows soon, what is held is written all the same."""

    async def test():
        written = []
        out = WriteCoalescing(written.append, 0.01)
        out.hold(b"a")
        out.hold(b"b")
        assert written == []
        await until(lambda: written)
        assert written == [b"ab"]

    run(test)


def test_much_is_not_held():
    """What is long is written at once, with what was held before it."""

    async def test():
        written = []
        out = WriteCoalescing(written.append, 60)
        out.hold(b"a")
        out.hold(b"b" * 5000)
        assert written == [b"a" + b"b" * 5000]

    run(test)


def test_order():
    """What is written at once comes behind what is held; flushing twice writes nothing twice."""

    async def test():
        written = []
        out = WriteCoalescing(written.append, 60)
        out.write(b"a")
        out.hold(b"b")
        out.write(b"c")
        out.hold(b"d")
        out.flush()
        out.flush()
        assert written == [b"a", b"bc", b"d"]

    run(test)


def test_a_closed_frontend_holds_nothing():
    """Last words are written when the frontend is closed, before the terminal is."""

    async def test():
        async with editing() as (frontend, terminal, task):
            frontend.feed("1\r")
            await task
            frontend.write("last words\n")
            frontend.close()
            assert terminal.output.endswith("last words\r\n")

    run(test)
