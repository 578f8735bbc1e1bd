"""Type keys, and wait for the echo of each on the emulated screen."""

from __future__ import annotations

from benchmarks.bench import Bench, Subject, pause
from benchmarks.measure import now

LINE = "value = [index for index in range(10)]"
"""Names, brackets, a keyword, a builtin: work for a highlighter and a completer."""


async def type_keys(subject: Subject, text: str) -> list[float]:
    """Type a line at an empty prompt, key by key; return the seconds of each key."""
    terminal, typed, taken = subject.terminal, "", []
    for key in text:
        typed += key
        await pause()
        began = now()
        terminal.type(key)
        taken.append(await subject.peer.echoed(terminal, typed) - began)
    return taken


async def clear(subject: Subject) -> None:
    """Empty the line. An echo server has no such key: its screen begins a new line."""
    if subject.peer.evaluates:
        subject.terminal.type(subject.peer.clear)
        await subject.peer.at_prompt(subject.terminal)
    else:
        subject.terminal.type("\r\n")
        await subject.peer.at_prompt(subject.terminal)


async def first_key(subject: Subject) -> float:
    """Type one key and erase it; return the seconds of its echo."""
    taken = await type_keys(subject, "v")
    await clear(subject)
    return taken[0]


async def measure_keys(bench: Bench, names: tuple[str, ...], rounds: int) -> None:
    """Type lines at each peer in turn; add a row for each."""
    async with bench.sessions(names) as subjects:
        firsts = {subject.name: await first_key(subject) for subject in subjects}
        for subject in subjects:  # caches fill, and lazy imports come
            await type_keys(subject, LINE)
            await clear(subject)
        for turn in range(rounds):
            bench.say(f"round {turn + 1} of {rounds}")
            # Another one begins each time.
            at = turn % len(subjects)
            for subject in subjects[at:] + subjects[:at]:
                bench.noise.sample()
                await subject.measured(lambda one=subject: type_keys(one, LINE))
                await clear(subject)
        for subject in subjects:
            bench.figure.add(subject.name, **subject.times(), first_ms=firsts[subject.name] * 1000)
