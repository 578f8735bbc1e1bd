"""How statements are read and outcomes shown: line by line, with an editor, and only once."""

from __future__ import annotations

import asyncio
import gc
import sys
import weakref
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.application import Application, get_app_or_none
from prompt_toolkit.filters import Filter
from ptpython.python_input import PythonInput

from console.frontends.choice import choose_frontend, frontend_name
from console.frontends.fullscreen.frontend import FullscreenFrontend
from console.frontends.line import LineFrontend
from console.frontends.once import OnceFrontend
from console.interfaces.statements import Outcome, OutcomeKind
from console.interfaces.terminals import Size, TerminalKind
from support.frontend_host import (
    CAPABLE,
    DUMB,
    NC,
    PIPE,
    FakeHost,
    editing,
    editor_of,
    run,
    turns,
)

# ---- choosing


@pytest.mark.parametrize(
    ("kind", "command", "name"),
    [
        (CAPABLE, None, "fullscreen"),
        (DUMB, None, "line"),
        (NC, None, "line"),
        (PIPE, None, "once"),
        (TerminalKind("xterm", server_echo=False), None, "line"),
        (TerminalKind("xterm", interactive=False), None, "once"),
        (CAPABLE, "1 + 1", "once"),
        (PIPE, "1 + 1", "once"),
    ],
)
def test_choice(kind, command, name):
    """A command is run once; an editor is for terminals that can show it; lines suit all others."""

    async def test():
        assert choose_frontend(FakeHost(kind, command=command)).name == name

    run(test)


@pytest.mark.parametrize(
    ("kind", "wanted", "default", "name"),
    [
        (CAPABLE, "", "auto", "fullscreen"),
        (CAPABLE, "", "line", "line"),
        (CAPABLE, "auto", "line", "fullscreen"),
        (CAPABLE, "line", "auto", "line"),
        (CAPABLE, " Line ", "auto", "line"),
        (CAPABLE, "gui", "line", "line"),
        (DUMB, "", "auto", "line"),
        (DUMB, "fullscreen", "line", "fullscreen"),
        (PIPE, "", "line", "once"),
        (PIPE, "fullscreen", "auto", "once"),
        (PIPE, "line", "auto", "line"),
    ],
)
def test_choice_of_client_and_console(kind, wanted, default, name):
    """The client's choice counts before the console's, and both only where they can be followed."""
    kind = replace(kind, environment=(("LANG", "C"), ("CONSOLE_FRONTEND", wanted)))
    assert frontend_name(kind, has_command=False, default=default) == name
    assert frontend_name(kind, has_command=True, default=default) == "once"


@pytest.mark.parametrize(
    ("name", "capable"),
    [
        *((name, True) for name in ("xterm-256color", "vt100", "linux", "screen", "eterm-color")),
        *((name, False) for name in ("", "dumb", "dumb-emacs-ansi", "emacs", "vt52", "network")),
    ],
)
def test_capable_terminals(name, capable):
    """The editor is for terminals that move their cursor, and where the echo is left to us."""
    assert TerminalKind(name).capable is capable
    assert not TerminalKind(name, server_echo=False).capable
    assert not TerminalKind(name, interactive=False).capable


# ---- outcomes


@pytest.mark.parametrize(
    ("outcome", "shown"),
    [
        (Outcome(OutcomeKind.NOTHING), []),
        (Outcome(OutcomeKind.VALUE, "5"), [(False, "5\n")]),
        (Outcome(OutcomeKind.VALUE, ""), [(False, "\n")]),
        (
            Outcome(OutcomeKind.EXCEPTION, "E", 1, "1.2", "a hint"),
            [(True, "E\n"), (True, "a hint\n"), (True, "(error 1.2)\n")],
        ),
        (Outcome(OutcomeKind.INTERRUPTED, "KeyboardInterrupt"), [(True, "KeyboardInterrupt\n")]),
        (Outcome(OutcomeKind.EXIT), []),
        (Outcome(OutcomeKind.EXIT, "why", 1), [(True, "why\n")]),
    ],
)
def test_outcomes(outcome, shown):
    """Values are output; tracebacks, hints and error ids are errors; the same everywhere."""

    async def test():
        host = FakeHost(CAPABLE)
        for frontend in (LineFrontend(host), OnceFrontend(host, "x"), FullscreenFrontend(host)):
            assert list(frontend.render(outcome)) == shown

    run(test)


