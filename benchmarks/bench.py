"""Figures, and the means to measure one."""

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
    """The values of one subject by column; a column's name has the unit."""

    subject: str
    values: dict[str, float]


@dataclass
class Target:
    """A target of a figure, and whether it is met."""

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
        """Add a target."""
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
        """Add a target for the ratio of two subjects of the same run.

        Args:
            text: The target's text.
            column: The column of the times.
            ours: A subject.
            theirs: The subject that it is compared with.
            least: The least ratio of theirs to ours; or
            most: The largest ratio of ours to theirs.
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
    """A peer, its server, and an open session at its prompt."""

    peer: Peer
    server: Server
    terminal: Terminal
    seconds: list[float] = field(default_factory=list)
    cpu: float = 0.0

    @property
    def name(self) -> str:
        """The name in the report."""
        return self.peer.name

    def times(self) -> dict[str, float]:
        """Return the measured row."""
        return {
            "p50_ms": median(self.seconds) * 1000,
            "p99_ms": percentile(self.seconds, 99) * 1000,
            "cpu_ms": self.cpu / len(self.seconds) * 1000,
            "n": len(self.seconds),
        }

    async def measured(self, work: Callable[[], Awaitable[list[float]]]) -> None:
        """Add the times that ``work`` returns, and the server's processor time for them."""
        before = tree_cpu(self.server.pid)
        # The harness's garbage collector would run within a measurement.
        gc.collect()
        gc.disable()
        try:
            self.seconds.extend(await work())
        finally:
            gc.enable()
        self.cpu += tree_cpu(self.server.pid) - before


class Bench:
    """Starts servers, opens sessions, and notes peers that are not available."""

    def __init__(self, figure: Figure, *, quick: bool) -> None:
        self.figure = figure
        self.quick = quick
        self.noise = Noise()
        self.directory = Path(tempfile.mkdtemp(prefix="bench-"))

    def count(self, whole: int, quick: int) -> int:
        """Return how often to measure."""
        return quick if self.quick else whole

    def say(self, text: str) -> None:
        """Print progress on stderr."""
        print(f"  {self.figure.name}: {text}", file=sys.stderr, flush=True)

    @asynccontextmanager
    async def server(self, name: str) -> AsyncIterator[tuple[Peer, Server]]:
        """Start a peer's server, and stop it after the block.

        Raises:
            Unavailable: If it cannot be started here.
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
        """Start the servers of the available peers."""
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
        """Open a session with each available peer."""
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
        """Note a peer that cannot be measured."""
        reason = (str(error) or type(error).__name__).splitlines()[0].removesuffix("; the screen:")
        self.figure.missing[name] = reason
        self.say(f"{name} is missing: {reason}")

    def close(self) -> None:
        """Remove the servers' files."""
        self.figure.noise = self.noise.summary()
        shutil.rmtree(self.directory, ignore_errors=True)


async def pause(seconds: float = 0.02) -> None:
    """Wait as a user does between keys: a server may have work to do after each key."""
    await asyncio.sleep(seconds)
