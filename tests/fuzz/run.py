"""Fuzzing of all parsers of peers' input: ``python -m fuzz.run --seconds 60 [--target telnet]``.

Inputs are made from those in ``corpus/`` and from each target's tokens (``targets.py``): by
atheris, guided by coverage, if it is installed (``pip install atheris``), otherwise by a mutator of
our own. An input that violates a property is kept in the corpus, and each run of the tests repeats
it.
"""

import argparse
import hashlib
import importlib.util
import random
import signal
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")

SECONDS_OF_BASE, SECONDS_OF_BYTE = 0.2, 100e-6
"""The most that a check may take. It reads its input two or three times, telnetlib3 takes up to
7 us for a byte, and coverage makes it ten times slower."""

MEMORY_OF_BASE, MEMORY_OF_BYTE = 2 * 1024 * 1024, 200
"""The peak of memory: a character in a list takes some dozen bytes, and a check keeps copies."""

INPUT_BYTES = 4096
PRESSED_BYTES = 64 * 1024
HANGING_SECONDS = 60

PRESS_EACH = 100
"""One input in so many is repeated until it is long: that shows a time that is not linear."""


class Finding(Exception):
    """A property does not hold."""


def check(target, data, *, patience=1.0):
    """Check an input and its time. Raises Finding.

    A slow input is measured three times: a garbage collection may have run.
    """
    allowed = patience * (SECONDS_OF_BASE + SECONDS_OF_BYTE * len(data))
    for _ in range(3):
        before = time.process_time()
        try:
            target.check(data)
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            raise Finding(f"{target.name}: {told}: {data[:500]!r}") from error
        seconds = time.process_time() - before
        if seconds <= allowed:
            return
    raise Finding(f"{target.name}: {len(data)} bytes took {seconds:.2f} s: {data[:200]!r}")


def press(target, data, *, patience=1.0):
    """Check an input repeated until it is long, and the memory that it takes."""
    long = (data or b"\0") * (PRESSED_BYTES // max(1, len(data)))
    check(target, long, patience=patience)
    tracemalloc.start()
    try:
        target.check(long)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    if peak > MEMORY_OF_BASE + MEMORY_OF_BYTE * len(long):
        raise Finding(f"{target.name}: {len(long)} bytes took {peak} of memory: {data[:200]!r}")


# ---- our own mutator


def corpus_of(target):
    """Return a target's corpus, in a fixed order."""
    folder = CORPUS / target.name.replace(" ", "_")
    return [path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()]


class Mutator:
    """Makes inputs: the same ones for the same seed."""

    def __init__(self, target, seed):
        self._random = random.Random(seed)
        self._tokens = target.tokens
        self._seeds = corpus_of(target) or [b""]

    def make(self):
        """Make an input from others, or from tokens alone."""
        rng = self._random
        data = bytearray(rng.choice(self._seeds) if rng.random() < 0.5 else b"")
        for _ in range(rng.choice((1, 2, 4, 8, 32))):
            at = rng.randint(0, len(data))
            match rng.randrange(8):
                case 0 | 1 | 2:
                    data[at:at] = rng.choice(self._tokens)
                case 3:
                    data[at : at + rng.randint(1, 8)] = b""
                case 4:
                    data[at : at + 1] = rng.randbytes(1)
                case 5:
                    data[at:at] = rng.randbytes(rng.randint(1, 16))
                case 6:
                    part = data[at : at + rng.randint(1, 64)]
                    data[at:at] = part * rng.choice((1, 2, 10))
                case 7:
                    other = rng.choice(self._seeds)
                    data[at:] = other[rng.randint(0, len(other)) :]
        return bytes(data[:INPUT_BYTES])


def mutate(target, seconds, seed):
    """Check inputs for some time; return how many. Raises Finding."""
    mutator = Mutator(target, seed)
    deadline = time.monotonic() + seconds
    count = 0
    for data in corpus_of(target):
        check(target, data)
    signal.signal(signal.SIGALRM, _hangs)
    while time.monotonic() < deadline:
        data = mutator.make()
        count += 1
        signal.alarm(HANGING_SECONDS)
        try:
            check(target, data)
            if count % PRESS_EACH == 0:
                press(target, data)
        except Finding:
            print(f"kept: {keep(target, data)}", file=sys.stderr)
            raise
        finally:
            signal.alarm(0)
    return count


def _hangs(*_):
    raise Finding(f"not done after {HANGING_SECONDS} s")


def keep(target, data):
    """Keep an input that violates a property."""
    folder = CORPUS / target.name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"finding-{hashlib.sha256(data).hexdigest()[:12]}"
    path.write_bytes(data)
    return path


# ---- atheris


def fuzz_by_atheris(name, seconds, seed):
    """Fuzz one target by coverage; libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["console", "telnetlib3", "fuzz_targets"]):
        from fuzz.targets import TARGETS
    target = TARGETS[name]

    def one(data):
        try:
            check(target, data, patience=10)
            if zlib.crc32(data) % (10 * PRESS_EACH) == 0:  # slow, where each line is counted
                press(target, data, patience=10)
        except Finding:
            print(f"kept: {keep(target, data)}", file=sys.stderr)
            raise

    places = [CORPUS.parent.parent / "build" / "fuzz" / name.replace(" ", "_")]
    places += [folder for folder in [CORPUS / name.replace(" ", "_")] if folder.is_dir()]
    places[0].mkdir(parents=True, exist_ok=True)
    dictionary = places[0].parent / f"{places[0].name}.dict"
    dictionary.write_text(
        "".join('"' + "".join(f"\\x{b:02x}" for b in token) + '"\n' for token in target.tokens)
    )
    options = {
        "max_total_time": int(seconds),
        "max_len": INPUT_BYTES,
        "seed": seed,
        "rss_limit_mb": 2048,
        "timeout": 20,
        "print_final_stats": 1,
        "dict": dictionary,
        "artifact_prefix": f"{places[0].parent}/",
    }
    arguments = [f"-{option}={value}" for option, value in options.items()]
    atheris.Setup([sys.argv[0], *arguments, *map(str, places)], one)
    atheris.Fuzz()


# ---- the command


def main():
    parser = argparse.ArgumentParser(description="Fuzz the parsers of unauthenticated input.")
    parser.add_argument("--seconds", type=float, default=60, help="in all (60)")
    parser.add_argument("--target", help="only this one")
    parser.add_argument("--seed", type=int, default=random.randrange(2**31), help="for a rerun")
    parser.add_argument("--engine", choices=["atheris", "mutator"])
    arguments = parser.parse_args()
    engine = arguments.engine or ("atheris" if importlib.util.find_spec("atheris") else "mutator")
    if engine == "atheris" and arguments.target:
        fuzz_by_atheris(arguments.target, arguments.seconds, arguments.seed)
        return 0
    from fuzz.targets import TARGETS

    names = [arguments.target] if arguments.target else list(TARGETS)
    share = arguments.seconds / len(names)
    failed = False
    for name in names:
        if engine == "atheris":
            # libFuzzer ends the process that it runs in, so each target gets one.
            options = ["--target", name, "--seconds", str(share), "--seed", str(arguments.seed)]
            command = [sys.executable, "-m", "fuzz.run", "--engine", "atheris", *options]
            failed |= subprocess.run(command, check=False).returncode != 0
            continue
        try:
            count = mutate(TARGETS[name], share, arguments.seed)
        except Finding as finding:
            failed = True
            print(f"{name}: {finding}")
        else:
            print(f"{name}: {count} inputs, nothing found (--seed {arguments.seed})")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
