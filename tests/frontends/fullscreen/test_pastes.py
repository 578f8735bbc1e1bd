"""Pastes found in what is typed, and keys taken a few at a time."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.keys import Keys

from console.frontends.fullscreen.pastes import BEGIN, BURST_CHARACTERS, END, Pastes
from console.frontends.fullscreen.terminal_io import ChannelInput
from console.limits import PASTE_CHARACTERS

LONG = "x = 1  # long enough\r" * 20


def fed(*texts, flush=True):
    """Feed texts at once; return what was delivered, and how often it was too much."""
    delivered, refused = [], []

    async def main():
        pastes = Pastes(delivered.append, lambda: refused.append(1))
        for text in texts:
            pastes.feed(text)
        if flush:
            pastes.flush()

    asyncio.run(main())
    return "".join(delivered), len(refused)


@pytest.mark.parametrize(
    "texts",
    [
        ["x", "\r"],
        ["x" * BURST_CHARACTERS],
        ["one = 1\rtwo = 2\r"],
        ["one = 1\r secret = 2\r"],
        ["for x in y:\r"],
        ["for x in y:\rprint(x)\r\r"],
        ["for x in y:\r", "    print(x)\r"],
        ["\x1b[A" * 200],
        ["y" * 300 + "\x03"],
        [f"{BEGIN}{LONG}{END}"],
        [BEGIN, LONG, LONG, END, "x\r"],
        ["\x1b[2", "00~" + LONG, LONG + "\x1b[20", "1~", "x"],
        ["\x1b", "[200~", LONG, END],
    ],
)
def test_what_is_left_alone(texts):
    """Keys, however many, and pastes that the terminal has marked are passed on as they are."""
    assert fed(*texts) == ("".join(texts), 0)


def test_a_burst_is_marked():
    """A burst is a paste; an Enter at its end is one too, and comes after it."""
    body = LONG.rstrip("\r")
    assert fed(body) == (f"{BEGIN}{body}{END}", 0)
    assert fed(LONG) == (f"{BEGIN}{body}\r{END}\r", 0)


@pytest.mark.parametrize(
    "block",
    ["for x in y:\r    print(x)", "def f(a,  # why\r\tb): pass", "x = [\n  1,\n]", "if x:\r\r y"],
)
def test_a_block_is_marked(block):
    """A block that comes at once with its indentation is a paste, however short."""
    assert fed(block) == (f"{BEGIN}{block}{END}", 0)
    assert fed(f"{block}\r") == (f"{BEGIN}{block}\r{END}\r", 0)


def test_a_burst_in_pieces():
    """What follows a burst at once belongs to it, however short; a key ends it."""
    assert fed(LONG, "y", "z") == (f"{BEGIN}{LONG}yz{END}", 0)
    body = LONG.rstrip("\r")
    assert fed(body, "\x03y") == (f"{BEGIN}{body}{END}\x03y", 0)
    assert fed(body, f"{BEGIN}y{END}") == (f"{BEGIN}{body}{END}{BEGIN}y{END}", 0)


def test_a_burst_ends_when_nothing_comes():
    """A burst is passed on by itself, a moment after its last piece."""

    async def main():
        delivered = asyncio.get_running_loop().create_future()
        pastes = Pastes(delivered.set_result, lambda: None)
        pastes.feed(LONG)
        assert not delivered.done()
        async with asyncio.timeout(20):
            assert (await delivered).endswith(f"{END}\r")

    asyncio.run(main())


def test_a_paste_without_end():
    """What is pasted beyond the limit is dropped, with one bell, and keys work afterwards."""
    piece = "x" * (PASTE_CHARACTERS // 4)
    text, bells = fed(BEGIN, *[piece] * 40, "x\x1b[20", "1~after")
    assert len(text) <= PASTE_CHARACTERS + 100
    assert text.endswith(f"{END}after")
    assert bells == 1
    text, bells = fed(*[piece] * 8)
    assert len(text) == PASTE_CHARACTERS + len(BEGIN + END)
    assert bells > 0


@given(st.lists(st.text("ab\r\x1b[2015~\x03", max_size=400), max_size=6))
def test_nothing_is_lost(texts):
    """Whatever is typed, less marks and the Enter of a burst, arrives in its order."""

    def plain(text):
        return text.replace(BEGIN, "").replace(END, "").replace("\r", "")

    delivered, _ = fed(*texts)
    assert plain(delivered) == plain("".join(texts))


# ---- the editor's input


def read_all(channel):
    """Read until nothing comes any more; return the keys of each turn."""
    turns = []
    while keys := channel.read_keys():
        turns.append(keys)
    return turns


def test_many_keys_come_a_few_at_a_time():
    """One turn of the loop brings a limited number of keys, and asks for the next turn."""

    async def main():
        channel = ChannelInput(lambda: None)
        calls = []
        with channel.attach(lambda: calls.append(1)):
            channel.feed("\x1b[A" * 5000)
            turns = read_all(channel)
            await asyncio.sleep(0)
        assert sum(map(len, turns)) == 5000
        assert max(map(len, turns)) <= 128
        assert len(calls) >= len(turns)

    asyncio.run(main())


def test_a_paste_is_one_key():
    """A paste of 200 KB, marked or not, is one key."""

    async def main():
        for text, keys in ((f"{BEGIN}{'x' * 200_000}{END}", 1), ("x\r" * 100_000, 2)):
            channel = ChannelInput(lambda: None)
            channel.feed(text)
            channel.end()
            found = []
            while not channel.closed:
                found += channel.read_keys()
            assert found[0].key is Keys.BracketedPaste
            assert len(found) == keys

    asyncio.run(main())


def test_typeahead_holds_what_was_not_taken():
    """Keys that no turn has taken yet are given back with the rest, in order."""

    async def main():
        channel = ChannelInput(lambda: None)
        channel.feed("\x1b[A" * 300 + "end")
        first = channel.read_keys()
        assert channel.take_typeahead() == "\x1b[A" * (300 - len(first)) + "end"
        assert channel.take_typeahead() == ""
        channel.feed(LONG)
        assert LONG.rstrip("\r") in channel.take_typeahead()

    asyncio.run(main())
