"""The figures, each in a module with ``TITLE``, ``CHART`` and ``async def run(bench)``."""

NAMES = (
    "key_echo",
    "line_echo",
    "enter",
    "connect",
    "command",
    "output",
    "memory",
    "sessions",
    "heartbeat",
    "cost",
    "interrupt",
    "counts",
)
"""In the order of the report."""
