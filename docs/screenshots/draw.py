"""Draws a terminal's screen as an SVG: its cells, their colours, the cursor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby

import pyte
from pyte.screens import Char

# A cell of a font of 14 units: most fixed-width fonts are 0.6 em wide.
SIZE, WIDTH, HEIGHT = 14, 8.4, 19
MARGIN = 14
FONTS = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"

GROUND, TEXT, EDGE = "#1c2128", "#cdd9e5", "#444c56"
COLOURS = {
    "black": "#545d68",
    "red": "#f47067",
    "green": "#57ab5a",
    "brown": "#c69026",
    "blue": "#539bf5",
    "magenta": "#b083f0",
    "cyan": "#39c5cf",
    "white": "#909dab",
    "brightblack": "#768390",
    "brightred": "#ff938a",
    "brightgreen": "#6bc46d",
    "brightbrown": "#daaa3f",
    "brightblue": "#6cb6ff",
    "brightmagenta": "#dcbdfb",
    "bfightmagenta": "#dcbdfb",  # as pyte spells it
    "brightcyan": "#56d4dd",
    "brightwhite": "#ffffff",
}


@dataclass(frozen=True)
class Look:
    """The look of neighbouring cells that are drawn together."""

    text: str
    ground: str
    bold: bool
    italics: bool
    underscore: bool


def look(cell: Char) -> Look:
    """Return how a cell looks."""
    text, ground = colour(cell.fg, TEXT), colour(cell.bg, GROUND)
    if cell.reverse:
        text, ground = ground, text
    return Look(text, ground, cell.bold, cell.italics, cell.underscore)


def colour(name: str, default: str) -> str:
    """Return a colour by pyte's name, or by its number."""
    return default if name == "default" else COLOURS.get(name, f"#{name}")


def lines_of(screen: pyte.Screen) -> list[list[Char]]:
    """Return the cells of the rows that are not empty, and of the cursor's row."""
    used = [y for y, line in enumerate(screen.display) if line.strip()]
    count = max([*used, screen.cursor.y]) + 1
    return [[screen.buffer[y][x] for x in range(screen.columns)] for y in range(count)]


def svg(screen: pyte.Screen, title: str) -> str:
    """Draw a screen, cut below its last row that is not empty, with its text as the label."""
    lines = lines_of(screen)
    text = "\n".join("".join(cell.data for cell in line).rstrip() for line in lines)
    width = screen.columns * WIDTH + 2 * MARGIN
    height = len(lines) * HEIGHT + 2 * MARGIN
    drawn = [mark for y, line in enumerate(lines) for mark in row(y, line)]
    cursor = screen.cursor
    if not cursor.hidden:
        drawn.append(
            f'<rect x="{MARGIN + cursor.x * WIDTH:.1f}" y="{MARGIN + cursor.y * HEIGHT}"'
            f' width="{WIDTH}" height="{HEIGHT}" fill="{TEXT}" opacity=".6"/>'
        )
    return "\n".join(
        (
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}"'
                f' width="{width:.0f}" height="{height}" role="img" font-family="{FONTS}"'
                f' font-size="{SIZE}">'
            ),
            f"<title>{escape(title)}</title>",
            f"<desc>{escape(text)}</desc>",
            (
                f'<rect x=".5" y=".5" width="{width - 1:.0f}" height="{height - 1}" rx="8"'
                f' fill="{GROUND}" stroke="{EDGE}"/>'
            ),
            *drawn,
            "</svg>\n",
        )
    )


def row(y: int, line: list[Char]) -> Iterator[str]:
    """Draw a row: the backgrounds that differ, then the text."""
    top = MARGIN + y * HEIGHT
    texts = []
    for x, count, how, text in runs(line):
        left = f"{MARGIN + x * WIDTH:.1f}"
        if how.ground != GROUND:
            yield (
                f'<rect x="{left}" y="{top}" width="{count * WIDTH:.1f}" height="{HEIGHT}"'
                f' fill="{how.ground}"/>'
            )
        if text.strip():
            style = "".join(
                (
                    ' font-weight="bold"' if how.bold else "",
                    ' font-style="italic"' if how.italics else "",
                    ' text-decoration="underline"' if how.underscore else "",
                )
            )
            # The length aligns the columns in every font.
            texts.append(
                f'<text x="{left}" y="{top + 14}" textLength="{count * WIDTH:.1f}"'
                f' fill="{how.text}"{style} xml:space="preserve">{escape(text, quote=False)}</text>'
            )
    yield from texts


def runs(line: list[Char]) -> Iterator[tuple[int, int, Look, str]]:
    """Yield first column, columns, look and text of cells that are drawn together.

    Plain text is split at several blanks, and a character of two columns (the second is empty) is
    drawn alone: its width differs between fonts.
    """
    cells = [
        (x, cell.data, look(cell), x + 1 < len(line) and not line[x + 1].data)
        for x, cell in enumerate(line)
    ]
    for (how, wide), group in groupby(
        (cell for cell in cells if cell[1]), key=lambda cell: (cell[2], cell[3] and cell[0])
    ):
        part = list(group)
        x = part[0][0]
        text = "".join(cell[1] for cell in part)
        if wide is not False:
            yield x, 2, how, text
        elif how.ground != GROUND:
            yield x, len(text), how, text
        else:
            at = 0
            for word in text.split("  "):
                if word.strip():
                    begin = len(word) - len(word.lstrip())
                    shown = word.strip()
                    yield x + at + begin, len(shown), how, shown
                at += len(word) + 2
