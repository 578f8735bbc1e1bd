"""Counts that hardly depend on the machine: they guard the other figures.

Calls are the calls of functions, Python's and C's, on the console's threads (sys.setprofile(3)).
tests/test_benchmarks.py checks the limits.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from benchmarks.bench import Bench, Subject
from benchmarks.figures.enter import enter
from benchmarks.figures.memory import held, use
from benchmarks.figures.output import CASES, receive
from benchmarks.figures.typing import clear, type_keys
from benchmarks.measure import process_cpu
from benchmarks.peers import Peer, load
from benchmarks.processes import Server, make_key
from benchmarks.terminals import SshTerminal, Terminal, open_ssh

TITLE = "Counts that guard the figures"
CHART = "count"

LINE = "value = [index"

LIMITS = {
    "key_echo: calls a key": 8_000,
    "key_echo: bytes a key": 100,
    "key_echo: CPU a key, in units of the fixed work": 12,
    "key_echo: calls on the host's thread a key": 1,
    "line_echo: calls a key": 1_400,
    "enter: calls an Enter": 20_000,
    "connect: calls a login": 18_000,
    "command: calls a command": 18_000,
    "output: calls a line": 100,
    "output: bytes sent for a byte printed": 1.05,
    "memory: KB an idle session": 100,
    "memory: KB a session that has run a statement": 500,
    "sessions: threads of 20 sessions that have run a statement": 40,
    "heartbeat: calls on the host's thread during a sleep on a worker": 100,
    "cost: modules that a start loads": 150,
    "cost: calls of 5 idle sessions a second": 1_000,
    "interrupt: calls from Ctrl-C to the prompt": 4_000,
}
"""About twice the values measured when the limits were set."""


def start(directory: Path, **spec: bool) -> Server:
    """Start a service with a console that counts function calls."""
    return Server.host(
        "console_host",
        directory / "host",
        public_key=make_key(directory / "id"),
        keys=str(directory / "keys"),
        history=str(directory / "history"),
        **spec,
    )


class Counter:
    """Counts a server's calls while a client works."""

    def __init__(self, server: Server, peer: Peer) -> None:
        self.server = server
        self.peer = peer
        self.host_calls = 0

    async def calls(self, work: Callable[[], Awaitable[object]], settle: float = 0.05) -> int:
        """Return the calls of functions on the console's threads while ``work`` runs."""
        self.server.ask("count", on=True)
        await work()
        await asyncio.sleep(settle)
        counted = self.server.ask("count", on=False)
        self.host_calls = counted.pop("MainThread", 0)
        return sum(counted.values())

    async def session(self) -> Subject:
        """Open a session that has been typed in."""
        terminal = await self.peer.connect(self.server)
        subject = Subject(self.peer, self.server, terminal)
        await type_keys(subject, "v")
        await clear(subject)
        return subject


async def count(directory: Path) -> dict[str, float]:
    """Return every count."""
    found: dict[str, float] = {}
    server = start(directory, count_calls=True)
    try:
        counter = Counter(server, load("console_ssh"))
        await _typing(counter, found)
        await _logins(counter, found)
        await _output(counter, found)
        await _waiting(counter, found)
    finally:
        server.close()
    server = start(directory)
    try:
        await _held(Counter(server, load("console_ssh")), found)
    finally:
        server.close()
    server = start(directory, later=True)
    try:
        before = server.ask("modules")["modules"]
        for step in ("imported", "make", "start"):
            server.ask(step)
        loaded = server.ask("modules")["modules"] - before
        found["cost: modules that a start loads"] = loaded
    finally:
        server.close()
    return found


async def _typing(counter: Counter, found: dict[str, float]) -> None:
    subject = await counter.session()
    await type_keys(subject, LINE)
    await clear(subject)
    received = subject.terminal.received_bytes
    calls = await counter.calls(lambda: type_keys(subject, LINE))
    found["key_echo: calls a key"] = calls / len(LINE)
    found["key_echo: bytes a key"] = (subject.terminal.received_bytes - received) / len(LINE)
    found["key_echo: calls on the host's thread a key"] = counter.host_calls / len(LINE)
    await clear(subject)
    await enter(subject)
    found["enter: calls an Enter"] = await counter.calls(lambda: enter(subject)) / 3
    subject.terminal.close()

    line = await Counter(counter.server, load("console_ssh_line")).session()
    calls = await counter.calls(lambda: type_keys(line, LINE))
    found["line_echo: calls a key"] = calls / len(LINE)
    line.terminal.close()


