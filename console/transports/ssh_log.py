"""asyncssh's own log entries, made safe to read.

asyncssh logs what peers send as it is: the algorithms that a stranger asks for, the command of a
user. Where the host logs everything at INFO these would be raw in its log.
"""

from __future__ import annotations

import logging
from typing import Final

from console.text import escape_line

ASYNCSSH: Final = logging.getLogger("asyncssh")

_ENTRY_CHARACTERS = 1000


class EscapingFilter(logging.Filter):
    """Escapes and clips each entry of the logger it is added to; drops none.

    Several on one logger, one for each listener, escape no more than one does.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Make a record's text one safe line."""
        record.msg, record.args = escape_line(record.getMessage(), _ENTRY_CHARACTERS), ()
        return True
