"""Charts as SVG, written by hand: bars need no library."""

from __future__ import annotations

from html import escape

from benchmarks.bench import Figure

_WIDTH, _LABEL, _BAR, _GAP, _TOP = 760, 200, 18, 8, 40
_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
    ' font-family="sans-serif" font-size="12">'
)
_RECT = '<rect x="{x}" y="{y}" width="{width:.1f}" height="{height}" fill="{color}"/>'
_OURS, _FLOOR, _THEIRS = "#2166ac", "#999999", "#d6604d"


def bar_chart(figure: Figure) -> str:
    """Draw one column of a figure: a bar for each subject."""
    rows = [row for row in figure.rows if figure.chart in row.values]
    most = max((row.values[figure.chart] for row in rows), default=1.0) or 1.0
    height = _TOP + len(rows) * (_BAR + _GAP) + 10
    parts = [
        _SVG.format(width=_WIDTH, height=height),
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
        f'<text x="10" y="22" font-size="15">{escape(figure.title)}: {escape(figure.chart)}</text>',
    ]
    for at, row in enumerate(rows):
        value = row.values[figure.chart]
        y = _TOP + at * (_BAR + _GAP)
        width = max(1.0, (_WIDTH - _LABEL - 90) * max(0.0, value) / most)
        middle = y + _BAR - 5
        parts += [
            f'<text x="{_LABEL - 8}" y="{middle}" text-anchor="end">{escape(row.subject)}</text>',
            _RECT.format(x=_LABEL, y=y, width=width, height=_BAR, color=_color(row.subject)),
            f'<text x="{_LABEL + width + 6:.1f}" y="{middle}">{value:,.2f}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _color(subject: str) -> str:
    if subject.startswith("console"):
        return _OURS
    return _FLOOR if subject.startswith("floor") else _THEIRS
