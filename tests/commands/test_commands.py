"""Commands: how they are declared, what follows from a declaration, and bare words."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import console.commands
from console.auth.stores.directory import FileCredentials
from console.commands.context import CommandContext, LookingContext
from console.commands.discovery import discover
from console.commands.help import help_text
from console.commands.names import SessionCommand
from console.commands.page import page
from console.config.settings import EvaluationSettings
from console.context.namespace import Namespace
from console.evaluation.hooks import hooks
from console.interfaces.commands import CommandRegistry, DeclarationError, Section, command
from console.interfaces.credentials import Role
from console.interfaces.statements import OutcomeKind
from support.clients import Session as Client
from support.clients import run_once
from support.evaluators import Session, service
from support.rawclients import line_login
from support.servers import Host, make_key

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"

BARE = [
    "exit",
    "help",
    "patches",
    "quit",
    "stack",
    "statements",
    "tasks",
    "threads",
    "uptime",
    "who",
    "whoami",
]

TINY = '''\
"""A command of one file."""

from console.commands.context import LookingContext
from console.interfaces.commands import Section, command
from console.interfaces.credentials import Role


@command(usage="tiny()", section=Section.LOOKING, role=Role.VIEWER, bare=True)
def tiny(context: LookingContext) -> None:
    """Show a tiny greeting.

    It names the user.
    """
    context.show(f"tiny greets {context.principal.user}")


@command(usage="huge(n)", section=Section.ADMINISTERING, role=Role.ADMIN)
def huge(context: LookingContext, n: int) -> int:
    """Double a number."""
    return 2 * n
'''


@pytest.fixture
def directory(tmp_path):
    """A directory with one module of commands."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "tiny.py").write_text(TINY)
    return tmp_path / "more"


@pytest.fixture
def commands(directory, monkeypatch):
    """The commands of a console in whose package that module is."""
    monkeypatch.setattr(console.commands, "__path__", [*console.commands.__path__, str(directory)])
    yield discover()
    sys.modules.pop("console.commands.tiny", None)


def run(test, **options):
    """Run a test with a session's evaluator, in a service that has a loop."""

    async def main(loop):
        session = Session(loop, EvaluationSettings(), **options)
        namespace = Namespace(session.namespace)
        namespace.install()
        try:
            async with asyncio.timeout(60):
                await test(session)
        finally:
            session.evaluator.close()
            session.sources.clear()
            namespace.uninstall()
            await asyncio.to_thread(session.host.close, 5)

    with service() as loop:
        hooks.install()
        try:
            asyncio.run(main(loop))
        finally:
            hooks.uninstall()


# ---- adding a command touches one file


def test_a_command_of_one_file_is_in_help_page_roles_and_the_viewers_words(commands):
    """What a module declares is told and allowed by role, and nothing else names it."""
    texts = {role: help_text(commands, role) for role in Role}
    assert "  tiny()           Show a tiny greeting\n" in texts[Role.OPERATOR]
    assert "  tiny             Show a tiny greeting\n" in texts[Role.VIEWER]
    assert "  huge(n)          Double a number" in texts[Role.ADMIN]
    assert "huge" not in texts[Role.OPERATOR] + texts[Role.VIEWER]
    assert "| `tiny()` | viewer | yes | Show a tiny greeting. |" in page(commands)
    assert "| `huge(n)` | admin | no | Double a number. |" in page(commands)
    assert commands.bare_words == {*BARE, "tiny"}
    assert set(commands.words(Role.VIEWER)) == {*BARE, "tiny"}


def test_a_command_of_one_file_in_a_service(directory, tmp_path):
    """It runs at a prompt and by ssh, is completed, is a viewer's word, and keeps to its role."""
    roles = {"vera": "viewer", "oscar": "operator", "ada": "admin"}
    with Host(tmp_path / "host", roles=roles, commands=str(directory)) as host:
        key = make_key(tmp_path / "id_oscar")
        FileCredentials(host.keys).grant_key("oscar", Path(f"{key}.pub").read_text())
        with line_login(host.telnet_port, "vera", "vera") as viewer:
            assert viewer.run("tiny") == "tiny greets vera"
            assert "tiny, uptime" in viewer.run("huge(2)")
        with line_login(host.telnet_port, "oscar", "oscar") as operator:
            assert operator.run("tiny") == "tiny greets oscar"
            assert "NotPermitted: huge(): your role is operator; ask an admin" in operator.run(
                "huge(2)"
            )
        with line_login(host.telnet_port, "ada", "ada") as admin:
            assert admin.run("huge(21)") == "42"
        done = run_once("ssh", host, "tiny", user="oscar", key=key)
        assert (done.stdout, done.stderr) == (b"tiny greets oscar\n", b"")
        for user, prompt in (("oscar", ">>> tiny"), ("vera", ">>> tiny")):
            with Client("ssh", host, user=user) as client:
                client.login(user)
                client.type("tin\t")
                client.wait_until(lambda c=client, p=prompt: c.cursor_line == p, "tiny")
                client.type("\x03")
                client.expect_prompt()


