"""The authenticator: who gets in, what is told of it, and what a flood can do."""

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

from console.auth.authenticator import WAITING_MOST, Authenticator
from console.auth.passwords import hash_password
from console.auth.store import FileCredentials, MemoryCredentials
from console.errors import CredentialError
from console.events import EventBus, LoginFailed, LoginSucceeded
from console.interfaces import Principal

WHERE = {"transport": "ssh", "peer": "192.0.2.1:4711"}
SEKRIT = hash_password("sekrit")


def key_line(seed):
    """Make an Ed25519 key of a number: its line and its wire form."""
    parts = (b"ssh-ed25519", bytes([seed]) * 32)
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} key {seed}", blob


class Gate:
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


def run(store, scenario):
    """Run a scenario with an authenticator; return its result and the events."""
    events = []
    bus = EventBus()
    bus.subscribe(events.append)
    before = set(threading.enumerate())

    async def main():
        authenticator = Authenticator(store, bus)
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
    assert principal == Principal(user="boss", method="password", **WHERE)
    assert events == [LoginSucceeded(user="boss", method="password", **WHERE)]


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
    """Nobody comes back, and the event has the name as it was sent."""
    principal, events = run(store, lambda a: a.password(user, password, **WHERE))
    assert principal is None
    assert events == [LoginFailed(user=user, method="password", reason=reason, **WHERE)]


def test_an_endless_name_is_cut_in_the_event(store):
    """A megabyte of name is not kept by whoever logs it."""
    _, events = run(store, lambda a: a.password("a" * 1_000_000, "x", **WHERE))
    assert len(events[0].user) == 256


def test_a_key_is_found_for_its_user_only(store):
    """Another user's key, another key and a part of a key are none."""
    _, blob = key_line(1)
    _, other = key_line(2)

    async def scenario(authenticator):
        return [
            await authenticator.authorized_key(user, sent)
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
    assert found.blob == blob
    assert rest == [None] * 6
    assert events == []  # a client may ask for many keys; nobody has come or gone yet


def test_a_key_login_is_told_with_its_fingerprint(store):
    """The event names algorithm and fingerprint; a refusal has its reason."""
    _, blob = key_line(1)

    async def scenario(authenticator):
        key = await authenticator.authorized_key("boss", blob)
        authenticator.key_refused("boss", reason="bad signature", **WHERE)
        authenticator.key_refused("ann", **WHERE)
        return key, authenticator.key_accepted("boss", key, **WHERE)

    (key, principal), events = run(store, scenario)
    assert principal == Principal(user="boss", method="publickey", **WHERE)
    assert events == [
        LoginFailed(user="boss", method="publickey", reason="bad signature", **WHERE),
        LoginFailed(user="ann", method="publickey", reason="no key of this user", **WHERE),
        LoginSucceeded(
            user="boss", method="publickey", detail=f"ssh-ed25519 {key.fingerprint}", **WHERE
        ),
    ]
    assert key.fingerprint.startswith("SHA256:")


class Broken:
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
def test_a_store_that_raises_lets_nobody_in(error, caplog):
    """It is logged, with a traceback if it is not ours, and the loop goes on."""

    async def scenario(authenticator):
        return (
            await authenticator.password("boss\x1b", "sekrit", **WHERE),
            await authenticator.authorized_key("boss", b"blob"),
        )

    result, events = run(Broken(error), scenario)
    assert result == (None, None)
    assert [event.reason for event in events] == ["the credential store failed"]
    assert len(caplog.records) == 2
    assert caplog.records[0].levelno == logging.ERROR
    assert "boss\\x1b is not let in" in caplog.text
    assert ("Traceback" in caplog.text) == (not isinstance(error, CredentialError))
    assert "sekrit" not in caplog.text


def test_a_store_of_wrong_types_lets_nobody_in():
    """Bytes for a hash, a string for keys: refused like any other failure."""

    class Wrong:
        def password_hash(self, name):
            return SEKRIT.encode()

        def authorized_keys(self, name):
            return ["ssh-ed25519 AAAA"]

    async def scenario(authenticator):
        return (
            await authenticator.password("boss", "sekrit", **WHERE),
            await authenticator.authorized_key("boss", b"blob"),
        )

    assert run(Wrong(), scenario)[0] == (None, None)


def test_the_loop_goes_on_while_a_store_blocks():
    """The store is on a thread of its own, one for all; the host's executor is left alone."""
    gate = Gate()

    async def scenario(authenticator):
        tasks = [
            asyncio.create_task(authenticator.password(f"u{n}", "x", **WHERE)) for n in range(5)
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
    """Beyond the limit a guess is turned away unchecked; a key look-up passes those that wait."""
    gate = Gate()

    async def scenario(authenticator):
        first = asyncio.create_task(authenticator.password("first", "x", **WHERE))
        await entered(gate)
        waiting = [
            asyncio.create_task(authenticator.password("waits", "x", **WHERE))
            for _ in range(WAITING_MOST)
        ]
        await asyncio.sleep(0)  # each task up to its first await
        for _ in range(1000):
            assert await authenticator.password("flood", "x", **WHERE) is None
        key = asyncio.create_task(authenticator.authorized_key("boss", b"blob"))
        await asyncio.sleep(0)
        gate.opened.set()
        await asyncio.gather(first, key, *waiting)

    _, events = run(gate, scenario)
    refused = [event for event in events if event.user == "flood"]
    assert len(refused) == 1000
    assert {event.reason for event in refused} == {"too many logins wait for their check"}
    assert gate.asked == ["first", "boss's keys", *["waits"] * WAITING_MOST]
    (record,) = caplog.records  # once, not a thousand times
    assert "64 logins wait for their check" in record.getMessage()


def test_a_cancelled_check_is_passed_over():
    """Cancelling a login that waits, or is being checked, disturbs no other."""
    gate = Gate()

    async def scenario(authenticator):
        tasks = [
            asyncio.create_task(authenticator.password(name, "x", **WHERE))
            for name in ("running", "waiting", "staying")
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
    assert [event.user for event in events] == ["staying"]


def test_closing_turns_away_whoever_waits():
    """close() returns while the store blocks; those who wait are told, those who come too."""
    gate = Gate()

    async def scenario(authenticator):
        tasks = [
            asyncio.create_task(authenticator.password(name, "x", **WHERE))
            for name in ("running", "waiting")
        ]
        key = asyncio.create_task(authenticator.authorized_key("boss", b"blob"))
        await entered(gate)
        authenticator.close()
        assert await tasks[1] is None
        assert await key is None
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
        await authenticator.authorized_key("boss", b"blob")
        gc.collect()
        return reference() is None

    assert run(MemoryCredentials({"boss": "sekrit"}), scenario)[0]


HANGING = """
import asyncio, threading
from console.auth.authenticator import Authenticator
from console.events import EventBus

class Hangs:
    def password_hash(self, name):
        entered.set()
        threading.Event().wait()
    authorized_keys = password_hash

entered = threading.Event()

async def main():
    authenticator = Authenticator(Hangs(), EventBus())
    task = asyncio.create_task(authenticator.password("boss", "x", transport="ssh", peer=""))
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
