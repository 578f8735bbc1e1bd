"""Rights end when they end: channels from before, open sessions, connections without one."""

import contextlib
import os
import subprocess
import threading

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from console import FileCredentials, Role, SessionSettings
from console.sessions import access
from console.transports.ssh import channels, terminal
from support.clients import SSH_OPTIONS, need
from support.rawsession import Raw
from support.rawssh import (
    CHANNEL_CLOSE,
    CHANNEL_EXTENDED_DATA,
    USERAUTH_SUCCESS,
    RawSsh,
    make_ed25519,
    string,
)
from support.servers import DEADLINE_SECONDS, clean_environment, make_key, wait_until


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """No login is fresh, and the rounds follow each other soon."""
    monkeypatch.setattr(channels, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(access, "CHECK_SECONDS", 0.05)


@pytest.fixture
def site(make, tmp_path):
    """A console whose users are in files, and its store: boss is an admin, ann an operator."""
    store = FileCredentials(tmp_path / "users")
    store.add("boss", "sekrit", role=Role.ADMIN)
    store.add("ann", "sekrit2")
    options = {"ssh": 0, "telnet": 0, "credentials": store, "namespace": {"runs": []}}

    def start(**more):
        console = make(**options, **more)
        console.start()
        return console, store

    return start


def ssh_login(console, user="ann", password="sekrit2"):
    client = RawSsh(console.ssh_port)
    assert client.handshake().guess(user, password)
    return client


CHANGES = {
    "removed": lambda store: store.remove("ann"),
    "another password": lambda store: store.set_password("ann", "another"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_channel_from_before_evaluates_nothing(change, site):
    """A channel that was opened before the user was removed does not begin a session."""
    console, store = site()
    with ssh_login(console) as client:
        channel = client.open_session()
        change(store)
        client.ask_channel(channel, "exec", string("runs.append(1)"), reply=False)
        assert client.wait_gone().startswith(
            ("you are not let in any more", "your access has ended")
        )
        assert console.namespace["runs"] == []


def test_a_channel_from_before_has_the_role_of_now(site):
    """A channel that was opened as an operator begins as a viewer, after the role was changed."""
    console, store = site(sessions=SessionSettings(end_with_access=False))
    with ssh_login(console) as client:
        channel = client.open_session()
        store.set_role("ann", Role.VIEWER)
        assert client.ask_channel(channel, "exec", string("runs.append(1)"))
        assert b"you may type" in client.expect(CHANNEL_EXTENDED_DATA)
        assert console.namespace["runs"] == []


ENDS = {**CHANGES, "lowered": lambda store: store.set_role("ann", Role.VIEWER)}


@pytest.mark.parametrize("change", ENDS.values(), ids=ENDS)
def test_an_open_session_is_ended(change, site, caplog):
    """A telnet session whose user is removed or lowered is told, and ended."""
    console, store = site()
    with (
        contextlib.closing(Raw(console.telnet_port, "ann", "sekrit2")) as session,
        contextlib.closing(Raw(console.telnet_port)) as other,
    ):
        change(store)
        session.wait_for(b"your access has ended")
        assert "ended with its access: user=ann" in caplog.text
        assert other.run("40 + 2").endswith("42\n")


def test_a_user_changes_the_password_in_a_session(site):
    """The session whose statement changes the password goes on; the user's other one is ended."""
    console, store = site()
    console.namespace["store"] = store
    with contextlib.closing(Raw(console.telnet_port, "ann", "sekrit2")) as own:
        with contextlib.closing(Raw(console.telnet_port, "ann", "sekrit2")) as other:
            own.run("store.set_password('ann', 'another8')")
            other.wait_for(b"the password has been changed")
        assert own.run("40 + 2").endswith("42\n")


def test_the_switch_leaves_open_sessions(site):
    """With end_with_access off a removed user's session goes on."""
    console, store = site(sessions=SessionSettings(end_with_access=False))
    with contextlib.closing(Raw(console.telnet_port, "ann", "sekrit2")) as session:
        store.remove("ann")
        assert session.run("__import__('time').sleep(0.3) or 42").endswith("42\n")


@pytest.mark.parametrize("damage", ["mode", "utf-16", "directory"])
def test_a_store_that_cannot_be_read_ends_nothing(damage, site, tmp_path):
    """Sessions go on while the users cannot be read, and a new one is refused with the reason."""
    console, store = site()
    users = tmp_path / "users" / "users"
    with contextlib.closing(Raw(console.telnet_port)) as session, ssh_login(console) as client:
        channel = client.open_session()
        if damage == "mode":
            users.chmod(0o644)
        elif damage == "utf-16":
            users.write_bytes(users.read_text().encode("utf-16"))
        else:
            os.rename(tmp_path / "users", tmp_path / "moved")
        assert client.ask_channel(channel, "exec", string("1"))
        assert b"no session: the users cannot be read" in client.expect(CHANNEL_EXTENDED_DATA)
        assert session.run("__import__('time').sleep(0.3) or 42").endswith("42\n")
    del store


def test_a_silent_channel_is_ended(site, monkeypatch, caplog):
    """A channel that asks for nothing is ended; the connection goes on."""
    monkeypatch.setattr(terminal, "WAITING_SECONDS", 0.1)
    console, _ = site()
    with ssh_login(console) as client:
        client.open_session()
        client.expect(CHANNEL_CLOSE)
        wait_until(lambda: "a channel that asked for nothing" in caplog.text, "a line")


def test_a_connection_without_a_session_is_listed_and_kicked(site):
    """who() has a row for it, and kick() ends it."""
    console, _ = site()
    with ssh_login(console) as client, contextlib.closing(Raw(console.telnet_port)) as boss:
        wait_until(lambda: "no session" in boss.run("who()"), "a row")
        boss.run("kick([s.number for s in who() if s.frontend == 'no session'][0], 'enough')")
        assert "boss has ended this connection: enough" in client.wait_gone()


def test_a_connection_without_a_session_ends_with_the_user(site):
    """It ends, though no session is asked for."""
    console, store = site()
    with ssh_login(console) as client:
        store.remove("ann")
        assert "your access has ended" in client.wait_gone()


def test_control_master(site, tmp_path):
    """A real ssh with a ControlMaster runs a command, and after the key's removal none."""
    need("ssh")
    console, store = site()
    key = make_key(tmp_path / "id")
    fingerprint = store.grant_key("ann", (tmp_path / "id.pub").read_text())
    path = tmp_path / "c"
    line = [
        *("ssh", *SSH_OPTIONS, "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"),
        *("-o", "ControlMaster=auto", "-o", f"ControlPath={path}", "-o", "ControlPersist=60"),
        *("-p", str(console.ssh_port), "ann@127.0.0.1", "40 + 2"),
    ]

    def run():
        return subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=clean_environment(tmp_path),
            timeout=DEADLINE_SECONDS,
        )

    assert run().stdout == b"42\n"
    store.revoke_key("ann", fingerprint)
    assert run().stdout == b""


def key_login(console, key):
    client = RawSsh(console.ssh_port).handshake()
    client.sign_request("ann", key)
    client.expect(USERAUTH_SUCCESS)
    return client


@pytest.fixture
def by_key(site, tmp_path):
    """A console, the file of ann's keys, its text, and a session of hers that was begun by key."""
    console, store = site()
    console.namespace["gate"] = threading.Event()
    key = make_ed25519()
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    store.grant_key("ann", public)
    with key_login(console, key) as client:
        channel = client.open_session()
        assert client.ask_channel(channel, "exec", string("gate.wait(40)"))
        yield console, tmp_path / "users" / "authorized_keys" / "ann", public, client


def test_an_expiry_ends_no_session(by_key):
    """A key that expires begins no session, and the open one goes on."""
    console, file, public, client = by_key
    file.write_text(f'expiry-time="20200101" {public}\n')
    second = client.open_session()
    assert client.ask_channel(second, "exec", string("1"))
    assert b"no session: " in client.expect(CHANNEL_EXTENDED_DATA)
    with contextlib.closing(Raw(console.telnet_port)) as boss:
        # Some rounds, of which a session shows nothing.
        assert boss.run("__import__('time').sleep(0.3) or 42").endswith("42\n")
    console.namespace["gate"].set()
    while b"True\n" not in client.read():
        pass


def test_a_revoked_key_ends_the_session(by_key):
    """A session that was begun by a key is told and ended when the key is taken away."""
    _, file, _, client = by_key
    file.write_text("")
    assert b"your access has ended: no key of this user" in client.expect(CHANNEL_EXTENDED_DATA)