# ---- LineFrontend


def read_lines(kind, *texts, eof=False):
    """Feed texts to a line frontend; return the statements that it read, and its host."""
    host = FakeHost(kind)
    statements = []

    async def test():
        frontend = LineFrontend(host)
        for text in texts:
            frontend.feed(text)
        if eof:
            frontend.feed_eof()
        while True:
            task = asyncio.ensure_future(frontend.read())
            await turns()
            if not task.done():
                frontend.close()
            statement = await task
            if statement is None:
                return
            statements.append(statement)

    run(test)
    return statements, host


def test_prompt_and_echo():
    """The prompt comes first, what is typed is echoed, and the statement is kept in the history."""
    statements, host = read_lines(DUMB, "1 + 1\r")
    assert statements == ["1 + 1"]
    assert host.terminal.output == ">>> 1 + 1\r\n>>> "
    assert host.history.kept == ["1 + 1"]


def test_clients_that_echo_themselves():
    """Nothing is echoed to a client that does it itself."""
    statements, host = read_lines(NC, "1 + 1\n")
    assert statements == ["1 + 1"]
    assert host.terminal.output == ">>> >>> "


def test_a_pipe_gets_no_prompt():
    """A pipe gets neither prompts nor echo, and its statements are not kept."""
    statements, host = read_lines(PIPE, "x = 1\nif x:\n  x\n\n", "2", eof=True)
    assert statements == ["x = 1", "if x:\n  x\n", "2"]
    assert host.terminal.output == ""
    assert host.history.kept == []


def test_a_terminal_that_wants_line_feeds():
    """No CR is written to a terminal that says so, neither in the echo nor in prompts."""
    statements, host = read_lines(replace(DUMB, carriage_return=False), "1\r", "if\x03", "\x04")
    assert statements == ["1"]
    assert host.terminal.output == ">>> 1\n>>> if^C\nKeyboardInterrupt\n>>> \n"


def test_continuation():
    """A statement that is not complete gets the second prompt until a blank line ends it."""
    statements, host = read_lines(NC, "def f():\n  return 1\n\n", "(1,\n2)\n")
    assert statements == ["def f():\n  return 1\n", "(1,\n2)"]
    assert host.terminal.output == ">>> ... ... >>> ... >>> "
    assert host.history.kept == ["def f():\n  return 1", "(1,\n2)"]


def test_blank_lines():
    """Blank lines are not statements: the prompt is shown again."""
    statements, host = read_lines(NC, "\n  \n\t\n1\n")
    assert statements == ["1"]
    assert host.terminal.output == ">>> >>> >>> >>> >>> "


@pytest.mark.parametrize("typed", ["x = \x03", "if x:\r  y\x03", "\x03"])
def test_ctrl_c_drops_what_was_typed(typed):
    """Ctrl-C drops the line and those before it, and the first prompt comes back."""
    statements, host = read_lines(DUMB, typed, "1\r")
    assert statements == ["1"]
    assert host.terminal.output.endswith("^C\r\nKeyboardInterrupt\r\n>>> 1\r\n>>> ")


def test_interrupt_by_protocol():
    """An interrupt that comes by the protocol drops what was typed too."""
    host = FakeHost(DUMB)

    async def test():
        frontend = LineFrontend(host)
        task = asyncio.ensure_future(frontend.read())
        frontend.feed("if x:\r  y")
        await turns()
        frontend.interrupt()
        frontend.feed("1\r")
        assert await task == "1"
        assert host.terminal.output.endswith("^C\r\nKeyboardInterrupt\r\n>>> 1\r\n")

    run(test)


