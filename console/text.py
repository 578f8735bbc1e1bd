"""Text of unauthenticated peers, users and their statements, made safe to show.

What a peer sends (user names, client versions, statements) and what its statements produce
(values, exception texts) may hold control characters: in a log they forge lines, on a terminal
they move the cursor, rename the window or answer questions (CVE-2003-0063 and its many kin).
"""

from __future__ import annotations

import re

# C0 without tab and newline, DEL, C1 (8-bit CSI among them), the bidi controls and isolates that
# reorder what a reader sees (CVE-2021-42574), line and paragraph separators, characters of no width
# and tags, by which two names look the same (Unicode TR 36, 2.10), and lone surrogates, which no
# encoder takes.
_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u2069"
    "\ufeff\U000e0000-\U000e007f\ud800-\udfff]"
)


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if code < 256:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def escape_controls(text: str) -> str:
    r"""Replace each control character by its escape, and keep ``\n`` and ``\t``."""
    return _UNSAFE.sub(_escape, text)


def escape_line(text: str, limit: int = 200) -> str:
    """Make one safe line of at most ``limit`` characters: for a log entry, a banner, ``who``."""
    clipped = text if len(text) <= limit else text[:limit] + "..."
    return escape_controls(clipped).replace("\n", "\\n").replace("\t", "\\t")


def quoted(text: str) -> str:
    """Mark each line as a quotation: none can pass for a log entry of its own."""
    return "\n".join(f"  | {line}" for line in escape_controls(text).split("\n"))


def plain(text: str) -> str:
    """Return an exact str with the characters of a str or of a subclass with its own methods."""
    return str.__str__(text)