def test_the_page_is_that_of_the_declarations():
    """docs/commands.md is what the command in its head writes."""
    if not PAGE.exists():
        pytest.skip("the documentation is not installed")
    line = [sys.executable, "-m", "console.commands.page"]
    written = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    assert written == page(discover())
    assert PAGE.read_text() == written, (
        "make it again: python -m console.commands.page > docs/commands.md"
    )


# ---- declarations


def test_what_is_declared():
    """These are the bare words; what changes the service is none of them."""
    found = discover()
    assert sorted(found.bare_words) == BARE
    assert found.words(Role.VIEWER) == tuple(BARE)
    assert {"kick", "reload"} == set(found.words(Role.ADMIN)) - set(found.words(Role.OPERATOR))
    assert {"patch", "revert", "keep", "pm", "page"} <= set(found.words(Role.OPERATOR))


def test_a_command_for_viewers_gets_nothing_that_evaluates():
    """Its function asks for the context of looking; the evaluator is in the other one."""
    assert "evaluator" not in LookingContext.__dataclass_fields__
    for one in discover():
        kinds = list(typing.get_type_hints(one.function).values())
        assert kinds[0] is (LookingContext if one.role is Role.VIEWER else CommandContext), one


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"usage": "other()"}, "its usage must begin with sample("),
        ({"bare": True}, "only what a viewer may call can be bare=True"),
        ({"bare": True, "role": Role.ADMIN}, "only what a viewer may call can be bare=True"),
        ({"number": "N"}, "number= is for what a viewer may call"),
        ({"role": Role.VIEWER}, "a viewer cannot give the arguments that it requires"),
    ],
)
def test_a_declaration_that_does_not_fit(changes, problem):
    """What cannot be is refused where it is declared, in one line."""

    def sample(context, required):
        """Do something."""

    with pytest.raises(DeclarationError) as caught:
        command(**{"usage": "sample(x)", "section": Section.CHANGING, **changes})(sample)
    assert str(caught.value) == f"command sample: {problem}"


def test_a_command_without_help():
    """A function without a docstring is refused."""

    def sample(context):
        pass

    with pytest.raises(DeclarationError, match="command sample: its docstring must begin with"):
        command(usage="sample()", section=Section.CHANGING)(sample)


def test_a_name_that_a_viewer_could_not_type():
    """A name has letters alone."""

    def two_words(context):
        """Do something."""

    with pytest.raises(DeclarationError, match="command two_words: its name must be 1 to 20"):
        command(usage="two_words()", section=Section.CHANGING)(two_words)


def test_two_commands_of_one_name():
    """The second one is refused, with both modules."""
    one = discover()["tasks"]
    with pytest.raises(DeclarationError, match=r"command tasks: \S+looking: \S+looking declares"):
        CommandRegistry([one, one])


def test_a_command_named_like_a_builtin(directory, monkeypatch):
    """Python would find the builtin, so that the name is refused."""
    source = TINY.replace("def tiny(", "def list_(").replace("tiny()", "list()")
    (directory / "tiny.py").write_text(source)
    monkeypatch.setattr(console.commands, "__path__", [*console.commands.__path__, str(directory)])
    try:
        with pytest.raises(DeclarationError, match="command list: it is a builtin"):
            discover()
    finally:
        sys.modules.pop("console.commands.tiny", None)


# ---- a command in a session


def test_a_command_tells_its_usage():
    """Its repr is usage and help; name? and help(name) show signature and documentation."""

    async def test(session):
        shown = await session.value("revert")
        assert shown == "revert(n): Undo patch n; without a number all, newest first"
        await session.run("revert?")
        assert "(number: int | None = None)" in session.sink.text
        assert "Returns:" in session.sink.text
        session.sink.text = ""
        await session.run("help(revert)")
        assert session.sink.text.startswith("revert(n)\n\nUndo patch n; without")
        session.sink.text = ""
        await session.run("tasks??")
        assert "return context.inspection.tasks()" in session.sink.text

    run(test)


