"""Attacks over SSH: version lines, key exchanges and messages that no client sends (RFC 4253)."""

import contextlib
import random
import socket

from attacks.harness import attack, end_input, pour, read_rest
from support import rawssh
from support.rawssh import Gone, boolean, kexinit, string, uint32

VERSION = b"SSH-2.0-attacker\r\n"
UNAUTHENTICATED_BYTES = 70 * 1024
"""Bytes that a connection may send before its login: 64 KiB, and those in transit."""

NOISE = random.Random(4254).randbytes(64 * 1024)

# ---- before and instead of a key exchange


def plain(lengths):
    """Make packets that have only a length."""
    return b"".join(uint32(length) + bytes(12) for length in lengths)


LINES = {
    "a version without newline": b"SSH-2.0-" + b"x" * 9000,
    "a version of 10 MB": b"SSH-2.0-" + b"x" * 10_000_000,
    "a version of 300 characters": b"SSH-2.0-" + b"x" * 300 + b"\r\n",
    "version 1.5": b"SSH-1.5-x\r\n",
    "version 9.9": b"SSH-9.9-x\r\n",
    "a version with escapes": b"SSH-2.0-\x1b]0;owned\x07\x9b2J\x00\r\n" + bytes(40),
    "a version that is not ASCII": "SSH-2.0-é\u202e\r\n".encode() + NOISE[:40],
    "empty lines": b"\r\n" * 1000,
    "packets of length 0": VERSION + plain([0] * 1000),
    "packets of length 1": VERSION + plain([1] * 1000),
    "a packet of 4 GB": VERSION + plain([0xFFFFFFFF]) + NOISE,
    "a packet of 256 KB": VERSION + plain([256 * 1024]) + NOISE * 4,
    "a packet that is no multiple": VERSION + uint32(13) + b"\x04" + bytes(30),
    "more padding than packet": VERSION + uint32(12) + b"\xff" + bytes(30),
    "noise after the version": VERSION + NOISE,
    "noise": NOISE,
    "NEWKEYS too early": VERSION + rawssh.frame(bytes([rawssh.NEWKEYS])),
    "DEBUG with escapes": VERSION
    + rawssh.frame(b"\x04\x01" + string(b"\x1b]0;owned\x07\r\nlogin: user=root") + string("")),
    "a disconnect with escapes": VERSION
    + rawssh.frame(b"\x01" + uint32(2) + string(b"\x1b]0;owned\x07\r\nlogin: x") + string("")),
}


def said_at_once(data):
    def strike(site):
        client = site.connect(site.target.ssh_port)
        _, _, left = pour(client, data, patience=0.2)
        if not left:
            # The server waits for more until the login's time limit, which is not awaited here.
            end_input(client)
            read_rest(client)
        return 1

    return strike


for _name, _data in LINES.items():
    attack(f"ssh: {_name}")(said_at_once(_data))


# ---- in the key exchange

EXCHANGES = {
    "no common key exchange": [kexinit(kex="diffie-hellman-group1-sha1")],
    "no common cipher": [kexinit(cipher="3des-cbc,none")],
    "no common host key": [kexinit(host_key="ssh-dss")],
    "compression": [kexinit(compression="zlib@openssh.com,zlib")],
    "names of 30 KB": [kexinit(kex="x" * 30000)],
    "ten thousand names": [kexinit(kex="a," * 10000 + "curve25519-sha256")],
    "names with escapes": [kexinit(kex="\x1b]0;owned\x07", cipher="\x9b2J")],
    "KEXINIT twice": [kexinit(), kexinit()],
    "KEXINIT cut short": [kexinit()[:50]],
    "a point of zeros": [kexinit(), bytes([30]) + string(bytes(32))],
    "a short point": [kexinit(), bytes([30]) + string(bytes(31))],
    "a long point": [kexinit(), bytes([30]) + string(bytes(20000))],
    "a point of small order": [kexinit(), bytes([30]) + string(b"\x01" + bytes(31))],
    "no point": [kexinit(), bytes([30])],
    "ML-KEM of zeros": [
        kexinit(kex="mlkem768x25519-sha256"),
        bytes([30]) + string(bytes(1184 + 32)),
    ],
    "ML-KEM of noise": [
        kexinit(kex="mlkem768x25519-sha256"),
        bytes([30]) + string(NOISE[: 1184 + 32]),
    ],
    "ML-KEM cut short": [kexinit(kex="mlkem768x25519-sha256"), bytes([30]) + string(bytes(32))],
    "NEWKEYS before its turn": [kexinit(), bytes([rawssh.NEWKEYS])],
    "a login in plain text": [
        kexinit(),
        bytes([rawssh.USERAUTH_REQUEST])
        + b"".join(map(string, ("boss", "ssh-connection", "password")))
        + boolean(False)
        + string("sekrit"),
    ],
}


