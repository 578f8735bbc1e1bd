"""Attacks by text: web browsers, and escape sequences in text that may be shown again."""

import contextlib
import ssl
import time

from attacks.flood import ports
from attacks.harness import attack, end_input, pour, read_rest, read_until
from attacks.telnet import ACCEPTANCE, NEW_ENVIRON, TTYPE, subnegotiation
from support.rawssh import Gone, string
from support.servers import DEADLINE_SECONDS

# ---- clients of other protocols

FORM = b"boss\r\nsekrit\r\nprint('al' + 'ive')\r\n"


def client_hello():
    """Make a TLS ClientHello."""
    context = ssl.create_default_context()
    out = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return out.read()


WEB = {
    "GET": b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0\r\n\r\n",
    "POST with a login": b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 44\r\n\r\n" + FORM,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x12\x04\x00\x00\x00\x00\x00" + bytes(18),
}


def browse(transport, request):
    def strike(site):
        before = site.target.log_size()
        client = site.connect(ports(site)[transport])
        client.sendall(request)
        answer = read_rest(client)
        for useful in (b"HTTP/", b"<html", b"alive", b">>>"):
            assert useful not in answer
        deadline = time.monotonic() + DEADLINE_SECONDS
        told = []
        while not told and time.monotonic() < deadline:
            log = site.target.log_since(before).splitlines()
            told = [line for line in log if " WARNING " in line and "HTTP" in line]
        assert told, "the log has no entry"
        assert f"transport={transport}" in told[0]
        return 1

    return strike


for _transport in ("telnet", "ssh"):
    for _name, _request in WEB.items():
        attack(f"{_transport}, a browser: {_name}", log_lines=1)(browse(_transport, _request))


def greet_by_tls(transport):
    def strike(site):
        for _ in range(5):
            client = site.connect(ports(site)[transport])
            _, answer, _ = pour(client, client_hello())
            assert not answer.startswith(b"\x16\x03")
            end_input(client)
            read_rest(client)
        return 5

    return strike


for _transport in ("telnet", "ssh"):
    attack(f"{_transport}, a browser: TLS", log_lines=10)(greet_by_tls(_transport))


# ---- escape sequences, wherever a peer's text may be shown

EVIL = "\x1b]0;owned\x07\x9b2J\u202e"
"""Sets a window's title, clears the screen, reverses the reading direction."""


@attack("telnet: escapes in names, passwords and statements", log_lines=12)
def telnet_escapes(site):
    """A peer's text reaches no other peer's screen, and the log only escaped."""
    onlooker = site.telnet_session()
    told = subnegotiation(TTYPE, b"\x00" + EVIL.encode())
    told += subnegotiation(NEW_ENVIRON, b"\x00\x00LANG\x01" + EVIL.encode() + b"\x00COLORTERM\x01")
    client = site.telnet()
    client.sendall(ACCEPTANCE + told + f"{EVIL}\r\0{EVIL}\r\0".encode())
    read_until(client, b"login incorrect")
    client = site.telnet_session()
    for statement in (
        f"raise ValueError({EVIL!r})",
        f"raise type({EVIL!r}, (Exception,), {{}})({EVIL!r})",
        f"'{EVIL}'",
        f"type('T', (), {{'__repr__': lambda self: {EVIL!r}}})()",
        f"{EVIL} = 1",
    ):
        client.sendall(statement.encode() + b"\n")
        assert b"\x1b]0;" not in read_until(client, b">>> ")
    onlooker.sendall(b"print('al' + 'ive')\n")
    seen = read_until(onlooker, b"alive")
    assert b"\x1b" not in seen and b"\x9b" not in seen and b"owned" not in seen
    return 8


@attack("ssh: escapes in names, commands and terminals", log_lines=16)
def ssh_escapes(site):
    """The same over SSH, where a version, environment, signals and a command may have them."""
    onlooker = site.telnet_session()
    client = site.ssh(version=f"SSH-2.0-{EVIL}".encode("ascii", "ignore")).handshake()
    with contextlib.suppress(Gone):
        client.guess(EVIL, EVIL)
    client = site.ssh(version=b"SSH-2.0-\x1b]0;owned\x07").handshake()
    assert client.guess("boss", "sekrit")
    for request, *fields in (
        ("exec", string(f"raise ValueError({EVIL!r})")),
        ("exec", string(f"raise ValueError('{EVIL}')")),
        ("exec", string(b"\xff\xfe\x1b]0;owned\x07")),
        ("subsystem", string(EVIL.encode())),
        ("subsystem", string(b"\xff\xfe")),
        ("x\x1b]0;owned\x07",),
    ):
        try:
            channel = client.open_session()
            names = (b"TERM\x1b]0;owned\x07", b"LANG", b"COLORTERM")
            for name in names:
                variable = string(name) + string(EVIL.encode())
                client.ask_channel(channel, "env", variable, reply=False)
            size = b"\xff" * 16
            client.ask_channel(channel, "pty-req", string(EVIL.encode()), size, string(b""))
            client.ask_channel(channel, "signal", string(b"\x1b]0;"), reply=False)
            client.ask_channel(channel, request, *fields)
        except Gone:
            client = site.ssh().handshake()
            assert client.guess("boss", "sekrit")
    client.close()
    onlooker.sendall(b"print('al' + 'ive')\n")
    seen = read_until(onlooker, b"alive")
    assert b"\x1b" not in seen and b"\x9b" not in seen and b"owned" not in seen
    return 8
