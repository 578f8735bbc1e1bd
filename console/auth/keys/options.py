"""The options before a key in ``authorized_keys`` (sshd(8)), each enforced or refused. No I/O.

An option that restricts a key and is not enforced is worse than none, so each is

* enforced: ``from``, ``command``, ``expiry-time``, ``restrict``, ``pty``, ``no-pty``,
  ``cert-authority``, ``principals``;
* or accepted without effect, because a console forwards nothing and runs no ``~/.ssh/rc``:
  ``no-port-forwarding``, ``no-agent-forwarding``, ``no-x11-forwarding``, ``no-user-rc``, and the
  same without ``no-``, which permit and do not demand;
* or refused, with its line: all others. ``verify-required`` asks for a check that the signature
  verifier does not make, ``environment`` for variables of the service's process.

As with sshd, names are case-insensitive; of ``restrict`` and ``pty`` the later one counts, of
several ``expiry-time`` the earliest; ``command``, ``from`` and ``principals`` may stand once.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
from typing import Final

from console.auth.keys.addresses import sources_problem
from console.errors import InvalidKey
from console.interfaces.credentials import KeyOptions

# A backslash stands for itself, except before a quote: as in sshd, "\\" has not ended yet.
QUOTED: Final = r'"(?:\\"|[^"\\]|\\(?!"))*"'
"""A value in its quotes, as a regular expression."""

_OPTION = re.compile(rf"([A-Za-z0-9-]+)(?:=({QUOTED}))?(?:,|\Z)")
_NAME = re.compile(r"[A-Za-z0-9-]{1,32}")
_TIME = re.compile(r"(\d{8})(?:(\d{4})(\d{2})?)?(Z|UTC)?", re.ASCII | re.IGNORECASE)
# A surrogate stands for a byte that is not UTF-8.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

_WITHOUT_EFFECT = frozenset(
    f"{no}{what}"
    for no in ("", "no-")
    for what in ("port-forwarding", "agent-forwarding", "x11-forwarding", "user-rc")
)


def parse_options(text: str, place: str) -> KeyOptions:
    """Read the options of a line; an empty text has none.

    Raises:
        InvalidKey: Names the option that is malformed or not enforced, never its value.
    """
    if _UNPRINTABLE.search(text):
        raise InvalidKey(place, "the options have a control character, or are not UTF-8")
    options, seen, at = KeyOptions(), set[str](), 0
    while at < len(text):
        match = _OPTION.match(text, at)
        if match is None:
            raise InvalidKey(
                place,
                f"the option {name_of(text[at:])!r} is not well-formed:"
                ' write name or name="value", with one comma between two options',
            )
        written, at = str(match[1]), match.end()
        if match[0].endswith(",") and at == len(text):
            raise InvalidKey(
                place, f"there is a comma too many after the option {name_of(written)!r}"
            )
        try:
            options = _with(options, written.lower(), match[2], again=written.lower() in seen)
        except ValueError as error:
            # The name only: a key or a password may stand where an option belongs.
            raise InvalidKey(place, f"the option {name_of(written)!r} {error}") from None
        seen.add(written.lower())
    if options.principals and not options.authority:
        raise InvalidKey(place, "the option 'principals' is for a cert-authority only")
    return options


def name_of(text: str) -> str:
    """Return the name of the option that a text begins with: its value may be secret."""
    name = _NAME.match(text)
    return name[0] if name else "before the key"


def options_text(options: KeyOptions) -> str:
    """Write options as they are enforced, so that `parse_options` reads the same."""
    words = []
    if options.authority:
        words.append("cert-authority")
    if options.principals:
        words.append(f"principals={_quote(','.join(options.principals))}")
    if options.sources:
        words.append(f"from={_quote(','.join(options.sources))}")
    if options.command is not None:
        words.append(f"command={_quote(options.command)}")
    if options.expires_at is not None:
        moment = dt.datetime.fromtimestamp(options.expires_at, dt.UTC)
        words.append(f'expiry-time="{moment.year:04}{moment:%m%d%H%M%S}Z"')
    if not options.pty:
        words.append("no-pty")
    return ",".join(words)


def _with(options: KeyOptions, name: str, quoted: str | None, *, again: bool) -> KeyOptions:
    """Return the options with one more. The text of a ValueError continues its name."""
    if name in _VALUES:
        if quoted is None:
            raise ValueError("needs a value in quotes")
        return _with_value(options, name, quoted[1:-1].replace('\\"', '"'), again=again)
    if name not in _WITHOUT_EFFECT and name not in _FLAGS:
        raise ValueError(
            "is not enforced, so the key is refused; remove the option if it may be ignored"
        )
    if quoted is not None:
        raise ValueError("takes no value")
    if name == "cert-authority":
        return dataclasses.replace(options, authority=True)
    return dataclasses.replace(options, pty=_FLAGS.get(name, options.pty))


_FLAGS: Final = {"restrict": False, "no-pty": False, "pty": True, "cert-authority": True}
_VALUES: Final = frozenset({"command", "expiry-time", "from", "principals"})


def _with_value(options: KeyOptions, name: str, value: str, *, again: bool) -> KeyOptions:
    if name == "expiry-time":
        moment = _parse_time(value)
        if options.expires_at is not None:
            moment = min(moment, options.expires_at)
        return dataclasses.replace(options, expires_at=moment)
    if again:
        raise ValueError("is there twice")
    if name == "command":
        if not value.strip():
            raise ValueError("is empty")
        return dataclasses.replace(options, command=value)
    entries = tuple(value.split(","))
    if any(not entry or entry != entry.strip() for entry in entries):
        raise ValueError("has an empty entry, or blanks around one")
    if name == "principals":
        return dataclasses.replace(options, principals=entries)
    problem = sources_problem(entries)
    if problem:
        raise ValueError(problem)
    return dataclasses.replace(options, sources=entries)


def _parse_time(text: str) -> float:
    """Read YYYYMMDD[HHMM[SS]], in local time unless Z or UTC follows, as sshd does."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError("is not YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, and Z for UTC")
    digits = match[1] + (match[2] or "0000") + (match[3] or "00")
    try:
        moment = dt.datetime.strptime(digits, "%Y%m%d%H%M%S")  # noqa: DTZ007 - local, or see below
        seconds = (moment.replace(tzinfo=dt.UTC) if match[4] else moment).timestamp()
    except (ValueError, OverflowError, OSError):
        raise ValueError("names a time that does not exist") from None
    if seconds <= 0:
        raise ValueError("names a time before 1970")
    return seconds


def _quote(value: str) -> str:
    return '"' + value.replace('"', '\\"') + '"'
