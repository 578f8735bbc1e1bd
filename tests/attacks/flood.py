"""Floods, resets, half-closed connections and clients that do not read, over both transports."""

import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

from attacks.harness import attack, end_input, fresh_address, is_open, read_until, reset
from attacks.telnet import (
    fullscreen_session,
    window,
)
from support import rawssh
from support.rawssh import string
from support.servers import DEADLINE_SECONDS

UNAUTHENTICATED_OF_A_SOURCE = 16
UNAUTHENTICATED = 64


def ports(site):
    return {"telnet": site.target.telnet_port, "ssh": site.target.ssh_port}


# ---- silent connections


def settled(clients, most):
    """Wait until at most this many are open; return how many are."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (count := sum(map(is_open, clients))) > most and time.monotonic() < deadline:
        time.sleep(0.05)
    return count


@attack("flood: 300 silent connections from one address", log_lines=620)
def silent_from_one_address(site):
    """One address gets sixteen; an unauthenticated connection of another address stays open."""
    early = site.telnet(fresh_address())
    early.sendall(b"boss\n")
    read_until(early, b"password: ")
    for name, port in ports(site).items():
        clients = [site.connect(port) for _ in range(300)]
        site.login()
        assert (
            left := settled(clients, UNAUTHENTICATED_OF_A_SOURCE)
        ) <= UNAUTHENTICATED_OF_A_SOURCE, f"{left} {name} connections of one address are open"
        for client in clients:
            client.close()
    early.sendall(b"sekrit\n")
    read_until(early, b">>> ")
    return 600


@attack("flood: 300 silent connections from five addresses", log_lines=320)
def silent_from_five_addresses(site):
    """Both transports together hold 64 unauthenticated connections, and a new user logs in."""
    sources = [fresh_address() for _ in range(5)]
    clients = []
    for number in range(300):
        port = list(ports(site).values())[number % 2]
        clients.append(site.connect(port, sources[number % 5]))
    site.login()
    with rawssh.RawSsh(site.target.ssh_port, source=fresh_address()) as client:
        assert client.handshake().guess("boss", "sekrit")
    assert (left := settled(clients, UNAUTHENTICATED)) <= UNAUTHENTICATED, (
        f"{left} connections are open"
    )
    return 300


@attack("flood: connections opened and closed at once", log_lines=300)
def opened_and_closed(site):
    for number in range(300):
        client = site.connect(list(ports(site).values())[number % 2])
        if number % 3:
            client.close()
        else:
            reset(client)
    return 300


# ---- guesses


@attack("flood: 200 guesses at once from eight addresses", log_lines=2000, growth_mib=48)
def guesses_from_eight_addresses(site):
    """While 100 telnet and 100 SSH clients guess for seconds, a user with a password logs in.

    The clients run in a process of their own, so that a delay is the service's.
    """
    sources = [fresh_address() for _ in range(8)]
    command = [sys.executable, str(Path(__file__).with_name("guessers.py"))]
    spec = {**ports(site), "sources": sources, "guessers": 200, "seconds": 2.5}
    with subprocess.Popen(
        [*command, json.dumps(spec)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL
    ) as process:
        try:
            assert process.stdout.readline() == b"begun\n"
            while process.poll() is None and len(site.logins) < 40:
                site.login()
            answered = json.loads(process.stdout.readline())
        finally:
            process.kill()
            site.target.wait_idle()  # pending checks would delay the next attack
    assert answered["let in"] == 0
    site.notes.append(f"{answered['guesses']} guesses were answered")
    return answered["guesses"]


# ---- resets


def telnet_stages(site):
    """Yield sockets at each stage of a telnet session."""
    yield site.connect(site.target.telnet_port)
    yield site.telnet()
    for typed, shown in (
        (b"boss\n", b"password: "),
        (f"{site.target.fresh_user()}\nwrong\n".encode(), None),
        (b"boss\nsekrit\n", None),
        (b"boss\nsekrit\n", b">>> "),
        (b"boss\nsekrit\nawait __import__('asyncio').sleep(0.5)\n", b">>> "),
        (b"boss\nsekrit\n__import__('time').sleep(0.5)\n", b">>> "),
        (b"boss\nsekrit\nfor i in range(10**4): print('x' * 1000)\n\n", b"xxxx"),
        (b"boss\nsekrit\ninput('more? ')\n", b"more? "),
    ):
        client = site.telnet(fresh_address())
        client.sendall(typed)
        if shown is not None:
            read_until(client, shown)
        yield client


def ssh_stages(site):
    """Yield sockets at each stage of an SSH session."""
    yield site.connect(site.target.ssh_port)
    client = site.ssh()
    client.read_version()
    yield client.socket
    yield site.ssh().exchange_versions().socket
    client = site.ssh().exchange_versions()
    client.send(rawssh.kexinit())
    yield client.socket
    client = site.ssh().exchange_versions()
    client.send(rawssh.kexinit())
    client.send(rawssh.KEX_INIT, string(b"\x09" + bytes(31)))
    yield client.socket
    yield site.ssh().exchange_versions().exchange_keys().socket
    yield site.ssh().handshake().socket
    for wrong in ("wrong", ""):
        client = site.ssh(fresh_address()).handshake()
        user = site.target.fresh_user()
        client.send_password(user, wrong or user)
        yield client.socket
    client = site.ssh().handshake()
    assert client.guess("boss", "sekrit")
    yield client.socket
    for statement, shown in (
        ("6 * 7", None),
        ("await __import__('asyncio').sleep(0.5)", None),
        ("for i in range(10**4): print('x' * 1000)", b"xxxx"),
        ("input('more? ')", b"more? "),
    ):
        client = site.ssh(fresh_address()).handshake()
        assert client.guess("boss", "sekrit")
        channel = client.open_session()
        assert client.ask_channel(channel, "exec", string(statement))
        while shown is not None and shown not in client.expect(rawssh.CHANNEL_DATA):
            pass
        yield client.socket


STAGES = {"telnet": telnet_stages, "ssh": ssh_stages}


def leave_at_each_stage(stages, leave):
    def strike(site):
        count = 0
        for client in stages(site):
            leave(client)
            count += 1
        site.target.wait_idle()
        return count

    return strike


def half_close(client):
    """Shut down the sending side, and read the rest."""
    end_input(client)
    client.settimeout(0.1)
    with contextlib.suppress(OSError):
        while client.recv(65536):
            pass
    client.close()


for _name, _stages in STAGES.items():
    attack(f"{_name}: a reset at each stage", log_lines=80)(leave_at_each_stage(_stages, reset))
    attack(f"{_name}: half closed at each stage", log_lines=80)(
        leave_at_each_stage(_stages, half_close)
    )


# ---- clients that do not read

MUCH = "for i in range(1600): print('x' * 65535)"


def small_window(site, port):
    """Connect with a small receive buffer, which is full at once."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.bind((site.source, 0))
    client.connect(("127.0.0.1", port))
    return client


