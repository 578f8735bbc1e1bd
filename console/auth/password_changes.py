"""Which session's statement has changed a password: that session's login stays in force.

A changed password ends what the old one let in, except the connection of the user who changed it.
The store's methods note the session of the statement that calls them; a change by another process,
or by code of the service, has none.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Final

from console.context.scope import current_scope

_KEPT: Final = 256
"""Changes that are remembered. They are asked for within a minute."""

_lock = threading.Lock()
_changes: dict[bytes, int] = {}


def digest(phc: str) -> bytes:
    """Return what tells one stored hash from another, and is of no use in its place."""
    return hashlib.sha256(phc.encode("utf-8", "replace")).digest()


def changing_session() -> int:
    """Return the number of the session whose statement runs here; 0 for none."""
    scope = current_scope.get()
    return 0 if scope is None else scope.session


def note_change(phc: str, session: int) -> None:
    """Remember that a session's statement has set this hash. Safe to call from any thread.

    Args:
        phc: The new hash.
        session: As `changing_session` returned it; nothing is noted for 0.
    """
    if not session:
        return
    with _lock:
        _changes[digest(phc)] = session
        if len(_changes) > _KEPT:
            del _changes[next(iter(_changes))]


def changed_by(proof: bytes) -> int:
    """Return the session that has set a hash, by the hash's digest; 0 if that is not known."""
    with _lock:
        return _changes.get(proof, 0)