@pytest.mark.parametrize(
    ("typed", "statements"),
    [("", []), ("1", ["1"]), ("if x:\n  y", ["if x:\n  y"]), ("1\n2", ["1", "2"]), ("(", ["("])],
)
def test_end_of_input(typed, statements):
    """At the end of the input, what was typed is the last statement."""
    assert read_lines(NC, typed, eof=True)[0] == statements


def test_ctrl_d():
    """Ctrl-D on an empty line ends the input; behind text it does nothing."""
    statements, host = read_lines(DUMB, "1\x04\r", "\x04")
    assert statements == ["1"]
    assert host.terminal.output == ">>> 1\r\n>>> \r\n"


def test_typeahead():
    """What is typed behind a statement is given back, for the statement or the next prompt."""
    host = FakeHost(DUMB)

    async def test():
        frontend = LineFrontend(host)
        frontend.feed("1\r\n2\r3")
        assert await frontend.read() == "1"
        assert frontend.take_typeahead() == "2\r3"
        assert frontend.take_typeahead() == ""

    run(test)


def test_background_output_above_the_prompt():
    """Text that comes while a prompt is up gets lines of its own, and the prompt comes again."""
    host = FakeHost(NC)

    async def test():
        frontend = LineFrontend(host)
        task = asyncio.ensure_future(frontend.read())
        await turns()
        frontend.write("background\n")
        frontend.write("")
        frontend.write("no newline", error=True)
        assert host.terminal.lines == [
            ">>>",
            "background",
            ">>>",
            "no newline",
            ">>>",
        ]
        assert [error for data, error in host.terminal.written if b"no newline" in data] == [True]
        frontend.feed("(\n")
        await turns()
        frontend.write("more\n")
        assert host.terminal.lines[-2:] == ["more", "..."]
        frontend.close()
        assert await task is None

    run(test)


@pytest.mark.parametrize(
    ("kind", "shown"),
    [(DUMB, ["... 'a    é", "late", "... 'a    é!'"]), (NC, [">>> ...", "late", "..."])],
    ids=["server echo", "client echo"],
)
def test_background_output_keeps_the_line(kind, shown):
    """A line that is being typed stands behind the prompt again, if its echo is ours."""
    host = FakeHost(kind)

    async def test():
        frontend = LineFrontend(host)
        task = asyncio.ensure_future(frontend.read())
        await turns()
        frontend.feed("(\r'a\te\u0301")
        await turns()
        frontend.write("late\n")
        frontend.feed("!'")
        await turns()
        assert host.terminal.lines[-3:] == shown
        frontend.feed("\r)\r")
        assert await task == "(\n'a\te\u0301!'\n)"

    run(test)


def test_nothing_stands_below_the_last_words():
    """A frontend that is closed shows what is written then, and no prompt below it."""

    async def test():
        for kind, last in ((DUMB, [">>> half", "goodbye"]), (CAPABLE, ["goodbye"])):
            host = FakeHost(kind)
            frontend = choose_frontend(host)
            task = asyncio.ensure_future(frontend.read())
            if kind is DUMB:
                frontend.feed("half")
            await turns()
            frontend.close()
            frontend.write("goodbye\n")
            assert await task is None
            assert host.terminal.lines == last

    run(test)


def test_a_terminal_that_changes():
    """The frontend there is stays while it suits, and another one comes when it does not."""

    async def test():
        host = FakeHost(CAPABLE)
        first = choose_frontend(host)
        assert choose_frontend(host, first) is first
        host.terminal.kind = replace(CAPABLE, server_echo=False, whole_lines=True)
        second = choose_frontend(host, first)
        assert (first.name, second.name) == ("fullscreen", "line")
        assert choose_frontend(host, second) is second

    run(test)


def test_output_without_a_newline():
    """The prompt begins a line of its own behind output that does not end one."""
    host = FakeHost(NC)

    async def test():
        frontend = LineFrontend(host)
        frontend.write("out")
        frontend.write("put")
        frontend.feed("1\n")
        assert await frontend.read() == "1"
        assert host.terminal.output == "output\r\n>>> "

    run(test)