def wait_for_lull(site, seconds=0.7):
    """Let the service write without reading it for a moment; another user works meanwhile."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        site.login()
        time.sleep(0.05)


@attack("telnet: a client that reads nothing before the login", log_lines=12)
def unread_banner(site):
    clients = [small_window(site, site.target.telnet_port) for _ in range(5)]
    for client in clients:
        pour_blindly(client, b"\xff\xf6" * 30000)  # each is answered
    wait_for_lull(site, 0.3)
    for client in clients:
        reset(client)
    return 5


@attack("telnet: a client that reads nothing of 100 MB", log_lines=4, growth_mib=24)
def unread_telnet(site):
    client = site.telnet_session()
    client.sendall(MUCH.encode() + b"\n\n")
    wait_for_lull(site)
    reset(client)
    return 1


@attack("telnet: full-screen redraws that are not read", log_lines=4, growth_mib=24)
def unread_redraws(site):
    client = fullscreen_session(site)
    sizes = b"".join(window(80 + number % 100, 24 + number % 60) for number in range(3000))
    pour_blindly(client, b"some_name = 1" + sizes + b"x" * 3000 + sizes)
    wait_for_lull(site)
    reset(client)
    return 6000


@attack("ssh: a client that reads nothing of 100 MB", log_lines=4, growth_mib=32)
def unread_ssh(site):
    """The client opened a window of 2 GB: only the full socket stops the output."""
    client = site.ssh().handshake()
    assert client.guess("boss", "sekrit")
    channel = client.open_session(window=2**31 - 1)
    assert client.ask_channel(channel, "exec", string(MUCH))
    wait_for_lull(site)
    client.close(reset=True)
    return 1


@attack("ssh: a client that opens no window for 100 MB", log_lines=4, growth_mib=24)
def no_window(site):
    client = site.ssh().handshake()
    assert client.guess("boss", "sekrit")
    channel = client.open_session(window=0)
    assert client.ask_channel(channel, "exec", string(MUCH))
    wait_for_lull(site)
    client.close(reset=True)
    return 1


@attack("ssh: packets of one byte for 1 MB", log_lines=4, growth_mib=48)
def tiny_packets(site):
    """The client chooses the packet size, and each packet costs as much as a large one."""
    client = site.ssh().handshake()
    assert client.guess("boss", "sekrit")
    channel = client.open_session(packet=1)
    assert client.ask_channel(channel, "exec", string("print('x' * 1000000)"))
    wait_for_lull(site)
    client.close(reset=True)
    return 1


def pour_blindly(client, data):
    """Send until the peer takes no more, and read nothing."""
    client.settimeout(0.5)
    with contextlib.suppress(OSError):
        client.sendall(data)
