"""What is typed while nothing reads it."""

from __future__ import annotations

import pytest

from console.limits import PASTE_CHARACTERS, TYPEAHEAD_CHARACTERS
from console.sessions.typeahead import Room, Typeahead


def kept(*pieces, typed=True):
    """Return typeahead with these pieces in it."""
    typeahead = Typeahead()
    for piece in pieces:
        assert typeahead.keep(piece, typed=typed) is Room.ENOUGH
    return typeahead


def test_it_is_given_back_once_and_in_order():
    """Text comes back in the order in which it was typed, and then there is none."""
    typeahead = kept("one\r", "two", "\r")
    assert typeahead
    assert typeahead.take() == "one\rtwo\r"
    assert not typeahead
    assert typeahead.take() == ""


def test_an_empty_piece_is_none():
    """Nothing is kept of an empty text."""
    assert not kept("")


@pytest.mark.parametrize(
    ("pieces", "rest"),
    [
        (("abc",), ""),
        (("abc\x03",), ""),
        (("abc\x03def",), "def"),
        (("a\x03b", "c\x03d", "e"), "de"),
        (("\x03", "x\r"), "x\r"),
        ((), ""),
    ],
)
def test_an_interrupt_drops_what_was_typed_before(pieces, rest):
    """What follows the last Ctrl-C stays; without one all of it goes."""
    typeahead = kept(*pieces)
    typeahead.interrupt()
    assert not typeahead.has_interrupt
    assert typeahead.take() == rest


@pytest.mark.parametrize(("pieces", "has"), [((), False), (("a", "b\x03c"), True), (("a",), False)])
def test_whether_an_interrupt_waits(pieces, has):
    """Ctrl-C is found wherever it stands."""
    assert kept(*pieces).has_interrupt is has


def test_a_user_is_cut_at_a_paste():
    """Of what is typed as much as a paste is kept, and the user is told of what is not."""
    typeahead = kept("x" * (PASTE_CHARACTERS - 1))
    assert typeahead.keep("yz", typed=True) is Room.CUT
    assert typeahead.keep("z", typed=True) is Room.CUT
    text = typeahead.take()
    assert (len(text), text[-2:]) == (PASTE_CHARACTERS, "xy")


def test_a_pipe_is_held_back_and_loses_nothing():
    """All that a pipe has sent is kept; beyond the limit it has to wait."""
    typeahead = kept("x" * TYPEAHEAD_CHARACTERS, typed=False)
    assert typeahead.keep("yz", typed=False) is Room.FULL
    assert typeahead.take() == "x" * TYPEAHEAD_CHARACTERS + "yz"


@pytest.mark.parametrize("empty", [Typeahead.take, Typeahead.clear, Typeahead.interrupt])
def test_there_is_room_again(empty):
    """What has been given back or dropped takes no room any more."""
    typeahead = kept("x" * PASTE_CHARACTERS)
    empty(typeahead)
    assert typeahead.keep("y" * PASTE_CHARACTERS, typed=True) is Room.ENOUGH


def test_what_an_interrupt_leaves_takes_room():
    """What stays after Ctrl-C still counts."""
    typeahead = kept("a\x03" + "b" * (PASTE_CHARACTERS - 2))
    typeahead.interrupt()
    assert typeahead.keep("ccc", typed=True) is Room.CUT
    assert len(typeahead.take()) == PASTE_CHARACTERS
