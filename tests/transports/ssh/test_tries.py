"""How often an SSH connection may try: three times, whatever it tries with."""

import base64
import itertools
from pathlib import Path

import pytest

from console import FileCredentials, LoginSettings
from support import rawssh
from support.rawssh import Gone, RawSsh, string, uint32
from support.servers import make_key, wait_until

QUICK = LoginSettings(failure_seconds=0.001, failure_most_seconds=0.001)


@pytest.fixture
def client(make, tmp_path):
    """A connection that may log in; boss has a password, and a key that it shows and lacks."""
    store = FileCredentials(tmp_path / "keys", initial={"boss": "sekrit"})
    store.prepare()
    public = Path(f"{make_key(tmp_path / 'id')}.pub").read_text()
    store.grant_key("boss", public)
    with make(ssh=0, credentials=store, login=QUICK) as console, RawSsh(console.ssh_port) as client:
        client.blob = base64.b64decode(public.split()[1])
        yield client.handshake()


def by_password(client, password="wrong"):
    client.send_password("boss", password)


def by_question(client, password="wrong"):
    client.request("boss", "keyboard-interactive", string(""), string(""))
    client.expect(rawssh.INFO_REQUEST)
    client.send(rawssh.INFO_RESPONSE, uint32(1), string(password))


def by_signature(client):
    client.sign_request("boss", rawssh.make_ed25519(), blob=client.blob)


WAYS = {"password": by_password, "question": by_question, "signature": by_signature}


@pytest.mark.parametrize(
    "ways", [" ".join(ways) for ways in itertools.combinations_with_replacement(WAYS, 3)]
)
def test_three_tries_whatever_the_way(ways, client, caplog):
    """After three wrong ones the connection is ended, and each of them is in the log."""
    *first, last = ways.split()
    for way in first:
        WAYS[way](client)
        client.expect(rawssh.USERAUTH_FAILURE)
    WAYS[last](client)
    with pytest.raises(Gone, match="too many tries"):
        while True:
            client.expect(rawssh.USERAUTH_FAILURE)
    wait_until(lambda: caplog.text.count("login failed: user=boss") == 3, "three lines")


def test_the_third_try_may_be_right(client):
    """A user can log in after two wrong passwords."""
    by_question(client)
    client.expect(rawssh.USERAUTH_FAILURE)
    by_signature(client)
    client.expect(rawssh.USERAUTH_FAILURE)
    by_question(client, "sekrit")
    client.expect(rawssh.USERAUTH_SUCCESS)
