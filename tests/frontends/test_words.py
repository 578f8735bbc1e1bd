"""The frontend of sessions that understand a few words."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys

import pytest

from console.frontends.choice import choose_frontend
from console.frontends.words import WordsFrontend
from console.interfaces.statements import Outcome, OutcomeKind
from console.interfaces.terminals import Size
from support.frontend_host import CAPABLE, DUMB, NC, PIPE, FakeHost, run, turns

WORDS = ("tasks", "who", "whoami")


@contextlib.asynccontextmanager
async def prompt(*history):
    """A prompt that is up: yields the frontend, its host and the read."""
    host = FakeHost(CAPABLE, commands=WORDS, history=history)
    frontend = WordsFrontend(host)
    task = asyncio.ensure_future(frontend.read())
    try:
        await turns()
        yield frontend, host, task
    finally:
        frontend.close()
        await task
        frontend.close()


@pytest.mark.parametrize(
    ("kind", "command", "name"),
    [
        (CAPABLE, None, "words"),
        (DUMB, None, "line"),
        (NC, None, "line"),
        (PIPE, None, "line"),
        (CAPABLE, "tasks", "once"),
        (PIPE, "tasks", "once"),
    ],
)
def test_choice(kind, command, name):
    """Where words are understood, the line stands in for the editor, and nothing else changes."""

    async def test():
        host = FakeHost(kind, command=command, commands=WORDS)
        frontend = choose_frontend(host)
        assert frontend.name == name
        assert choose_frontend(host, frontend) is frontend
        frontend.close()

    run(test)


def test_a_line_is_read_and_kept():
    """A line is returned and goes to the history; blank ones are passed over."""

    async def test():
        async with prompt("who") as (frontend, host, task):
            frontend.feed("\r  \rta\t\rtyped ahead")
            assert await task == "tasks"
            assert host.history.kept == ["who", "tasks"]
            assert frontend.take_typeahead() == "typed ahead"
            assert host.terminal.lines == [">>>", ">>>", ">>> tasks"]

    run(test)


def test_output_comes_above_the_line():
    """What others write stands above the prompt, and what has been typed stays, cursor included."""

    async def test():
        async with prompt() as (frontend, host, _):
            frontend.feed("whami\x1b[D\x1b[D\x1b[D")
            await turns()
            frontend.write("the console stops\nsoon", error=True)
            frontend.feed("o")
            await turns()
            assert host.terminal.lines == ["the console stops", "soon", ">>> whoami"]
            assert host.terminal.screen.cursor.x == len(">>> who")

    run(test)


def test_the_prompt_begins_a_row():
    """What stands in the row when the prompt comes is not overwritten."""

    async def test():
        host = FakeHost(CAPABLE, commands=WORDS)
        frontend = WordsFrontend(host)
        frontend.write("no newline")
        task = asyncio.ensure_future(frontend.read())
        await turns()
        assert host.terminal.lines == ["no newline", ">>>"]
        frontend.feed_eof()
        assert await task is None
        frontend.close()

    run(test)


def test_interrupt_and_end():
    """Ctrl-C, typed or by the protocol, drops the line; Ctrl-D leaves."""

    async def test():
        async with prompt() as (frontend, host, task):
            frontend.feed("who\x03")
            await turns()
            frontend.feed("tasks")
            await turns()
            frontend.interrupt()
            frontend.feed("\x04")
            assert await task is None
            assert host.terminal.lines == [
                *(">>> who^C", "KeyboardInterrupt", ">>> tasks^C", "KeyboardInterrupt", ">>>"),
            ]

    run(test)


def test_no_prompt_comes_after_the_end():
    """What is written when the frontend has been closed is the last thing on the screen."""

    async def test():
        async with prompt() as (frontend, host, task):
            frontend.feed("who")
            await turns()
            frontend.close()
            frontend.write("the end\n")
            assert await task is None
            assert host.terminal.lines == ["the end"]

    run(test)


def test_another_width():
    """A line that does not fit any more is shown in part, where the cursor is."""

    async def test():
        async with prompt() as (frontend, host, _):
            frontend.feed("stack 1234567890")
            await turns()
            host.terminal.size = Size(24, 20)
            frontend.resized()
            assert host.terminal.lines == [">>> " + "stack 1234567890"[-15:]]

    run(test)


def test_lines_in_a_row_leave_others_their_turn():
    """Thousand blank lines do not hold the loop in one turn."""

    async def test():
        async with prompt() as (frontend, host, _):
            frontend.feed("\r" * 1000)
            await turns(2)
            assert host.terminal.output.count(">>>") < 100

    run(test)


def test_answers_are_shown_as_everywhere():
    """An answer is output, a refusal is an error."""

    async def test():
        async with prompt() as (frontend, _, _):
            shown = [*frontend.render(Outcome(OutcomeKind.VALUE, "5"))]
            shown += frontend.render(Outcome(OutcomeKind.EXCEPTION, "no", 1))
            assert shown == [(False, "5\n"), (True, "no\n")]

    run(test)


def test_no_editor_is_loaded():
    """Neither choosing the frontend nor reading with it imports prompt_toolkit or ptpython."""
    script = """
import asyncio, sys
from types import SimpleNamespace
from console.frontends.choice import choose_frontend
from console.interfaces.terminals import Size, TerminalKind

async def main():
    written = []
    terminal = SimpleNamespace(
        kind=TerminalKind("xterm"), command=None, size=Size(), write=written.append
    )
    history = SimpleNamespace(entries=tuple, append=written.append)
    host = SimpleNamespace(terminal=terminal, history=history, commands=("who",))
    frontend = choose_frontend(host)
    frontend.feed("w\\t\\r")
    assert await frontend.read() == "who"
    assert "who" in written

asyncio.run(main())
print([name for name in sys.modules if name.startswith(("prompt_toolkit", "ptpython"))])
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"
