"""Enter to the result of ``1+1`` and the next prompt."""

from __future__ import annotations

from benchmarks.bench import Bench, Subject, pause
from benchmarks.figures.typing import clear, type_keys
from benchmarks.measure import now

TITLE = "Enter to the result of 1+1"
CHART = "p50_ms"

PEERS = (
    "console_ssh",
    "console_telnet",
    "console_ssh_line",
    "console_nc",
    "ptpython_sshd",
    "python_sshd",
    "ptpython_telnet",
    "conch_ssh",
    "conch_telnet",
    "aiomonitor",
    "aioconsole",
    "manhole",
    "asyncssh_echo",
)


async def enter(subject: Subject) -> list[float]:
    """Run statements with distinct results; return their times."""
    if not subject.peer.evaluates:
        taken = await type_keys(subject, "12")
        await clear(subject)
        return taken
    return [await _run(subject, f"1+{number}", f"{1 + number}") for number in (1, 2, 3)]


async def _run(subject: Subject, statement: str, result: str) -> float:
    terminal, peer = subject.terminal, subject.peer

    def answered() -> bool:
        # ptpython leaves an empty line below a result; without an echo it is at the prompt.
        above = {terminal.above(1), terminal.above(2)}
        return peer.shows(terminal, "") and bool(above & {result, f"{peer.prompt}{result}"})

    await pause()
    if peer.echoes:
        terminal.type(statement)
        await peer.echoed(terminal, statement)
    await pause()
    began = now()
    terminal.type("\r" if peer.echoes else f"{statement}\n")
    return await terminal.wait(answered, f"the result of {statement}") - began


async def run(bench: Bench) -> None:
    """Measure, and check the targets."""
    rounds = bench.count(40, 8)
    async with bench.sessions(PEERS) as subjects:
        for subject in list(subjects):
            try:
                for _ in range(2):
                    await enter(subject)
            except (TimeoutError, ConnectionError) as error:
                bench.miss(subject.name, error)
                subjects.remove(subject)
        bench.say(f"{rounds} rounds")
        for turn in range(rounds):
            at = turn % len(subjects)
            for subject in subjects[at:] + subjects[:at]:
                bench.noise.sample(1)
                await subject.measured(lambda one=subject: enter(one))
        for subject in subjects:
            bench.figure.add(subject.name, **subject.times())
    figure = bench.figure
    figure.notes.append(
        "The floor is one key and its echo. CPU includes that of the statement's echo."
    )
    ours, floor = (
        figure.value(name, "p50_ms") for name in ("console, ssh, lines", "floor: asyncssh echo")
    )
    over = (ours or 0.0) - (floor or 0.0)
    figure.target(
        "lines over ssh: p50 at most 3 ms over the floor, a bare asyncssh echo",
        f"{over:.2f} ms over",
        met=bool(ours and floor) and over <= 3,
    )
    figure.ratio_target(
        "full-screen over ssh: p50 at least 3 times faster than ptpython under sshd",
        "p50_ms",
        ours="console, ssh",
        theirs="ptpython, sshd",
        least=3,
    )