def exchanged(packets):
    def strike(site):
        client = site.ssh().exchange_versions()
        with contextlib.suppress(Gone):
            for packet in packets:
                client.send(packet)
            client.end_input()  # one that is only odd is waited for
        client.wait_gone()
        return 1

    return strike


for _name, _packets in EXCHANGES.items():
    attack(f"ssh, key exchange: {_name}")(exchanged(_packets))


@attack("ssh, key exchange: strict order broken")
def strict_order_broken(site):
    """CVE-2023-48795: with strict key exchange no other message is accepted before NEWKEYS."""
    slips = (b"\x02" + string("x"), b"\x04\x00" + string("x") + string(""), b"\x03" + uint32(0))
    for slip in slips:
        client = site.ssh().exchange_versions()
        client.send(kexinit(kex="curve25519-sha256," + rawssh.STRICT))
        client.send(slip)
        client.wait_gone()
    first = site.ssh().exchange_versions()
    first.send(slips[0])
    first.send(kexinit(kex="curve25519-sha256," + rawssh.STRICT))
    first.wait_gone()
    return len(slips) + 1


@attack("ssh, key exchange: again and again")
def exchanges_without_end(site):
    """Each costs the server a millisecond; the byte limit before login bounds their number."""
    client = site.ssh().exchange_versions().exchange_keys()
    tries = 1
    with contextlib.suppress(Gone):
        while tries < 400:
            client.exchange_keys()
            tries += 1
    assert client.sent_bytes < UNAUTHENTICATED_BYTES, f"{tries} exchanges of keys"
    return tries


@attack("ssh, key exchange: IGNORE without end")
def ignored_without_end(site):
    client = site.ssh().exchange_versions().exchange_keys()
    flood = b"".join(client.seal(b"\x02" + string(b"x" * 1000)) for _ in range(2000))
    _, _, left = pour(client.socket, flood)
    if not left:
        read_rest(client.socket, 5)  # the server ends it: that exceeds the byte limit
    return 2000


@attack("ssh, key exchange: a packet that was changed on the way")
def changed_packet(site):
    client = site.ssh().exchange_versions().exchange_keys()
    packet = bytearray(client.seal(bytes([rawssh.SERVICE_REQUEST]) + string("ssh-userauth")))
    packet[10] ^= 1
    client.send_bytes(packet)
    client.wait_gone()
    return 1


# ---- every message, before it is allowed

_BODIES = {
    rawssh.DISCONNECT: uint32(11) + string("bye") + string(""),
    rawssh.SERVICE_REQUEST: string("ssh-connection"),
    rawssh.SERVICE_ACCEPT: string("ssh-userauth"),
    rawssh.EXT_INFO: uint32(1) + string("server-sig-algs") + string("none"),
    rawssh.USERAUTH_SUCCESS: b"",
    rawssh.INFO_RESPONSE: uint32(1) + string("sekrit"),
    rawssh.CHANNEL_OPEN: string("session") + uint32(0) + uint32(2**31) + uint32(32768),
    rawssh.CHANNEL_REQUEST: uint32(0) + string("exec") + boolean(True) + string("1"),
    rawssh.CHANNEL_DATA: uint32(0) + string("1\n"),
}


