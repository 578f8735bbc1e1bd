"""Renderables of the rich library as plain text.

rich is optional, and imported when the first renderable is shown. Without rich the object's
``__repr__`` is shown.
"""

from __future__ import annotations

from typing import Any

from console.results.shapes import has_static


def is_renderable(value: Any) -> bool:
    """Whether the object's class has a method that renders it for rich."""
    return has_static(value, "__rich_console__") or has_static(value, "__rich__")


def draw(value: Any, columns: int, limit: int) -> tuple[str, bool] | None:
    """Render an object with rich. Runs its code, in place of its ``__repr__``.

    Args:
        value: An object for which `is_renderable` is true.
        columns: The terminal's width.
        limit: Rendering stops after this many characters.

    Returns:
        The text and whether it is whole; None if rich is not installed.
    """
    try:
        from rich.console import Console  # noqa: PLC0415 - 50 ms, and optional
    except ImportError:
        return None
    console = Console(
        width=columns,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
        # Independent of the service's environment; nothing is written to its stdout.
        _environ={},
    )
    parts = []
    size = 0
    for segment in console.render(value):
        if not segment.control:
            parts.append(segment.text)
            size += len(segment.text)
        if size > limit:
            return "".join(parts)[:limit], False
    return "".join(parts).rstrip("\n"), True
