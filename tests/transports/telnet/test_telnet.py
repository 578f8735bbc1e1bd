"""The telnet transport over real sockets: negotiation, login, terminal, and hostile peers."""

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import re
import shutil
import socket
import struct
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console import limits
from console.events import ConnectionDropped, EventBus
from console.interfaces.credentials import Peer, Principal
from console.interfaces.terminals import Size, TerminalKind
from console.interfaces.transports import TransportContext
from console.transports.drop_log import DropLog
from console.transports.telnet import codec as telnet_codec
from console.transports.telnet import connection as telnet
from console.transports.telnet import login
from console.transports.telnet.listener import TelnetListener
from console.transports.unauthenticated import UnauthenticatedConnections

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
BINARY, ECHO, SGA, STATUS, TM, TTYPE, NAWS, NEW_ENVIRON = 0, 1, 3, 5, 6, 24, 31, 39
NOP, BRK, IP, ABORT, AYT, EC, EL, EOF = 241, 243, 244, 238, 246, 247, 248, 236

OFFERS = bytes(
    byte
    for offer in (
        (WILL, SGA),
        (WILL, ECHO),
        (DO, TTYPE),
        (DO, NAWS),
        (WILL, BINARY),
        (DO, BINARY),
        (DO, NEW_ENVIRON),
    )
    for byte in (IAC, *offer)
)
ACCEPTED = bytes([IAC, DO, SGA, IAC, DO, ECHO])
NO_TELNET = b"(this client is no telnet client: the password will show on the screen)\r\n"

# One packet each, before login: the first two loop for ever in telnetlib3 5.0.1, the third makes
# it inflate what follows without limit.
ATTACKS = {
    "MSDP table": bytes.fromhex("fffa4501610203 78fff0"),
    "MSDP array": bytes.fromhex("fffa450161020501fff0"),
    "MCCP3": bytes.fromhex("fffa57fff0"),
    "STATUS": bytes([IAC, SB, STATUS, 1, IAC, SE]),
    "LINEMODE": bytes([IAC, WILL, 34, IAC, SB, 34, 3, 1, 2, 3, IAC, SE]),
    "empty": bytes([IAC, SB, IAC, SE]),
    "NAWS too short": bytes([IAC, WILL, NAWS, IAC, SB, NAWS, 1, IAC, SE]),
    "TTYPE not ASCII": bytes([IAC, SB, TTYPE, 0, 0x1B, 0x9B, 0xE9, IAC, SE]),
    "TTYPE without anything": bytes([IAC, SB, TTYPE, IAC, SE]),
    "TTYPE question": bytes([IAC, SB, TTYPE, 1, IAC, SE]),
    "NEW_ENVIRON question": bytes([IAC, SB, NEW_ENVIRON, 1, 0, IAC, SE]),
    "interrupted": bytes([IAC, SB, NAWS, 0, IAC, DO, SGA]),
    "forbidden": bytes([IAC, WILL, ECHO, IAC, WONT, TM, IAC, WILL, TM, IAC, DO, 18, IAC, WONT, 18]),
    "no command": bytes([IAC, SE, IAC, 5]),
}


# Bytes in which telnet's commands are as frequent as text.
TOKENS = st.one_of(
    st.sampled_from([IAC, SB, SE, DO, DONT, WILL, WONT, IP, EC]).map(lambda code: bytes([code])),
    st.sampled_from([ECHO, SGA, TM, TTYPE, NAWS, NEW_ENVIRON]).map(lambda code: bytes([code])),
    st.sampled_from([b"\0", b"\1", b"\0\x50\0\x18", b"\r", b"\n", b"xterm", b"LANG"]),
    st.sampled_from([*ATTACKS.values(), ACCEPTED, bytes([IAC, SB, TTYPE, 0])]),
    st.binary(max_size=3),
)


class EchoSession:
    """A minimal session: it repeats its input."""

    def __init__(self, principal, terminal):
        self.principal = principal
        self.terminal = terminal
        self.text = ""
        self.log = []
        terminal.attach(self)

    def data_received(self, text):
        self.text += text
        self.log.append(text)
        self.terminal.write(f"<{text}>".encode())
        if "exit\r" in self.text or "exit\n" in self.text:
            self.terminal.close()

    def interrupt_received(self):
        self.log.append("interrupt")
        self.terminal.write(b"<interrupt>")

    def eof_received(self):
        self.log.append("eof")
        self.terminal.write(b"<eof>")
        self.terminal.close()

    def resized(self):
        self.log.append(self.terminal.size)

    def kind_changed(self):
        self.log.append(self.terminal.kind)

    def asked(self):
        self.log.append("asked")
        self.terminal.write(b"<asked>")

    def writing_paused(self):
        self.log.append("paused")

    def writing_resumed(self):
        self.log.append("resumed")

    def connection_lost(self):
        self.log.append("lost")


