"""Attacks on passwords: guessing faster than the limit, and timing answers."""

import contextlib
import re
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from attacks.harness import attack, fresh_address, read_until, reset
from support import rawssh
from support.rawssh import Gone, RawSsh, boolean, string, uint32
from support.servers import DEADLINE_SECONDS

DELAY_SECONDS = 0.3
"""The delay of a wrong guess, for all clients of its address; it doubles each time, up to 10 s."""

LEAST_SECONDS = 0.25
"""The least of it that the client sees: its clock starts a little later."""

TELLING_SECONDS = 0.01
"""A difference of medians that reveals a name: a check without a dummy hash makes 20 ms. The rest
is below 3 ms on a quiet machine; the noise of a busy one does not repeat."""

TELLING_SHARE = 0.8
"""The share of pairs of a known and an unknown name in which the same one takes
longer. It is a half if only noise is there, and all of them if a hash is computed for one alone."""

ROUNDS = 3

NAMES_EACH = 12


def telnet_guess(site, user, source):
    """Make a wrong guess; return the seconds until the answer."""
    client = site.telnet(source)
    client.sendall(user.encode() + b"\n")
    read_until(client, b"password: ")
    before = time.monotonic()
    client.sendall(b"wrong\n")
    read_until(client, b"login incorrect")
    seconds = time.monotonic() - before
    client.close()
    return seconds


def ssh_guess(site, user, source):
    with RawSsh(site.target.ssh_port, source=source) as client:
        client.handshake()
        before = time.monotonic()
        assert not client.guess(user, "wrong")
        return time.monotonic() - before


GUESSES = {"telnet": telnet_guess, "ssh": ssh_guess}


def tell_names_apart(guess):
    def strike(site):
        known, unknown = [], []
        for _ in range(ROUNDS):
            # A different user each time: failures at one user delay the answers.
            numbers = range(NAMES_EACH)
            pairs = ((site.target.fresh_user(), f"nobody{number}") for number in numbers)
            names = [name for pair in pairs for name in pair]
            with ThreadPoolExecutor(5) as pool:  # each from its own address: none is delayed
                times = list(pool.map(lambda name: guess(site, name, fresh_address()), names))
            known += times[::2]
            unknown += times[1::2]
            difference = statistics.median(times[::2]) - statistics.median(times[1::2])
            site.notes.append(f"medians differ by {difference * 1000:+.1f} ms")
            if abs(difference) < TELLING_SECONDS:
                break
        else:
            longer = sum(one > other for one in known for other in unknown)
            share = longer / len(known) / len(unknown)
            assert 1 - TELLING_SHARE < share < TELLING_SHARE, "; ".join(site.notes)
        return len(known) + len(unknown)

    return strike


for _transport, _guess in GUESSES.items():
    attack(f"{_transport}, guesses: names told apart by time", log_lines=2 * NAMES_EACH * ROUNDS)(
        tell_names_apart(_guess)
    )


# ---- guesses that are withdrawn, to skip the delay


@attack("ssh, guesses: taken back by the next", log_lines=2)
def taken_back(site):
    """A guess that another one replaces before its answer still costs its delay."""

    def take_back(client, user):
        with contextlib.suppress(Gone):  # this does not skip the delay either
            assert client.guess(user, user)

    return take_back_by_ssh(site, take_back)


@attack("ssh, guesses: taken back by a reset", log_lines=2)
def taken_back_by_ssh_reset(site):
    def take_back(client, user):
        second = site.ssh().handshake()
        client.close(reset=True)
        assert second.guess(user, user)

    return take_back_by_ssh(site, take_back)


def take_back_by_ssh(site, take_back):
    """Guess, and take it back when its check has begun: the log tells afterwards if it had.

    Where the machine is busy the service may learn of both at once; then nothing was checked.
    """
    for tries, pause in enumerate((0.05, 0.5, 2, 10), 1):
        user = site.target.fresh_user()
        position = site.target.log_size()
        client = site.ssh().handshake()
        before = time.monotonic()
        client.send_password(user, "wrong")
        time.sleep(pause)
        take_back(client, user)
        if f"login failed: user={user} " in site.target.log_since(position):
            check_cost(before)
            return 2 * tries
    raise AssertionError("no guess was taken back in the middle of its check")


