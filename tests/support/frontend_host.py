"""A `FrontendHost` for tests, with a terminal that has an emulated screen."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import pyte

from console.frontends.fullscreen.frontend import FullscreenFrontend
from console.interfaces.frontends import Preferences
from console.interfaces.terminals import Size, TerminalKind

CAPABLE = TerminalKind("xterm-256color")
DUMB = TerminalKind("dumb")
NC = TerminalKind("", server_echo=False)
PIPE = TerminalKind("", interactive=False, server_echo=False)


class FakeTerminal:
    """A terminal that keeps its output and shows it on a screen."""

    def __init__(self, kind, command=None):
        self.kind = kind
        self.command = command
        self.size = Size()
        self.written = []
        self.screen = pyte.Screen(self.size.columns, self.size.rows)
        self._stream = pyte.ByteStream(self.screen)
        self._changed = asyncio.Event()

    def write(self, data, *, error=False):
        self.written.append((data, error))
        self._stream.feed(data)
        self._changed.set()

    @property
    def output(self):
        """All output, as text."""
        return b"".join(data for data, _ in self.written).decode()

    @property
    def lines(self):
        """The screen's lines, without blanks at their ends and empty lines at its end."""
        return "\n".join(line.rstrip() for line in self.screen.display).rstrip().split("\n")

    async def shows(self, condition):
        """Wait until the screen's lines fulfil a condition."""
        while not condition(self.lines):
            self._changed.clear()
            await self._changed.wait()


class FakeHistory:
    def __init__(self, *entries):
        self.kept = list(entries)

    def entries(self):
        return self.kept

    def append(self, entry):
        self.kept.append(entry)

    def is_secret(self, entry):
        return entry.startswith(" ")


class FakeHost:
    """The session's side of a frontend."""

    def __init__(self, kind, *, command=None, history=(), namespace=None, commands=()):
        self.terminal = FakeTerminal(kind, command)
        self.history = FakeHistory(*history)
        self.namespace = namespace or {}
        self.preferences = Preferences()
        self.commands = commands

    def names(self):
        return {"exit": sys.exit, "help": help}


def run(test):
    """Run a test on a loop, and check that no task is left."""

    async def main():
        async with asyncio.timeout(60):
            await test()
        # prompt_toolkit's own redraws and timers end when they are next run.
        for _ in range(1000):
            if asyncio.all_tasks() == {asyncio.current_task()}:
                return
            await asyncio.sleep(0)
        raise AssertionError(asyncio.all_tasks())

    asyncio.run(main())


async def turns(count=5):
    """Let everything that is ready run."""
    for _ in range(count):
        await asyncio.sleep(0)


async def until(condition):
    """Wait until a condition holds, on the loop that fulfils it."""
    while not condition():  # noqa: ASYNC110 - what is waited for has no event of its own
        await asyncio.sleep(0.001)


@contextlib.asynccontextmanager
async def editing(**options):
    """A full-screen frontend at its prompt; yields the frontend, its terminal and the read."""
    host = FakeHost(CAPABLE, **options)
    frontend = FullscreenFrontend(host)
    task = asyncio.ensure_future(frontend.read())
    try:
        await turns()
        yield frontend, host.terminal, task
    finally:
        frontend.close()
        await task
        frontend.close()


async def editor_of(frontend):
    """Wait until the editor runs: the first key is on the screen before."""
    await until(lambda: frontend._editor is not None and frontend._editor.is_reading)
    return frontend._editor