class Client:
    """A raw socket that remembers everything it was sent."""

    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.seen = b""

    @property
    def name(self):
        return "{}:{}".format(*self.writer.get_extra_info("sockname"))

    def send(self, data):
        self.writer.write(data if isinstance(data, bytes) else data.encode())

    async def expect(self, data):
        """Read up to ``data``; return what came before it."""
        data = data if isinstance(data, bytes) else data.encode()
        async with asyncio.timeout(20):
            while data not in self.seen:
                more = await self.reader.read(65536)
                assert more, f"the connection ended before {data!r}: {self.seen[-200:]!r}"
                self.seen += more
        before, _, self.seen = self.seen.partition(data)
        return before

    async def rest(self):
        """Read to the end of the stream."""
        async with asyncio.timeout(20):
            return self.seen + await self.reader.read(-1)

    async def login(self, negotiation=b""):
        """Log in, as nc does it or, with a negotiation, as a telnet client."""
        self.send(negotiation)
        await self.expect("username: ")
        self.send("boss\r\n")
        await self.expect("password: ")
        self.send("sekrit\r\n")

    def reset(self):
        """End the connection with RST."""
        sock = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def no_later(seconds, call):
    pass


class Authenticator:
    """An authenticator: a function, and whether a code is asked for."""

    def __init__(self, authenticate, asks_for_code=False):
        self.authenticate = authenticate
        self.asks_for_code = asks_for_code

    def refresh(self):
        known = asyncio.get_running_loop().create_future()
        known.set_result(None)
        return known

    async def password(self, user, password, code, *, transport, peer):
        return await self.authenticate(user, password, str(peer))


class Site:
    """A telnet server on a port of its own, and what happened there."""

    def __init__(self):
        self.events = []
        self.sessions = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.attempts = []
        self.cancelled = 0
        self.clients = []
        self.server = None
        self.address = None

    async def authenticate(self, user, password, peer):
        self.attempts.append((user, password, peer))
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if (user, password) == ("boss", "sekrit"):
            return Principal(user, "telnet", peer, "password")
        return None

    def admit(self, principal, terminal):
        self.sessions.append(EchoSession(principal, terminal))

    async def connect(self, **options):
        client = Client(*await asyncio.open_connection(*self.address, **options))
        self.clients.append(client)
        return client

    @property
    def connection(self):
        """The only connection."""
        (connection,) = self.server.connections
        return connection

    @property
    def drops(self):
        return [event.reason for event in self.events if isinstance(event, ConnectionDropped)]


