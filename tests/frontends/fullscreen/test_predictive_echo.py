"""Plain keys stand on the screen before it is laid out anew, and the screen is exact afterwards."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console.interfaces.frontends import Preferences
from support.frontend_host import editing, editor_of, run, turns, until


def cells(terminal):
    """Return all that a person sees: each cell with its colours, and the cursor."""
    screen = terminal.screen
    seen = {}
    for y in range(screen.lines):
        for x in range(screen.columns):
            cell = screen.buffer[y][x]
            seen[y, x] = (cell.data, cell.bg, cell.reverse, cell.underscore)
            if cell.data != " ":
                seen[y, x] += (cell.fg, cell.bold)
    return seen, (screen.cursor.x, screen.cursor.y)


@contextlib.asynccontextmanager
async def running(first="x", **options):
    """An editor in which something has been typed and laid out."""
    async with editing(**options) as (frontend, terminal, task):
        frontend.feed(first)
        editor = await editor_of(frontend)
        await laid_out(editor)
        yield frontend, terminal, editor, task


async def laid_out(editor):
    """Wait until nothing waits to be drawn."""
    application = editor._python.app
    await turns(20)

    def is_waiting():
        return (
            application.invalidated
            or application.echo._ahead_since is not None
            or application.renderer.last_rendered_screen is None
            or editor._input.has_keys
        )

    await until(lambda: not is_waiting())
    await turns(20)


def layouts(editor):
    return editor._python.app.render_counter


def test_a_plain_key_is_written_before_the_layout():
    """A character at the end of the line stands there while the screen is not laid out yet."""

    async def test():
        async with running() as (frontend, terminal, editor, _):
            before = layouts(editor)
            for typed in ("xy", "xyz", "xyz "):
                frontend.feed(typed[-1])
                assert terminal.screen.display[0].rstrip("\n") == f">>> {typed}".ljust(80)
                assert layouts(editor) == before
            await laid_out(editor)
            assert layouts(editor) > before
            assert editor._python.default_buffer.text == "xyz "

    run(test)


def test_keys_that_come_together():
    """Several characters that come at once are written at once, and cost one layout."""

    async def test():
        async with running() as (frontend, terminal, editor, _):
            before = layouts(editor)
            frontend.feed("yz = 17")
            assert terminal.lines[0] == ">>> xyz = 17"
            await turns(20)
            assert layouts(editor) == before
            await laid_out(editor)
            assert layouts(editor) == before + 1

    run(test)


def test_a_burst_of_keys_costs_few_layouts():
    """While keys keep coming the screen is laid out now and then, not for each."""

    async def test():
        async with running() as (frontend, terminal, editor, _):
            before = layouts(editor)
            for _ in range(50):
                frontend.feed("y")
                await turns(3)
            await laid_out(editor)
            assert terminal.lines[0] == ">>> x" + "y" * 50
            assert layouts(editor) - before < 50

    run(test)


def test_the_colour_follows():
    """What a character turns out to be, a keyword or a string, is coloured as if laid out whole."""

    async def test():
        async with running("i") as (frontend, terminal, editor, _):
            word = terminal.screen.buffer[0][4].fg
            frontend.feed("f")
            await laid_out(editor)
            assert terminal.screen.buffer[0][4].fg != word
            assert terminal.screen.buffer[0][4].fg == terminal.screen.buffer[0][5].fg

    run(test)


@pytest.mark.parametrize(
    ("before", "key"),
    [
        ("\x1b[D", "a"),  # the cursor is not at the end
        ("\x12", "a"),  # a search is open
        ("\x11", "a"),  # the next key is quoted
        ("\x1b", "b"),  # with Escape it is a key of its own
        ("\x18", "a"),  # with Ctrl-X too
        ("\x1b3", "a"),  # it is repeated
        ("\x1b[1;2D", "a"),  # it replaces what is selected
    ],
)
def test_keys_that_do_something_else(before, key):
    """Where a key is not just put behind the text, nothing is written before the layout."""

    async def test():
        async with running("xyz") as (frontend, terminal, editor, _):
            frontend.feed(before)
            if before in {"\x1b", "\x18"}:
                await turns(3)  # they wait for the next key, and draw nothing
            else:
                await laid_out(editor)
            count = len(terminal.written)
            editor._input.feed(key)
            assert terminal.written[count:] == []
            await turns(20)

    run(test)


def test_vi_commands_are_not_written():
    """In vi's command mode a letter is a command."""

    async def test():
        async with running("xyz") as (frontend, terminal, editor, _):
            frontend._host.preferences = Preferences(editing="vi")
            editor._python.prefer(frontend._host.preferences)
            frontend.feed("\x1b")
            await turns(3)
            await until(lambda: not editor.inserts)
            await laid_out(editor)
            count = len(terminal.written)
            frontend.feed("x")
            assert terminal.written[count:] == []
            await laid_out(editor)
            assert terminal.lines[0] == ">>> xy"

    run(test)


