"""The limits of sessions and connections: whether one more is admitted. No I/O."""

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
    """Return the reason to refuse one more session; empty if it is admitted.

    Args:
        settings: The limits.
        principal: The principal for whom the session is to be opened.
        present: The principals of the open sessions, one entry for each session.
        what: The plural of the thing that is counted: ``sessions`` or ``connections``.
    """
    is_admin = principal.role is Role.ADMIN
    most = settings.most - (0 if is_admin else settings.reserved_for_admin)
    if len(present) >= most:
        kept = "" if is_admin or not settings.reserved_for_admin else " and the rest is for admins"
        return f"{len(present)} {what} are open{kept}; wait until one ends"
    own = sum(one.user == principal.user for one in present)
    if own >= settings.per_user:
        return f"you have {own} {what} open, the most that one user may have; end one of them"
    return ""