async def until(condition):
    """Wait until a condition holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - conditions of many kinds
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def a_site(host="127.0.0.1", **overrides):
    """Run a server; at the end nothing of it may be left."""
    site = Site()
    bus = EventBus()
    bus.subscribe(site.events.append)
    sock = socket.create_server(
        (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    )
    site.address = sock.getsockname()[:2]
    drops = DropLog(bus, lambda peer: peer.host, no_later)
    context = TransportContext(
        banner="demo 1.0",
        authenticator=Authenticator(overrides.get("authenticate", site.authenticate)),
        admit=overrides.get("admit", site.admit),
        logged_in=None,  # every telnet connection has a session
        unauthenticated=UnauthenticatedConnections(
            drops=drops,
            source_of=lambda peer: peer.host,
            most=overrides.get("unauthenticated", 64),
            most_per_source=16,
            standing=lambda _: 1,
        ),
        drops=drops,
        grace_seconds=overrides.get("grace_seconds", 30.0),
        keepalive_seconds=7.4,
        too_many=lambda principal, others: "",
    )
    site.server = TelnetListener("telnet", context)
    await site.server.listen(sock, 100)
    try:
        yield site
    finally:
        site.server.close()
        site.server.close()
        for client in site.clients:
            client.writer.transport.abort()
        await site.server.wait_closed(20)
        assert site.server.connections == ()
        await until(lambda: len(asyncio.all_tasks()) == 1)


def run(scenario, **overrides):
    """Run a scenario against a server."""

    async def main():
        async with a_site(**overrides) as site:
            await scenario(site)

    asyncio.run(main())


@pytest.fixture(autouse=True)
def quiet(caplog, request):
    """Nothing may be logged above INFO, and by telnetlib3 nothing at all."""
    caplog.set_level(logging.DEBUG)
    yield
    assert not [r for r in caplog.records if r.name.startswith("telnetlib3")]
    if "loud" not in request.fixturenames:
        assert [r.getMessage() for r in caplog.records if r.levelno > logging.INFO] == []


@pytest.fixture
def loud(caplog):
    """For tests of what is logged."""
    return caplog


# ---- login


def test_negotiation_and_prompt_come_at_once():
    """A client that says nothing gets offers, an empty line, the banner and the prompt."""

    async def scenario(site):
        client = await site.connect()
        greeting = b"\r\ndemo 1.0\r\nusername: "
        assert await client.expect(greeting) == OFFERS

    run(scenario)


def test_login_without_telnet():
    """A raw client is warned, logs in, and is known as one that echoes by itself."""

    async def scenario(site):
        client = await site.connect()
        await client.expect("username: ")
        client.send("boss\n")
        assert await client.expect("password: ") == NO_TELNET
        client.send("sekrit\n")
        await until(lambda: site.sessions)
        (session,) = site.sessions
        assert site.attempts == [("boss", "sekrit", client.name)]
        assert session.principal == Principal("boss", "telnet", client.name, "password")
        assert session.terminal.kind == TerminalKind(server_echo=False, whole_lines=True)
        assert not session.terminal.kind.capable
        assert session.terminal.size == Size()
        assert session.terminal.command is None
        client.send("foo\n")
        await client.expect("<foo\n>")
        assert client.seen == b""

    run(scenario)


def test_login_of_a_telnet_client():
    """A telnet client gets echo and stars, and its terminal is known once it is logged in."""

    async def scenario(site):
        client = await site.connect()
        client.send(ACCEPTED + bytes([IAC, WILL, TTYPE, IAC, WILL, NAWS, IAC, WILL, NEW_ENVIRON]))
        client.send(bytes([IAC, SB, NAWS, 0, 120, 0, 40, IAC, SE]))
        await client.expect("username: ")
        await client.expect(bytes([IAC, SB, TTYPE, 1, IAC, SE]))
        asked = b"\0COLORTERM\0CONSOLE_FRONTEND\0LANG\0NO_COLOR\0TERM_PROGRAM"
        await client.expect(bytes([IAC, SB, NEW_ENVIRON, 1]) + asked + bytes([IAC, SE]))
        client.send(bytes([IAC, SB, TTYPE, 0]) + b"XTERM-256color\x1b!" + bytes([IAC, SE]))
        values = b"\0COLORTERM\1truecolor\0LANG\1C\x1b[2J\0USER\1root\3LOGNAME\1root"
        client.send(bytes([IAC, SB, NEW_ENVIRON, 0]) + values + bytes([IAC, SE]))
        client.send("boss\r\0")
        assert await client.expect("password: ") == b"boss\r\n"
        client.send("sekrit\r\0")
        await client.expect("******\r\n")
        await until(lambda: site.sessions)
        terminal = site.sessions[0].terminal
        assert terminal.kind == TerminalKind(
            name="xterm-256color",
            server_echo=True,
            environment=(("COLORTERM", "truecolor"), ("LANG", "C[2J")),
        )
        assert terminal.kind.capable
        assert terminal.size == Size(40, 120)

    run(scenario)


def test_a_promised_terminal_type_is_waited_for():
    """A terminal type that comes after the password still counts."""

    async def scenario(site):
        client = await site.connect()
        await client.login(ACCEPTED + bytes([IAC, WILL, TTYPE]))
        await client.expect("******\r\n")
        client.send(bytes([IAC, SB, TTYPE, 0]) + b"vt220" + bytes([IAC, SE]))
        await until(lambda: site.sessions)
        assert site.sessions[0].terminal.kind.name == "vt220"

    run(scenario)


def test_a_terminal_type_that_never_comes_holds_nobody_up(monkeypatch):
    """A client that promises a terminal type and sends none gets in without it."""
    monkeypatch.setattr(login, "TERMINAL_TYPE_SECONDS", 0.05)

    async def scenario(site):
        client = await site.connect()
        await client.login(ACCEPTED + bytes([IAC, WILL, TTYPE]))
        await until(lambda: site.sessions)
        assert site.sessions[0].terminal.kind == TerminalKind(name="", server_echo=True)

    run(scenario)


def test_three_wrong_passwords_end_the_connection():
    """After three wrong passwords the connection says goodbye and ends, with one event."""

    async def scenario(site):
        client = await site.connect()
        client.send("boss\nwrong\n" * 5)
        output = await client.rest()
        assert output.count(b"login incorrect\r\n") == 3
        assert output.endswith(b"too many tries, goodbye\r\n")
        client.writer.close()
        await until(lambda: not site.server.connections)
        assert len(site.attempts) == 3
        assert site.drops == ["too many login tries"]
        assert site.sessions == []

    run(scenario)


def test_input_waits_for_the_verdict():
    """What is typed while a password is verified goes to the session, in order."""

    async def scenario(site):
        site.gate.clear()
        client = await site.connect()
        client.send("boss\r\nsekrit\r\n")
        await until(lambda: site.attempts)
        client.send("one\r\n")
        client.send(bytes([IAC, IP]) + b"two")
        client.send(bytes([IAC, AYT]))
        await client.expect("[yes]")
        assert site.sessions == []
        site.gate.set()
        await client.expect("two>")
        assert site.sessions[0].text == "one\r\x03two"

    run(scenario)


def test_a_long_script_behind_the_password_is_not_a_flood():
    """A script larger than the limit before login is held back by TCP, and arrives whole."""

    async def scenario(site):
        site.gate.clear()
        client = await site.connect()
        client.send("boss\nsekrit\n" + "x" * (8 * limits.UNAUTHENTICATED_BYTES) + "end\n")
        await until(lambda: site.attempts)
        (connection,) = site.server.connections
        await until(lambda: not connection._transport.is_reading())
        site.gate.set()
        await client.expect("end\n>")
        assert len(site.sessions[0].text) == 8 * limits.UNAUTHENTICATED_BYTES + 4
        assert site.drops == []

    run(scenario)


@pytest.mark.parametrize("keys", [b"\x03", b"\x04", bytes([IAC, IP]), bytes([IAC, EOF])])
def test_leaving_at_the_login(keys):
    """Ctrl-C and Ctrl-D, typed or by telnet's own commands, end the connection at a prompt."""

    async def scenario(site):
        client = await site.connect()
        await client.expect("username: ")
        client.send(keys)
        await client.rest()
        client.writer.close()
        await until(lambda: not site.server.connections)
        assert site.drops == []

    run(scenario)


