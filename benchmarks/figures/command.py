"""``ssh host 'foo'``: the whole client process."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from benchmarks.bench import Bench
from benchmarks.measure import median, percentile
from benchmarks.openssh import Openssh
from benchmarks.peers.sshd import start_sshd

TITLE = "ssh host 'foo', the whole process"
CHART = "p50_ms"

Run = Callable[[], Coroutine[Any, Any, float]]


async def run(bench: Bench) -> None:
    """Measure, and check the targets."""
    figure, rounds = bench.figure, bench.count(40, 10)
    sshd = await start_sshd(Path(tempfile.mkdtemp(prefix="sshd-", dir=bench.directory)))
    clients: list[Openssh] = []
    try:
        async with bench.server("console_ssh") as (_, server):
            places = (
                ("console 'foo'", "foo", b"12\n", server, "boss"),
                ("sshd 'true'", "true", b"", sshd, sshd.facts["user"]),
            )
            runs: dict[str, Run] = {}
            for name, command, expected, where, user in places:
                client = Openssh(where.facts["ssh"], where.directory.parent / "id", user)
                clients.append(client)
                await client.start_master()
                runs[f"{name}, direct"] = _bind(client, command, expected, master=False)
                runs[f"{name}, master"] = _bind(client, command, expected, master=True)
            await _measure(bench, runs, rounds)
    finally:
        for client in clients:
            client.close()
        sshd.close()
    for way, text in (("direct", "direct"), ("master", "over ControlMaster")):
        figure.ratio_target(
            f"{text}: p50 within 20 % of `true` under sshd",
            "p50_ms",
            ours=f"console 'foo', {way}",
            theirs=f"sshd 'true', {way}",
            most=1.2,
        )


def _bind(client: Openssh, command: str, expected: bytes, *, master: bool) -> Run:
    return lambda: client.run(command, expected, master=master)


async def _measure(bench: Bench, runs: dict[str, Run], rounds: int) -> None:
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, one in runs.items():
            bench.noise.sample()
            taken = await one()
            if turn:  # the first time warms up
                seconds[name].append(taken)
    for name, taken_all in seconds.items():
        bench.figure.add(
            name,
            p50_ms=median(taken_all) * 1000,
            p99_ms=percentile(taken_all, 99) * 1000,
            n=len(taken_all),
        )
