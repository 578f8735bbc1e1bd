"""Attacks on a service with a console: their registry and their measurement.

An attack is a function that gets a `Site`, attacks it, asserts the result, and returns the number
of its tries. The other modules of this directory define them. `measure` runs one against a `Target`
and returns its effect on the service. The tests check these numbers against bounds; ``report.py``
prints them.
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
"""The longest gap of a 1 ms timer on the service's loop. A busy machine causes shorter gaps by
itself; a decoder that hangs causes seconds."""

LOGIN_SECONDS = 5.0
"""The longest that another user's login may take. 0.1 s is usual; a queue of guesses shared by all
sources made it minutes."""

LOG_CHARACTERS, LOG_CHARACTERS_OF_LINE = 192 * 1024, 1024
"""The most characters that an attack may write to the log, INFO lines and mirrored exceptions
included, and the same again for each line that it may cause."""

ATTEMPTS = 5
"""How often an attack is repeated if the loop's gap is too long: noise does not repeat, a stall
does."""

# Characters that the log must not contain, except the newline at the end of an entry.
RAW = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]"
)
_PEER = re.compile(r" peer=(127\.0\.[1-9]\d*\.\d+):")
_INFO = re.compile(r"\d{4}-\d\d-\d\d [\d:,]+ INFO ")
_MIRRORED = re.compile(r"  \| |\d{4}-\d\d-\d\d [\d:,]+ ERROR console\.exceptions: ")
_TROUBLE = re.compile("Traceback|internal error|connection failed|was destroyed|never retrieved")

_numbers = itertools.count()

USERS = 40
"""Users whose password is their name. Failures are counted by user as well, so each attack guesses
at another user."""


@dataclass(frozen=True, kw_only=True)
class Attack:
    """An attack and its bounds.

    Attributes:
        log_lines: The most warnings and errors that it may cause.
        growth_mib: The most memory that it may take, at its peak and afterwards.
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
    """A service under attack: everything is logged, and its loop's gaps are measured."""

    def __init__(self, directory, **more):
        self._users = itertools.cycle(f"user{number}" for number in range(USERS))
        roles = dict.fromkeys(itertools.islice(self._users, USERS), "operator")
        super().__init__(
            directory, heartbeat=HEARTBEAT_SECONDS, log_level="INFO", roles=roles, **more
        )
        # Modules and threads of the first sessions must not count for the attacks.
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
        """Log in by telnet as another user than the attacker; return the seconds it took."""
        before = time.monotonic()
        # From a new address: one address may make ten guesses a second, right or wrong.
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
        """Return a user without recent failures; the password is the name."""
        return next(self._users)

    def log_since(self, position):
        """Return the log since a position in the file."""
        with self.stderr_file.open("rb") as file:
            file.seek(position)
            return file.read().decode("utf-8", "backslashreplace")

    def log_size(self):
        """Return the log's current end."""
        return self.stderr_file.stat().st_size


@dataclass
class Site:
    """The target of an attack and its source address, which is its own."""

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
        """Connect to SSH; nothing is sent yet."""
        return self._open.enter_context(
            RawSsh(self.target.ssh_port, source=source or self.source, **options)
        )

    def login(self):
        """Log in as another user, in the middle of the attack."""
        self.logins.append(self.target.login())

    def close(self):
        """Close the sockets that the attack left open."""
        self._open.close()


@dataclass(frozen=True)
class Outcome:
    """The effect of an attack on the service."""

    tries: int
    gap_seconds: float
    peak_bytes: int
    growth_bytes: int
    login_seconds: float
    log: str
    notes: tuple[str, ...] = ()

    @property
    def ours(self):
        """The log without the mirrored exceptions of the attacker's own statements."""
        return [line for line in self.log.split("\n")[:-1] if not _MIRRORED.match(line)]

    @property
    def warnings(self):
        """The warnings and errors of the log; continuation lines do not count."""
        return [line for line in self.ours if not _INFO.match(line)]

    def problems(self, attack):
        """Return the violated bounds, as lines; empty if there is none."""
        found = []
        if self.gap_seconds > GAP_SECONDS:
            found.append(f"the loop stood still for {self.gap_seconds * 1000:.0f} ms")
        if self.peak_bytes > attack.growth_mib * MIB:
            found.append(f"it took {self.peak_bytes / MIB:.1f} MiB")
        if self.login_seconds > LOGIN_SECONDS:
            found.append(f"another user's login took {self.login_seconds:.1f} s")
        if len(self.warnings) > attack.log_lines:
            found.append(f"{len(self.warnings)} lines in the log: {self.warnings[:5]}")
        if len(self.log) > LOG_CHARACTERS + LOG_CHARACTERS_OF_LINE * attack.log_lines:
            found.append(f"{len(self.log)} characters in the log")
        found += [f"in the log: {line}" for line in self.ours if _TROUBLE.search(line)]
        if raw := RAW.search(self.log):
            found.append(f"raw in the log: {raw.group()!r}")
        return found


def measure(attack, target):
    """Make an attack; return its outcome. A gap of the loop may be noise: then repeat it."""
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
    """Return an unused address of this machine, whose limits no attack has used up."""
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
    """Read until a text arrives; return all of it. Raises Gone at the connection's end."""
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
    """Read to the connection's end; return all of it."""
    received = b""
    client.settimeout(seconds)
    with contextlib.suppress(ConnectionError):
        while data := client.recv(65536):
            received += data
    return received


def pour(client, data, *, patience=1.0):
    """Send, and read the answers, until the peer takes no more or closes.

    Returns the bytes sent, those received, and whether the peer has closed.
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
    """Whether the server has not closed a connection; reads its data."""
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
    """Shut down the sending side; the server may have closed before."""
    with contextlib.suppress(OSError):
        client.shutdown(socket.SHUT_WR)


def reset(client):
    """Close a socket by a reset in place of an orderly end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
