"""The authenticator: its decisions, its events, and its behaviour in a flood."""

from __future__ import annotations

import asyncio
import base64
import gc
import logging
import subprocess
import sys
import threading
import weakref

import pytest

from console.auth.authenticator import KEY_ANSWER_SECONDS, Authenticator
from console.auth.check_thread import WAITING_MOST
from console.auth.guessing.throttle import FREE_KEYS, INTERVAL_SECONDS
from console.auth.keys.public_keys import fingerprint
from console.auth.passwords import hash_password
from console.auth.stores.directory import FileCredentials
from console.auth.stores.memory import MemoryCredentials
from console.config.settings import LoginSettings
from console.errors import CredentialError
from console.events import EventBus, LoginFailed, LoginSucceeded
from console.interfaces.credentials import (
    AccessState,
    CredentialStore,
    OfferedKey,
    Peer,
    Principal,
    Role,
)

WHERE = {"transport": "ssh", "peer": Peer("192.0.2.1", 4711)}
TOLD = {"transport": "ssh", "peer": "192.0.2.1:4711"}
QUICK = LoginSettings(failure_seconds=0.001, failure_most_seconds=0.001)


def at(number):
    """Return a peer with an address of its own, so that no login waits for another's turn."""
    return {"transport": "ssh", "peer": Peer(f"198.51.100.{number}", 4711)}


def offered(blob):
    return OfferedKey("ssh-ed25519", blob)


SEKRIT = hash_password("sekrit")


def key_line(seed):
    """Make an Ed25519 key of a number: its line and its wire form."""
    parts = (b"ssh-ed25519", bytes([seed]) * 32)
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} key {seed}", blob


class Gate(CredentialStore):
    """A store that answers only once it is opened, and knows who asked."""

    def __init__(self):
        self.opened = threading.Event()
        self.entered = threading.Event()
        self.asked = []

    def password_hash(self, name):
        self.asked.append(name)
        self.entered.set()
        self.opened.wait()

    def authorized_keys(self, name):
        self.asked.append(f"{name}'s keys")
        return ()


def run(store, scenario, settings=QUICK):
    """Run a scenario with an authenticator; return its result and the events."""
    events = []
    bus = EventBus()
    bus.subscribe(events.append)
    before = set(threading.enumerate())

    async def main():
        authenticator = Authenticator(store, bus, settings)
        try:
            return await asyncio.wait_for(scenario(authenticator), 60)
        finally:
            authenticator.close()
            authenticator.close()

    result = asyncio.run(main())
    for thread in set(threading.enumerate()) - before:
        thread.join(10)
        assert not thread.is_alive()
    return result, events


async def entered(gate):
    """Wait until the worker is inside the store."""
    await asyncio.to_thread(gate.entered.wait)


@pytest.fixture(params=["memory", "files"])
def store(request, tmp_path):
    """Boss with a password and a key, in both stores."""
    line, _ = key_line(1)
    if request.param == "memory":
        return MemoryCredentials({"boss": "sekrit", "ann": "secret2"}, {"boss": [line]})
    files = FileCredentials(tmp_path / "keys", initial={"boss": "sekrit", "ann": "secret2"})
    files.prepare()
    files.grant_key("boss", line)
    return files


def test_the_right_password_lets_in_and_is_told(store):
    """The principal has the name and the way in, and so has the event."""
    principal, events = run(store, lambda a: a.password("boss", "sekrit", **WHERE))
    assert principal == Principal(user="boss", method="password", role=Role.ADMIN, **TOLD)
    assert events == [LoginSucceeded(user="boss", method="password", **TOLD)]


@pytest.mark.parametrize(
    ("user", "password", "reason"),
    [
        ("boss", "wrong", "wrong password"),
        ("boss", "", "wrong password"),
        ("boss", "secret2", "wrong password"),
        ("boss", "s" * 100_000, "wrong password"),
        ("nobody", "sekrit", "unknown user or no password"),
        ("", "", "unknown user or no password"),
        ("../../etc/passwd", "x", "unknown user or no password"),
        ("b\x00ss\udcff", "\udcff", "unknown user or no password"),
    ],
)
def test_anything_else_is_turned_away_and_told(store, user, password, reason):
    """No principal is returned, and the event has the name as it was sent."""
    principal, events = run(store, lambda a: a.password(user, password, **WHERE))
    assert principal is None
    assert events == [LoginFailed(user=user, method="password", reason=reason, **TOLD)]


