"""Ctrl-C to the next prompt, for each way of blocking."""

from __future__ import annotations

import asyncio

from benchmarks.bench import Bench
from benchmarks.measure import now, percentile
from benchmarks.peers import Peer
from benchmarks.processes import Server

TITLE = "Ctrl-C to prompt"
CHART = "largest_ms"

SETUP = "import asyncio, time, threading, queue"
KINDS = {
    "compute, worker": "while True: pass",
    "compute, loop": "%loop exec('while True: pass')",
    "comprehension, worker": "[n for n in iter(int, 1)]",
    "short sleeps, worker": "while True: time.sleep(0.001)",
    "await": "await asyncio.sleep(60)",
    "await a future": "await asyncio.get_running_loop().create_future()",
    "await, computing": "exec('while True: pass'); await asyncio.sleep(0)",
    "time.sleep, loop": "%loop time.sleep(60)",
    "lock, loop": "%loop threading.Lock().acquire() and _lock.acquire()",
    "input(), worker": "input()",
}
"""Statements that can be interrupted."""

LEFT_BEHIND = {
    "time.sleep, worker": "time.sleep(20)",
    "queue.get, worker": "queue.Queue().get(timeout=20)",
}
"""A thread in a C call cannot be interrupted: after a second the session goes on without it."""

THEIRS = {
    "compute": "while True: pass",
    "time.sleep": "time.sleep(60)",
}


async def run(bench: Bench) -> None:
    """Measure, and check the target."""
    figure, rounds = bench.figure, bench.count(10, 2)
    for name, kinds in (
        ("console_ssh", KINDS | LEFT_BEHIND),
        ("console_telnet", {"compute, worker": KINDS["compute, worker"]}),
        ("ptpython_sshd", THEIRS),
    ):
        async with bench.servers([name]) as servers:
            for peer, server in servers:
                for kind, statement in kinds.items():
                    bench.say(f"{peer.name}: {kind}")
                    bench.noise.sample()
                    times = min(rounds, 3) if kind in LEFT_BEHIND else rounds
                    try:
                        taken = await _measure(peer, server, statement, times)
                    except (OSError, TimeoutError) as error:
                        bench.miss(f"{peer.name}: {kind}", error)
                        continue
                    figure.add(
                        f"{peer.name}: {kind}",
                        p50_ms=percentile(taken, 50) * 1000,
                        largest_ms=max(taken) * 1000,
                        n=len(taken),
                    )
    for kind in KINDS:
        value = figure.value(f"console, ssh: {kind}", "p50_ms")
        figure.target(
            f"{kind}: p50 under 50 ms",
            "not measured" if value is None else f"{value:.1f} ms",
            met=value is not None and value < 50,
        )
    figure.notes.append(
        "A worker thread in a C call (the last two of console) cannot be woken: after a second the"
        " session goes on without it. Anything else is in the targets."
    )


async def _measure(peer: Peer, server: Server, statement: str, times: int) -> list[float]:
    taken = []
    terminal = await peer.connect(server)
    try:
        for line in (SETUP, "_lock = threading.Lock(); _lock.acquire(); None"):
            terminal.type(line)
            await peer.echoed(terminal, line)
            terminal.type("\r")
            await peer.at_prompt(terminal)
        for _ in range(times):
            terminal.type(statement)
            await peer.echoed(terminal, statement)
            # An empty line ends a compound statement.
            terminal.type("\r\r" if statement.startswith("while") else "\r")
            await terminal.wait(lambda: terminal.line == "", "it runs")
            await asyncio.sleep(0.3)
            if peer.shows(terminal, ""):
                raise TimeoutError(f"{statement!r} ended by itself")
            began = now()
            terminal.type("\x03")
            taken.append(await peer.at_prompt(terminal) - began)
    finally:
        terminal.close()
    return taken