def test_close_ends_a_read():
    """Closing ends a pending read with None, and later ones at once; it can be done twice."""

    async def test():
        frontend = LineFrontend(FakeHost(NC))
        task = asyncio.ensure_future(frontend.read())
        await turns()
        frontend.close()
        frontend.close()
        assert await task is None
        assert await frontend.read() is None

    run(test)


@given(st.text() | st.text("\x1b[]0;~\x9bA\r\x03\x04\x7f(:"))
def test_no_escape_sequence_is_written(text):
    """Whatever is typed, a terminal without cursor control gets no escape sequence."""
    _, host = read_lines(DUMB, text)
    assert not {"\x1b", "\x9b"} & set(host.terminal.output)


# ---- OnceFrontend


@pytest.mark.parametrize(("command", "read"), [("1 + 1", "1 + 1"), ("", None), (" \n", None)])
def test_once(command, read):
    """The command is the only statement; a blank one is none."""

    async def test():
        frontend = OnceFrontend(FakeHost(PIPE, command=command), command)
        assert await frontend.read() == read
        assert await frontend.read() is None

    run(test)


def test_once_keeps_the_input_for_the_statement():
    """What is piped in is for the statement to read."""

    async def test():
        frontend = OnceFrontend(FakeHost(PIPE), "input()")
        frontend.feed("5\n")
        frontend.feed("6\n")
        frontend.feed_eof()
        frontend.interrupt()
        assert await frontend.read() == "input()"
        assert frontend.take_typeahead() == "5\n6\n"
        assert frontend.take_typeahead() == ""

    run(test)


def test_once_writes_as_it_is():
    """Output is written as it is, on its own stream; with CR LF where a terminal was asked for."""

    async def test():
        for kind, written in ((PIPE, b"a\n\\udcff"), (CAPABLE, b"a\r\n\\udcff")):
            host = FakeHost(kind)
            frontend = OnceFrontend(host, "x")
            frontend.write("a\n\udcff")
            frontend.write("e", error=True)
            assert host.terminal.written == [(written, False), (b"e", True)]

    run(test)


def script(*parts, eof=True, interrupt=False):
    """Feed parts of a script to a frontend without a command; return what it reads."""
    found = []

    async def test():
        frontend = OnceFrontend(FakeHost(PIPE), None)
        task = asyncio.ensure_future(frontend.read())
        for part in parts:
            await turns()
            assert not task.done()
            frontend.feed(part)
        if interrupt:
            frontend.interrupt()
        if eof:
            frontend.feed_eof()
        found.append(await task)
        assert await frontend.read() is None

    run(test)
    return found[0]


def test_a_script_is_whole():
    """A script is all of the input, and is not read before that has ended."""
    assert script("x = 1\nif x:\n", "    x\nprint(x)") == "x = 1\nif x:\n    x\nprint(x)"
    assert script("\ufeffx\r\n") == "x"
    assert script("\n\nx\n") == "\n\nx"
    assert script("", " \n") is None
    assert script() is None


def test_a_script_that_is_interrupted():
    """A signal while the script is being read ends it, and nothing is run."""
    outcome = script("x = 1\n", eof=False, interrupt=True)
    assert (outcome.kind, outcome.status) == (OutcomeKind.INTERRUPTED, 130)


def test_a_script_without_end():
    """Reading stops where a script is too long to be one."""
    outcome = script(*["#" * 500_000] * 3, eof=False)
    assert (outcome.kind, outcome.status) == (OutcomeKind.EXCEPTION, 2)