def test_an_endless_name_is_cut_in_the_event(store):
    """A name of a megabyte is cut in the event."""
    _, events = run(store, lambda a: a.password("a" * 1_000_000, "x", **WHERE))
    assert len(events[0].user) == 256


def test_a_key_is_found_for_its_user_only(store):
    """Another user's key, another key and a part of a key are none."""
    _, blob = key_line(1)
    _, other = key_line(2)

    async def scenario(authenticator):
        return [
            await authenticator.key(user, offered(sent), **WHERE)
            for user, sent in (
                ("boss", blob),
                ("ann", blob),
                ("nobody", blob),
                ("../boss", blob),
                ("boss", other),
                ("boss", blob[:-1]),
                ("boss", b""),
            )
        ]

    (found, *rest), events = run(store, scenario)
    assert callable(found)
    assert rest == ["no key of this user"] * 6
    assert events == []  # a client may query many keys: no login has succeeded or failed yet


def test_a_key_login_is_told_with_its_fingerprint(store):
    """The event names algorithm and fingerprint; a refusal has its reason."""
    _, blob = key_line(1)

    async def scenario(authenticator):
        accept = await authenticator.key("boss", offered(blob), **WHERE)
        authenticator.key_refused("boss", "wrong signature", **WHERE)
        return accept()

    principal, events = run(store, scenario)
    assert principal == Principal(user="boss", method="publickey", role=Role.ADMIN, **TOLD)
    refused, succeeded = events
    assert refused == LoginFailed(user="boss", method="publickey", reason="wrong signature", **TOLD)
    assert (succeeded.user, succeeded.method) == ("boss", "publickey")
    assert fingerprint(blob) in succeeded.detail


class Broken(CredentialStore):
    def __init__(self, error):
        self.error = error

    def password_hash(self, name):
        raise self.error

    def authorized_keys(self, name):
        raise self.error


@pytest.mark.parametrize(
    "error",
    [RuntimeError("no database"), CredentialError("users", "is gone"), SystemExit(3)],
    ids=repr,
)
def test_a_store_that_raises_authenticates_no_user(error, caplog):
    """It is logged, with a traceback if it is not ours, and the loop goes on."""

    async def scenario(authenticator):
        return (
            await authenticator.password("boss\x1b", "sekrit", **WHERE),
            await authenticator.key("boss", offered(b"blob"), **WHERE),
        )

    result, events = run(Broken(error), scenario)
    assert result == (None, "the credential store failed")
    assert [event.reason for event in events] == ["the credential store failed"]
    assert len(caplog.records) == 2
    assert caplog.records[0].levelno == logging.ERROR
    assert "boss\\x1b is not let in" in caplog.text
    assert ("Traceback" in caplog.text) == (not isinstance(error, CredentialError))
    assert "sekrit" not in caplog.text


def test_a_store_of_wrong_types_authenticates_no_user():
    """Bytes for a hash, a string for keys: refused like any other failure."""

    class Wrong(CredentialStore):
        def password_hash(self, name):
            return SEKRIT.encode()

        def authorized_keys(self, name):
            return ["ssh-ed25519 AAAA"]

    async def scenario(authenticator):
        return (
            await authenticator.password("boss", "sekrit", **WHERE),
            await authenticator.key("boss", offered(b"blob"), **WHERE),
        )

    assert run(Wrong(), scenario)[0] == (None, "the credential store failed")


@pytest.mark.parametrize("extra", ["role", "has_second_factor", "use_code"])
def test_a_store_whose_extras_fail_authenticates_no_user(extra, caplog):
    """An invalid role, or a second factor that raises, authenticates no user."""

    class Half(CredentialStore):
        def password_hash(self, name):
            return SEKRIT

        def authorized_keys(self, name):
            return ()

        def has_second_factor(self, name):
            return True

        def use_code(self, name, code):
            return True

        def role(self, name):
            return Role.ADMIN

    def fails(*_):
        raise OSError("gone")

    store = Half()
    assert run(store, lambda a: a.password("boss", "sekrit", "1", **WHERE))[0].role is Role.ADMIN
    setattr(store, extra, fails)
    assert run(store, lambda a: a.password("boss", "sekrit", "1", **WHERE))[0] is None
    assert "gone" in caplog.text
    store.role = lambda _: "root"
    assert run(store, lambda a: a.password("boss", "sekrit", "1", **WHERE))[0] is None


