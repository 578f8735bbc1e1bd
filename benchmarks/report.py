"""The report: JSON for programs, Markdown for readers, and a chart of each figure."""

from __future__ import annotations

import json
import os
import platform
import time
from dataclasses import asdict
from pathlib import Path

from benchmarks import peers
from benchmarks.bench import Figure
from benchmarks.plots import bar_chart
from benchmarks.processes import Unavailable


def write_report(figures: list[Figure], directory: Path, *, quick: bool, whole: bool) -> str:
    """Write the files; return the table.

    Args:
        figures: The measured figures.
        directory: The directory of the files.
        quick: Whether it was a quick run.
        whole: Whether these are all figures. A part has files of its own, without charts.
    """
    directory.mkdir(parents=True, exist_ok=True)
    about = _about(quick=quick)
    text = "\n".join([*_head(about), *_targets(figures), *_details(figures, whole=whole)]) + "\n"
    name = "results" if whole else "part"
    values = {"about": about, "figures": [asdict(figure) for figure in figures]}
    (directory / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n")
    (directory / f"{name}.md").write_text(text)
    if whole:
        for figure in figures:
            (directory / f"{figure.name}.svg").write_text(bar_chart(figure))
    return text


def _about(*, quick: bool) -> dict[str, object]:
    versions = {}
    for name in peers.NAMES:
        try:
            peer = peers.load(name)
        except Unavailable:
            continue
        if peer.package:
            versions[peer.package] = peer.version
    return {
        "when": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "quick": quick,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "versions": versions,
    }


def _head(about: dict[str, object]) -> list[str]:
    versions = about["versions"]
    assert isinstance(versions, dict)
    packages = ", ".join(f"{name} {version}" for name, version in versions.items())
    quickly = "a quick run" if about["quick"] else "a whole run"
    return [
        "# Results",
        "",
        (
            f"{about['when']}, {quickly}. {about['system']}, {about['cores']} cores,"
            f" Python {about['python']}, {packages}."
        ),
        "How to read this: [../README.md](../README.md).",
        "",
    ]


def _targets(figures: list[Figure]) -> list[str]:
    lines = ["| figure | target | measured | met | noise |", "|---|---|---|---|---|"]
    for figure in figures:
        lines += [
            f"| {figure.name} | {target.text} | {target.figure} |"
            f" {'yes' if target.met else 'NO'} | {figure.noise['spread']:.0%} |"
            for target in figure.targets
        ]
    return [*lines, ""]


def _details(figures: list[Figure], *, whole: bool) -> list[str]:
    lines = []
    for figure in figures:
        noise = figure.noise
        lines += [
            f"## {figure.title}",
            "",
            (
                f"`python -m benchmarks {figure.name}`; noise: a fixed piece of work takes"
                f" {noise['work_ms']:.2f} ms, its slow tenth {noise['spread']:.0%} longer; load"
                f" {noise['load']:.1f}."
            ),
            "",
        ]
        if whole and figure.rows:
            lines += [f"![{figure.title}]({figure.name}.svg)", ""]
        columns = list(dict.fromkeys(name for row in figure.rows for name in row.values))
        if figure.rows:
            lines.append("| | " + " | ".join(columns) + " |")
            lines.append("|---|" + "---:|" * len(columns))
        for row in figure.rows:
            cells = [_number(row.values.get(name)) for name in columns]
            lines.append(f"| {row.subject} | " + " | ".join(cells) + " |")
        lines += ["", *(f"- {note}" for note in figure.notes)]
        lines += [f"- Missing: {name}: {reason}" for name, reason in figure.missing.items()]
        lines.append("")
    return lines


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value == int(value) and abs(value) < 10**9:
        return f"{int(value):,}"
    return f"{value:,.2f}" if abs(value) < 1000 else f"{value:,.0f}"