def every_message(site, come_so_far):
    """Send each message once; on a new connection if the server closed the last one."""
    client, tries = come_so_far(site.ssh()), 0
    for kind in range(1, 256):
        try:
            client.send(kind, _BODIES.get(kind, uint32(0) + string("x") + boolean(True)))
            # An answer to this, or the end, shows that the message has been handled.
            client.send(rawssh.SERVICE_REQUEST, string("no-such-service"))
        except Gone:
            pass
        client.wait_gone()  # and no success, and no channel
        client.close()
        client, tries = come_so_far(site.ssh()), tries + 1
    return tries


@attack("ssh, every message: before the key exchange")
def every_message_first(site):
    return every_message(site, lambda client: client.exchange_versions())


@attack("ssh, every message: before the login")
def every_message_before_login(site):
    return every_message(site, lambda client: client.handshake())


@attack("ssh, every message: requests for services and forwarding")
def requests_before_login(site):
    """Services that a user may not have are refused without a login too."""
    port = unused_port()
    target = (string("127.0.0.1"), uint32(site.target.telnet_port), string("x"), uint32(1))
    asked = (
        (rawssh.GLOBAL_REQUEST, "tcpip-forward", boolean(True), string("127.0.0.1"), uint32(port)),
        (rawssh.GLOBAL_REQUEST, "hostkeys-prove-00@openssh.com", boolean(True), string(NOISE[:51])),
        (rawssh.GLOBAL_REQUEST, "streamlocal-forward@openssh.com", boolean(True), string("/tmp/x")),
        (rawssh.GLOBAL_REQUEST, "keepalive@openssh.com", boolean(True)),
        (rawssh.CHANNEL_OPEN, "session", *map(uint32, (0, 2**31, 32768))),
        (rawssh.CHANNEL_OPEN, "direct-tcpip", *map(uint32, (0, 2**31, 32768)), *target),
    )
    for kind, name, *fields in asked:
        client = site.ssh().handshake()
        with contextlib.suppress(Gone):
            client.send(kind, string(name), *fields)
        client.wait_gone()
        assert not accepts(port)
    for service in ("ssh-connection", "ssh-userauth\0", "", "x" * 5000, "\x1b]0;owned\x07"):
        client = site.ssh().exchange_versions().exchange_keys()
        client.send(rawssh.SERVICE_REQUEST, string(service))
        client.wait_gone()
    return len(asked) + 5


@attack("ssh, a user's session: forwarding and subsystems", log_lines=8)
def requests_after_login(site):
    """A user gets a shell and commands, and no other service of SSH."""
    port = unused_port()
    client = site.ssh().handshake()
    assert client.guess("deputy", "sekrit2")
    tries = 0
    for name, *fields in (
        ("tcpip-forward", string("127.0.0.1"), uint32(port)),
        ("streamlocal-forward@openssh.com", string("/tmp/console-attack")),
    ):
        client.send(rawssh.GLOBAL_REQUEST, string(name), boolean(True), *fields)
        client.expect(rawssh.REQUEST_FAILURE)
        tries += 1
    assert not accepts(port)
    target = (string("127.0.0.1"), uint32(site.target.telnet_port), string("x"), uint32(1))
    for kind, *fields in (
        ("direct-tcpip", *target),
        ("direct-streamlocal@openssh.com", string("/tmp/x"), string(""), uint32(0)),
        ("x11", string("x"), uint32(1)),
        ("tun@openssh.com", uint32(1), uint32(0)),
        ("auth-agent@openssh.com",),
    ):
        client.send(rawssh.CHANNEL_OPEN, string(kind), *map(uint32, (7, 2**20, 32768)), *fields)
        client.expect(rawssh.CHANNEL_OPEN_FAILURE)
        tries += 1
    channel = client.open_session()
    for request, *fields in (
        ("subsystem", string("sftp")),
        ("auth-agent-req@openssh.com",),
        ("x11-req", boolean(False), string("x"), string("00"), uint32(0)),
        ("env", string("LD_PRELOAD"), string("/tmp/x")),
    ):
        granted = client.ask_channel(channel, request, *fields)
        assert not granted or request == "env"  # kept, and not used
        tries += 1
    return tries


# ---- helpers


def unused_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def accepts(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
