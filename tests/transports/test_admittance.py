"""Listeners beside plain ports: TLS, Unix sockets; other protocols; keys read anew; limits."""

import contextlib
import gc
import os
import select
import shutil
import socket
import ssl
import stat
import subprocess

import pytest

from console import (
    LoginSettings,
    MemoryCredentials,
    Role,
    SessionSettings,
    TelnetSettings,
    TelnetsSettings,
)
from console.config.settings import SshSettings
from console.errors import ConfigurationError, ListenError
from console.transports.ssh import channels
from console.transports.ssh.connection import Connection
from support.clients import SSH_OPTIONS, need
from support.rawsession import Raw
from support.rawssh import CHANNEL_REQUEST, RawSsh, boolean, string, uint32
from support.servers import DEADLINE_SECONDS, clean_environment, make_key, wait_until
from support.tls import make_certificate


@pytest.fixture
def private(tmp_path):
    """A directory that only we can write."""
    path = tmp_path / "private"
    path.mkdir(mode=0o700)
    return path


def connect_tls(port, certificate, **options):
    """Connect as a TLS client that trusts this certificate only."""
    context = ssl.create_default_context(cafile=certificate)
    for name, value in options.items():
        setattr(context, name, value)
    plain = socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS)
    return context.wrap_socket(plain, server_hostname="localhost")


# ---- TLS


@pytest.fixture
def tls(make, private):
    """A console with telnet within TLS, and its certificate."""
    certificate, key = make_certificate(private)
    console = make(
        namespace={"foo": 12},
        telnets=TelnetsSettings(0, certificate=certificate, key=key),
        login=LoginSettings(grace_seconds=2.0),
    )
    console.start()
    return console, certificate


def test_a_session_within_tls(tls):
    """A TLS client that checks the certificate gets a prompt, and its output whole."""
    console, certificate = tls
    (listener,) = console.listeners
    assert listener.transport == "telnets"
    with contextlib.closing(Raw(connect_tls(listener.port, certificate))) as session:
        assert session.socket.version() == "TLSv1.3"
        assert session.run("foo").endswith("12\n")
        session.run("pretty(False)")
        assert len(session.run("'x' * 50_000")) > 50_000
        session.send("exit()\n")
        with contextlib.suppress(ssl.SSLError):  # an end without TLS's own, if it came to that
            while session.socket.recv(65536):
                pass


