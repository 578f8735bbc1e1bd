"""Many sessions at once, all of which answer, and a host that does not notice."""

from __future__ import annotations

import asyncio

from benchmarks.bench import Bench
from benchmarks.figures.memory import held, use
from benchmarks.measure import now, percentile, tree_cpu
from benchmarks.terminals import Terminal

TITLE = "Sessions at once"
CHART = "answered"

_AT_ONCE = 8
"""Logins at a time: a server takes no more strangers from one place than a few."""


async def run(bench: Bench) -> None:
    """Measure, and hold to the targets."""
    figure, count = bench.figure, bench.count(1000, 100)
    for name in ("console_ssh", "console_ssh_line"):
        bench.noise.sample()
        async with bench.server(name) as (peer, server):
            gate = asyncio.Semaphore(_AT_ONCE)
            terminals: list[Terminal] = []
            limits: list[str] = []

            async def log_in() -> None:
                async with gate:
                    try:
                        terminals.append(await peer.connect(server))
                    except (OSError, TimeoutError) as error:
                        limits.append(str(error).splitlines()[0])

            before = held(server)
            began = now()
            server.ask("heartbeat")
            await asyncio.gather(*(log_in() for _ in range(count)))
            logged_in = now() - began
            server.ask("gaps")
            bench.say(f"{peer.name}: {len(terminals)} sessions in {logged_in:.0f} s")

            # The first use of each, a few at a time, builds the editors; the second is measured.
            async def first(terminal: Terminal) -> None:
                async with gate:
                    await use(peer, terminal)

            await asyncio.gather(*(first(terminal) for terminal in terminals))
            cpu = tree_cpu(server.pid)
            server.ask("heartbeat")
            began = now()
            results = await asyncio.gather(
                *(_answer(terminal) for terminal in terminals), return_exceptions=True
            )
            seconds = now() - began
            gaps = server.ask("gaps")["gaps"]
            cpu = tree_cpu(server.pid) - cpu
            answered = sum(result is None for result in results)
            limits += [str(one).splitlines()[0] for one in results if one is not None]
            figure.add(
                peer.name,
                answered=answered,
                asked=count,
                all_s=seconds,
                cpu_ms_each=cpu / max(1, answered) * 1000,
                login_s=logged_in,
                beat_p99_ms=percentile(gaps, 99) * 1000,
                beat_max_ms=max(gaps) * 1000,
                memory_MB=(held(server) - before) / 2**20,
            )
            for terminal in terminals:
                terminal.close()
            figure.target(
                f"{peer.name}: {count} sessions all answer 1+1",
                f"{answered} in {seconds:.1f} s" + (f"; {limits[0]}" if limits else ""),
                met=answered == count,
            )
            largest = max(gaps) * 1000
            figure.target(
                f"{peer.name}: meanwhile the host's largest gap is under 25 ms",
                f"{largest:.1f} ms",
                met=largest < 25,
            )
    figure.notes.append(
        "All type 1+1 and Enter in the same moment. What limits it: one core of the console's"
        " thread (cpu_ms_each), a worker thread a session, and the host's RLIMIT_NOFILE."
    )


async def _answer(terminal: Terminal) -> None:
    terminal.type("1+1\r")
    await terminal.wait(
        lambda: terminal.line == ">>> " and terminal.above() == "2", "the result of 1+1"
    )
