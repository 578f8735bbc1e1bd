"""The findings of ``console check``: faults and weak spots of a configuration and its keys."""

from __future__ import annotations

import contextlib
import difflib
import logging
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from console.application.shell import DEFAULT_PASSWORD, DEFAULT_USER
from console.auth.keys.authorized_keys import read_authorities, read_authorized_keys
from console.auth.keys.host_key import load_host_keys
from console.auth.passwords import verify
from console.auth.second_factor import FACTORS_DIRECTORY, SecondFactors, require_library
from console.auth.stores.directory import FileCredentials
from console.auth.stores.key_files import AUTHORITIES_FILE, KEYS_DIRECTORY
from console.auth.stores.users_file import parse_users
from console.cli.attribute import search_exposure
from console.cli.configured import (
    default_password_remedy,
    error_in_file,
    keys_directory,
    refuse_default_password,
    refuse_without_listeners,
)
from console.cli.hardening import weak_spots
from console.config.declaration import declarations, variable
from console.config.file import examine, place
from console.config.settings import ServerSettings, tables
from console.errors import ConfigurationError, ConsoleError
from console.files.exposure import exposure_of
from console.sessions.history import history_directory
from console.sessions.startup import DIRECTORY as STARTUP_DIRECTORY
from console.sessions.startup import read_startup
from console.transports.telnet.tls import load_certificate

_DEFAULT = (DEFAULT_USER, DEFAULT_PASSWORD)
"""Has a finding of its own."""

_KNOWN_PASSWORDS = ("admin", "password", "sekrit")
"""Tried beside the user's name: the first guesses, and what the examples have."""

_PASSWORDS_CHECKED = 50
"""So many users' passwords are compared with their names; each takes 20 ms."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of the report: a fault or a weak spot.

    Attributes:
        remedy: What to do, where it is a part of the text of its own.
    """

    text: str
    is_fault: bool
    remedy: str = ""

    @classmethod
    def of(cls, error: ConsoleError) -> Self:
        """Make a finding of an error that a start would raise or log."""
        return cls(str(error), is_fault=True, remedy=error.remedy)

    def __str__(self) -> str:
        return f"{'error' if self.is_fault else 'warning'}: {self.text}"


def examine_all(file: str, environment: Mapping[str, str]) -> list[Finding]:
    """Return all findings, in the order in which they are best put right, each problem once."""
    return _each_problem_once(list(_examine(file, environment)))


def _each_problem_once(findings: list[Finding]) -> list[Finding]:
    """Leave out what another finding says of the same file.

    A directory that others can write exposes each file in it, and one command helps all of them:
    of these the first error stays, or the first warning if there is no error.
    """
    kept: list[Finding] = []
    first: dict[Path, Finding] = {}
    for finding in sorted(findings, key=lambda one: not one.is_fault):
        path = _mended_by(finding.remedy)
        if path is not None and first.setdefault(path, finding) is not finding:
            continue
        kept.append(finding)
    return [one for one in findings if any(one is other for other in kept)]


def _mended_by(remedy: str) -> Path | None:
    """Return the file whose permissions or owner a remedy changes."""
    if not remedy.startswith(("chmod ", "chown ")):
        return None
    return Path(shlex.split(remedy)[-1]).absolute()


def _examine(file: str, environment: Mapping[str, str]) -> Iterator[Finding]:
    settings, faults = examine(file, environment)
    for fault in faults:
        yield Finding.of(fault)
    yield from _environment(environment)
    if settings is None:
        return
    for part in _parts(file, settings):
        yield from _without_traceback(part)


def _parts(file: str, settings: ServerSettings) -> Iterator[Iterator[Finding]]:
    """Yield the findings of each part: what one cannot read keeps no other from being read."""
    yield _refused(refuse_without_listeners, file, settings)
    yield _namespace(settings)
    store = FileCredentials(keys_directory(settings))
    yield _startup(settings, store.directory)
    yield _exposed(store.directory, "holds keys and passwords", secret=True)
    history = Path(settings.history or history_directory())
    yield _exposed(history, "holds what users have typed", secret=False, own_group=True)
    names: list[str] = []
    try:
        names = store.users()
    except (ConsoleError, OSError):
        yield _refused(store.users)
    else:
        yield _users(file, settings, store, names)
        yield _authorized_keys(store.directory, names)
        yield _second_factors(store.directory, names)
        yield _authorities_and_revoked(store)
    yield _host_key(settings, store.directory)
    yield _certificate(file, settings)
    yield (Finding(weak, is_fault=False) for weak in weak_spots(file, settings, store, names))


def _without_traceback(part: Iterator[Finding]) -> Iterator[Finding]:
    """Turn what a part cannot read into a finding. The stores' log is off meanwhile."""
    found: list[Finding] = []
    try:
        with _without_log():  # the store logs what is found here
            found.extend(part)
    except ConsoleError as error:
        found.append(Finding.of(error))
    except OSError as error:
        found.append(
            Finding(
                f"{error.filename or 'a file'}: cannot be read: {error.strerror};"
                " run this command as the service's user",
                is_fault=True,
            )
        )
    yield from found


def _namespace(settings: ServerSettings) -> Iterator[Finding]:
    """Yield what keeps the file that ``namespace`` names from being run, without running it."""
    target = (settings.namespace or "").rpartition(":")[0]
    if target.endswith(".py"):
        path = Path(target).absolute()
        yield from _exposed(
            path, "is run in the service", secret=False, is_fault=True, sticky=True, own_group=True
        )
    elif target:
        exposed = search_exposure(Path.cwd())
        if exposed is not None:
            yield Finding(
                f"{target}: is not imported from {Path.cwd()}: a module {exposed}",
                is_fault=False,
                remedy=exposed.remedy,
            )


