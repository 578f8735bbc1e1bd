"""Fixtures: services with a console, and clients that are logged in to them."""

import signal
import subprocess
import sys
import threading

import hypothesis
import pytest

from console import Console
from console.evaluation.interrupts import is_stray
from support.clients import Session, need
from support.rawsession import Raw
from support.servers import Host, wait_until
from support.ticking import Clock

# The ways in, and the kinds of service behind them. Each way and each kind occurs; all their
# combinations would test the same code many times.
PLACES = (
    ("telnet", "asyncio"),
    ("nc", "asyncio"),
    ("ssh", "asyncio"),
    ("plink", "asyncio"),
    ("dbclient", "asyncio"),
    ("ssh", "uvloop"),
    ("telnet", "threaded"),
)

# The same behaviour where statements run on the service's loop.
LOOP_PLACES = (
    ("telnet", "uvloop", "loop"),
    ("nc", "asyncio", "loop"),
    ("ssh", "asyncio", "loop"),
    ("ssh", "threaded", "loop"),
)


# All tests come from one address, whose delay would soon be the longest one for each failure.
QUICK_FAILURES = {"failure_seconds": 0.05, "failure_most_seconds": 0.2}


# A shell without job control ignores SIGINT in what it starts in the background. The processes of
# the tests would inherit that, and no Ctrl-C would reach them.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# An example that takes long on a busy machine is no failure.
hypothesis.settings.register_profile("tests", deadline=None)
hypothesis.settings.load_profile("tests")


def pytest_make_parametrize_id(val, argname):
    """Name what is long by its argument: keys and hashes are new ones in each process."""
    return argname if isinstance(val, str) and len(val) > 40 else None


@pytest.fixture(scope="session")
def _hosts(tmp_path_factory):
    """The services that tests share, started when first asked for."""
    hosts = {}

    def get(kind):
        host = hosts.get(kind)
        if host is None or not host.alive:
            if host is not None:
                host.close()
            host = hosts[kind] = Host(
                tmp_path_factory.mktemp(f"host-{kind}"), kind, login=QUICK_FAILURES
            )
        return host

    yield get
    for host in hosts.values():
        host.close()


@pytest.fixture
def get_host(_hosts):
    """Return the shared service of a kind; the test fails if the service does not survive it."""
    used = []

    def get(kind="asyncio"):
        host = _hosts(kind)
        used.append(host)
        return host

    yield get
    for host in used:
        assert host.alive, f"the service ended:\n{host.stderr}"


@pytest.fixture
def host(get_host):
    """A service on asyncio, shared with other tests."""
    return get_host()


@pytest.fixture
def fresh_host(tmp_path):
    """A service on asyncio, of this test alone, with nothing in its namespace."""
    with Host(tmp_path / "host", names={}, guarded=False) as host:
        yield host


@pytest.fixture
def connect():
    """Connect a client to a service; it is closed after the test."""
    clients = []

    def connect(way, host, **options):
        client = Session(way, host, **options)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def login(connect):
    """Connect a client and log in."""

    def login(way, host, **options):
        return connect(way, host, **options).login()

    return login


@pytest.fixture
def raw():
    """Connect sockets that act as nc."""
    opened = []

    def connect(host):
        opened.append(Raw(host.telnet_port))
        return opened[-1]

    yield connect
    for one in opened:
        one.close()


@pytest.fixture
def make(tmp_path):
    """Make consoles in this process; they are stopped after the test."""
    made = []

    def make(**options):
        options = {
            "credentials": {"boss": "sekrit"},
            "keys": tmp_path / "keys",
            "history": tmp_path / "history",
            **options,
        }
        made.append(Console("made", **options))
        return made[-1]

    yield make
    for console in made:
        console.stop()


@pytest.fixture(params=PLACES + LOOP_PLACES, ids="-".join)
def client(request, get_host, login):
    """A client that is logged in, by each of the ways in, in each mode."""
    way, kind, *mode = request.param
    client = login(way, get_host(kind))
    if mode:
        client.run(f"%{mode[0]}")
    return client


@pytest.fixture(
    params=[place for place in PLACES if place[0] != "nc"],
    ids="-".join,
)
def screen_client(request, get_host, login):
    """A client that is logged in, by each way that has a full-screen editor."""
    way, kind = request.param
    return login(way, get_host(kind))


@pytest.fixture
def ssh_keygen():
    """Run the real ssh-keygen."""
    need("ssh-keygen")

    def run(*arguments, check=True):
        return subprocess.run(
            ["ssh-keygen", *map(str, arguments)], capture_output=True, text=True, check=check
        )

    return run


@pytest.fixture(autouse=True)
def _nothing_is_left():
    """No thread of a console and none of its hooks outlives a test of this process."""
    streams = sys.stdout, sys.stderr, sys.stdin
    start = threading.Thread.start
    yield
    wait_until(
        lambda: not [t.name for t in threading.enumerate() if t.name.startswith("console")],
        "no thread of a console in the tests' own process",
    )
    assert (sys.stdout, sys.stderr, sys.stdin) == streams
    assert threading.Thread.start is start


@pytest.fixture
def strays(monkeypatch):
    """Pass over interrupts that hit a weakref callback, as a running console does."""
    hook = sys.unraisablehook
    monkeypatch.setattr(
        sys, "unraisablehook", lambda raised: is_stray(raised.exc_value) or hook(raised)
    )


@pytest.fixture
def clock():
    return Clock()