EVIL = "\x1b]0;owned\x07\u202e"


def test_help_and_paged_text_are_escaped():
    """A docstring or a str may be what a peer has sent."""

    async def test(session):
        for statement in (
            f"type('T', (), {{'__doc__': {EVIL!r}}})",
            f"{EVIL!r} + 'text'",
        ):
            session.sink.text = ""
            word = "help" if "__doc__" in statement else "page"
            await session.run(f"{word}({statement})")
            assert "\\x1b]0;owned\\x07\\u202e" in session.sink.text
            assert "\x1b" not in session.sink.text
            assert "\u202e" not in session.sink.text

    run(test)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.ADMIN])
def test_the_role_decides(role):
    """Kick and reload are an admin's; for an operator the names are there, and refuse."""

    async def test(session):
        for call, shown in (("kick(3, 'why')", "boss ends session 3: why\n"), ("reload()", "all")):
            name = call.partition("(")[0]
            session.sink.text = ""
            outcome = await session.run(call)
            if role is Role.ADMIN:
                assert session.sink.text.startswith(shown)
                assert "(for the role" not in await session.value(name)
            else:
                assert session.sink.text == ""
                words = f"NotPermitted: {name}(): your role is operator; ask an admin"
                assert outcome.text.endswith(words)
                assert (await session.value(name)).endswith("(for the role admin)")

    run(test, role=role)


# ---- bare words


@pytest.mark.parametrize("mode", ["thread", "loop"])
def test_a_bare_word_is_a_call(mode):
    """The word alone does what its call does, blanks and options around it or not."""

    async def test(session):
        await session.run("await __import__('asyncio').sleep(0)")  # the loop is known from now on
        call = await session.value("threads()", mode)
        ways = ("threads", "  threads  ", "threads\n", f"%{mode} threads ", "%timeout 9 threads")
        for typed in ways:
            assert (await session.value(typed, mode)).split()[:4] == call.split()[:4], typed
        assert (await session.run("%json threads", mode)).document.startswith('{"')
        assert await session.value("type(_).__name__", mode) == "'Listing'"
        for word in ("stack", "statements", "help"):
            session.sink.text = ""
            assert (await session.run(word, mode)).kind is OutcomeKind.NOTHING
            assert session.sink.text.count("\n") > 1

    run(test)


@pytest.mark.parametrize("word", ["exit", "quit", " exit ", "%loop exit", "%timeout 3 quit"])
def test_exit_leaves(word):
    """Exit and quit leave without parentheses, as they do with them."""

    async def test(session):
        outcome = await session.run(word)
        assert (outcome.kind, outcome.status) == (OutcomeKind.EXIT, 0)

    run(test)


@pytest.mark.parametrize(
    "cell",
    [
        "x = 1\nthreads",
        "threads\nthreads",
        "(threads)",
        "threads # comment",
        "threads,",
        "[threads][0]",
        "if True:\n    threads\n",
    ],
)
def test_a_word_within_a_cell_is_a_name(cell):
    """In more than the word nothing is called."""

    async def test(session):
        outcome = await session.run(cell)
        assert "Listing" not in outcome.text
        assert "MainThread" not in outcome.text

    run(test)


@pytest.mark.parametrize("word", ["patch", "revert", "keep", "page", "pm", "kick", "reload"])
def test_other_words_show_their_usage(word):
    """What is not declared as a bare word is only shown."""

    async def test(session):
        assert (await session.value(word)).startswith(f"{word}(")

    run(test, role=Role.ADMIN)


def test_the_name_of_the_service_wins():
    """A name in the namespace is meant, whatever it is: it is not called."""

    async def test(session):
        assert await session.value("tasks") == "[1, 2]"
        assert await session.value("who") == "'WHO'"
        await session.run("threads = 5")
        assert await session.value("threads") == "5"
        await session.run("del threads")
        assert "MainThread" in await session.value("threads")
        called = []
        session.namespace["exit"] = called.append
        assert (await session.run("exit")).kind is OutcomeKind.VALUE
        assert called == []

    run(test, namespace={"tasks": [1, 2], "who": "WHO"})


