"""The cost of a console in a service, without logins and with idle sessions."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from benchmarks.bench import Bench
from benchmarks.figures.memory import use
from benchmarks.measure import median, now, process_cpu
from benchmarks.peers import load
from benchmarks.peers.common import SshPeer
from benchmarks.processes import Server, make_key

TITLE = "The cost of having it"
CHART = "median"


def _start(directory: Path) -> Server:
    return Server.host(
        "console_host",
        directory / "host",
        public_key=make_key(directory / "id"),
        keys=str(directory / "keys"),
        history=str(directory / "history"),
        later=True,
    )


async def _measure(server: Server) -> dict[str, float]:
    plain = server.ask("memory")["rss"]
    imported = server.ask("imported")["seconds"]
    server.ask("make")
    server.ask("heartbeat")
    await asyncio.sleep(0.2)
    started = server.ask("start")
    gaps = server.ask("gaps")["gaps"]
    await asyncio.sleep(0.5)
    held = server.ask("memory")["rss"] - plain
    server.facts.update(started)
    return {
        "import console (ms)": imported * 1000,
        "start (ms)": started["seconds"] * 1000,
        "host's largest gap at start (ms)": max(gaps) * 1000,
        "RSS before anyone logs in (MB)": held / 2**20,
    }


async def _log_in_first(server: Server) -> dict[str, float]:
    """Log in for the first time since the start: the modules of a session are loaded now."""
    peer = load("console_ssh")
    plain = server.ask("memory")["rss"]
    server.ask("heartbeat")
    await asyncio.sleep(0.2)
    began = now()
    terminal = await peer.connect(server)
    seconds = now() - began
    gaps = server.ask("gaps")["gaps"]
    held = server.ask("memory")["rss"] - plain
    terminal.close()
    return {
        "the first login since the start, by SSH (ms)": seconds * 1000,
        "host's largest gap meanwhile (ms)": max(gaps) * 1000,
        "RSS that it takes (MB)": held / 2**20,
    }


async def run(bench: Bench) -> None:
    """Measure, and check the targets."""
    figure, rounds = bench.figure, bench.count(10, 3)
    found: dict[str, list[float]] = {}
    later: dict[str, list[float]] = {}
    for _ in range(rounds):
        directory = Path(tempfile.mkdtemp(prefix="cost-", dir=bench.directory))
        for is_first in (True, False):
            bench.noise.sample()
            server = _start(directory)
            try:
                values = await _measure(server)
                more = {"the very first start, which makes the host key (ms)": values["start (ms)"]}
                if not is_first:
                    _keep(found, values)
                    more = await _log_in_first(server)
                _keep(later, more)
            finally:
                server.close()
    found["CPU of 10 idle sessions (% of a core)"] = [await _idle(bench)]
    limits = dict(zip(found, (30, 50, 5, 12, 0.3), strict=True))
    found |= later
    for name, values_all in found.items():
        figure.add(name, median=median(values_all), largest=max(values_all), n=len(values_all))
    for name, most in limits.items():
        value = figure.value(name, "median") or 0.0
        figure.target(f"{name}: at most {most}", f"{value:.2f}", met=value <= most)
    figure.notes.append(
        "start() is awaited by a service with a heartbeat, with SSH and telnet, in a fresh process"
        " with users and a host key. RSS is the increase since before `import console`, which is"
        " timed with the name Console: the package itself is lazy."
    )


def _keep(found: dict[str, list[float]], values: dict[str, float]) -> None:
    for name, value in values.items():
        found.setdefault(name, []).append(value)


async def _idle(bench: Bench) -> float:
    async with bench.server("console_ssh") as (peer, server):
        assert isinstance(peer, SshPeer)
        terminals = [await peer.connect(server) for _ in range(10)]
        for terminal in terminals:
            await use(peer, terminal)
        await asyncio.sleep(2)
        bench.say("idle sessions")
        before, began = process_cpu(server.pid), now()
        await asyncio.sleep(bench.count(30, 10))
        share = (process_cpu(server.pid) - before) / (now() - began)
        for terminal in terminals:
            terminal.close()
        return share * 100
