"""No input of an unauthenticated client harms the service or the next login."""

import time

import pytest

from attacks import all_attacks as attacks
from attacks.harness import ATTACKS, Attack, Target, fresh_address, is_open, measure, read_until
from support.rawssh import CHANNEL_DATA, RawSsh, string
from support.servers import wait_until

assert attacks  # importing it registers them


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    """One service for all attacks of this module."""
    with Target(tmp_path_factory.mktemp("target")) as target:
        yield target


@pytest.fixture(scope="module")
def hasty_target(tmp_path_factory):
    """A service with two seconds for a login."""
    with Target(tmp_path_factory.mktemp("hasty"), login_grace=2.0) as target:
        yield target


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_does_no_harm(target, attack, record_property):
    """The loop runs, memory is bounded, the log is short and clean, the next login works."""
    outcome = measure(attack, target)
    record_property("gap_ms", round(outcome.gap_seconds * 1000))
    assert not outcome.problems(attack)


def test_a_stall_is_felt(target):
    """A statement that holds the service's loop for a third of a second violates a bound."""

    def strike(site):
        client = site.telnet_session()
        client.sendall(b"%loop __import__('time').sleep(0.35) or 'sl' + 'ept'\n")
        read_until(client, b"slept")
        return 1

    stall = Attack(name="stall", strike=strike, log_lines=5, growth_mib=16)
    assert "the loop stood still" in str(measure(stall, target).problems(stall))


def test_who_reads_late_gets_everything(target):
    """An SSH client with a window of 2 GB that reads after a while gets all of its output."""
    with RawSsh(target.ssh_port, source=fresh_address()) as client:
        assert client.handshake().guess("boss", "sekrit")
        channel = client.open_session(window=2**31 - 1)
        statement = "for i in range(300): print('x' * 65535)"
        assert client.ask_channel(channel, "exec", string(statement))
        target.login()  # meanwhile there is more output than all buffers hold
        received = 0
        while received < 300 * 65536:
            received += len(client.expect(CHANNEL_DATA)) - 9
        assert received == 300 * 65536


@pytest.mark.parametrize("transport", ["telnet", "ssh"])
def test_a_byte_now_and_then_is_no_login(transport, hasty_target):
    """A client that sends a byte now and then is closed at the login's time limit."""

    def strike(site):
        port = getattr(site.target, f"{transport}_port")
        clients = [site.connect(port) for _ in range(10)]
        line = iter(b"SSH-2.0-" + b"x" * 100)

        def all_gone():
            byte = bytes([next(line)])
            for client in list(clients):
                try:
                    client.sendall(byte)
                    if not is_open(client):
                        clients.remove(client)
                except OSError:
                    clients.remove(client)
            return not clients

        wait_until(lambda: all_gone() or time.sleep(0.1), "the grace is over")
        return 10

    slow = Attack(name="slow", strike=strike, log_lines=10, growth_mib=16)
    assert not measure(slow, hasty_target).problems(slow)