def test_web_requests_are_dropped():
    """An HTTP request on the port is dropped, and an event says so."""

    async def scenario(site):
        client = await site.connect()
        client.send("POST / HTTP/1.1\r\nHost: localhost\r\n\r\nboss\r\nsekrit\r\n")
        await client.rest()
        assert site.drops == ["an HTTP request, not a login"]
        assert site.attempts == []

    run(scenario)


def test_login_grace_is_not_extended_by_traffic():
    """A client that types on and on without logging in is ended when its time is over."""

    async def scenario(site):
        client = await site.connect()

        async def type_on():
            while True:
                client.send("x\x7f")
                await asyncio.sleep(0.01)

        typing = asyncio.create_task(type_on())
        await client.expect("login timed out\r\n")
        typing.cancel()
        await client.rest()
        assert site.drops == ["no login within 0.3 seconds"]

    run(scenario, grace_seconds=0.3)


def test_login_grace_ends_a_verification():
    """A verification that takes longer than the login may is cancelled."""

    async def scenario(site):
        site.gate.clear()
        client = await site.connect()
        await client.login()
        await client.expect("login timed out\r\n")
        await until(lambda: site.cancelled == 1)

    run(scenario, grace_seconds=0.2)


def test_the_login_timer_ends_with_the_login():
    """A user who has logged in is not ended by the login's timer: it waits no more."""

    async def scenario(site):
        def timers():
            scheduled = asyncio.get_running_loop()._scheduled
            return [one for one in scheduled if not one.cancelled() and "_timed_out" in repr(one)]

        client = await site.connect()
        await until(timers)
        await client.login()
        await until(lambda: site.sessions)
        assert timers() == []

    run(scenario, grace_seconds=20.0)


# ---- half-closed and lost connections


def test_a_half_closed_connection_gets_its_output():
    """`printf ... | nc -N`: input that ends at once is all used, and its output arrives."""

    async def scenario(site):
        client = await site.connect()
        client.send("boss\nsekrit\nfoo\n")
        client.writer.write_eof()
        output = await client.rest()
        assert output.endswith(b"password: <foo\n><eof>")
        assert site.sessions[0].log[-3:] == ["foo\n", "eof", "lost"]

    run(scenario)


@pytest.mark.skipif(shutil.which("nc") is None, reason="needs nc")
def test_nc_gets_its_output():
    """The same with the real nc."""

    async def scenario(site):
        host, port = site.address
        process = await asyncio.create_subprocess_exec(
            "nc", "-N", host, str(port), stdin=asyncio.subprocess.PIPE, stdout=-1
        )
        output, _ = await process.communicate(b"boss\nsekrit\nfoo\n")
        assert output.endswith(b"<foo\n><eof>")

    run(scenario)


@pytest.mark.parametrize("typed", ["", "bo", "boss\n", "boss\nsek"])
@pytest.mark.parametrize("negotiation", [b"", ACCEPTED])
def test_eof_in_the_middle_of_a_login(typed, negotiation):
    """A client that goes away during the login leaves nothing behind."""

    async def scenario(site):
        client = await site.connect()
        client.send(negotiation + typed.encode())
        await client.expect("username: ")
        client.writer.close()
        await until(lambda: not site.server.connections)

    run(scenario)


@pytest.mark.parametrize("typed", ["", "boss\n", "boss\nsekrit\n"])
def test_reset_in_the_middle_of_a_login(typed):
    """RST during the login, or while the password is verified, leaves nothing behind."""

    async def scenario(site):
        site.gate.clear()
        client = await site.connect()
        await client.expect("username: ")
        client.send(typed)
        if typed:
            await client.expect("password: ")
        if "sekrit" in typed:
            await until(lambda: site.attempts)
        client.reset()
        await until(lambda: not site.server.connections)
        assert site.cancelled == len(site.attempts)

    run(scenario)


def test_reset_of_a_session_tells_it_once():
    """RST at the prompt tells the session, once, and writing to it is then a no-op."""

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        client.reset()
        (session,) = site.sessions
        await until(lambda: session.log == ["lost"])
        for _ in range(10):
            session.terminal.write(b"x")
        session.terminal.pause_reading()
        session.terminal.resume_reading()
        session.terminal.close()
        session.terminal.abort()
        assert session.terminal.size == Size()
        assert session.log == ["lost"]

    run(scenario)


