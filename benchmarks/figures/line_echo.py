"""Key to echo with plain lines."""

from benchmarks.bench import Bench
from benchmarks.figures.typing import measure_keys

TITLE = "Key to echo, lines"
CHART = "p50_ms"

PEERS = ("console_ssh_line", "conch_ssh", "python_sshd", "asyncssh_echo")


async def run(bench: Bench) -> None:
    """Measure, and check the target."""
    await measure_keys(bench, PEERS, bench.count(20, 3))
    bench.figure.ratio_target(
        "lines over ssh: p50 at most twice the bare asyncssh echo",
        "p50_ms",
        ours="console, ssh, lines",
        theirs="floor: asyncssh echo",
        most=2,
    )
