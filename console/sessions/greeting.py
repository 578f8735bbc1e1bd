"""The greeting: the lines above a session's first prompt. No I/O.

An unauthenticated peer learns nothing about the process, so the greeting comes after the login. It
has three lines if nothing is wrong and no other session is open.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from console.interfaces.credentials import Principal
from console.introspect.listing import duration
from console.text import escape_line

_HINT = "Type help() for help, exit() or Ctrl-D to leave."

_NAMED_USERS: Final = 4
"""The most users of other sessions that are named; ``who()`` lists them all."""

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# Not strftime's names, which depend on the service's locale.


@dataclass(frozen=True, slots=True)
class LastLogin:
    """A user's last login to a prompt, and the failed logins since.

    Attributes:
        at: When (time.time).
        peer: The address of the other end, as text.
        failures: How many logins by that name have failed since then.
        failed_at: When the last of them failed; 0 if none has.
        failed_from: The address of the peer that failed last, as text.
    """

    at: float
    transport: str
    peer: str
    failures: int = 0
    failed_at: float = 0.0
    failed_from: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeted:
    """The facts that a greeting shows, as of one moment.

    Attributes:
        name: The application's name.
        version: The console's version.
        process: The process ID.
        up_seconds: How long the process has been running; None if the system does not tell.
        last: The user's last login; None if none is known.
        others: The users of the other open sessions, one entry for each session.
        patches: The number of applied patches.
        silent_seconds: For how long at least the service's loop has been blocked; 0 if it is not.
        notice: Lines of the service and of its startup file.
        now: The time (time.time).
    """

    principal: Principal
    name: str
    version: str
    host: str
    process: int
    up_seconds: float | None
    last: LastLogin | None
    others: Sequence[str]
    patches: int
    silent_seconds: float
    notice: str
    now: float


def greeting(facts: Greeted) -> str:
    """Return the lines above the first prompt."""
    user = facts.principal.user
    lines = [_place(facts), _person(facts)]
    if facts.last is not None and facts.last.failures:
        lines.append(_failures(facts.last, facts.now))
    if facts.others:
        lines.append(_others(facts.others, user))
    if facts.patches:
        lines.append(f"{_count(facts.patches, 'patch', 'patches')} applied: patches() tells which")
    if facts.silent_seconds:
        lines.append(
            "WARNING: the service's loop has been blocked for at least"
            f" {_short(facts.silent_seconds)}: stack() shows where"
        )
    if facts.notice:
        lines.append(facts.notice.removesuffix("\n"))
    return "\n".join((*lines, _HINT, ""))


def _place(facts: Greeted) -> str:
    where = f"on {escape_line(facts.host)}, process {facts.process}"
    if facts.up_seconds is not None:
        where += f", up {spoken_duration(facts.up_seconds)}"
    # Over telnet the application's name has been shown before the login, in the banner.
    if facts.principal.transport.startswith("telnet"):
        return where
    return f"{escape_line(facts.name)} (console {facts.version}) {where}"


def _person(facts: Greeted) -> str:
    person = f"you are {escape_line(facts.principal.user)} ({facts.principal.role.value})"
    if facts.last is None:
        return f"{person}, no earlier login is known"
    last = facts.last
    return (
        f"{person}, last login {spoken_moment(last.at, facts.now)}"
        f" by {escape_line(last.transport)} from {_address(last.peer)}"
    )


def _failures(last: LastLogin, now: float) -> str:
    latest = f"{spoken_moment(last.failed_at, now)} from {_address(last.failed_from)}"
    if last.failures == 1:
        return f"1 failed login since then: {latest}"
    return f"{last.failures} failed logins since then, the last {latest}"


def _others(users: Sequence[str], own: str) -> str:
    sessions = Counter(users)
    mine = sessions.pop(own, 0)
    named = [
        escape_line(user, 40) + (f" ({number} sessions)" if number > 1 else "")
        for user, number in list(sessions.items())[:_NAMED_USERS]
    ]
    if mine:
        named.append(f"you ({_count(mine, 'other session')})")
    rest = len(sessions) - _NAMED_USERS
    if rest > 0:
        named.append(_count(rest, "other user"))
    return f"also here: {', '.join(named)}"


def _address(peer: str) -> str:
    """Return a peer's address without the port, which differs between connections."""
    host, colon, port = peer.rpartition(":")
    if colon and port.isdigit() and host != "unix":
        peer = host.strip("[]")
    return escape_line(peer)


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


def _short(seconds: float) -> str:
    return duration(seconds) if seconds >= 1 else f"{seconds:.1f} s"


def spoken_duration(seconds: float) -> str:
    """Say how long something has been: ``3 days 2 h``, ``5 min 10 s``."""
    days, rest = divmod(max(0, int(seconds)), 86400)
    if not days:
        return duration(seconds)
    hours = rest // 3600
    return _count(days, "day") + (f" {hours} h" if hours else "")


def spoken_moment(timestamp: float, now: float) -> str:
    """Say when something was: ``yesterday 18:02``, ``Monday 18:02``, ``2026-11-24 18:02``.

    The time is in the server's time zone, as in the log. A time in the future, which a clock that
    was set back causes, is shown with its date.
    """
    then = time.localtime(timestamp)
    day = date(*then[:3])
    days = (date(*time.localtime(now)[:3]) - day).days
    if timestamp > now or days > 6:
        said = day.isoformat()
    else:
        said = {0: "today", 1: "yesterday"}.get(days, _DAYS[then.tm_wday])
    return f"{said} {then.tm_hour:02}:{then.tm_min:02}"
