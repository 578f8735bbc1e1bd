"""Limits of the resources that a peer or a statement can use, each with its reason.

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
"""The longest statement that is read line by line; longer input is taken for a mistake."""

CHANNELS: Final = 10
"""Sessions on one SSH connection (sshd: MaxSessions)."""

KEY_OFFERS: Final = 20
"""Public keys that one connection may offer: an agent holds fewer; a guesser offers more."""

PASTE_CHARACTERS: Final = 1024 * 1024
"""Typed or pasted input kept while a statement runs; the excess is dropped, with a bell."""

TYPEAHEAD_CHARACTERS: Final = 64 * 1024
"""Piped input kept while a statement runs; beyond it reading stops (flow control)."""

PENDING_OUTPUT_CHARACTERS: Final = 1024 * 1024
"""Pending output of one session. Beyond it a worker waits, and output on a loop is dropped."""

TERMINAL_BUFFER_BYTES: Final = 8 * 1024 * 1024
"""Unsent bytes in a transport's buffer beyond which the connection is aborted."""

TERMINAL_ROWS: Final = 500
TERMINAL_COLUMNS: Final = 1000
"""Larger windows are clamped: 65535x65535 froze a full-screen prompt for a minute."""

RESULT_CHARACTERS: Final = 64 * 1024
"""The longest repr that is shown whole; a longer one is clipped, with a note."""

RESULT_LINES: Final = 200
"""The most lines of a result at a terminal: a few screens, within its scrollback."""

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