@attack("telnet, guesses: taken back by a reset", log_lines=2)
def taken_back_by_telnet_reset(site):
    user = site.target.fresh_user()
    client, second = site.telnet(), site.telnet()
    before = time.monotonic()
    client.sendall(f"{user}\nwrong\n".encode())
    read_until(client, b"password: ")  # both lines have been read: they came in one piece
    reset(client)
    second.sendall(f"{user}\n{user}\n".encode())
    read_until(second, b">>> ")
    check_cost(before)
    return 2


@attack("guesses: by telnet, then by SSH", log_lines=2)
def by_the_other_way(site):
    """The delay of a guess over one transport also applies to the other."""
    user = site.target.fresh_user()
    client, second = site.telnet(), site.ssh().handshake()
    before = time.monotonic()
    client.sendall(f"{user}\nwrong\n".encode())
    read_until(client, b"password: ")
    assert second.guess(user, user)
    check_cost(before)
    return 2


def check_cost(before):
    seconds = time.monotonic() - before
    assert seconds >= LEAST_SECONDS, f"the next guess was answered after {seconds * 1000:.0f} ms"


@attack("guesses: eight connections from one address", log_lines=8)
def eight_at_once(site):
    """One guess of an address is checked at a time, and each is slower than the last."""
    clients = [site.ssh().handshake() for _ in range(8)]
    before = time.monotonic()
    for client in clients:
        client.send_password("somebody", "wrong")
    answered = 0
    while answered < len(clients) and time.monotonic() - before < 1.5:
        client = clients[answered]
        client.socket.settimeout(max(0.01, before + 1.5 - time.monotonic()))
        try:
            client.expect(rawssh.USERAUTH_FAILURE)
        except AssertionError:
            break
        answered += 1
    assert answered <= 3, f"{answered} guesses were answered in {time.monotonic() - before:.1f} s"
    for client in clients:
        client.close()
    return len(clients)


# ---- each failure is one log entry

_FAILED = re.compile(
    r"login failed: user=(?P<user>\S+) transport=(?P<transport>ssh|telnet)"
    r" peer=(?P<peer>\S+) method=(?P<method>\S+) reason=\S.*"
)


def failures(site, position, count):
    """Wait for the entries of failed logins; return them as matches."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while True:
        found = list(_FAILED.finditer(site.target.log_since(position)))
        if len(found) >= count or time.monotonic() > deadline:
            assert len(found) == count, f"{len(found)} entries, not {count}"
            return found
        time.sleep(0.02)


@attack("guesses: each is logged once", log_lines=5)
def each_is_logged(site):
    """Each guess comes from its own address, so that none waits for the others."""
    sources = [fresh_address() for _ in range(4)]
    users = [site.target.fresh_user() for _ in range(3)]
    position = site.target.log_size()
    for source, user in zip(sources, (users[0], "no body=x reason=none"), strict=False):
        client = site.telnet(source)
        client.sendall(user.encode() + b"\nwrong\n")
        read_until(client, b"login incorrect")
    client = site.ssh(sources[2]).handshake()
    assert not client.guess(users[1], "wrong")
    client = site.ssh(sources[3]).handshake()
    client.request(users[2], "keyboard-interactive", string(""), string(""))
    client.expect(rawssh.INFO_REQUEST)
    client.send(rawssh.INFO_RESPONSE, uint32(1), string("wrong"))
    client.expect(rawssh.USERAUTH_FAILURE)
    found = failures(site, position, 4)
    assert [match["transport"] for match in found] == ["telnet", "telnet", "ssh", "ssh"]
    assert [match["peer"].partition(":")[0] for match in found] == sources
    names = [users[0], "no\\x20body=x\\x20reason=none", *users[1:]]
    assert [match["user"] for match in found] == names
    return 4


@attack("ssh, guesses: an unknown key is logged", log_lines=2)
def a_key_is_logged(site):
    position = site.target.log_size()
    client = site.ssh().handshake()
    blob = rawssh.ed25519_blob(rawssh.make_ed25519())
    client.request("boss", "publickey", boolean(False), string("ssh-ed25519"), string(blob))
    client.expect(rawssh.USERAUTH_FAILURE)
    client.close()
    assert failures(site, position, 1)[0]["method"] == "publickey"
    return 1
