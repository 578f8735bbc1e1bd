"""The memory of an idle session, and the memory left after a thousand logins."""

from __future__ import annotations

from benchmarks.bench import Bench, pause
from benchmarks.measure import tree_memory
from benchmarks.peers import Peer
from benchmarks.processes import Server, Unavailable
from benchmarks.terminals import Terminal

TITLE = "Memory of an idle session"
CHART = "used_KB"

PEERS = (
    "console_ssh",
    "console_ssh_line",
    "console_telnet",
    "ptpython_telnet",
    "conch_ssh",
    "asyncssh_echo",
    "ptpython_sshd",
    "python_sshd",
)
_FEW = ("ptpython_sshd", "python_sshd", "ptpython_telnet")
"""Fewer sessions suffice for these: under sshd a session is processes of its own, and stock
ptpython takes a thread of the host's default executor for each prompt, so the seventh waits."""


async def use(peer: Peer, terminal: Terminal) -> None:
    """Run a statement."""
    if not peer.evaluates:
        terminal.type("foo")
        await peer.echoed(terminal, "foo")
        return
    terminal.type("1+2")
    await peer.echoed(terminal, "1+2")
    await pause()
    terminal.type("\r")
    await terminal.wait(
        lambda: peer.shows(terminal, "") and "3" in {terminal.above(1), terminal.above(2)},
        f"the result of {peer.name}",
    )


def held(server: Server) -> int:
    """Return the server's memory in bytes; a host runs its garbage collector first."""
    if "user" not in server.facts:
        server.ask("memory")
    return tree_memory(server.pid)


async def measure(bench: Bench, name: str, count: int) -> None:
    """Open sessions, measure, use them, and measure again."""
    async with bench.server(name) as (peer, server):
        # The first two sessions load the lazy imports and fill the caches.
        terminals = []
        try:
            for _ in range(2):
                terminals.append(await peer.connect(server))
                await use(peer, terminals[-1])
            before = held(server)
            terminals += [await peer.connect(server) for _ in range(count)]
            idle = (held(server) - before) / count
            for terminal in terminals[2:]:
                await use(peer, terminal)
            used = (held(server) - before) / count
        finally:
            for terminal in terminals:
                terminal.close()
        bench.figure.add(
            peer.name, idle_KB=idle / 1024, used_KB=used / 1024, process_MB=before / 2**20, n=count
        )


async def log_in_often(bench: Bench, times: int) -> None:
    """Log in, run a statement and leave, many times; add a row for the memory that is left."""
    async with bench.server("console_ssh") as (peer, server):
        begin = end = 0
        warm = max(100, times // 5)  # the allocator's own growth
        for number in range(warm + times):
            if number == warm:
                begin = held(server)
            terminal = await peer.connect(server)
            await use(peer, terminal)
            terminal.close()
            if number % 100 == 99:
                bench.say(f"login {number + 1} of {warm + times}")
        await pause(1.0)
        end = held(server)
    left = (end - begin) / 1024
    bench.figure.add("console, ssh, after logins", left_KB=left, per_login_KB=left / times, n=times)
    if bench.quick:
        return  # the allocator's own swings are larger than what so few logins could leave
    bench.figure.target(
        f"flat after {times} logins: under 1 KB each is left",
        f"{left / times:.2f} KB",
        met=left / times < 1,
    )


async def run(bench: Bench) -> None:
    """Measure, and check the targets."""
    for name in PEERS:
        bench.say(name)
        bench.noise.sample()
        try:
            await measure(bench, name, bench.count(4, 3) if name in _FEW else bench.count(100, 40))
        except (Unavailable, OSError, TimeoutError) as error:
            bench.miss(name, error)
    figure = bench.figure
    for column, most, text in (
        ("idle_KB", 60, "logged in: at most 60 KB"),
        ("used_KB", 700, "after first use: at most 700 KB"),
    ):
        value = figure.value("console, ssh", column)
        figure.target(
            text,
            "not measured" if value is None else f"{value:.0f} KB",
            met=value is not None and value <= most,
        )
    figure.notes.append(
        "PSS of the server's processes: shared pages count in parts. process_MB is with two"
        " sessions. Under sshd each session is processes of its own."
    )
    await log_in_often(bench, bench.count(1000, 100))
