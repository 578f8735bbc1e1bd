"""One key costs its session little, and the other sessions nothing, whatever the key is."""

import functools
import logging
import random
import time

import pytest
from prompt_toolkit.clipboard import ClipboardData

from console.frontends.fullscreen.bounds import (
    CLIPBOARD_CHARACTERS,
    DOCUMENT_CHARACTERS,
    UNDO_BYTES,
    BoundedBuffer,
    BoundedClipboard,
    RefusedKey,
    Registers,
)
from console.frontends.fullscreen.key_processor import (
    RECORDED_KEYS,
    REPLAYED_KEYS,
    TURN_SECONDS,
    BoundedKeyProcessor,
)
from console.interfaces.frontends import Preferences
from support.frontend_host import editing, editor_of, run, turns, until

VI = Preferences(editing="vi")
BELL = "\a"


async def settled(frontend):
    """Wait until all that was typed is handled, and shown."""
    editor = await editor_of(frontend)
    processor = editor._python.app.key_processor
    await until(lambda: not (processor.is_busy or editor._input.has_keys))
    await turns()
    return editor._python.default_buffer


async def press(frontend, keys):
    """Press keys one after the other, and wait for each."""
    for key in keys:
        frontend.feed(key)
        buffer = await settled(frontend)
    return buffer


def in_vi(test):
    """Run a test in vi's command mode, with a text in the editor."""

    async def main():
        async with editing() as (frontend, terminal, task):
            frontend._host.preferences = VI
            await press(frontend, ["abc = 1 + 2"])
            frontend.feed("\x1b")
            await until(lambda: not frontend._inserts)
            await test(frontend, terminal, task)

    run(main)


def in_emacs(test):
    """Run a test with the keys of emacs."""

    async def main():
        async with editing() as (frontend, terminal, task):
            await press(frontend, ["abc"])
            await test(frontend, terminal, task)

    run(main)


def test_a_binding_that_raises_costs_its_key(caplog):
    """A key whose binding raises rings the bell and is logged; the text stays."""

    async def test(frontend, terminal, task):
        for keys in ('"ayw', '"adw'):  # the second one fails when it has deleted
            buffer = await press(frontend, ["0", *keys])
            assert buffer.text == "abc = 1 + 2"
        assert BELL in terminal.output
        assert not task.done()
        await press(frontend, ["$", "a", "0"])
        frontend.feed("\r")
        assert await task == "abc = 1 + 20"

    with caplog.at_level(logging.WARNING):
        in_vi(test)
    (record,) = caplog.records  # one a minute
    assert record.name == "console.frontends"
    assert "the binding of a key (a character) failed" in record.message
    assert record.exc_info[0] is IndexError


def test_a_macro_that_replays_itself_ends():
    """``@a`` within register a rings the bell; it neither holds the loop nor fills the memory."""

    async def test(frontend, terminal, _task):
        await press(frontend, ["0", "C", "x@a"])
        frontend.feed("\x1b")
        await until(lambda: not frontend._inserts)
        buffer = await press(
            frontend, ["0", "v", "$", '"', "a", "d"]
        )  # the text is in the register
        assert buffer.text == ""
        await press(frontend, ["i", "12"])
        frontend.feed("\x1b")
        await until(lambda: not frontend._inserts)
        before = terminal.output.count(BELL)
        await press(frontend, ["@", "a"])
        assert terminal.output.count(BELL) == before + 1
        assert buffer.text == "1"  # x was replayed, once

    in_vi(test)


@pytest.mark.parametrize("count", ["999999", "9" * 200, "1001"])
def test_a_count_that_is_too_large_does_nothing(count):
    """What would be repeated too often rings the bell, and changes nothing."""

    async def vi(frontend, terminal, _task):
        await press(frontend, ["q", "a", "x", "q"])
        for keys in (["@", "a"], ["p"], [">", ">", "J"]):
            before = (await settled(frontend)).text
            frontend.feed(count)
            buffer = await press(frontend, keys)
            if keys[0] != ">":
                assert buffer.text == before
        assert BELL in terminal.output

    async def emacs(frontend, terminal, _task):
        buffer = await press(frontend, ["\x01", "\x0b", "\x19"])
        for key in ("\x19", "x", "\x1bu"):
            before = buffer.text
            frontend.feed("".join(f"\x1b{digit}" for digit in count[:50]))
            await press(frontend, [key])
            assert buffer.text == before
        assert BELL in terminal.output

    in_vi(vi)
    in_emacs(emacs)


def test_counts_that_are_small_count():
    """A count does what it did, as does one that says where and not how often."""

    async def emacs(frontend, _terminal, _task):
        assert (await press(frontend, ["\x1b5", "x"])).text == "abcxxxxx"

    async def vi(frontend, _terminal, _task):
        await press(frontend, ["0", "3", "x"])
        frontend.feed("\x1b[200~" + "\n".join(map(str, range(3000))) + "\x1b[201~")
        buffer = await press(frontend, list("2500k"))
        assert buffer.document.cursor_position_row == 499

    in_emacs(emacs)
    in_vi(vi)