@pytest.mark.parametrize(
    ("variables", "command", "read"),
    [
        ({}, "foo", "foo"),
        ({"CONSOLE_TIMEOUT": "5"}, "foo", "%timeout 5.0 foo"),
        ({"CONSOLE_TIMEOUT": "5", "CONSOLE_FORMAT": "json"}, "foo", "%timeout 5.0 %json foo"),
        ({"CONSOLE_TIMEOUT": "5"}, "%timeout 6 foo", "%timeout 6.0 foo"),
        ({"CONSOLE_FORMAT": "text"}, "%json\n%loop foo", "\n%loop %json foo"),
        ({"CONSOLE_TIMEOUT": "5"}, "\n\n  foo\n  bar", "\n\n%timeout 5.0 foo\nbar"),
    ],
)
def test_variables_of_the_client(variables, command, read):
    """What the client's environment asks for stands in front of a command; its own options win."""

    async def test():
        kind = replace(PIPE, environment=tuple(variables.items()))
        assert await OnceFrontend(FakeHost(kind), command).read() == read

    run(test)


def test_names_that_are_looked_up():
    """A namespace that makes its names up is never asked, and its code is never refused."""

    class Namespace(dict):
        __contains__ = __getitem__ = __missing__ = None

    async def test():
        for namespace, refused in (({}, True), ({"ls": 1}, False), (Namespace(), False)):
            host = FakeHost(PIPE)
            host.namespace = namespace
            read = await OnceFrontend(host, "ls -la").read()
            assert isinstance(read, Outcome) == refused

    run(test)


def test_once_closed():
    """A session that ends before its command has begun does not run it."""

    async def test():
        frontend = OnceFrontend(FakeHost(PIPE), "x")
        frontend.close()
        frontend.close()
        assert await frontend.read() is None

    run(test)


# ---- FullscreenFrontend


def last_line(text):
    return lambda lines: lines[-1] == text


async def typed(frontend, terminal, text, shown=None):
    """Type text, and wait until the last line of the screen shows it."""
    frontend.feed(text)
    await terminal.shows(last_line(shown or f">>> {text}"))


def test_a_prompt_is_literal_until_something_is_typed():
    """An idle session has its prompt as text, pastes are marked, and there is no editor yet."""

    async def test():
        async with editing() as (frontend, terminal, _):
            shown = terminal.output
            assert shown.endswith("\x1b[?2004h\x1b[1m>>> \x1b[0m")
            assert frontend._editor is None
            frontend.resized()
            assert terminal.output == shown
        assert terminal.output == f"{shown}\x1b[?2004l"

    run(test)


def test_the_next_prompt_is_literal():
    """After a statement the prompt is text again, and the editor that is there waits for a key."""

    async def test():
        async with editing() as (frontend, terminal, task):
            frontend.feed("1\r")
            assert await task == "1"
            before = len(terminal.output)
            reading = asyncio.ensure_future(frontend.read())
            await turns()
            assert not frontend._editor.is_reading
            assert terminal.output[before:].endswith("\x1b[?2004h\x1b[1m>>> \x1b[0m")
            frontend.feed("2\r")
            assert await reading == "2"

    run(test)


def test_enter_alone():
    """Enter at an empty prompt begins another one, and needs no editor."""

    async def test():
        async with editing() as (frontend, terminal, _):
            frontend.feed("\r")
            await terminal.shows(lambda lines: [*filter(str.strip, lines)] == [">>>", ">>>"])
            assert frontend._editor is None

    run(test)


def test_reading_a_statement():
    """What is typed shows behind the prompt, and Enter returns it."""

    async def test():
        async with editing() as (frontend, terminal, task):
            await typed(frontend, terminal, "x = 1")
            frontend.feed("\r")
            assert await task == "x = 1"
            assert terminal.lines[0] == ">>> x = 1"
            assert frontend._host.history.kept == ["x = 1"]

    run(test)


def test_the_literal_prompt_ends():
    """The end of the input, and closing, end a session whose prompt is still literal."""

    async def test():
        for end in (FullscreenFrontend.feed_eof, FullscreenFrontend.close):
            async with editing() as (frontend, _, task):
                end(frontend)
                assert await task is None
                assert frontend._editor is None

    run(test)