def test_a_command_of_another_session_is_a_value():
    """A command that a session has bound is shown to another one, and not run as its own."""

    async def test(session):
        session.namespace["whoami"] = SessionCommand(session.commands["whoami"], session.context)
        assert (await session.value("whoami")).startswith("whoami(): ")

    run(test)


def test_a_namespace_that_makes_values_when_it_is_asked():
    """A dict with ``__missing__`` is asked as Python asks it, and what it makes wins."""

    class Lazy(dict):
        def __missing__(self, name):
            if name == "uptime":
                return "the service's"
            raise KeyError(name)

    async def test(session):
        assert await session.value("uptime") == '"the service\'s"'
        assert "MainThread" in await session.value("threads")

    run(test, namespace=Lazy())


def test_a_script_has_no_bare_words():
    """Where a script comes on stdin, and in startup files, the word is a name."""

    async def test(session):
        assert (await session.value("exit")).startswith("exit(status): Leave")
        outcome = await session.evaluator.run_file("exit", "start.py", private=True)
        assert outcome.kind is OutcomeKind.NOTHING

    run(test, bare=False)


def test_a_startup_file_has_no_bare_words():
    """A file that holds a word and nothing else does not run it, in a session that has them."""

    async def test(session):
        for file in ("exit", "exit\n", "\n\nexit\n\n"):
            outcome = await session.evaluator.run_file(file, "start.py", private=True)
            assert outcome.kind is OutcomeKind.NOTHING, file

    run(test)


def test_a_fault_in_a_bare_word_has_a_traceback_of_the_word():
    """The traceback shows the line as it was typed."""

    async def test(session):
        def fail():
            raise OSError("no such thing")

        session.context.inspection.uptime = fail
        outcome = await session.run("uptime")
        assert outcome.text.startswith("Traceback")
        assert 'File "<console-1.1>", line 1' in outcome.text
        assert "__bare__" not in outcome.text
        assert outcome.text.endswith("OSError: no such thing")

    run(test)


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A service; its user is boss, and it has a name like a command."""
    directory = tmp_path_factory.mktemp("bare")
    with Host(directory / "host", names={"foo": 12, "uptime": "ours"}) as host:
        yield host


def ssh(host, *arguments, **options):
    return run_once("ssh", host, *arguments, key=host.key_file, **options)


def test_bare_words_over_ssh(host):
    """A word is a whole command, with options or without; exit has status 0."""
    assert b"MainThread" in ssh(host, "threads").stdout
    assert b"MainThread" in ssh(host, " threads ").stdout
    assert json.loads(ssh(host, "%json whoami").stdout)["value"].startswith("boss (")
    assert ssh(host, "help").stdout.startswith(b"This is a Python prompt")
    assert ssh(host, "uptime").stdout == b"'ours'\n"
    done = ssh(host, "exit")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert ssh(host, "revert").stdout.startswith(b"revert(n): ")
    assert ssh(host, "threads; threads").stdout.startswith(b"threads(): List")


def test_no_bare_words_in_a_script(host):
    """On stdin a word is a name: alone it is shown, and in a script nothing is called."""
    assert ssh(host, input=b"threads\n").stdout.startswith(b"threads(): List")
    assert ssh(host, input=b"exit\n").stdout.startswith(b"exit(status): Leave")
    assert ssh(host, input=b"threads\nprint(1)\n").stdout == b"1\n"
    # For programs that write a statement and read what comes of it before they write the next.
    lines = ["-o", "SetEnv=CONSOLE_FRONTEND=line"]
    done = run_once("ssh", host, *lines, key=host.key_file, input=b"threads\nexit\n1 + 1\n")
    assert done.stdout.decode().endswith("\n2\n")


def test_bare_words_at_a_line_prompt(host):
    """With nc the words run at the prompt, and exit ends the connection."""
    with line_login(host.telnet_port) as client:
        assert "MainThread" in client.run("threads")
        assert client.run("uptime") == "'ours'"
        assert client.run("revert").startswith("revert(n): ")
        client.send("exit\n")
        client.rest()  # to the end of the connection


def test_bare_words_at_an_editor(host):
    """In the full-screen editor a word and Enter runs it; history keeps what was typed."""
    with Client("ssh", host, key=host.key_file) as client:
        client.expect_prompt()
        assert any("MainThread" in line for line in client.run("threads"))
        client.type("\x1b[A")
        client.wait_until(lambda: client.cursor_line == ">>> threads", "the entry")
        client.type("\x03")
        client.expect_prompt()
        client.line("exit")
        assert client.expect_end() == 0
