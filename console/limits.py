"""Numbers that bound what a peer or a statement can cost, each with its origin.

They are constants where no operator has asked for another value yet; settings live in
``config/settings.py``.
"""

from __future__ import annotations

from typing import Final

LOGIN_TRIES: Final = 3
"""Guesses on one connection, whatever the method (telnetd and login(1) have 3, sshd 6)."""

LOGIN_LINE_CHARACTERS: Final = 256
"""The longest user name or password accepted at a login prompt."""

UNAUTHENTICATED_BYTES: Final = 64 * 1024
"""Bytes accepted on a connection before login. A telnet login needs a few hundred, one by SSH with
twenty certificates on offer some 40,000."""

LINE_CHARACTERS: Final = 64 * 1024
"""The longest line accepted by the line discipline; longer ones are cut, with a bell."""

STATEMENT_CHARACTERS: Final = 1024 * 1024
"""The longest statement that is read line by line; more is no statement but a mistake."""

CHANNELS: Final = 10
"""Sessions on one SSH connection (sshd: MaxSessions)."""

KEY_OFFERS: Final = 20
"""Public keys that one connection may offer: an agent holds some, a guesser many."""

PASTE_CHARACTERS: Final = 1024 * 1024
"""Kept of what is typed or pasted while a statement runs; what is more is dropped, with a bell."""

TYPEAHEAD_CHARACTERS: Final = 64 * 1024
"""Input kept while a statement runs; beyond it reading stops, so TCP holds the peer back."""

PENDING_OUTPUT_CHARACTERS: Final = 1024 * 1024
"""Output of one session waiting for its client. Beyond it a worker waits and a loop drops."""

TERMINAL_BUFFER_BYTES: Final = 8 * 1024 * 1024
"""Bytes in a transport's own buffer beyond which a client counts as dead and is cut."""

TERMINAL_ROWS: Final = 500
TERMINAL_COLUMNS: Final = 1000
"""Larger windows are clamped: 65535x65535 froze a full-screen prompt for a minute."""

RESULT_CHARACTERS: Final = 64 * 1024
"""The longest repr shown whole; more is clipped and the cut is said."""

RESULT_LINES: Final = 200
"""The most lines of a result at a terminal: some screens, which scroll back can still show."""

PAGE_CHARACTERS: Final = 1024 * 1024
"""The most of a value that page() lays out: a second of work, and some hundred screens."""

SUBNEGOTIATION_BYTES: Final = 2048
"""The longest telnet subnegotiation (RFC 855) that is looked at."""

SUBSCRIBER_EVENTS: Final = 1000
"""Events that wait for a subscriber of the service; more are dropped, counted and logged."""

SUBSCRIBER_CHARACTERS: Final = 8 * 1024 * 1024
"""Characters of sources and tracebacks in these events: a statement may have a million."""

STOP_SECONDS: Final = 3.0
"""stop() returns within this time, whatever sessions and statements do."""
