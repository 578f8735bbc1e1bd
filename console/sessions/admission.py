"""Whether there is room for one more session, or connection. No I/O: numbers in, a reason out."""

from __future__ import annotations

from collections.abc import Collection

from console.config.settings import SessionSettings
from console.interfaces.credentials import Principal, Role


def refusal(
    settings: SessionSettings,
    principal: Principal,
    present: Collection[Principal],
    what: str = "sessions",
) -> str:
    """Say why somebody is given no session; empty if they are.

    Args:
        settings: The limits.
        principal: Who asks.
        present: Whose sessions are open, one for each session.
        what: What they are sessions of: connections have the same limits.
    """
    is_admin = principal.role is Role.ADMIN
    most = settings.most - (0 if is_admin else settings.reserved_for_admin)
    if len(present) >= most:
        kept = "" if is_admin or not settings.reserved_for_admin else " and the rest is for admins"
        return f"{len(present)} {what} are open{kept}; wait until one ends"
    own = sum(one.user == principal.user for one in present)
    if own >= settings.per_user:
        return f"you have {own} {what} open, and nobody may have more; end one of them"
    return ""
