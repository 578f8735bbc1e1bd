"""What a figure is made of, and the means to measure one."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Noise, median, percentile, tree_cpu
from benchmarks.peers import Peer, load
from benchmarks.processes import Server, Unavailable
from benchmarks.terminals import Terminal


@dataclass
class Row:
    """What was measured of one subject: values by column, their units in the columns' names."""

    subject: str
    values: dict[str, float]


@dataclass
class Target:
    """What a figure ought to be, and what it is."""

    text: str
    figure: str
    met: bool


@dataclass
class Figure:
    """A measured figure. ``chart`` names the column that is drawn."""

    name: str
    title: str
    chart: str = ""
    rows: list[Row] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    noise: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, subject: str, **values: float) -> None:
        """Add a row."""
        self.rows.append(Row(subject, values))

    def value(self, subject: str, column: str) -> float | None:
        """Return a value; None if the subject could not be measured."""
        for row in self.rows:
            if row.subject == subject:
                return row.values.get(column)
        return None

    def target(self, text: str, figure: str, *, met: bool) -> None:
        """Hold the figure to a target."""
        self.targets.append(Target(text, figure, met))

    def ratio_target(
        self,
        text: str,
        column: str,
        *,
        ours: str,
        theirs: str,
        least: float | None = None,
        most: float | None = None,
    ) -> None:
        """Hold a ratio of the same run to a target.

        Args:
            text: What is wanted.
            column: Of which times.
            ours: A subject.
            theirs: The subject it is compared with.
            least: How many times longer theirs has to take; or
            most: How many times theirs ours may take.
        """
        a, b = self.value(ours, column), self.value(theirs, column)
        if not a or not b:
            self.target(text, "not measured", met=False)
        elif least is not None:
            self.target(text, f"{b / a:.2f} times faster ({a:.2f}, {b:.2f} ms)", met=b / a >= least)
        elif most is not None:
            self.target(text, f"{a / b:.2f} times ({a:.2f}, {b:.2f} ms)", met=a / b <= most)


@dataclass
class Subject:
    """A peer, its server, and a session that is at its prompt."""

    peer: Peer
    server: Server
    terminal: Terminal
    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def name(self) -> str:
        """As in the report."""
        return self.peer.name

    def times(self) -> dict[str, float]:
        """Return the row of what has been measured."""
        return {
            "p50_ms": median(self.seconds) * 1000,
            "p99_ms": percentile(self.seconds, 99) * 1000,
            "cpu_ms": self.cpu / len(self.seconds) * 1000,
            "n": len(self.seconds),
        }

    async def measured(self, work: Callable[[], Awaitable[list[float]]]) -> None:
        """Add the times that ``work`` returns, and the server's processor time for them."""
        before = tree_cpu(self.server.pid)
        # The harness's own collector would run in the middle of somebody's turn.
        gc.collect()
        gc.disable()
        try:
            self.seconds.extend(await work())
        finally:
            gc.enable()
        self.cpu += tree_cpu(self.server.pid) - before


class Bench:
    """Starts servers, opens sessions, and takes note of those that are not to be had."""

    def __init__(self, figure: Figure, *, quick: bool) -> None:
        self.figure = figure
        self.quick = quick
        self.noise = Noise()
        self.directory = Path(tempfile.mkdtemp(prefix="bench-"))

    def count(self, whole: int, quick: int) -> int:
        """Return how often to measure."""
        return quick if self.quick else whole

    def say(self, text: str) -> None:
        """Tell the person who waits."""
        print(f"  {self.figure.name}: {text}", file=sys.stderr, flush=True)

    @asynccontextmanager
    async def server(self, name: str) -> AsyncIterator[tuple[Peer, Server]]:
        """Start a peer's server, and end it.

        Raises:
            Unavailable: If there is none.
        """
        peer = load(name)
        directory = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.directory))
        server = await peer.start(directory)
        try:
            yield peer, server
        finally:
            server.close()

    @asynccontextmanager
    async def servers(self, names: Sequence[str]) -> AsyncIterator[list[tuple[Peer, Server]]]:
        """Start the servers of those peers that are to be had."""
        async with contextlib.AsyncExitStack() as stack:
            found = []
            for name in names:
                try:
                    found.append(await stack.enter_async_context(self.server(name)))
                except (Unavailable, OSError, TimeoutError) as error:
                    self.miss(name, error)
            yield found

    @asynccontextmanager
    async def sessions(self, names: Sequence[str]) -> AsyncIterator[list[Subject]]:
        """Open a session with each of those peers that are to be had."""
        async with self.servers(names) as servers:
            subjects = []
            try:
                for peer, server in servers:
                    try:
                        terminal = await peer.connect(server)
                    except (OSError, TimeoutError) as error:
                        self.miss(peer.name, error)
                    else:
                        subjects.append(Subject(peer, server, terminal))
                yield subjects
            finally:
                for subject in subjects:
                    subject.terminal.close()

    def miss(self, name: str, error: Exception) -> None:
        """Take note of a peer that cannot be measured."""
        reason = (str(error) or type(error).__name__).splitlines()[0].removesuffix("; the screen:")
        self.figure.missing[name] = reason
        self.say(f"{name} is missing: {reason}")

    def close(self) -> None:
        """Remove what the servers left."""
        self.figure.noise = self.noise.summary()
        shutil.rmtree(self.directory, ignore_errors=True)


async def pause(seconds: float = 0.02) -> None:
    """Wait as a person does between keys, so that what a server does behind a key has its time."""
    await asyncio.sleep(seconds)
