"""Another transport is added by its module, its settings and a line in the registry."""

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from console import MemoryCredentials, Role, TelnetSettings
from console.config.settings import ListenSettings
from console.errors import ConfigurationError
from console.interfaces.credentials import CredentialStore
from console.interfaces.terminals import Size, TerminalKind
from console.transports.lazy_listener import LazyListener
from console.transports.peers import peer_of
from console.transports.registry import LAZY_LISTENERS
from console.transports.screening import Screening
from console.transports.ssh.lazy import LazySshListener
from console.transports.telnet.lazy import LazyTelnetListener, LazyTelnetsListener
from support.rawsession import Raw
from support.servers import DEADLINE_SECONDS

# ---- the transport: a line with user and password, and then the lines of a session


class LineTerminal:
    """A terminal on one connection."""

    kind = TerminalKind(server_echo=False)
    size = Size()
    command = None

    def __init__(self, transport):
        self.transport = transport
        self.receiver = None

    def attach(self, receiver):
        self.receiver = receiver

    def write(self, data, *, error=False):
        self.transport.write(data)

    def pause_reading(self):
        self.transport.pause_reading()

    def resume_reading(self):
        self.transport.resume_reading()

    def close(self, status=0):
        self.transport.close()

    def abort(self):
        self.transport.abort()

    disconnect = close


class LineConnection(asyncio.Protocol):
    def __init__(self, listener):
        self.listener = listener
        self.context = listener.context
        self.screening = Screening("a line")
        self.typed = b""
        self.login = None
        self.terminal = None

    def connection_made(self, transport):
        self.transport = transport
        self.peer = peer_of(transport)
        self.listener.connections.add(self)
        self.context.unauthenticated.add(self, "line", self.peer)
        transport.write(self.context.banner.encode())

    def data_received(self, data):
        if self.terminal is not None:
            self.terminal.receiver.data_received(data.decode())
            return
        reason = self.screening.take(data)
        if reason is not None:
            self.context.drops.tell("line", self.peer, reason)
            self.abort()
            return
        self.typed += data
        if b"\n" in self.typed and self.login is None:
            self.transport.pause_reading()
            self.login = asyncio.get_running_loop().create_task(self.log_in())

    async def log_in(self):
        user, password = self.typed.decode().split()
        principal = await self.context.authenticator.password(
            user, password, transport="line", peer=self.peer
        )
        if principal is None:
            self.transport.write(b"login incorrect\n")
            self.transport.close()
            return
        self.context.unauthenticated.remove(self)
        self.terminal = LineTerminal(self.transport)
        self.context.admit(principal, self.terminal)
        self.transport.resume_reading()

    def connection_lost(self, exc):
        self.context.unauthenticated.remove(self)
        self.listener.connections.discard(self)
        if not self.listener.connections:
            self.listener.empty.set()
        if self.login is not None:
            self.login.cancel()
        if self.terminal is not None:
            self.terminal.receiver.connection_lost()

    def abort(self):
        self.transport.abort()


class LineListener:
    def __init__(self, context):
        self.context = context
        self.connections = set()
        self.empty = asyncio.Event()
        self.server = None

    async def listen(self, sock, backlog):
        self.server = await asyncio.get_running_loop().create_unix_server(
            lambda: LineConnection(self), sock=sock, backlog=backlog
        )

    def close(self):
        if self.server is not None:
            self.server.close()

    async def wait_closed(self, seconds):
        if self.connections:
            self.empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.empty.wait(), seconds)


@dataclass(frozen=True, slots=True)
class LineSettings(ListenSettings):
    name = "line"


class LazyLineListener(LazyListener):
    socket_command = "socat - UNIX:{socket}"

    async def _make(self, context):
        return LineListener(context)


# ---- the proof


@pytest.fixture
def store():
    """Users of the service's own, of whom one is a viewer."""

    class Store(CredentialStore):
        users = MemoryCredentials({"boss": "sekrit", "view": "sekrit"})

        def password_hash(self, name):
            return self.users.password_hash(name)

        def authorized_keys(self, name):
            return ()

        def role(self, name):
            return Role.VIEWER if name == "view" else Role.OPERATOR

    return Store()


