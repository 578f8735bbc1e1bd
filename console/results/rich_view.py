"""Objects that draw themselves for the rich library, as plain text.

Nothing of rich is imported before the first such object is shown, and rich is not needed: where
it cannot be imported an object is shown by its ``__repr__``.
"""

from __future__ import annotations

from typing import Any

from console.results.shapes import has_static


def is_renderable(value: Any) -> bool:
    """Whether the object's class says how rich is to draw it."""
    return has_static(value, "__rich_console__") or has_static(value, "__rich__")


def draw(value: Any, columns: int, limit: int) -> tuple[str, bool] | None:
    """Let an object draw itself. Runs its code, instead of that of its ``__repr__``.

    Args:
        value: An object for which `is_renderable` is true.
        columns: The terminal's width.
        limit: Drawing stops after so many characters.

    Returns:
        The text and whether it is whole; None if rich is not there.
    """
    try:
        from rich.console import Console  # noqa: PLC0415 - 50 ms, and not everybody's
    except ImportError:
        return None
    console = Console(
        width=columns,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,
        legacy_windows=False,
        # Not from the service's environment, and nothing is ever written to its stdout.
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