def test_interrupt_at_the_literal_prompt():
    """Ctrl-C by the protocol at the literal prompt shows a new one."""

    async def test():
        async with editing() as (frontend, terminal, _):
            frontend.interrupt()
            await terminal.shows(lambda lines: lines == [">>>", "KeyboardInterrupt", ">>>"])

    run(test)


@pytest.mark.parametrize("key", ["\x04", "\x1d"])
def test_leaving(key):
    """Ctrl-D and Ctrl-] on an empty line end the input, as the first key and later."""

    async def test():
        async with editing() as (frontend, _, task):
            frontend.feed(key)
            assert await task is None
        async with editing() as (frontend, terminal, task):
            await typed(frontend, terminal, "x", ">>> x")
            await typed(frontend, terminal, "\x7f", ">>>")
            frontend.feed(key)
            assert await task is None

    run(test)


def test_leaving_in_the_middle_of_a_line():
    """Ctrl-] leaves whatever has been typed."""

    async def test():
        async with editing() as (frontend, terminal, task):
            await typed(frontend, terminal, "x = 1")
            frontend.feed("\x1d")
            assert await task is None

    run(test)


def test_multi_line():
    """A compound statement goes on over lines until a blank one; its lines show."""

    async def test():
        async with editing() as (frontend, terminal, task):
            frontend.feed("def f():\r")
            await turns(50)
            frontend.feed("return 1\r")
            await turns(50)
            assert not task.done()
            frontend.feed("\r")
            source = await task
            namespace = {}
            exec(source, namespace)
            assert namespace["f"]() == 1
            assert any("return 1" in line for line in terminal.lines)

    run(test)


@pytest.mark.parametrize("by_key", [True, False])
def test_ctrl_c(by_key):
    """Ctrl-C, typed or by the protocol, drops what was typed and shows a new prompt."""

    async def test():
        async with editing() as (frontend, terminal, task):
            await typed(frontend, terminal, "dropped")
            if by_key:
                frontend.feed("\x03")
            else:
                frontend.interrupt()
            await terminal.shows(lambda lines: lines[-2:] == ["KeyboardInterrupt", ">>>"])
            await typed(frontend, terminal, "kept")
            frontend.feed("\r")
            assert await task == "kept"

    run(test)


def test_paste():
    """A bracketed paste of several lines is one statement, and runs at Enter only."""

    async def test():
        async with editing() as (frontend, terminal, task):
            frontend.feed("\x1b[200~a = 1\nb = 2\x1b[201~")
            await terminal.shows(lambda lines: any("b = 2" in line for line in lines))
            assert not task.done()
            frontend.feed("\r\r")
            assert (await task).strip() == "a = 1\nb = 2"

    run(test)


def test_a_paste_in_pieces():
    """A paste that arrives in pieces, its markers cut in two, is one paste."""

    async def test():
        async with editing() as (frontend, terminal, task):
            for piece in ("\x1b[2", "00~a = 1\nb", " = 2\x1b[20", "1~"):
                frontend.feed(piece)
            await terminal.shows(lambda lines: any("b = 2" in line for line in lines))
            frontend.feed("\r\r")
            assert (await task).strip() == "a = 1\nb = 2"

    run(test)


def test_a_syntax_error_stays_in_the_editor():
    """At Enter a syntax error is shown and the text can be mended."""

    async def test():
        async with editing() as (frontend, terminal, task):
            await typed(frontend, terminal, "x = = 1")
            frontend.feed("\r")
            await terminal.shows(lambda lines: any("Syntax Error" in line for line in lines))
            assert not task.done()
            frontend.feed("\x05" + "\x7f" * 7 + "x = 1\r")
            assert await task == "x = 1"

    run(test)


def test_blank_statements_are_not_returned():
    """Enter on an empty line shows the prompt again."""

    async def test():
        async with editing() as (frontend, _, task):
            frontend.feed("\r")
            await turns(50)
            frontend.feed("  \r")
            await turns(50)
            assert not task.done()
            frontend.feed("1\r")
            assert (await task).strip() == "1"

    run(test)