def test_a_telnet_client_that_closes_is_gone():
    """EOF from a client in character mode ends the session, as such clients close both ways."""

    async def scenario(site):
        client = await site.connect()
        await client.login(ACCEPTED)
        await until(lambda: site.sessions)
        client.writer.close()
        await until(lambda: site.sessions[0].log == ["lost"])

    run(scenario)


def test_a_connection_leaves_no_object_behind():
    """A finished connection is freed."""

    async def scenario(site):
        client = await site.connect()
        await client.login(ACCEPTED)
        await until(lambda: site.sessions)
        (connection,) = (weakref.ref(each) for each in site.server.connections)
        client.send("exit\r\0")
        await client.rest()
        client.writer.close()
        await until(lambda: not site.server.connections)
        site.sessions.clear()
        site.clients.clear()

        def freed():
            gc.collect()
            return connection() is None

        await until(freed)

    run(scenario)


# ---- hostile peers


@pytest.mark.parametrize("packet", ATTACKS.values(), ids=ATTACKS)
def test_attack_packets_before_login(packet):
    """No single packet before login stops the server, ends the login or is answered at length."""

    async def scenario(site):
        client = await site.connect()
        client.send(packet + b"\0" * 100)
        client.send(bytes([IAC, AYT]))
        answer = await client.expect("[yes]")
        assert len(answer) < len(OFFERS) + 60
        other = await site.connect()
        await other.login()
        await until(lambda: site.sessions)

    run(scenario)


@pytest.mark.parametrize("packet", ATTACKS.values(), ids=ATTACKS)
def test_attack_packets_in_a_session(packet):
    """The same packets after login leave the session as it was."""

    async def scenario(site):
        client = await site.connect()
        await client.login(ACCEPTED)
        await until(lambda: site.sessions)
        client.send(packet)
        client.send("foo\r\0")
        await client.expect("foo\r>")
        assert site.sessions[0].terminal.size == Size()

    run(scenario)


