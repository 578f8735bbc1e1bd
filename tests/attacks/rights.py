"""Attacks by users who have been removed: connections and channels that were opened before."""

import contextlib

from attacks.harness import attack
from console import FileCredentials
from support.rawssh import CHANNEL_SUCCESS, Gone, string

CHANNELS = 10


@attack("rights: channels from before the user is removed")
def channels_from_before(site):
    """A user opens all channels, is removed, and asks for a command on each: none evaluates."""
    store, user = FileCredentials(site.target.keys), "leaver"
    store.add(user, "a-long-password")
    client = site.ssh().handshake()
    assert client.guess(user, "a-long-password")
    channels = [client.open_session() for _ in range(CHANNELS)]
    # The login is not a fresh one any more once a command has run.
    assert client.ask_channel(channels[0], "exec", string("1"))
    store.remove(user)
    for channel in channels[1:]:
        with contextlib.suppress(Gone):
            client.ask_channel(channel, "exec", string("foo.owned"), reply=False)
    with contextlib.suppress(Gone):
        while (packet := client.read())[0] != CHANNEL_SUCCESS:
            assert b"owned" not in packet
    return CHANNELS
