"""The weak spots that ``console check`` warns of: each item of SECURITY.md's checklist that is off.

What is wrong, rather than weak, is in ``findings.py``.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

from console.auth.stores.directory import FileCredentials
from console.cli.configured import listeners
from console.config.file import place
from console.config.settings import LoginSettings, ServerSettings, TelnetsSettings
from console.interfaces.credentials import Role

_EXPIRY_DAYS = 30
"""A certificate that expires sooner is a weak spot: time enough to get another."""

_NAMED = 5
"""So many users are named; of more than that the number is given."""


def weak_spots(
    file: str, settings: ServerSettings, store: FileCredentials, names: list[str]
) -> Iterator[str]:
    """Yield a line for each weak spot.

    Args:
        file: The configuration file.
        settings: What it says.
        store: The users.
        names: Their names.
    """
    yield from _plain_text(file, settings)
    yield from _passwords_alone(file, settings, store, names)
    yield from _logins(file, settings)
    yield from _admins(file, settings, store, names)
    if settings.telnets is not None:
        yield from _certificate(file, settings.telnets)


def _plain_text(file: str, settings: ServerSettings) -> Iterator[str]:
    if settings.telnet is not None and not settings.telnet.is_local:
        yield (
            f"{place(file, 'telnet.host')}: telnet.host: {settings.telnet.host} can be reached by"
            " others, and telnet shows passwords to the network; use [ssh] or [telnets] there"
        )


def _passwords_alone(
    file: str, settings: ServerSettings, store: FileCredentials, names: list[str]
) -> Iterator[str]:
    """Yield the users whom a password alone lets in from other machines."""
    far = [one for one in listeners(settings) if not one.is_local]
    weak = [name for name in names if store.password_hash(name) and not _has_factor(store, name)]
    if far and weak:
        shown = ", ".join(weak) if len(weak) <= _NAMED else f"{len(weak)} users"
        yield (
            f"{place(file, f'{far[0].name}.host')}: other machines reach this server, and a"
            f" password alone lets in {shown}; add a second factor with:"
            f" console user totp NAME --config {file}, or let them in by key only"
        )


def _has_factor(store: FileCredentials, name: str) -> bool:
    return store.second_factor() and store.has_second_factor(name)


def _logins(file: str, settings: ServerSettings) -> Iterator[str]:
    """Yield the limits on wrong passwords and unauthenticated connections that are lax."""
    login, usual = settings.login, LoginSettings()
    for name, peers in (("throttle_loopback", "on this machine"), ("throttle_unix", "on sockets")):
        if not getattr(login, name):
            yield (
                f"{place(file, f'login.{name}')}: login.{name}: wrong passwords of peers"
                f" {peers} are not answered more slowly each time; set it to true"
            )
    for name in ("failure_seconds", "failure_most_seconds"):
        if getattr(login, name) < getattr(usual, name):
            yield (
                f"{place(file, f'login.{name}')}: login.{name}: {getattr(login, name):g} slows"
                f" guessing less than the default; set it to {getattr(usual, name):g}"
            )
    for name in ("grace_seconds", "connections", "connections_per_source"):
        if getattr(login, name) > 4 * getattr(usual, name):
            yield (
                f"{place(file, f'login.{name}')}: login.{name}: {getattr(login, name):g} lets"
                " unauthenticated connections hold much more than the default; set it to"
                f" {getattr(usual, name):g}"
            )


def _admins(
    file: str, settings: ServerSettings, store: FileCredentials, names: list[str]
) -> Iterator[str]:
    if settings.sessions.reserved_for_admin == 0:
        yield (
            f"{place(file, 'sessions.reserved_for_admin')}: sessions.reserved_for_admin: 0 lets"
            " others take every session; set it to 1"
        )
    if names and all(store.role(name) is not Role.ADMIN for name in names):
        yield (
            f"{store.directory / 'users'}: no user is an admin, so no user can kick a session;"
            f" make one with: console user role NAME admin --config {file}"
        )


def _certificate(file: str, settings: TelnetsSettings) -> Iterator[str]:
    """Yield whether clients that look at the certificate will soon refuse it."""
    from cryptography import x509  # noqa: PLC0415 - asyncssh's; slow, and for TLS only

    where = place(file, "telnets.certificate")
    try:
        certificate = x509.load_pem_x509_certificate(Path(settings.certificate).read_bytes())
    except (OSError, ValueError):
        return  # a fault, which findings.py finds
    left = certificate.not_valid_after_utc - dt.datetime.now(dt.UTC)
    until = certificate.not_valid_after_utc.date()
    if left.total_seconds() < 0:
        yield f"{where}: telnets.certificate: {settings.certificate} has expired on {until}"
    elif left.days < _EXPIRY_DAYS:
        yield f"{where}: telnets.certificate: {settings.certificate} expires on {until}"