def test_a_code_is_asked_for_after_the_password_only():
    """A wrong password uses up no code; a right one without the code does not authenticate."""
    used = []

    class Coded(CredentialStore):
        def password_hash(self, name):
            return SEKRIT

        def authorized_keys(self, name):
            return ()

        def second_factor(self):
            return True

        def has_second_factor(self, name):
            return name == "boss"

        def use_code(self, name, code):
            used.append(code)
            return code == "123456"

    async def scenario(authenticator):
        authenticator.refresh()
        authenticator.refresh()
        results = [
            await authenticator.password("boss", "wrong", "123456", **at(1)),
            await authenticator.password("boss", "sekrit", "", **at(2)),
            await authenticator.password("boss", "sekrit", "000000", **at(3)),
            await authenticator.password("boss", "sekrit", "123456", **at(4)),
            await authenticator.password("ann", "sekrit", "", **at(5)),
        ]
        assert authenticator.asks_for_code
        return [result and result.role for result in results]

    results, events = run(Coded(), scenario)
    assert results == [None, None, None, Role.OPERATOR, Role.OPERATOR]
    assert used == ["", "000000", "123456"]
    assert [event.reason for event in events[:3]] == ["wrong password", "no code", "wrong code"]


def test_one_source_guesses_one_at_a_time():
    """Guesses of one address wait for each other, and for the delay of each before."""
    settings = LoginSettings(failure_seconds=0.05, failure_most_seconds=0.05)

    async def scenario(authenticator):
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.gather(*(authenticator.password("boss", "x", **WHERE) for _ in range(6)))
        return loop.time() - began

    together, events = run(MemoryCredentials({"boss": "sekrit"}), scenario, settings)
    assert len(events) == 6
    assert together >= 6 * 0.05


def test_hanging_up_skips_no_delay():
    """A client that leaves during a guess has failed, and its source's next guess waits for it."""
    gate = Gate()
    settings = LoginSettings(failure_seconds=0.3, failure_most_seconds=0.3)

    async def scenario(authenticator):
        loop = asyncio.get_running_loop()
        began = loop.time()
        first = asyncio.create_task(authenticator.password("boss", "x", **WHERE))
        await entered(gate)
        first.cancel()
        gate.opened.set()
        await asyncio.wait([first])
        await authenticator.password("boss", "y", **WHERE)
        return loop.time() - began

    seconds, events = run(gate, scenario, settings)
    assert seconds >= 0.6
    assert [event.reason for event in events] == [
        "left before the answer",
        "unknown user or no password",
    ]


def test_a_login_from_elsewhere_does_not_wait():
    """While an address serves its delays, an operator comes in from another one."""
    settings = LoginSettings(failure_seconds=1000.0, failure_most_seconds=1000.0)

    async def scenario(authenticator):
        guesses = [
            asyncio.create_task(authenticator.password("boss", "x", **at(number)))
            for number in range(20)
            for _ in range(10)
        ]
        await asyncio.sleep(0)
        principal = await authenticator.password("boss", "sekrit", **WHERE)
        for guess in guesses:
            guess.cancel()
        await asyncio.wait(guesses)
        return principal

    principal, _ = run(MemoryCredentials({"boss": "sekrit"}), scenario, settings)
    assert principal.user == "boss"


def test_the_loop_goes_on_while_a_store_blocks():
    """The store is on a thread of its own, one for all; the host's executor is left alone."""
    gate = Gate()

    async def scenario(authenticator):
        tasks = [
            asyncio.create_task(authenticator.password(f"u{n}", "x", **at(n))) for n in range(5)
        ]
        await entered(gate)  # comes back only if the loop runs
        names = [t.name for t in threading.enumerate() if t.name == "console-auth"]
        gate.opened.set()
        await asyncio.gather(*tasks)
        return names

    names, events = run(gate, scenario)
    assert names == ["console-auth"]
    assert gate.asked == [f"u{n}" for n in range(5)]
    assert len(events) == 5