def test_background_output_at_the_literal_prompt():
    """Text that comes before anything was typed stands above the prompt."""

    async def test():
        async with editing() as (frontend, terminal, _):
            frontend.write("one\n")
            frontend.write("two")
            assert terminal.lines == ["one", "two", ">>>"]

    run(test)


def test_background_output_keeps_the_typed_text():
    """Text that arrives during typing is above the prompt, and the typed text stays."""

    async def test():
        async with editing() as (frontend, terminal, task):
            await typed(frontend, terminal, "foo")
            for number in range(3):
                frontend.write(f"background {number}\n")
            await terminal.shows(
                lambda lines: (
                    lines[-4:] == ["background 0", "background 1", "background 2", ">>> foo"]
                )
            )
            await typed(frontend, terminal, "d", ">>> food")
            frontend.feed("\r")
            assert await task == "food"

    run(test)


def test_output_between_prompts():
    """Output without a newline is not overwritten by the next prompt."""

    async def test():
        host = FakeHost(CAPABLE)
        frontend = FullscreenFrontend(host)
        for text in ("1", "2"):
            frontend.feed(f"{text}\r")
            assert await frontend.read() == text
            frontend.write(f"output of {text}")
        task = asyncio.ensure_future(frontend.read())
        await host.terminal.shows(last_line(">>>"))
        assert "output of 1" in host.terminal.lines
        assert "output of 2" in host.terminal.lines
        frontend.close()
        assert await task is None
        frontend.close()

    run(test)


def test_typeahead_is_returned():
    """What is typed behind a statement is given back as it was typed, once."""

    async def test():
        async with editing() as (frontend, _, task):
            frontend.feed("1\r2\r\x1b[Ax")
            assert await task == "1"
            assert frontend.take_typeahead() == "2\r\x1b[Ax"
            assert frontend.take_typeahead() == ""
            frontend.feed("3\r")
            assert await frontend.read() == "3"

    run(test)


def test_nothing_is_lost_behind_a_statement():
    """A key that comes while the editor hands its statement over is given back as well."""

    async def test():
        async with editing() as (frontend, terminal, task):
            frontend.feed("1")
            await terminal.shows(lambda lines: lines[-1] == ">>> 1")
            frontend.feed("\r")
            fed = 0
            while not task.done():
                frontend.feed("x")
                fed += 1
                await asyncio.sleep(0)
            assert await task == "1"
            assert frontend.take_typeahead() == "x" * fed

    run(test)


def test_typeahead_keeps_pastes():
    """A paste that was typed ahead is given back with its markers."""

    async def test():
        async with editing() as (frontend, _, task):
            frontend.feed("1\r\x1b[200~a\nb\x1b[201~")
            assert await task == "1"
            assert frontend.take_typeahead() == "\x1b[200~a\nb\x1b[201~"

    run(test)


def test_end_of_input_after_a_statement():
    """At the end of the input a statement that was entered is still read."""

    async def test():
        async with editing() as (frontend, _, task):
            frontend.feed("1\r")
            frontend.feed_eof()
            assert await task == "1"
            assert await frontend.read() is None

    run(test)


def test_history():
    """The arrow key brings entries back, newest first, those of other sessions included."""

    async def test():
        async with editing(history=["old", "new"]) as (frontend, terminal, task):
            # The very first key, which is there before the editor is.
            await typed(frontend, terminal, "\x1b[A", ">>> new")
            await typed(frontend, terminal, "\x1b[A", ">>> old")
            frontend.feed("\r")
            assert await task == "old"
            frontend._host.history.append("typed_elsewhere")
            frontend.feed("\x1b[A\r")
            assert await frontend.read() == "typed_elsewhere"

    run(test)


def test_tab():
    """Tab completes a name of the namespace."""

    async def test():
        async with editing(namespace={"unmistakable": 1}) as (frontend, terminal, task):
            await typed(frontend, terminal, "unmis")
            frontend.feed("\t")
            await terminal.shows(lambda lines: ">>> unmistakable" in lines)
            frontend.feed("\r")
            assert await task == "unmistakable"

    run(test)


