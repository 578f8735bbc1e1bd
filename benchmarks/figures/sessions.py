"""Many sessions at once: each answers, and the host's loop is not delayed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from benchmarks.bench import Bench
from benchmarks.figures.memory import held, use
from benchmarks.measure import now, percentile, tree_cpu
from benchmarks.peers import Peer
from benchmarks.processes import Server
from benchmarks.terminals import Terminal

TITLE = "Sessions at once"
CHART = "answered"

_AT_ONCE = 8
"""Logins at a time: a server limits the unauthenticated connections of one source."""


@dataclass
class Crowd:
    """Clients of one server."""

    peer: Peer
    server: Server
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))
    terminals: list[Terminal] = field(default_factory=list)
    limits: list[str] = field(default_factory=list)

    async def log_in(self) -> None:
        """Add a client, or note why it could not log in."""
        async with self.gate:
            try:
                self.terminals.append(await self.peer.connect(self.server))
            except (OSError, TimeoutError) as error:
                self.limits.append(str(error).splitlines()[0])

    async def use(self, terminal: Terminal) -> None:
        """Run a statement, a few clients at a time."""
        async with self.gate:
            await use(self.peer, terminal)


async def run(bench: Bench) -> None:
    """Measure, and check the targets."""
    count = bench.count(1000, 100)
    for name in ("console_ssh", "console_ssh_line"):
        bench.noise.sample()
        async with bench.server(name) as (peer, server):
            await _measure(bench, Crowd(peer, server), count)
    bench.figure.notes.append(
        "All type 1+1 and Enter in the same moment. What limits it: the console's one thread"
        " (cpu_ms_each for each answer), the memory of the editors, a worker thread and a"
        " descriptor for each session (RLIMIT_NOFILE)."
    )


async def _measure(bench: Bench, crowd: Crowd, count: int) -> None:
    figure, peer, server = bench.figure, crowd.peer, crowd.server
    before = held(server)
    began = now()
    await asyncio.gather(*(crowd.log_in() for _ in range(count)))
    logged_in = now() - began
    bench.say(f"{peer.name}: {len(crowd.terminals)} sessions in {logged_in:.0f} s")
    # The first use of each session builds its editor; the second is measured.
    await asyncio.gather(*(crowd.use(terminal) for terminal in crowd.terminals))
    cpu = tree_cpu(server.pid)
    server.ask("heartbeat")
    began = now()
    results = await asyncio.gather(
        *(_answer(terminal) for terminal in crowd.terminals), return_exceptions=True
    )
    seconds = now() - began
    gaps = server.ask("gaps")["gaps"]
    cpu = tree_cpu(server.pid) - cpu
    answered = sum(result is None for result in results)
    limits = crowd.limits + [str(one).splitlines()[0] for one in results if one is not None]
    largest = max(gaps) * 1000
    figure.add(
        peer.name,
        answered=answered,
        asked=count,
        all_s=seconds,
        cpu_ms_each=cpu / max(1, answered) * 1000,
        login_s=logged_in,
        beat_p99_ms=percentile(gaps, 99) * 1000,
        beat_max_ms=largest,
        memory_MB=(held(server) - before) / 2**20,
    )
    for terminal in crowd.terminals:
        terminal.close()
    figure.target(
        f"{peer.name}: {count} sessions all answer 1+1",
        f"{answered} in {seconds:.1f} s" + (f"; {limits[0]}" if limits else ""),
        met=answered == count,
    )
    figure.target(
        f"{peer.name}: meanwhile the host's largest gap is under 25 ms",
        f"{largest:.1f} ms",
        met=largest < 25,
    )


async def _answer(terminal: Terminal) -> None:
    terminal.type("1+1\r")
    await terminal.wait(
        lambda: terminal.line == ">>> " and terminal.above() == "2", "the result of 1+1"
    )
