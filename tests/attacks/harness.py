"""Attacks on a service with a console in it: how they are made, registered and measured.

An attack is a function that gets a `Site`, does its worst, and returns how often it tried; what
must not come of it, it asserts. `attacks_telnet.py`, `attacks_ssh.py` and `attacks_flood.py` hold
them. `measure` runs one against a `Target` and returns what it did to the service. The tests hold
these numbers to bounds, ``attack_report.py`` prints them.
"""

import contextlib
import ipaddress
import itertools
import re
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from support.rawclients import Lines, Telnet, line_login
from support.rawssh import Gone, RawSsh
from support.servers import DEADLINE_SECONDS, Host, wait_until

HEARTBEAT_SECONDS = 0.001
MIB = 1024 * 1024

GAP_SECONDS = 0.15
"""The longest time for which the service's loop may not run, with a 1 ms timer in it. Well above
what a busy machine does by itself; a wedged decoder holds it for seconds."""

LOGIN_SECONDS = 5.0
"""The longest that a login of somebody else may take. 0.1 s is usual; a queue of guesses that
everybody shares made it minutes."""

LOG_CHARACTERS, LOG_CHARACTERS_OF_LINE = 192 * 1024, 1024
"""The most that an attack may write to the log, information and mirrored exceptions included: so
much, and so much more for each line that it may cause."""

ATTEMPTS = 5
"""Times an attack is made if the loop's gap is too long: noise goes away, a stall comes again."""

# What no log may hold, but for the newline at the end of an entry.
RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]"
)
_PEER = re.compile(r" peer=(127\.0\.[1-9]\d*\.\d+):")
_INFO = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ INFO ")
_MIRRORED = re.compile(r"  \| |\d{4}-\d\d-\d\d [\d:,]+ ERROR console\.exceptions: ")
_TROUBLE = re.compile("Traceback|internal error|connection failed|was destroyed|never retrieved")

_numbers = itertools.count()

USERS = 40
"""Users whose password is their name: failures are counted by user as well, so that whoever is
guessed at by one attack is left in peace by the next."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """An attack, and what it may cost.

    Attributes:
        log_lines: Warnings and errors that it may cause, in all.
        growth_mib: Memory that it may take at its worst, and leave behind.
    """

    name: str
    strike: Callable[["Site"], int]
    log_lines: int
    growth_mib: int


ATTACKS: dict[str, Attack] = {}


def attack(name, *, log_lines=2, growth_mib=16):
    """Register a function as an attack."""

    def register(strike):
        assert name not in ATTACKS, name
        ATTACKS[name] = Attack(name=name, strike=strike, log_lines=log_lines, growth_mib=growth_mib)
        return strike

    return register


class Target(Host):
    """A service under attack: everything is logged, and its loop's pulse is felt."""

    def __init__(self, directory, **more):
        self._users = itertools.cycle(f"user{number}" for number in range(USERS))
        roles = dict.fromkeys(itertools.islice(self._users, USERS), "operator")
        super().__init__(
            directory, heartbeat=HEARTBEAT_SECONDS, log_level="INFO", roles=roles, **more
        )
        # What is loaded and started by the first sessions is not the attacks' doing.
        for _ in range(2):
            self.login()
            editor = line_login(self.telnet_port, kind=Telnet)
            editor.send("foo\n")
            editor.until("12")
            editor.close()
            with RawSsh(self.ssh_port) as client:
                assert client.handshake().guess("boss", "sekrit")
        self.idle_tasks = wait_until(self._idle_tasks, "no session")

    def _idle_tasks(self):
        tasks = self.statistics()["tasks"]
        return tasks if tasks == self.statistics()["tasks"] else None

    def wait_idle(self):
        """Wait until nothing is left of any session, login or connection."""
        wait_until(lambda: self.statistics()["tasks"] == self.idle_tasks, "no task is left")

    def login(self):
        """Log in by telnet, as somebody else than the attacker; return the seconds it took."""
        before = time.monotonic()
        # From where nobody has come from: an address may make ten guesses a second, right or wrong.
        with Lines(self.telnet_port, fresh_address()) as client:
            client.until("username: ")
            client.send("boss\n")
            client.until("password: ")
            client.send("sekrit\n")
            client.until_prompt()
            seconds = time.monotonic() - before
            assert client.run("foo") == "12"
            client.send("exit()\n")
            client.rest()
        return seconds

    def fresh_user(self):
        """Return a user that nobody has guessed at lately; the password is the name."""
        return next(self._users)

    def log_since(self, position):
        """Return what has been logged since a position in the file, as it stands there."""
        with self.stderr_file.open("rb") as file:
            file.seek(position)
            return file.read().decode("utf-8", "backslashreplace")

    def log_size(self):
        """Return where the log ends now."""
        return self.stderr_file.stat().st_size


@dataclass
class Site:
    """Where an attack happens, and from which address: each attack has its own."""

    target: Target
    source: str = ""
    logins: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def __post_init__(self):
        self.source = self.source or fresh_address()

    def connect(self, port, source=None):
        """Connect a socket; it is closed at the attack's end."""
        client = socket.create_connection(
            ("127.0.0.1", port), DEADLINE_SECONDS, source_address=(source or self.source, 0)
        )
        self._open.callback(client.close)
        return client

    def telnet(self, source=None):
        """Connect to telnet, and wait for the first prompt."""
        client = self.connect(self.target.telnet_port, source)
        read_until(client, b"username: ")
        return client

    def telnet_session(self):
        """Log in by telnet as a line client."""
        client = self.telnet()
        client.sendall(b"boss\n")
        read_until(client, b"password: ")
        client.sendall(b"sekrit\n")
        read_until(client, b">>> ")
        return client

    def ssh(self, source=None, **options):
        """Connect to SSH; nothing is said yet."""
        return self._open.enter_context(
            RawSsh(self.target.ssh_port, source=source or self.source, **options)
        )

    def login(self):
        """Log in as somebody else, in the middle of the attack."""
        self.logins.append(self.target.login())

    def close(self):
        """Close what the attack has left open."""
        self._open.close()