async def _logins(counter: Counter, found: dict[str, float]) -> None:
    server = counter.server

    async def log_in() -> None:
        (await counter.peer.connect(server)).close()

    async def run_command() -> None:
        terminal = await _command(server)
        await terminal.closed()

    await run_command()
    found["connect: calls a login"] = await counter.calls(log_in)
    found["command: calls a command"] = await counter.calls(run_command)


async def _command(server: Server) -> SshTerminal:
    key = str(server.directory.parent / "id")
    return await open_ssh(server.facts["ssh"], key=key, user="boss", term=None, command="foo")


async def _output(counter: Counter, found: dict[str, float]) -> None:
    _, statement, _ = CASES[1]
    lines = 5_000
    statement = statement.replace("131072", str(lines))
    subject = await counter.session()
    received = subject.terminal.received_bytes
    calls = await counter.calls(lambda: receive(subject, statement, lines * 79, 30))
    found["output: calls a line"] = calls / lines
    sent = subject.terminal.received_bytes - received
    found["output: bytes sent for a byte printed"] = sent / (lines * 81)
    subject.terminal.close()


async def _waiting(counter: Counter, found: dict[str, float]) -> None:
    subject = await counter.session()
    terminal, peer = subject.terminal, subject.peer

    async def running(statement: str) -> None:
        terminal.type(statement)
        await peer.echoed(terminal, statement)
        terminal.type("\r")
        await terminal.wait(lambda: terminal.line == "", "it runs")

    async def interrupt() -> None:
        terminal.type("\x03")
        await peer.at_prompt(terminal)

    await running("__import__('time').sleep(0.5)")
    await asyncio.sleep(0.1)
    await counter.calls(lambda: peer.at_prompt(terminal))
    found["heartbeat: calls on the host's thread during a sleep on a worker"] = counter.host_calls
    await running("await __import__('asyncio').sleep(60)")
    await asyncio.sleep(0.1)
    found["interrupt: calls from Ctrl-C to the prompt"] = await counter.calls(interrupt)
    others = [await counter.session() for _ in range(4)]
    await asyncio.sleep(0.7)
    found["cost: calls of 5 idle sessions a second"] = await counter.calls(
        lambda: asyncio.sleep(1), settle=0
    )
    for one in (subject, *others):
        one.terminal.close()


async def _held(counter: Counter, found: dict[str, float]) -> None:
    server, peer, terminals = counter.server, counter.peer, list[Terminal]()
    first = await counter.session()
    await type_keys(first, LINE)
    await clear(first)
    unit = server.ask("work")["seconds"]
    before_cpu = process_cpu(server.pid)
    await type_keys(first, LINE)
    cpu = (process_cpu(server.pid) - before_cpu) / len(LINE)
    found["key_echo: CPU a key, in units of the fixed work"] = cpu / unit
    before = held(server)
    for _ in range(20):
        terminals.append(await peer.connect(server))
    found["memory: KB an idle session"] = (held(server) - before) / 20 / 1024
    for terminal in terminals:
        await use(peer, terminal)
    found["memory: KB a session that has run a statement"] = (held(server) - before) / 20 / 1024
    threads = len(list(Path(f"/proc/{server.pid}/task").iterdir()))
    found["sessions: threads of 20 sessions that have run a statement"] = threads
    for terminal in (first.terminal, *terminals):
        terminal.close()


async def run(bench: Bench) -> None:
    """Count, and check the limits."""
    bench.noise.sample(20)
    found = await count(Path(tempfile.mkdtemp(dir=bench.directory)))
    for name, limit in LIMITS.items():
        bench.figure.add(name, count=found[name], limit=limit)
        bench.figure.target(
            f"{name}: at most {limit:,}", f"{found[name]:,.2f}", met=found[name] <= limit
        )