def test_a_flood_is_refused_at_once_and_keys_go_first(caplog):
    """Beyond the limit a guess is refused unchecked; a key look-up passes the waiters."""
    gate = Gate()

    async def scenario(authenticator):
        first = asyncio.create_task(authenticator.password("first", "x", **WHERE))
        await entered(gate)
        waiting = [
            asyncio.create_task(authenticator.password("waits", "x", **at(number)))
            for number in range(WAITING_MOST)
        ]
        await asyncio.sleep(0)  # each task up to its first await
        for number in range(100):
            assert await authenticator.password(f"flood{number}", "x", **at(100 + number)) is None
        key = asyncio.create_task(authenticator.key("boss", offered(b"blob"), **WHERE))
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(first, key, *waiting)

    _, events = run(gate, scenario)
    refused = [event for event in events if event.user.startswith("flood")]
    assert len(refused) == 100
    assert {event.reason for event in refused} == {"too many logins wait for their check"}
    assert gate.asked == ["first", "boss's keys", *["waits"] * WAITING_MOST]
    (record,) = caplog.records  # once, not a hundred times
    assert "64 logins wait for their check" in record.getMessage()


def test_who_has_left_blocks_no_login():
    """Guesses that were given up leave their places in the queue to others, though it stands."""
    gate = Gate()

    async def scenario(authenticator):
        first = asyncio.create_task(authenticator.password("first", "x", **WHERE))
        await entered(gate)
        for _ in range(3):
            leaving = [
                asyncio.create_task(authenticator.password(f"left{n}", "x", **at(n)))
                for n in range(WAITING_MOST)
            ]
            await asyncio.sleep(0)
            for task in leaving:
                task.cancel()
            await asyncio.wait(leaving)
        staying = asyncio.create_task(authenticator.password("staying", "x", **at(200)))
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(first, staying)

    _, events = run(gate, scenario)
    assert gate.asked == ["first", "staying"]
    assert events[-1].reason == "unknown user or no password"


def test_under_siege_who_has_not_failed_goes_first():
    """A right password from a new address passes the guesses of sources with failures."""

    async def scenario(authenticator):
        def guess(password, number):
            return asyncio.create_task(authenticator.password("boss", password, **at(number)))

        await asyncio.wait([guess("wrong", number) for number in range(6)])
        guesses = [guess("wrong", number) for number in range(2)]
        await asyncio.sleep(0)  # one is looked at, and the turn after it is the other's
        operator = guess("sekrit", 100)
        await asyncio.sleep(0)
        guesses += [guess("wrong", number) for number in range(2, 6)]
        await asyncio.wait([operator, *guesses])
        return operator.result()

    principal, events = run(MemoryCredentials({"boss": "sekrit"}), scenario)
    assert principal.user == "boss"
    assert [isinstance(event, LoginSucceeded) for event in events].index(True) == 6 + 2