@dataclass(frozen=True)
class Outcome:
    """What an attack has done to the service."""

    tries: int
    gap_seconds: float
    peak_bytes: int
    growth_bytes: int
    login_seconds: float
    log: str
    notes: tuple[str, ...] = ()

    @property
    def ours(self):
        """The log without what the attacker's own statements raised: that is mirrored, marked."""
        return [line for line in self.log.split("\n")[:-1] if not _MIRRORED.match(line)]

    @property
    def warnings(self):
        """What an operator sees at first sight; a line that continues another counts as one."""
        return [line for line in self.ours if not _INFO.match(line)]

    def problems(self, attack):
        """Return what is wrong, as lines; none if the service took no harm."""
        found = []
        if self.gap_seconds > GAP_SECONDS:
            found.append(f"the loop stood still for {self.gap_seconds * 1000:.0f} ms")
        if self.peak_bytes > attack.growth_mib * MIB:
            found.append(f"it took {self.peak_bytes / MIB:.1f} MiB")
        if self.login_seconds > LOGIN_SECONDS:
            found.append(f"somebody else's login took {self.login_seconds:.1f} s")
        if len(self.warnings) > attack.log_lines:
            found.append(f"{len(self.warnings)} lines in the log: {self.warnings[:5]}")
        if len(self.log) > LOG_CHARACTERS + LOG_CHARACTERS_OF_LINE * attack.log_lines:
            found.append(f"{len(self.log)} characters in the log")
        found += [f"in the log: {line}" for line in self.ours if _TROUBLE.search(line)]
        if raw := RAW.search(self.log):
            found.append(f"raw in the log: {raw.group()!r}")
        return found


def measure(attack, target):
    """Make an attack; return what came of it. Again if the loop stood still: that may be noise."""
    for attempt in range(1, ATTEMPTS + 1):
        outcome = _measure_once(attack, target)
        if outcome.gap_seconds <= GAP_SECONDS or attempt == ATTEMPTS:
            return outcome
    raise AssertionError


def _measure_once(attack, target):
    site = Site(target)
    log_size = target.log_size()
    before = target.ask(measure="begin")
    try:
        tries = attack.strike(site)
    finally:
        site.close()
    site.login()
    after = target.ask(measure="end")
    assert target.alive
    return Outcome(
        tries=tries,
        gap_seconds=after["lag"],
        peak_bytes=max(0, after["peak"] - before),
        growth_bytes=after["rss"] - before,
        login_seconds=max(site.logins),
        log=without_earlier(target.log_since(log_size), site.source),
        notes=tuple(site.notes),
    )


# ---- addresses and bytes


def fresh_address():
    """Return an address of this machine that nothing has come from.

    What one attack has used up there, the next one does not miss.
    """
    number = next(_numbers)
    return f"127.0.{1 + number // 250}.{1 + number % 250}"


def without_earlier(log, first):
    """Leave out what is logged late about earlier attacks: so many more connections in a minute.

    ``first`` is the first address of this one.
    """

    def is_ours(line):
        peer = _PEER.search(line)
        return peer is None or ipaddress.ip_address(peer[1]) >= ipaddress.ip_address(first)

    return "".join(filter(is_ours, log.splitlines(keepends=True)))


def read_until(client, wanted, seconds=DEADLINE_SECONDS):
    """Read until something comes; return all of it. Raises Gone at the connection's end."""
    received = b""
    deadline = time.monotonic() + seconds
    while wanted not in received:
        ready, _, _ = select.select([client], [], [], max(0, deadline - time.monotonic()))
        assert ready, f"no {wanted!r} in {received[-500:]!r}"
        try:
            data = client.recv(65536)
        except OSError as error:
            raise Gone(str(error)) from None
        if not data:
            raise Gone("closed")
        received += data
    return received


def read_rest(client, seconds=DEADLINE_SECONDS):
    """Read to the connection's end, which must come; return all of it."""
    received = b""
    client.settimeout(seconds)
    with contextlib.suppress(ConnectionError):
        while data := client.recv(65536):
            received += data
    return received


def pour(client, data, *, patience=1.0):
    """Send as the peer takes it, and read what it answers, until it stops taking or leaves.

    Returns the bytes sent, those received, and whether the peer has left.
    """
    rest = memoryview(data)
    received = b""
    client.setblocking(False)
    try:
        while rest:
            readable, writable, _ = select.select([client], [client], [], patience)
            if not readable and not writable:
                break
            if readable:
                part = client.recv(65536)
                if not part:
                    return len(data) - len(rest), received, True
                received += part
            if writable:
                rest = rest[client.send(rest[:65536]) :]
    except BlockingIOError:
        pass
    except OSError:
        return len(data) - len(rest), received, True
    finally:
        client.settimeout(DEADLINE_SECONDS)
    return len(data) - len(rest), received, False


def is_open(client):
    """Whether the server has not ended a connection; reads what it has said."""
    client.setblocking(False)
    try:
        while client.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        client.settimeout(DEADLINE_SECONDS)
    return False


def end_input(client):
    """Say that nothing more will come; the server may have left before."""
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)


def reset(client):
    """Close a socket by a reset instead of an orderly end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