@pytest.fixture
def line(make, store, tmp_path, monkeypatch):
    """A console with the transport; returns what connects to it."""
    monkeypatch.setitem(LAZY_LISTENERS, LineSettings, LazyLineListener)
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    path = private / "line.sock"
    console = make(listen=[LineSettings(socket=path)], credentials=store)
    console.start()
    assert [one.command for one in console.listeners] == [f"socat - UNIX:{path}"]
    with contextlib.ExitStack() as stack:

        def connect(text):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(DEADLINE_SECONDS)
            client.connect(str(path))
            client.sendall(text)
            return client

        yield connect


def rest(client):
    """Read to the end."""
    return b"".join(iter(lambda: client.recv(65536), b""))


def read(client, expected):
    """Read until something has come; return all of it."""
    seen = b""
    while expected not in seen and (data := client.recv(65536)):
        seen += data
    assert expected in seen
    return seen


def test_a_session_over_another_transport(line, caplog):
    """The real authenticator, store, session and audit log serve it as they serve the others."""
    caplog.set_level(logging.INFO, logger="console.audit")
    client = line(b"boss sekrit\n")
    seen = read(client, b">>> ")
    assert seen.startswith(b"made\nconsole ")
    client.sendall(b"1+1\n")
    assert read(client, b">>> ").startswith(b"2\r\n")
    client.sendall(b"exit()\n")
    assert rest(client) == b""
    assert "login: user=boss transport=line peer=unix" in caplog.text


def test_another_transport_is_refused_what_the_others_are(line, caplog):
    """A wrong password, a web request and what a viewer may not do."""
    read(line(b"boss wrong\n"), b"login incorrect\n")
    assert "login failed: user=boss transport=line" in caplog.text
    client = line(b"GET / HTTP/1.1\r\n")
    with contextlib.suppress(ConnectionError):
        rest(client)
    assert "reason=an HTTP request, not a line" in caplog.text
    viewer = line(b"view sekrit\n")
    read(viewer, b">>> ")
    viewer.sendall(b"1+1\n")
    assert b"2\r\n" not in read(viewer, b">>> ")


def test_a_second_address_of_a_transport(make):
    """Settings given beside the port open another listener, which serves the same users."""
    with make(telnet=0, listen=[TelnetSettings(0)]) as console:
        assert [one.transport for one in console.listeners] == ["telnet", "telnet"]
        for listener in console.listeners:
            with contextlib.closing(Raw(listener.port)) as client:
                assert client.run("1+1").endswith("2\n")


@pytest.mark.parametrize(
    ("kind", "by_tcp", "by_socket"),
    [
        (LazyTelnetListener, "telnet ::1 7", "nc -U /run/a b"),
        (
            LazyTelnetsListener,
            "openssl s_client -quiet -connect [::1]:7",
            "openssl s_client -quiet -unix /run/a b",
        ),
        (
            LazySshListener,
            "ssh -p 7 USER@::1",
            "ssh -o ProxyCommand='nc -U /run/a b' USER@console",
        ),
    ],
)
def test_what_to_type(kind, by_tcp, by_socket, tmp_path):
    """Each transport knows its client's command, for a port and for a Unix socket."""

    async def main():
        listener = kind(SimpleNamespace(name="any"), None, tmp_path)
        assert listener.client_command(host="::1", port=7, socket="") == by_tcp
        assert listener.client_command(host="", port=0, socket="/run/a b") == by_socket

    asyncio.run(main())


def test_settings_of_no_transport_are_refused(make):
    """The start says what can be given, and leaves nothing open."""

    class Unknown(ListenSettings):
        name = "unknown"

    console = make(listen=[Unknown(0)])
    with pytest.raises(
        ConfigurationError, match=r"^setting unknown = 'Unknown': .*TelnetSettings, TelnetsSettings"
    ):
        console.start()
    assert console.listeners == ()


def test_what_are_no_settings_is_refused(make):
    """A port, as the other arguments take it, would not say of which transport."""
    with pytest.raises(ConfigurationError, match="listen"):
        make(listen=[8007])