def test_openssl_as_a_client(tls):
    """`openssl s_client`, the client that is everywhere, logs in and reads a value."""
    console, certificate = tls
    (listener,) = console.listeners
    client = subprocess.Popen(
        [
            *("openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", certificate),
            *("-connect", f"127.0.0.1:{listener.port}"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with client:
        client.stdin.write(b"boss\nsekrit\nfoo * 2\nexit()\n")
        client.stdin.flush()
        output = client.stdout.read()
    assert b"24\r\n" in output


def test_old_tls_is_refused(tls, caplog):
    """A client that supports at most TLS 1.1 is refused."""
    console, _ = tls
    subprocess.run(
        [
            *("openssl", "s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"),
            *("-connect", f"127.0.0.1:{console.listeners[0].port}"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    wait_until(lambda: "UNSUPPORTED_PROTOCOL" in caplog.text, "a line in the log")


def test_who_begins_no_handshake_is_cut(tls, caplog):
    """A client that says nothing, or no TLS, is ended with a line in the log."""
    console, _ = tls
    (listener,) = console.listeners
    for said, reason in ((b"", "no TLS"), (b"GET / HTTP/1.0\r\n\r\n", "no TLS")):
        caplog.clear()
        with socket.create_connection(("127.0.0.1", listener.port), DEADLINE_SECONDS) as one:
            one.sendall(said)
            with contextlib.suppress(ConnectionError):
                while one.recv(65536):
                    pass
        wait_until(lambda: len(caplog.messages) == 1, "a line in the log")
        assert reason in caplog.messages[0]
        assert "transport=telnets peer=127.0.0.1:" in caplog.messages[0]


def test_silent_handshakes_are_unauthenticated_connections(make, private):
    """Connections that never begin their handshake count like all others before login."""
    certificate, key = make_certificate(private)
    console = make(
        telnets=TelnetsSettings(0, certificate=certificate, key=key),
        login=LoginSettings(connections_per_source=4),
    )
    console.start()
    port = console.listeners[0].port
    with contextlib.ExitStack() as stack:
        flood = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS))
            for _ in range(8)
        ]
        for one in flood[:4]:
            with contextlib.suppress(ConnectionError):
                assert one.recv(1) == b""
        with contextlib.closing(Raw(connect_tls(port, certificate))) as session:
            assert session.run("1 + 1").endswith("2\n")


def test_there_is_one_time_for_handshake_and_login(tls):
    """After a late handshake only the rest of the time limit is left for the login."""
    console, certificate = tls
    address = ("127.0.0.1", console.listeners[0].port)
    context = ssl.create_default_context(cafile=certificate)
    late = socket.create_connection(address, DEADLINE_SECONDS)
    # The half of the time goes by while nothing is said.
    assert select.select([late], [], [], 1.0)[0] == []
    with contextlib.ExitStack() as stack:
        sockets = [socket.create_connection(address, DEADLINE_SECONDS), late]
        early, late = (
            stack.enter_context(context.wrap_socket(one, server_hostname="localhost"))
            for one in sockets
        )
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while late.recv(65536):  # until the end, that the other has not come to
                pass
        early.sendall(b"boss\n")
        said = b""
        while b"password: " not in said:
            part = early.recv(65536)
            assert part, said
            said += part


def test_bytes_below_tls_are_counted(tls, caplog):
    """Each typed byte may come in a record of its own, of 23: 64 KiB of these are enough."""
    console, certificate = tls
    with contextlib.closing(connect_tls(console.listeners[0].port, certificate)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with pytest.raises(OSError):
            for _ in range(10_000):
                client.send(b"x")
    wait_until(lambda: "reason=more than 65536 bytes before login" in caplog.text, "a line")


def test_a_certificate_that_cannot_be_used(make, private):
    """With a key that others can read, an encrypted or a wrong one the console does not start."""
    certificate, key = make_certificate(private)
    key.chmod(0o644)
    with pytest.raises(ConfigurationError, match=r"telnets\.key"):
        make(telnets=TelnetsSettings(0, certificate=certificate, key=key)).start()
    key.chmod(0o600)
    open_to_all = private / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    for place in ({"key": key}, {"certificate": certificate}):
        copied = {name: shutil.copy(path, open_to_all) for name, path in place.items()}
        files = {"certificate": certificate, "key": key, **copied}
        with pytest.raises(ConfigurationError, match=r"is in .*open, which can be changed"):
            make(telnets=TelnetsSettings(0, **files)).start()
    other, _ = make_certificate(private, "other")
    with pytest.raises(ConfigurationError, match=r"telnets\.key.* is not the key of .*other\.pem"):
        make(telnets=TelnetsSettings(0, certificate=other, key=key)).start()
    encrypted = private / "encrypted.key"
    subprocess.run(
        ["openssl", "ec", "-aes128", "-passout", "pass:x", "-in", key, "-out", encrypted],
        check=True,
        capture_output=True,
    )
    encrypted.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"telnets\.key.* passphrase; decrypt"):
        make(telnets=TelnetsSettings(0, certificate=certificate, key=encrypted)).start()
    with pytest.raises(ConfigurationError, match=r"there is no key in .*; name the file"):
        make(telnets=TelnetsSettings(0, certificate=certificate)).start()
    certificate.chmod(0o600)
    with pytest.raises(ConfigurationError, match=r"telnets\.key.* no private key in PEM form"):
        make(telnets=TelnetsSettings(0, certificate=certificate, key=certificate)).start()
    with pytest.raises(ConfigurationError, match=r"telnets\.certificate.* no certificate in"):
        make(telnets=TelnetsSettings(0, certificate=key, key=key)).start()
    with pytest.raises(ConfigurationError, match=r"No such file"):
        make(telnets=TelnetsSettings(0, certificate=private / "none.pem")).start()


# ---- plain text


def test_plain_text_stays_at_home():
    """Telnet beyond loopback is refused unless a setting says in words that it is meant."""
    with pytest.raises(ConfigurationError, match=r"telnets or ssh"):
        TelnetSettings(0, "0.0.0.0")
    TelnetSettings(0, "0.0.0.0", allow_plain_text=True)


# ---- Unix sockets


def test_a_unix_socket(make, private):
    """Telnet on a Unix socket is for the service's user alone, and gone after the stop."""
    path = private / "console.sock"
    console = make(telnet=str(path), namespace={"foo": 12})
    with console:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert str(console.listeners[0]) == f"telnet on {path}"
        assert f"nc -U {path}" in console.describe()
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as plain:
            plain.settimeout(DEADLINE_SECONDS)
            plain.connect(str(path))
            session = Raw(plain)
            assert session.run("foo").endswith("12\n")
    assert not path.exists()


def test_ssh_through_a_unix_socket(make, private, tmp_path):
    """OpenSSH's client logs in through a Unix socket, by key, and the log names the user."""
    need("ssh")
    need("nc")
    path = private / "ssh.sock"
    key = make_key(private / "id")
    console = make(ssh=str(path), namespace={"foo": 12}, credentials=None)
    console.credentials.add("boss")
    console.credentials.grant_key("boss", key.with_suffix(".pub").read_text())
    with console:
        done = subprocess.run(
            [
                *("ssh", *SSH_OPTIONS, "-i", key, "-o", f"ProxyCommand=nc -U {path}"),
                *("boss@console", "foo"),
            ],
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            env=clean_environment(tmp_path),
            check=False,
        )
        assert done.stdout == "12\n", done.stderr


def test_a_stale_socket_is_replaced(make, private):
    """The socket of an ended process is replaced; one in use, or a file, is an error."""
    path = private / "console.sock"
    with contextlib.closing(socket.socket(socket.AF_UNIX)) as left:
        left.bind(str(path))
    console = make(telnet=TelnetSettings(socket=path))
    with console:
        with pytest.raises(ListenError, match="another process listens there"):
            make(telnet=TelnetSettings(socket=path)).start()
        assert path.exists()
    path.write_text("precious")
    with pytest.raises(ListenError, match="not a socket"):
        make(telnet=TelnetSettings(socket=path)).start()
    assert path.read_text() == "precious"


def test_a_socket_in_a_directory_of_others(make, tmp_path):
    """Where others can replace the socket nothing listens."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    with pytest.raises(ListenError, match="shared"):
        make(telnet=TelnetSettings(socket=shared / "console.sock")).start()
    assert os.listdir(shared) == []


def test_a_port_or_a_socket():
    """Settings name one place to listen, not two and not none."""
    for wrong in ({}, {"port": 0, "socket": "/x"}):
        with pytest.raises(ConfigurationError, match="one of them"):
            SshSettings(**wrong)


# ---- other protocols


@pytest.mark.parametrize("transport", ["telnet", "ssh"])
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "an HTTP request"),
        (b"POST / HTTP/1.1\r\n\r\nboss\r\nsekrit\r\nfoo = 1\r\n", "an HTTP request"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "an HTTP request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "a TLS handshake"),
    ],
)
def test_browsers_are_dropped(transport, said, reason, make, caplog):
    """A browser at either port gets nothing of use, one line in the log, and is gone."""
    namespace = {}
    console = make(**{transport: 0}, namespace=namespace)
    with (
        console,
        socket.create_connection(("127.0.0.1", console.listeners[0].port), DEADLINE_SECONDS) as one,
    ):
        for part in (said[:3], said[3:]):  # in two pieces, as a network may deliver it
            one.sendall(part)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while data := one.recv(65536):
                answer += data
        assert b"HTTP" not in answer
        wait_until(lambda: caplog.messages, "a line in the log")
    assert [message for message in caplog.messages if "dropped" in message] == [
        message for message in caplog.messages if f"reason={reason}, not" in message
    ]
    assert len(caplog.messages) == 1
    assert namespace.keys() <= {"__builtins__"}


IGNORE = (1004).to_bytes(4, "big") + b"\x06\x02" + (992).to_bytes(4, "big") + b"x" * 998


@pytest.mark.parametrize(
    ("transport", "said"),
    [("telnet", b"x" * 100_000), ("ssh", b"SSH-2.0-x\r\n" + IGNORE * 100)],
)
def test_bytes_before_login_are_bounded(transport, said, make, caplog):
    """A client that sends more than 64 KiB without a login is dropped, on either port."""
    console = make(**{transport: 0})
    with (
        console,
        socket.create_connection(("127.0.0.1", console.listeners[0].port), DEADLINE_SECONDS) as one,
    ):
        with contextlib.suppress(ConnectionError):
            one.sendall(said)
            while one.recv(65536):
                pass
        wait_until(lambda: caplog.messages, "a line in the log")
    assert len(caplog.messages) == 1
    assert "reason=more than 65536 bytes before login" in caplog.messages[0]


@pytest.mark.parametrize("transport", ["telnet", "ssh"])
def test_silence_is_cut(transport, make, caplog):
    """A silent client is dropped at the login's time limit, with one line in the log."""
    console = make(**{transport: 0}, login=LoginSettings(grace_seconds=0.3))
    with (
        console,
        socket.create_connection(("127.0.0.1", console.listeners[0].port), DEADLINE_SECONDS) as one,
    ):
        with contextlib.suppress(ConnectionError):
            while one.recv(65536):
                pass
        wait_until(lambda: caplog.messages, "a line in the log")
    assert len(caplog.messages) == 1
    assert "reason=no login within 0.3 seconds" in caplog.messages[0]


def test_who_makes_room_for_whom(make):
    """Of unauthenticated connections a guesser's is evicted first, and an operator's last."""
    operator, guesser, others = "127.0.0.2", "127.0.0.3", ("127.0.0.4", "127.0.0.5", "127.0.0.6")
    quick = LoginSettings(connections=3, failure_seconds=0.001)
    with make(ssh=0, telnet=0, login=quick) as console, contextlib.ExitStack() as stack:

        def connect(source):
            client = stack.enter_context(RawSsh(console.ssh_port, source=source))
            client.read_version()
            return client

        with RawSsh(console.ssh_port, source=operator) as client:
            assert client.handshake().guess("boss", "sekrit")
        with RawSsh(console.ssh_port, source=guesser) as client:
            assert not client.handshake().guess("boss", "wrong")
        early, first, wrong = connect(operator), connect(others[0]), connect(guesser)
        second = connect(others[1])
        wrong.wait_gone()
        third = connect(others[2])
        first.wait_gone()
        for client in (early, second, third):  # they are served still
            client.send_bytes(client.version + b"\r\n")
            client.exchange_keys()


def test_who_has_logged_in_makes_no_room(make):
    """Connections after the login are not counted among those before it, however many."""
    few = LoginSettings(connections=2, connections_per_source=2)
    with make(ssh=0, login=few) as console, contextlib.ExitStack() as stack:
        clients = []
        for _ in range(4):
            clients.append(stack.enter_context(RawSsh(console.ssh_port)))
            assert clients[-1].handshake().guess("boss", "sekrit")
        for client in clients:
            client.open_session()


# ---- after the login


@pytest.fixture
def inside(make):
    """A console with two users, and an SSH connection of one that has logged in."""
    store = MemoryCredentials({"boss": "sekrit", "view": "viewpw"}, roles={"view": Role.VIEWER})
    console = make(ssh=0, telnet=0, credentials=store, namespace={})
    with console, RawSsh(console.ssh_port) as client:
        assert client.handshake().guess("view", "viewpw")
        yield console, store, client


def test_who_is_kicked_loses_the_connection(inside):
    """A kick ends the connection, on which the next session could be opened without a login."""
    console, _, client = inside
    channel = client.open_session()
    assert client.ask_channel(channel, "shell")
    with contextlib.closing(Raw(console.telnet_port)) as boss:
        assert "Error" not in boss.run("kick(1)")
        client.wait_gone()


def test_a_connection_without_a_session_ends(make, monkeypatch, caplog):
    """A connection on which nothing is open, that no list shows, is not kept for ever."""
    monkeypatch.setattr(channels, "IDLE_SECONDS", 0.2)
    with make(ssh=0) as console, RawSsh(console.ssh_port) as client:
        assert client.handshake().guess("boss", "sekrit")
        client.wait_gone()


def test_connections_after_login_are_limited(make, caplog):
    """Connections that have logged in have the limits of sessions, though they have none."""
    with (
        make(ssh=0, sessions=SessionSettings(most=3, per_user=2)) as console,
        contextlib.ExitStack() as stack,
    ):
        for _ in range(2):
            client = stack.enter_context(RawSsh(console.ssh_port))
            assert client.handshake().guess("boss", "sekrit")
        third = stack.enter_context(RawSsh(console.ssh_port)).handshake()
        third.guess("boss", "sekrit")
        third.wait_gone()
    assert "reason=you have 2 connections open" in caplog.text


def test_what_a_client_sends_of_its_environment_is_not_kept(inside):
    """Unknown variables are dropped, and long ones cut, however many arrive."""
    console, _, client = inside
    channel = client.open_session()
    for number in range(50):
        variable = string(f"X{number}") + string("x" * 30_000)
        client.send(CHANNEL_REQUEST, uint32(channel), string("env"), boolean(False), variable)
    wanted = string("LANG") + string("y" * 30_000)
    assert client.ask_channel(channel, "env", wanted)
    (connection,) = [
        # Not isinstance(), which asks the objects of other tests for their __class__.
        one
        for one in gc.get_objects()
        if type(one) is Connection and one.principal is not None
    ]
    (kept,) = [one._env for one in connection._channels.values()]
    assert kept == {b"LANG": b"y" * 64}
    assert console.listeners