def test_many_refused_keys_are_answered_ten_a_second():
    """A client that keeps offering refused keys waits for each answer."""

    async def scenario(authenticator):
        loop = asyncio.get_running_loop()

        async def show(times, where):
            began = loop.time()
            await asyncio.gather(
                *(authenticator.key("boss", offered(b"x"), **where) for _ in range(times))
            )
            return loop.time() - began

        for _ in range(FREE_KEYS // 30):
            await show(30, WHERE)
        return await show(6, WHERE), await show(1, at(1))

    (many, one), _ = run(MemoryCredentials({"boss": "sekrit"}), scenario)
    assert many >= 5 * INTERVAL_SECONDS
    assert one < many


@pytest.mark.parametrize("user", ["boss", "nobody"])
def test_a_refused_key_is_answered_on_a_grid(user, store):
    """Whether there is such a user, whose file has to be read, shows in no answer's time."""

    async def scenario(authenticator):
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await authenticator.key(user, offered(b"x"), **WHERE) == "no key of this user"
        return loop.time() - began

    seconds, _ = run(store, scenario)
    assert seconds >= 0.999 * KEY_ANSWER_SECONDS  # the loop's clock is allowed its grain


def test_a_changed_password_ends_the_old_login(store):
    """A login by the old password is CHANGED; one by the new password is HELD."""

    async def scenario(authenticator):
        old = await authenticator.password("boss", "sekrit", **WHERE)
        same = await authenticator.look_up(old)
        store.set_password("boss", "secret3")
        gone = await authenticator.look_up(old)
        new = await authenticator.password("boss", "secret3", **WHERE)
        return same.state, gone.state, (await authenticator.look_up(new)).state

    states = AccessState.HELD, AccessState.CHANGED, AccessState.HELD
    assert run(store, scenario)[0] == states


def test_a_full_queue_is_no_removal(store):
    """A look-up that is refused, here by the end, tells nothing of the user's access."""

    async def scenario(authenticator):
        principal = await authenticator.password("boss", "sekrit", **WHERE)
        authenticator.close()
        return await authenticator.look_up(principal)

    access, _ = run(store, scenario)
    assert (access.state, access.reason) == (AccessState.UNKNOWN, "the console is closing")


def test_a_cancelled_check_is_passed_over():
    """Cancelling a login that waits, or is being checked, disturbs no other."""
    gate = Gate()

    async def scenario(authenticator):
        tasks = [
            asyncio.create_task(authenticator.password(name, "x", **at(number)))
            for number, name in enumerate(("running", "waiting", "staying"))
        ]
        await entered(gate)
        for task in tasks[:2]:
            task.cancel()
        done = await asyncio.gather(*tasks[:2], return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in done)
        gate.opened.set()
        await tasks[2]

    _, events = run(gate, scenario)
    assert gate.asked == ["running", "staying"]
    assert [(event.user, event.reason) for event in events] == [
        ("running", "left before the answer"),
        ("waiting", "left before the answer"),
        ("staying", "unknown user or no password"),
    ]


def test_closing_turns_away_waiting_logins():
    """close() returns while the store blocks; waiting and later logins are refused."""
    gate = Gate()

    async def scenario(authenticator):
        tasks = [
            asyncio.create_task(authenticator.password(name, "x", **at(number)))
            for number, name in enumerate(("running", "waiting"))
        ]
        await entered(gate)  # before the key, which would go first
        key = asyncio.create_task(authenticator.key("boss", offered(b"blob"), **WHERE))
        await asyncio.sleep(0)
        authenticator.close()
        assert await tasks[1] is None
        assert await key == "the console is closing"
        assert await authenticator.password("late", "x", **WHERE) is None
        gate.opened.set()
        assert await tasks[0] is None

    _, events = run(gate, scenario)
    assert [(event.user, event.reason) for event in events] == [
        ("waiting", "the console is closing"),
        ("late", "the console is closing"),
        ("running", "unknown user or no password"),
    ]


def test_no_password_stays_with_an_idle_authenticator():
    """Once a login is decided, the thread holds nothing of it."""

    class Password(str):
        __slots__ = ("__weakref__",)

    async def scenario(authenticator):
        password = Password("sekrit")
        reference = weakref.ref(password)
        await authenticator.password("boss", password, **WHERE)
        del password
        # The next job begins after the thread has let go of the last one.
        await authenticator.key("boss", offered(b"blob"), **WHERE)
        gc.collect()
        return reference() is None

    assert run(MemoryCredentials({"boss": "sekrit"}), scenario)[0]


HANGING = """
import asyncio, threading
from console.auth.authenticator import KEY_ANSWER_SECONDS, Authenticator
from console.events import EventBus
from console.interfaces.credentials import CredentialStore, Peer

class Hangs(CredentialStore):
    def password_hash(self, name):
        entered.set()
        threading.Event().wait()
    authorized_keys = password_hash

entered = threading.Event()

async def main():
    authenticator = Authenticator(Hangs(), EventBus())
    guess = authenticator.password("boss", "x", transport="ssh", peer=Peer("192.0.2.1", 5))
    task = asyncio.create_task(guess)
    await asyncio.to_thread(entered.wait)
    authenticator.close()
    task.cancel()

asyncio.run(main())
print("over")
"""


def test_a_store_that_hangs_does_not_keep_the_process():
    """The host's process ends although a check never returns."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HANGING], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")
