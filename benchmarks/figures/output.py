"""Output: ten megabytes at once, and line by line."""

from __future__ import annotations

import asyncio

from benchmarks.bench import Bench, Subject
from benchmarks.measure import median, now
from benchmarks.openssh import Openssh
from benchmarks.processes import Server

TITLE = "Output"
CHART = "string_MB_s"

STRING = "print(chr(120) * 10000000)"
LINES = "_ = [print(chr(120) * 79) for i in range(131072)]"
"""The statements contain no x: the x of the output are counted."""

CASES = (("string", STRING, 10_000_000), ("lines", LINES, 131_072 * 79))

PEERS = (
    "console_ssh",
    "console_ssh_line",
    "console_telnet",
    "console_nc",
    "ptpython_sshd",
    "python_sshd",
    "ptpython_telnet",
    "conch_ssh",
    "conch_telnet",
    "aiomonitor",
    "aioconsole",
    "manhole",
)


async def receive(
    subject: Subject, statement: str, expected: int, patience: float
) -> tuple[float, int]:
    """Run a statement; return the seconds until all output arrived, and the count."""
    terminal, peer = subject.terminal, subject.peer
    if peer.echoes:
        terminal.type(statement)
        await peer.echoed(terminal, statement)
    terminal.counted, terminal.counting = 0, b"x"
    began = now()
    terminal.type("\r" if peer.echoes else f"{statement}\n")
    try:
        seconds = (
            await terminal.wait(lambda: terminal.counted >= expected, seconds=patience) - began
        )
        await asyncio.sleep(0.2)  # nothing must come twice
    except TimeoutError:
        seconds = now() - began
    return seconds, terminal.counted


async def run(bench: Bench) -> None:
    """Measure, and check the targets."""
    figure, rounds = bench.figure, bench.count(3, 1)
    patience = bench.count(30, 5)
    async with bench.servers(PEERS) as servers:
        rates: dict[str, dict[str, list[float]]] = {}
        complete: dict[str, bool] = {}
        for turn in range(rounds):
            bench.say(f"round {turn + 1} of {rounds}")
            for peer, server in servers:
                for case, statement, expected in CASES:
                    if complete.get(peer.name) is False:
                        continue  # it was too slow or lost something: once is enough
                    bench.noise.sample()
                    try:
                        terminal = await peer.connect(server)
                        seconds, count = await receive(
                            Subject(peer, server, terminal), statement, expected, patience
                        )
                    except (OSError, TimeoutError) as error:
                        bench.miss(f"{peer.name}, {case}", error)
                        continue
                    terminal.close()
                    complete[peer.name] = count == expected
                    row = rates.setdefault(peer.name, {})
                    row.setdefault(case, []).append(min(count, expected) / 1e6 / seconds)
            await _openssh(servers[0][1], rates, complete)
        for name, row in rates.items():
            values = {f"{case}_MB_s": median(found) for case, found in row.items()}
            figure.add(name, **values, complete=float(complete[name]))
    figure.notes.append(
        f"Complete is 0 where it took over {patience} s, or where some of it was dropped."
        " The ssh rows share an"
        " asyncssh client, whose decryption is in the figure; the openssh row is a C client."
    )
    for name in ("console, ssh", "console, telnet", "console, openssh exec"):
        for case, least in (("string", 50), ("lines", 10)):
            rate = figure.value(name, f"{case}_MB_s") or 0.0
            whole = bool(figure.value(name, "complete"))
            figure.target(
                f"{name}: {case} at least {least} MB/s, complete",
                f"{rate:.1f} MB/s{'' if whole else ', incomplete'}",
                met=rate >= least and whole,
            )


async def _openssh(
    server: Server, rates: dict[str, dict[str, list[float]]], complete: dict[str, bool]
) -> None:
    """Receive by ``ssh host 'statement'``, over a master connection."""
    name = "console, openssh exec"
    client = Openssh(server.facts["ssh"], server.directory.parent / "id", "boss")
    await client.start_master()
    try:
        for case, statement, expected in CASES:
            seconds, count = await client.count(statement, b"x")
            complete[name] = complete.get(name, True) and count == expected
            rates.setdefault(name, {}).setdefault(case, []).append(count / 1e6 / seconds)
    finally:
        client.close()