def test_the_margin():
    """At the right margin, where lines wrap, characters come with the layout."""

    async def test():
        async with running() as (frontend, terminal, editor, _):
            text = "x"
            for number in range(200):
                frontend.feed("abcdefghij"[number % 10])
                text += "abcdefghij"[number % 10]
                if number % 7 == 0:
                    await laid_out(editor)
            await laid_out(editor)
            shown = "".join(line[4:] for line in terminal.lines).replace("\\", "")
            assert shown == text

    run(test)


def test_text_from_above_keeps_what_is_ahead():
    """Output that comes right behind a key appears above the prompt, and the key stays."""

    async def test():
        async with running() as (frontend, terminal, editor, _):
            frontend.feed("y")
            frontend.write("from a task\n")
            frontend._above.flush()
            await laid_out(editor)
            assert terminal.lines == ["from a task", ">>> xy"]

    run(test)


KEYS = st.one_of(
    st.text(alphabet="abif_ (1'\"#=[.:", min_size=1, max_size=3),
    st.sampled_from(
        [
            "\x7f",  # Backspace
            "\x1b[D",
            "\x1b[C",
            "\x1b[A",
            "\x1b[B",
            "\x01",
            "\x05",
            "\x0b",  # Ctrl-K
            "\x17",  # Ctrl-W
            "\x1f",  # undo
            "\t",
            "\x1b[200~pasted\x1b[201~",
            "日",
            "e\u0301",
            "é",
            "class ",
        ]
    ),
)
WAITS = st.sampled_from(["no", "turn", "layout"])


@pytest.mark.parametrize(
    ("keys", "cheap"),
    [
        (["x = 1"], True),
        (["f((x))"], True),
        (["if x:\r", "f(x)\r"], False),  # the blank line goes
        (["x" * 100 + "(" + "y" * 100 + ")"], True),
        (["x = 1   "], False),  # the blanks go
        (["x = 12", "\x1b[D"], False),  # the cursor is within the text
        (["foo", "\x1bOP"], False),  # an explanation stands below
    ],
)
def test_the_text_is_left_as_it_is(keys, cheap):
    """A text that stands there is not laid out once more at Enter, and looks as if it had been."""

    async def test():
        seen = []
        for anew in (False, True):
            async with running("z", namespace={"foo": print}) as (frontend, terminal, editor, task):
                frontend.feed("\x15")
                for key in keys:
                    frontend.feed(key)
                    await laid_out(editor)
                if anew:
                    editor._python.app.echo._shown = None
                count = layouts(editor)
                frontend.feed("\r")
                await task
                frontend._out.flush()  # it is held for what the statement shows
                seen.append((cells(terminal), layouts(editor) - count))
        (left, layouts_then), (drawn, layouts_anew) = seen
        assert left == drawn
        assert (layouts_then < layouts_anew) is cheap

    run(test)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["x", "if x:\r", "value = (\r", "'"]),
    st.lists(st.tuples(KEYS, WAITS), max_size=30),
)
def test_the_screen_is_exact(first, keys):
    """However keys follow each other, the screen ends up as if it had been drawn from nothing."""

    async def test():
        async with running(first, namespace={"foo": 1, "fib": 2}) as (
            frontend,
            terminal,
            editor,
            _,
        ):
            for key, wait in keys:
                frontend.feed(key)
                if wait == "turn":
                    await turns(2)
                elif wait == "layout":
                    await laid_out(editor)
            await laid_out(editor)
            seen = cells(terminal)
            count = layouts(editor)
            frontend.feed("\x0c")  # clears the screen, and draws all of it
            await until(lambda: layouts(editor) > count)
            await laid_out(editor)
            assert cells(terminal) == seen

    run(test)
