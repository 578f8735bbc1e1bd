"""The console's effect on the host: its one-millisecond timer while sessions work."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.bench import Bench, pause
from benchmarks.measure import percentile
from benchmarks.peers import Peer
from benchmarks.processes import Server

TITLE = "The host's heartbeat"
CHART = "p99_ms"


@dataclass
class Scene:
    """A load on the console: its sessions, its duration, and the heartbeats meanwhile."""

    peer: Peer
    server: Server
    seconds: float
    other: Server | None = None
    gaps: list[float] = field(default_factory=list)
    elsewhere: list[float] = field(default_factory=list)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Record the heartbeats while the body runs, without the preparations before it."""
        servers = [self.server] + ([self.other] if self.other else [])
        for server in servers:
            server.ask("heartbeat")
        try:
            yield
        finally:
            self.gaps += self.server.ask("gaps")["gaps"]
            if self.other:
                self.elsewhere += self.other.ask("gaps")["gaps"]


Act = Callable[[Scene], Awaitable[None]]


# ---------------------------------------------------------------- the loads


async def idle(scene: Scene) -> None:
    """An idle session."""
    with scene.watched():
        await asyncio.sleep(scene.seconds)


async def typing(scene: Scene) -> None:
    """A user types ten keys a second and completes names."""
    async with _session(scene) as terminal:
        with scene.watched():
            async with _bounded(scene.seconds):
                while True:
                    for key in ["import os", "\r", *"os.path.is", "\t", "\t", "\x03"]:
                        terminal.type(key)
                        await pause(0.1)


async def logins(scene: Scene) -> None:
    """Fifty logins by key a second."""

    async def log_in() -> None:
        async with asyncio.timeout(20):
            (await scene.peer.connect(scene.server)).close()

    with scene.watched():
        async with asyncio.TaskGroup() as group:
            for _ in range(int(scene.seconds * 50)):
                group.create_task(log_in())
                await asyncio.sleep(0.02)


async def sleeping(scene: Scene) -> None:
    """A statement sleeps on its worker thread, two seconds at a time."""
    async with _session(scene) as terminal:
        for _ in range(max(1, int(scene.seconds / 2))):
            statement = "import time; time.sleep(2.1)"
            terminal.type(statement)
            await scene.peer.echoed(terminal, statement)
            terminal.type("\r")
            await terminal.wait(lambda: terminal.line == "", "it sleeps")
            with scene.watched():
                await asyncio.sleep(1.9)
            await scene.peer.at_prompt(terminal)


async def stalled(scene: Scene) -> None:
    """A statement prints for ever, and the client does not read."""
    async with _session(scene) as terminal:
        statement = "while True: print(chr(120) * 79)"
        terminal.type(statement)
        await scene.peer.echoed(terminal, statement)
        terminal.channel.pause_reading()
        terminal.type("\r\r")
        await asyncio.sleep(1.0)  # until all buffers in between are full
        with scene.watched():
            await asyncio.sleep(scene.seconds)


async def flooded(scene: Scene) -> None:
    """A hundred megabytes of output, or as much of it as the time allows."""
    async with _session(scene) as terminal:
        statement = "for i in range(10): print(chr(120) * 10000000)"
        terminal.type(statement)
        await scene.peer.echoed(terminal, statement)
        terminal.counting = b"x"
        with scene.watched():
            async with _bounded(max(15.0, scene.seconds * 3)):
                terminal.type("\r\r")
                await terminal.wait(lambda: terminal.counted >= 100_000_000, "100 MB")


@asynccontextmanager
async def _session(scene: Scene) -> AsyncIterator[Any]:
    terminal = await scene.peer.connect(scene.server)
    try:
        yield terminal
    finally:
        terminal.close()


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            yield


SCENES: dict[str, Act] = {
    "idle": idle,
    "typing": typing,
    "50 logins/s": logins,
    "2 s sleep": sleeping,
    "stalled reader": stalled,
    "100 MB": flooded,
}


# ---------------------------------------------------------------- the measurement


async def run(bench: Bench) -> None:
    """Measure, and check the targets."""
    figure, rounds, seconds = bench.figure, bench.count(3, 1), bench.count(5, 2)
    scenes: dict[str, Scene] = {}
    async with (
        bench.server("console_ssh") as (peer, server),
        bench.server("asyncio_echo") as (
            _,
            other,
        ),
    ):
        await typing(Scene(peer, server, 2.0))  # the first key imports the editor
        for turn in range(rounds):
            for name, act in SCENES.items():
                bench.say(f"{name}, {turn + 1} of {rounds}")
                bench.noise.sample()
                scene = scenes.setdefault(name, Scene(peer, server, float(seconds), other))
                await act(scene)
                await asyncio.sleep(0.5)
    for name, scene in scenes.items():
        found, elsewhere = scene.gaps, scene.elsewhere
        figure.add(
            f"console: {name}",
            p50_ms=percentile(found, 50) * 1000,
            p99_ms=percentile(found, 99) * 1000,
            max_ms=max(found) * 1000,
            n=len(found),
            elsewhere_p99_ms=percentile(elsewhere, 99) * 1000,
            elsewhere_max_ms=max(elsewhere) * 1000,
        )
    await _embedded(bench, seconds * 2)
    figure.notes.append(
        "elsewhere: the same heartbeat at the same time in a process without a console. What is"
        " slow there is the machine and the client that makes the load, not the console."
    )
    _targets(bench)


async def _embedded(bench: Bench, seconds: float) -> None:
    """For comparison, peers that also run in the service's process."""
    for name in ("ptpython_telnet", "aiomonitor"):
        async with bench.servers([name]) as servers:
            for peer, server in servers:
                scene = Scene(peer, server, float(seconds))
                try:
                    await typing(Scene(peer, server, 1.0))
                    await typing(scene)
                except (OSError, TimeoutError) as error:
                    bench.miss(peer.name, error)
                    continue
                found = scene.gaps
                bench.figure.add(
                    f"{peer.name}: typing",
                    p50_ms=percentile(found, 50) * 1000,
                    p99_ms=percentile(found, 99) * 1000,
                    max_ms=max(found) * 1000,
                    n=len(found),
                )


def _targets(bench: Bench) -> None:
    figure = bench.figure
    for name in SCENES:
        subject = f"console: {name}"
        p99, most = figure.value(subject, "p99_ms"), figure.value(subject, "max_ms")
        assert p99 is not None
        assert most is not None
        beside = (
            f"{figure.value(subject, 'elsewhere_p99_ms'):.2f},"
            f" {figure.value(subject, 'elsewhere_max_ms'):.1f} ms elsewhere"
        )
        figure.target(
            f"{name}: p99 under 3 ms, largest under 25 ms",
            f"{p99:.2f}, {most:.1f} ms; {beside}",
            met=p99 < 3 and most < 25,
        )
    calm = figure.value("console: idle", "p99_ms") or 0.0
    for name in ("2 s sleep", "stalled reader"):
        p99 = figure.value(f"console: {name}", "p99_ms") or 0.0
        beside = figure.value(f"console: {name}", "elsewhere_p99_ms") or 0.0
        figure.target(
            f"{name}: as idle (p99 within 20 % of idle, or of elsewhere in that moment)",
            f"{p99:.2f} ms, idle {calm:.2f} ms, elsewhere {beside:.2f} ms",
            met=0 < p99 <= max(calm, beside) * 1.2,
        )
