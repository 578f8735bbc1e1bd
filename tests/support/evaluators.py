"""Evaluators without a terminal, which keep the output of statements."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading

from console.commands.context import CommandContext
from console.commands.discovery import discover
from console.commands.inspection import Inspection
from console.commands.names import session_names
from console.evaluation.compiler import SourceCache
from console.evaluation.evaluator import SessionEvaluator
from console.evaluation.host_loop import HostLoop
from console.evaluation.statements import Statements
from console.interfaces.credentials import Principal, Role
from console.interfaces.frontends import Preferences
from console.interfaces.statements import OutcomeKind
from console.patches.journal import PatchJournal
from console.results.pager import page_text
from console.sessions.preferences import SessionPreferences


class Sink:
    """A session's output."""

    def __init__(self):
        self.text = ""
        self.errors = ""

    def write(self, text, *, error=False):
        self.text += text
        if error:
            self.errors += text
        return True


class Source:
    """A session's input: lines that are typed ahead."""

    page_rows = page_columns = 0

    def __init__(self):
        self.rest = ""
        self.lines = []

    def read_line(self, *, secret=False):
        return self.lines.pop(0) if self.lines else ""


class Session:
    """A session's evaluator, set up as by a console."""

    def __init__(
        self,
        host_loop,
        settings,
        *,
        number=1,
        other=None,
        role=Role.OPERATOR,
        bare=True,
        namespace=None,
    ):
        self.commands = discover()
        self.namespace = namespace if namespace is not None else {}
        if other is not None:
            self.namespace = other.namespace
        self.statements = Statements() if other is None else other.statements
        self.host = HostLoop(host_loop) if other is None else other.host
        self.sources = SourceCache() if other is None else other.sources
        self.sink, self.source, self.names = Sink(), Source(), {}
        self.evaluator = SessionEvaluator(
            session=number,
            namespace=self.namespace,
            names=self.names,
            sink=self.sink,
            source=self.source,
            host=self.host,
            sources=self.sources,
            settings=settings,
            statements=self.statements,
            bare_words=self.commands.bare_words if bare else frozenset(),
        )
        journal = PatchJournal(lambda seconds, call: None, logging.getLogger("test").warning)
        self.choices = SessionPreferences(Preferences(), lambda name, value: "")
        self.context = CommandContext(
            principal=Principal("boss", "ssh", "127.0.0.1:1", "password", role),
            session=number,
            commands=self.commands,
            inspection=Inspection(
                session=number,
                sessions=tuple,
                host=self.host,
                statements=self.statements,
                journal=journal,
                started_at=0.0,
                sources=True,
            ),
            show=print,
            page=page_text,
            evaluator=self.evaluator,
            host=self.host,
            journal=journal,
            choices=self.choices,
            who="boss",
            kick=lambda number, reason, by, own: f"{by.user} ends session {number}: {reason}",
            reload=lambda: "all is read anew",
        )
        self.names.update(session_names(self.context))

    async def run(self, source, mode=""):
        """Evaluate a statement, in a mode if one is named."""
        return await self.evaluator.evaluate(f"%{mode}\n{source}" if mode else source)

    async def value(self, source, mode=""):
        """Evaluate a statement that yields a value; return the value's text."""
        outcome = await self.run(source, mode)
        assert outcome.kind is OutcomeKind.VALUE, outcome
        return outcome.text

    async def interrupted(self, source, mode=""):
        """Evaluate a statement, and interrupt it once it says ``begun``; return its outcome."""
        if "begun" not in source:
            source = f"print('begun')\n{source}"
        task = asyncio.ensure_future(self.run(source, mode))
        await until(lambda: "begun" in self.sink.text)
        assert self.evaluator.interrupt()
        return await task


async def until(condition):
    """Wait for a condition that another thread fulfils."""
    while not condition():  # noqa: ASYNC110 - what it does cannot set an event of ours
        await asyncio.sleep(0.002)


@contextlib.contextmanager
def service():
    """A service's event loop, on a thread of its own."""
    loop = asyncio.SelectorEventLoop()

    def run():
        asyncio.set_event_loop(loop)
        loop.run_forever()
        tasks = asyncio.all_tasks(loop)
        for task in tasks:
            task.cancel()
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        asyncio.set_event_loop(None)
        loop.close()

    thread = threading.Thread(target=run, name="service")
    thread.start()
    try:
        yield loop
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
    assert not thread.is_alive(), "the service's loop does not end"
