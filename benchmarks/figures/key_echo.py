"""Key to echo with the full-screen editors."""

from benchmarks.bench import Bench
from benchmarks.figures.typing import measure_keys

TITLE = "Key to echo, full-screen"
CHART = "p50_ms"

PEERS = (
    "console_ssh",
    "console_telnet",
    "ptpython_sshd",
    "ptpython_telnet",
    "ptpython_asyncssh",
    "conch_ssh",
    "conch_telnet",
    "aiomonitor",
    "asyncssh_echo",
    "asyncio_echo",
)


async def run(bench: Bench) -> None:
    """Measure, and check the targets."""
    await measure_keys(bench, PEERS, bench.count(20, 3))
    figure = bench.figure
    figure.notes.append(
        "first_ms: the very first key of the first session. conch and aiomonitor edit plain lines."
    )
    for ours in ("console, ssh", "console, telnet"):
        for column, least in (("p50_ms", 3), ("p99_ms", 8)):
            figure.ratio_target(
                f"{ours}: {column[:3]} at least {least} times faster than ptpython under sshd",
                column,
                ours=ours,
                theirs="ptpython, sshd",
                least=least,
            )
        cpu = figure.value(ours, "cpu_ms") or 0.0
        figure.target(f"{ours}: CPU a key at most 3 ms", f"{cpu:.2f} ms", met=0 < cpu <= 3)
    figure.ratio_target(
        "console, ssh: p50 at most 1.5 times the bare asyncssh echo",
        "p50_ms",
        ours="console, ssh",
        theirs="floor: asyncssh echo",
        most=1.5,
    )