@pytest.mark.parametrize("option", [0x45, TTYPE, NEW_ENVIRON])
@pytest.mark.parametrize("filling", [b"x", bytes([IAC, IAC])], ids=["x", "IAC IAC"])
def test_a_subnegotiation_without_end_is_not_kept(option, filling):
    """A megabyte of one subnegotiation is not kept, and the session goes on after it."""

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        codec = site.connection.codec
        client.send(bytes([IAC, SB, option, 0]) + filling * (1_000_000 // len(filling)))
        client.send(bytes([IAC, SE]) + b"foo\n")
        longest = 0
        feed = codec.feed

        def watch(data):
            nonlocal longest
            received = feed(data)
            longest = max(longest, len(codec._sb_buffer))
            return received

        codec.feed = watch
        await client.expect("<foo\n>")
        assert longest <= limits.SUBNEGOTIATION_BYTES
        assert codec.environment == {}

    run(scenario)


@pytest.mark.parametrize(
    "packet",
    [b"x", bytes([IAC, NOP]), bytes([IAC, SB, NEW_ENVIRON]), b"\x1b[", b"\0"],
    ids=["text", "NOP", "subnegotiation", "escape", "NUL"],
)
def test_a_flood_before_login_is_cut(packet):
    """Ten megabytes of anything before login end the connection after 64 KB, with one event."""

    async def scenario(site):
        client = await site.connect()
        with contextlib.suppress(ConnectionError):
            for _ in range(160):
                client.send(packet * (65536 // len(packet)))
                await client.writer.drain()
        await until(lambda: not site.server.connections)
        assert site.drops == ["more than 65536 bytes before login"]

    run(scenario)


def test_a_flood_of_variables_is_not_kept():
    """Of a flood of environment variables only the three that were asked for are kept, clipped."""

    async def scenario(site):
        client = await site.connect()
        head = bytes([IAC, SB, NEW_ENVIRON, 0])
        for number in range(20):
            client.send(head + b"\0V%d\1" % number + b"x" * 1900 + bytes([IAC, SE]))
        client.send(head + b"\0LANG\1" + b"x" * 1900 + bytes([IAC, SE]))
        client.send(head + b"\0TERM_PROGRAM\1" + b"x" * 2100 + bytes([IAC, SE]))
        await client.login()
        await until(lambda: site.sessions)
        assert site.sessions[0].terminal.kind.environment == (("LANG", "x" * 64),)

    run(scenario)


@pytest.mark.parametrize(
    ("sent", "size"),
    [
        (bytes([255, 255, 255, 255]) * 2, Size(500, 1000)),
        (bytes([0, 0, 0, 0]), Size(24, 80)),
        (bytes([0, 1, 0, 1]), Size(1, 1)),
    ],
)
def test_window_sizes_are_clamped(sent, size):
    """A window of 65535 by 65535 is cut to sane values, and 0 by 0 means the usual."""

    async def scenario(site):
        client = await site.connect()
        await client.login(bytes([IAC, WILL, NAWS]))
        await until(lambda: site.sessions)
        client.send(bytes([IAC, SB, NAWS]) + sent + bytes([IAC, SE]))
        await until(lambda: site.sessions[0].log == [size])
        assert site.sessions[0].terminal.size == size

    run(scenario)


def test_the_oldest_unauthenticated_connection_is_evicted():
    """A flood of connections ends the oldest that has not logged in, and none that has."""

    async def scenario(site):
        boss = await site.connect()
        await boss.login()
        await until(lambda: site.sessions)
        clients = [await site.connect() for _ in range(5)]
        for client in clients[:2]:
            with contextlib.suppress(ConnectionError):
                await client.rest()
        boss.send("foo\n")
        await boss.expect("<foo\n>")
        await clients[-1].login()
        await until(lambda: len(site.sessions) == 2)
        assert site.drops == ["more than 3 connections before login in all"] * 2

    run(scenario, unauthenticated=3)


def test_a_client_that_does_not_read_is_cut(monkeypatch):
    """Unread output beyond the cap ends the connection, with one event."""
    monkeypatch.setattr(limits, "TERMINAL_BUFFER_BYTES", 1024 * 1024)

    async def scenario(site):
        client = await site.connect(limit=1024)
        await client.login()
        await until(lambda: site.sessions)
        (session,) = site.sessions
        for _ in range(1000):
            session.terminal.write(b"x" * 65536)
        await until(lambda: session.log == ["lost"])
        assert site.drops == ["1048576 bytes of output unread"]

    run(scenario)


# ---- the terminal


@pytest.mark.parametrize("enter", [b"\r\0", b"\r\n", b"\r"])
def test_enter_and_characters_survive_any_border(enter):
    """Sent byte by byte, Enter is one CR and a character of several bytes is one character."""

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        (session,) = site.sessions
        sent = b""
        for byte in "é日👩x".encode() + enter + b"y":
            client.send(bytes([byte]))
            sent += bytes([byte])
            expected = sent.decode(errors="ignore").replace("\r\n", "\r").replace("\r\0", "\r")
            await until(lambda expected=expected: session.text == expected)
        assert session.text == "é日👩x\ry"

    run(scenario)


def test_borders_between_chunks_change_nothing():
    """However bytes are split, the decoded text is the same: every text of up to five symbols."""
    for length in range(1, 6):
        for symbols in itertools.product(["é", "\r", "\n", "\0"], repeat=length):
            text = "".join(symbols)
            data = text.encode()
            whole = re.sub("\r[\n\0]", "\r", text)
            assert telnet_codec.Decoder().decode(data) == whole
            for cut in range(1, len(data)):
                decoder = telnet_codec.Decoder()
                assert decoder.decode(data[:cut]) + decoder.decode(data[cut:]) == whole
            decoder = telnet_codec.Decoder()
            assert "".join(decoder.decode(bytes([byte])) for byte in data) == whole


@given(data=st.binary() | st.lists(TOKENS).map(b"".join), cuts=st.lists(st.integers(0, 100)))
def test_arbitrary_bytes_never_raise(data, cuts):
    """Any bytes, telnet commands among them, are taken without an exception, however split."""

    async def scenario():
        ours, theirs = socket.socketpair()
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, sock=ours
        )
        borders = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        results = []
        for pieces in ([data], [data[a:b] for a, b in itertools.pairwise(borders)]):
            codec = telnet_codec.Codec(telnet_codec.Output(transport))
            codec.negotiate()
            items = [item for piece in pieces for item in codec.feed(piece)]
            results.append(
                (
                    b"".join(item for item in items if isinstance(item, bytearray)),
                    [item for item in items if not isinstance(item, bytearray)],
                    codec.size,
                    codec.terminal_type,
                    codec.will_echo,
                )
            )
        assert results[0] == results[1]
        transport.abort()
        theirs.close()
        await asyncio.sleep(0)

    asyncio.run(scenario())


def test_telnet_commands_become_keys_and_interrupts():
    """IP, BRK and ABORT interrupt, EC, EL and EOF are keys, in their order with typed text."""

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        client.send(b"a" + bytes([IAC, IP]) + b"b" + bytes([IAC, BRK, IAC, ABORT]))
        client.send(bytes([IAC, EC, IAC, EL, IAC, EOF]) + b"c" + bytes([IAC, IAC, IAC, NOP]))
        await until(lambda: "c" in site.sessions[0].text)
        log = site.sessions[0].log
        assert log[:5] == ["a", "interrupt", "b", "interrupt", "interrupt"]
        assert "".join(log[5:]).startswith("\x7f\x15\x04c")

    run(scenario)


def test_questions_are_answered():
    """AYT, a timing mark and an option turned off are each answered."""

    async def scenario(site):
        client = await site.connect()
        await client.login(ACCEPTED)
        await until(lambda: site.sessions)
        client.send(bytes([IAC, DO, TM]))
        await client.expect(bytes([IAC, WILL, TM]))
        client.send(bytes([IAC, DO, TM]))
        await client.expect(bytes([IAC, WILL, TM]))
        client.send(bytes([IAC, DONT, ECHO]))
        await client.expect(bytes([IAC, WONT, ECHO]))
        client.send(bytes([IAC, DO, STATUS, IAC, AYT]))
        assert await client.expect("<asked>") == bytes([IAC, WONT, STATUS])

    run(scenario)


def test_ayt_before_login():
    """AYT is answered before there is a session, too."""

    async def scenario(site):
        client = await site.connect()
        await client.expect("username: ")
        client.send(bytes([IAC, AYT]))
        assert await client.expect("[yes]\r\n") == b"\r\n"

    run(scenario)


def test_a_client_that_takes_the_editing_of_lines_over():
    """A client that turns echo and SGA off sends whole lines from then on, and back again."""

    async def scenario(site):
        client = await site.connect()
        binary = bytes([IAC, DO, BINARY])
        await client.login(ACCEPTED + binary + bytes([IAC, WILL, TTYPE]))
        await client.expect("******\r\n")
        client.send(bytes([IAC, SB, TTYPE, 0]) + b"xterm" + bytes([IAC, SE]))
        await until(lambda: site.sessions)
        session = site.sessions[0]
        assert session.terminal.kind == TerminalKind("xterm")
        client.send(b"a" + bytes([IAC, DONT, SGA, IAC, DONT, ECHO]) + b"b")
        # Without binary, or inetutils telnet shows Enter as a mere line feed.
        refused = bytes([IAC, WONT, SGA, IAC, WONT, BINARY, IAC, WONT, ECHO])
        await client.expect(refused)
        await client.expect("<b>")
        lines = TerminalKind("xterm", server_echo=False, whole_lines=True)
        assert session.log == ["a", lines, "b"]
        client.send(bytes([IAC, DO, SGA, IAC, DO, ECHO]) + b"c")
        await client.expect(bytes([IAC, WILL, SGA, IAC, WILL, BINARY, IAC, WILL, ECHO]))
        await client.expect("<c>")
        assert session.terminal.kind == TerminalKind("xterm")

    run(scenario)


def test_a_client_that_agrees_and_sends_lines():
    """A client that leaves echo to us, and then sends a line with LF, is not echoed to (curl)."""

    async def scenario(site):
        client = await site.connect()
        client.send(ACCEPTED)
        await client.expect("username: ")
        client.send("boss\n")
        warning = b"(this client shows what is typed: the password will show on the screen)\r\n"
        assert await client.expect("password: ") == warning
        client.send("sekrit\n")
        await until(lambda: site.sessions)
        kind = TerminalKind(server_echo=False, whole_lines=True)
        assert site.sessions[0].terminal.kind == kind

    run(scenario)


def test_output_is_escaped_and_in_order():
    """A byte 255 is doubled on the wire, and many small writes arrive as one stream."""

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        terminal = site.sessions[0].terminal
        for number in range(1000):
            terminal.write(b"%d " % number)
        terminal.write(b"a\xff\xffb", error=True)
        before = await client.expect(b"a\xff\xff\xff\xffb")
        assert before == b"".join(b"%d " % number for number in range(1000))

    run(scenario)


def test_many_writes_are_one(monkeypatch):
    """What is written in one turn of the loop is one write to the socket."""

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        terminal = site.sessions[0].terminal
        writes = []
        transport = site.connection._transport

        class Counting:
            def __getattr__(self, name):
                return getattr(transport, name)

            def write(self, data):
                writes.append(data)
                transport.write(data)

        site.connection._output._transport = Counting()
        for _ in range(1000):
            terminal.write(b"x")
        await client.expect(b"x" * 1000)
        assert writes == [b"x" * 1000]

    run(scenario)


def test_writing_pauses_and_resumes():
    """A slow client pauses its session, once, and resumes it when it has caught up."""

    async def scenario(site):
        client = await site.connect(limit=1024)
        await client.login()
        await until(lambda: site.sessions)
        (session,) = site.sessions
        size = 6 * 1024 * 1024
        session.terminal.write(b"x" * size)
        await until(lambda: session.log == ["paused"])
        session.terminal.write(b"end")
        assert len(await client.expect("end")) == size
        await until(lambda: session.log == ["paused", "resumed"])

    run(scenario)


def test_reading_pauses_and_resumes():
    """A paused terminal delivers nothing more, and everything once it is resumed."""

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        (session,) = site.sessions
        client.send("one")
        await until(lambda: session.text == "one")
        session.terminal.pause_reading()
        session.terminal.pause_reading()
        client.send("two")
        await client.writer.drain()
        other = await site.connect()  # a whole login on the side: the loop had its chance
        await other.login()
        await until(lambda: len(site.sessions) == 2)
        assert session.text == "one"
        session.terminal.resume_reading()
        session.terminal.resume_reading()
        await until(lambda: session.text == "onetwo")

    run(scenario)


def test_close_sends_what_was_written():
    """A closed terminal still sends everything, unread input or not, and then ends."""

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        (session,) = site.sessions
        session.terminal.write(b"x" * 3_000_000)
        session.terminal.write(b"end")
        client.send("never read" * 1000)
        session.terminal.close()
        session.terminal.close(3)
        session.terminal.write(b"too late")
        output = await client.rest()
        assert output == b"x" * 3_000_000 + b"end"
        client.writer.close()
        await until(lambda: session.log[-1:] == ["lost"])
        assert session.text == ""

    run(scenario)


def test_close_does_not_wait_for_a_dead_client(monkeypatch):
    """A client that takes nothing and closes nothing is aborted soon after close()."""
    monkeypatch.setattr(telnet, "LINGER_SECONDS", 0.05)

    async def scenario(site):
        client = await site.connect(limit=1024)
        await client.login()
        await until(lambda: site.sessions)
        (session,) = site.sessions
        session.terminal.write(b"x" * 7_000_000)
        session.terminal.close()
        await until(lambda: session.log[-1:] == ["lost"])
        assert not client.writer.transport.is_closing()

    run(scenario)


def test_abort_ends_at_once():
    """abort() ends the connection whatever is unsent."""

    async def scenario(site):
        client = await site.connect(limit=1024)
        await client.login()
        await until(lambda: site.sessions)
        (session,) = site.sessions
        session.terminal.write(b"x" * 7_000_000)
        session.terminal.abort()
        session.terminal.abort()
        await until(lambda: session.log[-1:] == ["lost"])

    run(scenario)


# ---- failures of ours


def test_a_failing_authenticator_ends_one_connection(loud):
    """An authenticator that raises is logged with the peer, and the listener goes on."""

    async def fail(user, password, peer):
        raise RuntimeError("no database")

    async def scenario(site):
        client = await site.connect()
        await client.login()
        with contextlib.suppress(ConnectionError):
            await client.rest()
        await (await site.connect()).expect("username: ")
        (record,) = [r for r in loud.records if r.levelno > logging.INFO]
        assert record.name == "console.telnet"
        assert client.name in record.getMessage()
        assert "no database" in record.exc_text
        assert "sekrit" not in record.exc_text

    run(scenario, authenticate=fail)


def test_a_failing_admission_ends_one_connection(loud):
    """A session manager that raises is logged, and the connection ended."""

    def fail(principal, terminal):
        raise RuntimeError("no room")

    async def scenario(site):
        client = await site.connect()
        await client.login()
        with contextlib.suppress(ConnectionError):
            await client.rest()
        (record,) = [r for r in loud.records if r.levelno > logging.INFO]
        assert "no room" in record.exc_text

    run(scenario, admit=fail)


def test_a_failing_session_ends_one_connection(loud):
    """A session that raises is logged and ended, with a notice; the listener goes on."""

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        (session,) = site.sessions

        def fail(text):
            raise RuntimeError("bad session")

        session.data_received = fail
        client.send("foo")
        await until(lambda: session.log == ["lost"])
        await (await site.connect()).login()
        await until(lambda: len(site.sessions) == 2)
        (record,) = [r for r in loud.records if r.levelno > logging.INFO]
        assert "bad session" in record.exc_text

    run(scenario)


# ---- the listener


def test_a_closed_listener_refuses_and_keeps_its_connections():
    """close() refuses new connections and leaves the open ones alone."""

    async def scenario(site):
        client = await site.connect()
        await until(lambda: site.server.connections)
        site.server.close()
        with pytest.raises(ConnectionRefusedError):
            await site.connect()
        await client.login()
        await until(lambda: site.sessions)

    run(scenario)


def test_wait_closed_does_not_wait_for_ever():
    """wait_closed() aborts what is left after its time, clients that do not read too."""

    async def scenario(site):
        client = await site.connect(limit=1024)
        await client.login()
        await until(lambda: site.sessions)
        (session,) = site.sessions
        session.terminal.write(b"x" * 7_000_000)
        site.server.close()
        await site.server.wait_closed(0.05)
        assert session.log[-1] == "lost"
        assert site.server.connections == ()

    run(scenario)


@pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")
def test_peers_are_written_as_one_writes_them():
    """A peer is host:port, with brackets for IPv6."""
    assert str(Peer("127.0.0.1", 5)) == "127.0.0.1:5"
    assert str(Peer("::1", 5)) == "[::1]:5"
    assert str(Peer("", uid=1000)) == "unix:1000"

    async def scenario(site):
        client = await site.connect()
        await client.login()
        await until(lambda: site.sessions)
        port = client.writer.get_extra_info("sockname")[1]
        assert site.sessions[0].principal.peer == f"[::1]:{port}"

    try:
        run(scenario, host="::1")
    except OSError:
        pytest.skip("no IPv6 loopback here")


def test_sockets_are_tuned():
    """Each connection has no delay, keepalive at the times that were set, urgent data in line."""

    async def scenario(site):
        client = await site.connect()
        await client.expect("username: ")
        (connection,) = site.server.connections
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 7
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 7
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 3
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE)
        with socket.socket(fileno=os.dup(client.writer.get_extra_info("socket").fileno())) as raw:
            raw.send(b"\xf2", socket.MSG_OOB)
        client.send("boss\n")
        await client.expect("password: ")

    run(scenario)