def test_resizing():
    """After a resize the prompt is drawn for the new width, and what was typed is kept."""

    async def test():
        async with editing() as (frontend, terminal, task):
            await typed(frontend, terminal, "x" * 30)
            terminal.size = Size(24, 20)
            terminal.screen.resize(24, 20)
            frontend.resized()
            await terminal.shows(lambda lines: max(map(len, lines)) <= 20)
            frontend.feed("\r")
            assert await task == "x" * 30

    run(test)


def test_two_sessions_type_at_once():
    """What is typed in one session appears in that session only."""

    async def test():
        async with (
            editing() as (one, terminal_of_one, task_of_one),
            editing() as (two, terminal_of_two, task_of_two),
        ):
            for a, b in zip("aaaaa", "bbbbb", strict=True):
                one.feed(a)
                two.feed(b)
                await turns()
            one.feed("\r")
            two.feed("\r")
            assert await task_of_one == "aaaaa"
            assert await task_of_two == "bbbbb"
            assert "b" not in "".join(terminal_of_one.lines)
            assert "a" not in "".join(terminal_of_two.lines)

    run(test)


def test_closing_ends_a_read():
    """Closing ends a pending read with None, and a later one at once."""

    async def test():
        async with editing() as (frontend, terminal, task):
            await typed(frontend, terminal, "x")
            frontend.close()
            assert await task is None
            assert await frontend.read() is None

    run(test)


def test_nothing_of_the_process_is_changed():
    """An editor leaves the process's hooks and prompt_toolkit's default session alone."""
    before = sys.breakpointhook, sys.displayhook, list(sys.path)

    async def test():
        loop = asyncio.get_running_loop()
        handler = loop.get_exception_handler()
        async with editing() as (frontend, terminal, _):
            await typed(frontend, terminal, "x")
            assert (sys.breakpointhook, sys.displayhook, list(sys.path)) == before
            assert loop.get_exception_handler() is handler
            assert get_app_or_none() is None

    run(test)
    assert (sys.breakpointhook, sys.displayhook, list(sys.path)) == before


def test_finished_editors_are_let_go():
    """Of 200 finished sessions, no application is left alive."""

    async def test():
        applications = []
        for _ in range(200):
            frontend = FullscreenFrontend(FakeHost(CAPABLE))
            frontend.feed("1\r")
            assert await frontend.read() == "1"
            applications.append(weakref.ref(frontend._editor._python.app))
            frontend.close()
            del frontend
            await turns()
        # A redraw that prompt_toolkit has put off may hold the last one for some milliseconds.
        while [one for one in applications if one() is not None]:
            await turns()
            gc.collect()

    run(test)


def test_editors_share_what_knows_no_session():
    """Editors have the same key bindings and colours; those of the libraries are not changed."""

    async def test():
        async with editing() as (one, terminal_of_one, _), editing() as (two, terminal_of_two, _):
            await typed(one, terminal_of_one, "x")
            await typed(two, terminal_of_two, "y")
            first, second = (await editor_of(one))._python, (await editor_of(two))._python
            assert first.app._default_bindings is second.app._default_bindings
            assert first._current_style is second._current_style
            assert first._lexer is not None
            assert len(PythonInput().code_styles) > 10
            assert Application()._default_bindings is not first.app._default_bindings

    run(test)


def test_purging_the_filter_caches():
    """After a session has ended, the global filters remember no combination of any session."""

    async def test():
        async with editing() as (frontend, terminal, _):
            await typed(frontend, terminal, "x")
            await editor_of(frontend)
            assert remembered() > 0
        assert remembered() == 0

    def remembered():
        filters = [
            value
            for name, module in list(sys.modules.items())
            if name.startswith(("prompt_toolkit", "ptpython"))
            for value in list(vars(module).values())
            if isinstance(value, Filter)
        ]
        return sum(len(one._and_cache) + len(one._or_cache) for one in filters)

    run(test)
