"""Make the attacks of the tests, and print what each did to the service: a Markdown table.

``python -m attacks.report [--only flood] [--brief]``. The status is 1 if a bound was violated.
"""

import argparse
import os
import platform
import sys
import tempfile
from pathlib import Path

from attacks import all_attacks as attacks
from attacks.harness import ATTACKS, GAP_SECONDS, HEARTBEAT_SECONDS, MIB, Target, measure

HEADS = ("attack", "tries", "longest gap", "memory", "left", "log", "next login", "outcome")


def row(attack, target):
    """Make an attack; return the cells of its row, and whether all bounds held."""
    try:
        outcome = measure(attack, target)
    except AssertionError as error:
        told = " ".join(str(error).split())[:100] or "a check failed"
        return [attack.name, *[""] * (len(HEADS) - 2), f"**got through: {told}**"], False
    problems = outcome.problems(attack)
    numbers = (
        str(outcome.tries),
        f"{outcome.gap_seconds * 1000:.0f} ms",
        f"{outcome.peak_bytes / MIB:.1f} MiB",
        f"{outcome.growth_bytes / MIB:+.1f} MiB",
        f"{len(outcome.warnings)} lines",
        f"{outcome.login_seconds:.2f} s",
    )
    told = f"**{'; '.join(problems)[:100]}**" if problems else "; ".join(("held", *outcome.notes))
    return [attack.name, *numbers, told], not problems


def line(cells):
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def summary(name, rows):
    """Return one row for several attacks: the worst of each number."""
    numbers = [cells[1:7] for cells, _ in rows if cells[1]]
    worst = [max((cells[at] for cells in numbers), key=_number, default="") for at in range(6)]
    if numbers:
        worst[0] = str(sum(int(cells[0]) for cells in numbers))
    held = sum(harmless for _, harmless in rows)
    return [f"{name} ({len(rows)})", *worst, f"{held} of {len(rows)} held"]


def _number(cell):
    return float(cell.split()[0])


def main():
    parser = argparse.ArgumentParser(description="Make the attacks of the tests.")
    parser.add_argument("--only", default="", help="those that have this in their names")
    parser.add_argument("--brief", action="store_true", help="a row for each kind")
    arguments = parser.parse_args()
    chosen = [each for name, each in ATTACKS.items() if arguments.only in name]
    kinds = {}
    print(
        f"Python {platform.python_version()}, {os.cpu_count()} cores. The service's own timer runs"
        f" each {HEARTBEAT_SECONDS * 1000:g} ms; a gap of more than {GAP_SECONDS * 1000:g} ms is"
        " harm. Memory is that of the service at the worst moment, and what was left of it."
        " The next login is another user's, from another address, by telnet.\n"
    )
    print(line(HEADS))
    print(line(["---", *["---:"] * 6, "---"]))
    with (
        tempfile.TemporaryDirectory() as directory,
        Target(Path(directory) / "target") as target,
    ):
        for attack in chosen:
            cells, harmless = row(attack, target)
            kind = attack.name.partition(":")[0]
            kinds.setdefault(kind, []).append((cells, harmless))
            if not arguments.brief:
                print(line(cells), flush=True)
            if not target.alive:
                sys.exit(f"the service has ended:\n{target.stderr[-2000:]}")
    if arguments.brief:
        for kind, rows in kinds.items():
            print(line(summary(kind, rows)))
    held = [harmless for rows in kinds.values() for _, harmless in rows]
    print(f"\n{sum(held)} of {len(held)} held.")
    return int(not all(held))


if __name__ == "__main__":
    assert attacks
    sys.exit(main())
