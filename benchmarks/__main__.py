"""``python -m benchmarks [FIGURE...] [--quick]``: measure, and write the report."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import sys
import traceback
from pathlib import Path

from benchmarks import figures
from benchmarks.bench import Bench, Figure
from benchmarks.measure import now
from benchmarks.report import write_report

RESULTS = Path(__file__).parent / "results"


def measure(name: str, *, quick: bool) -> Figure:
    """Measure one figure. An error is reported, and does not stop the other figures."""
    module = importlib.import_module(f"benchmarks.figures.{name}")
    figure = Figure(name, module.TITLE, module.CHART)
    print(f"{figure.title} ({name})", file=sys.stderr, flush=True)
    bench = Bench(figure, quick=quick)
    began = now()
    try:
        asyncio.run(module.run(bench))
    except Exception as error:  # noqa: BLE001 - reported; the next figure is measured
        traceback.print_exc()
        reason = (str(error) or type(error).__name__).splitlines()[0]
        figure.target("the figure is measured", f"failed: {reason}", met=False)
    finally:
        bench.close()
        figure.seconds = now() - began
    return figure


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "figures", nargs="*", metavar="FIGURE", help=f"of: {', '.join(figures.NAMES)}; all"
    )
    parser.add_argument("--quick", action="store_true", help="fewer rounds: under five minutes")
    parser.add_argument("--output", type=Path, default=RESULTS, help="a directory")
    options = parser.parse_args()
    unknown = set(options.figures) - set(figures.NAMES)
    if unknown:
        parser.error(f"unknown figure: {', '.join(sorted(unknown))}")
    measured = [measure(name, quick=options.quick) for name in options.figures or figures.NAMES]
    whole = not options.figures
    print(write_report(measured, options.output, quick=options.quick, whole=whole))
    return 0


sys.exit(main())
