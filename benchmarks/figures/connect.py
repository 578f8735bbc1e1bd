"""Connect, log in, and see the first prompt."""

from __future__ import annotations

from benchmarks.bench import Bench
from benchmarks.measure import median, now, percentile, tree_cpu
from console.auth.passwords import hash_password, verify

TITLE = "Connect to prompt"
CHART = "p50_ms"

PEERS = (
    "console_ssh",
    "console_ssh_line",
    "console_ssh_password",
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


def time_hash() -> float:
    """Return the seconds that the check of a password takes by itself."""
    stored = hash_password("sekrit")
    began = now()
    verify(stored, "sekrit")
    return now() - began


async def run(bench: Bench) -> None:
    """Measure, and check the targets."""
    figure, rounds = bench.figure, bench.count(25, 5)
    async with bench.servers(PEERS) as servers:
        seconds: dict[str, list[float]] = {}
        cpu: dict[str, float] = {}
        hashes = []
        for turn in range(rounds + 1):
            bench.say(f"round {turn} of {rounds}")
            hashes += [time_hash() for _ in range(2)]
            for peer, server in list(servers):
                bench.noise.sample()
                before = tree_cpu(server.pid)
                began = now()
                try:
                    terminal = await peer.connect(server)
                except (OSError, TimeoutError) as error:
                    bench.miss(peer.name, error)
                    servers.remove((peer, server))
                    continue
                taken = now() - began
                used = tree_cpu(server.pid) - before
                terminal.close()
                if turn:  # the first time warms up
                    seconds.setdefault(peer.name, []).append(taken)
                    cpu[peer.name] = cpu.get(peer.name, 0.0) + used
        for name, taken in seconds.items():
            figure.add(
                name,
                p50_ms=median(taken) * 1000,
                p99_ms=percentile(taken, 99) * 1000,
                cpu_ms=cpu[name] / len(taken) * 1000,
                n=len(taken),
            )
    hashing = median(hashes) * 1000
    figure.add("floor: hash of a password", p50_ms=hashing)
    figure.notes.append(
        "SSH clients are asyncssh with curve25519 and ed25519. The peers on telnet and sockets"
        " other than conch have no login."
    )
    figure.ratio_target(
        "public key: p50 under a tenth of ptpython under sshd",
        "p50_ms",
        ours="console, ssh",
        theirs="ptpython, sshd",
        most=0.1,
    )
    theirs = figure.value("ptpython, sshd", "p50_ms") or 0.0
    ours = figure.value("console, ssh, password", "p50_ms") or 0.0
    figure.target(
        "password: p50 under that plus the hash",
        f"{ours:.1f} ms of {theirs / 10:.1f} + {hashing:.1f} ms",
        met=0 < ours <= theirs / 10 + hashing,
    )