def _startup(settings: ServerSettings, keys: Path) -> Iterator[Finding]:
    if settings.sessions.startup is not None:
        yield from _refused(read_startup, Path(settings.sessions.startup))
    if (keys / STARTUP_DIRECTORY).is_dir():
        for path in sorted((keys / STARTUP_DIRECTORY).glob("*.py")):
            yield from _refused(read_startup, path)


def _refused(rule: Callable[..., object], *arguments: object) -> Iterator[Finding]:
    """Yield the faults that would prevent a start."""
    try:
        rule(*arguments)
    except ConsoleError as error:
        yield Finding.of(error)


@contextlib.contextmanager
def _without_log() -> Iterator[None]:
    logger = logging.getLogger("console.auth")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before


def _environment(environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield environment variables that look like misspelled ones of the console."""
    known = [
        variable(table, one.name) for table, kind in tables().items() for one in declarations(kind)
    ]
    for name in sorted(environment):
        nearest = difflib.get_close_matches(name, known, 1, cutoff=0.85)
        if name.startswith("CONSOLE_") and name not in known and nearest:
            yield Finding(f"{name}: is without effect; did you mean {nearest[0]}?", is_fault=False)


def _exposed(
    path: Path,
    why: str,
    *,
    secret: bool,
    is_fault: bool = False,
    own_group: bool = False,
    sticky: bool = False,
) -> Iterator[Finding]:
    status = path.stat() if path.exists() else None
    problem = exposure_of(path, status, secret=secret, own_group=own_group, sticky=sticky)
    if problem:
        yield Finding(f"{path}: {why}, and {problem}", is_fault=is_fault, remedy=problem.remedy)


def _users(
    file: str, settings: ServerSettings, store: FileCredentials, names: list[str]
) -> Iterator[Finding]:
    path = store.directory / "users"
    if path.exists():
        text = path.read_bytes().decode("utf-8", "surrogateescape")
        for problem in parse_users(text, str(path)).problems:
            yield Finding(problem, is_fault=True)
    remedy = default_password_remedy(file, settings, store)
    if remedy is not None:
        where = path if names else place(file, "default_user")
        known = Finding(
            f"{where}: every user of this machine can enter as {DEFAULT_USER} with the default"
            f" password; set another with: {remedy}",
            is_fault=not names,
        )
        refused = list(_refused(refuse_default_password, file, settings, remedy))
        yield from refused or [known]
    elif not names:
        yield Finding(
            f"{path}: has no users, so no login succeeds;"
            f" add one with: console user add NAME --config {file}",
            is_fault=False,
        )
    for name in names[:_PASSWORDS_CHECKED]:
        phc = store.password_hash(name)
        tried = [one for one in (name, *_KNOWN_PASSWORDS) if (name, one) != _DEFAULT]
        if phc is not None and any(verify(phc, one) for one in tried):
            yield Finding(
                f"{path}: the password of {name} is the name, or one that is tried first;"
                f" set another with: console user passwd {name} --config {file}",
                is_fault=False,
            )


def _authorized_keys(keys: Path, users: list[str]) -> Iterator[Finding]:
    try:
        paths = sorted((keys / KEYS_DIRECTORY).iterdir())
    except OSError:  # there are none
        return
    for path in paths:
        if path.name.startswith("."):  # a file that was being written when its writer was killed
            continue
        if path.name not in users:
            text = f"{path}: is not used, because there is no user {path.name!r}; remove it"
            yield Finding(text, is_fault=False)
            continue
        problems: list[ConsoleError] = []
        try:
            read_authorized_keys(path, refused=problems.append)
        except ConsoleError as error:
            problems.append(error)
        for problem in problems:
            yield Finding.of(problem)


def _second_factors(keys: Path, users: list[str]) -> Iterator[Finding]:
    factors = SecondFactors(keys / FACTORS_DIRECTORY)
    try:
        names = factors.names()
    except ConsoleError as error:
        yield Finding.of(error)
        return
    if names:
        yield from _refused(require_library, "a start is refused")
    for name in names:
        if name in users:
            yield from _refused(factors.check, name)
        else:
            path = factors.path(name)
            text = f"{path}: is not used, because there is no user {name!r}; remove it"
            yield Finding(text, is_fault=False)


def _authorities_and_revoked(store: FileCredentials) -> Iterator[Finding]:
    problems: list[ConsoleError] = []
    try:
        read_authorities(store.directory / AUTHORITIES_FILE, refused=problems.append)
    except ConsoleError as error:
        problems.append(error)
    for problem in problems:
        yield Finding.of(problem)
    yield from _refused(store.revocations)


def _host_key(settings: ServerSettings, keys: Path) -> Iterator[Finding]:
    if settings.ssh is None:
        return
    path = Path(settings.ssh.host_key or keys / "host_key")
    if settings.ssh.host_key is None and not path.exists():
        return  # made at the first start
    try:
        load_host_keys(path)
    except ConsoleError as error:
        yield Finding.of(error)


def _certificate(file: str, settings: ServerSettings) -> Iterator[Finding]:
    if settings.telnets is not None:
        try:
            load_certificate(settings.telnets)
        except ConfigurationError as error:
            yield Finding.of(error_in_file(file, error))