def test_a_long_macro_is_replayed_in_turns(monkeypatch):
    """While a macro is replayed the loop has its turns, and Ctrl-C of the session its effect."""
    in_a_turn = []
    process_keys = BoundedKeyProcessor.process_keys

    def counted(self):
        before = self.handled
        process_keys(self)
        in_a_turn.append(self.handled - before)

    def slow(self, key):
        self.handled += 1
        process_one(self, key)
        until_late = time.perf_counter() + TURN_SECONDS / 4
        while time.perf_counter() < until_late:
            pass

    process_one = BoundedKeyProcessor._process_one
    monkeypatch.setattr(BoundedKeyProcessor, "handled", 0, raising=False)
    monkeypatch.setattr(BoundedKeyProcessor, "process_keys", counted)
    monkeypatch.setattr(BoundedKeyProcessor, "_process_one", slow)

    async def test(frontend, _terminal, _task):
        frontend.feed("\x18(xy\x18)")
        await press(frontend, ["\x1b5\x1b0"])
        buffer = await press(frontend, ["\x18e"])
        assert buffer.text.startswith("abcxyxy")

    in_emacs(test)
    assert max(in_a_turn) <= 5


def test_macros_are_bounded():
    """A macro that is recorded for ever is no longer recorded, with a bell."""

    async def test(frontend, terminal, _task):
        await press(frontend, ["q", "a"])
        for _ in range(RECORDED_KEYS // 200 + 1):
            await press(frontend, ["lh" * 100])
        editor = await editor_of(frontend)
        assert editor._python.app.vi_state.recording_register is None
        assert BELL in terminal.output

    in_vi(test)
    assert REPLAYED_KEYS >= RECORDED_KEYS


def test_a_document_is_bounded():
    """What would make the text too long is refused with a bell; what is there stays."""

    async def test(frontend, terminal, task):
        text = "x" * (DOCUMENT_CHARACTERS - 10)
        frontend.feed(f"\x1b[200~{text}\x1b[201~")
        buffer = await settled(frontend)
        length = len(buffer.text)
        assert length == DOCUMENT_CHARACTERS - 7
        assert BELL not in terminal.output
        await press(frontend, ["y" * 20])
        assert len(buffer.text) <= DOCUMENT_CHARACTERS
        assert BELL in terminal.output
        await press(frontend, ["\x7f"])  # it can be made shorter
        frontend.feed(f"\x1b[200~{text}\x1b[201~")
        await settled(frontend)
        assert len(buffer.text) <= DOCUMENT_CHARACTERS
        assert not task.done()

    in_emacs(test)


def test_keys_wait_for_the_history():
    """A search that is typed in one piece with its Enter finds an entry, whenever it arrives."""

    async def test(late):
        history = ["alpha = 1", "beta = 2", "alphabet = 3"]
        async with editing(history=history) as (frontend, _, task):
            frontend.feed("\x12bet =")
            await turns(late)
            frontend.feed("\r")
            await editor_of(frontend)
            buffer = await settled(frontend)
            assert buffer.text == "alphabet = 3"
            assert not task.done()

    for late in range(6):
        run(functools.partial(test, late))


def test_undo_is_bounded():
    """Earlier texts are kept up to some MiB; the newest of them can be had back."""
    buffer = BoundedBuffer()
    for number in range(200):
        buffer.text = f"{number:05}" * (DOCUMENT_CHARACTERS // 10)
        buffer.save_to_undo_stack()
    assert sum(len(text) for text, _ in buffer._undo_stack) <= UNDO_BYTES
    for number in range(198, 180, -1):
        buffer.undo()
        assert buffer.text.startswith(f"{number:05}")
    kept = sum(len(text) for text, _ in buffer._undo_stack + buffer._redo_stack)
    assert kept <= UNDO_BYTES + 2 * DOCUMENT_CHARACTERS


def test_the_kill_ring_is_bounded():
    """Killed texts are kept up to a size, the newest ones longest."""
    clipboard = BoundedClipboard()
    for number in range(60):
        clipboard.set_data(ClipboardData(str(number) * 50_000))
    assert sum(len(data.text) for data in clipboard._ring) <= CLIPBOARD_CHARACTERS
    assert clipboard.get_data().text.startswith("59")


def test_registers_are_bounded():
    """A register that would pass the bound of all is refused, and the others stay."""
    registers = Registers()
    registers["a"] = ClipboardData("x" * (CLIPBOARD_CHARACTERS - 10))
    with pytest.raises(RefusedKey):
        registers["b"] = ClipboardData("y" * 11)
    registers["a"] = ClipboardData("short")
    registers["b"] = ClipboardData("y" * 11)
    assert sorted(registers) == ["a", "b"]


@pytest.mark.parametrize("mode", ["emacs", "vi"])
def test_keys_at_random(mode, caplog):
    """No keys end a read, hold the loop or grow without a bound: 1,000 at random, in each mode."""
    rng = random.Random(7)
    alphabet = [chr(code) for code in range(32, 127)] * 2
    alphabet += [chr(code) for code in range(1, 32) if chr(code) not in "\x03\x04\x1d\r\n"]
    alphabet += [f"\x1b{key}" for key in "bfdutlc.<>0123456789-"]
    alphabet += ["\x1b[A", "\x1b[B", "\x1b[C", "\x1b[D", "\x18(", "\x18)", "\x18e", "é", "漢"]
    alphabet += ["@a", "qa", '"ay', "99", '"ap', "999999", "5@a"]

    async def test(frontend, _terminal, task):
        for _ in range(100):
            frontend.feed("".join(rng.choices(alphabet, k=10)))
            buffer = await settled_or_done(frontend, task)
            assert not task.done()
            assert len(buffer.text) <= DOCUMENT_CHARACTERS

    async def settled_or_done(frontend, task):
        editor = frontend._editor
        await until(lambda: task.done() or not editor._python.app.key_processor.is_busy)
        await turns()
        return editor._python.default_buffer

    (in_vi if mode == "vi" else in_emacs)(test)
    assert all(record.levelno < logging.ERROR for record in caplog.records)
