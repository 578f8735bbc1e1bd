"""What viewers, operators and admins may do in a session, and how many sessions there may be."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.application.shell import ShellFactory
from console.auth.stores.directory import FileCredentials
from console.commands.discovery import discover
from console.commands.viewer import ViewerCommand, ViewerEvaluator, parse
from console.config.settings import SessionSettings
from console.errors import ConfigurationError
from console.events import EventBus
from console.interfaces.credentials import CredentialStore, Principal, Role
from console.interfaces.statements import OutcomeKind
from console.interfaces.terminals import TerminalKind
from console.sessions.admission import refusal
from console.sessions.history import HistoryStore
from console.sessions.manager import SessionManager
from console.sessions.preferences import PreferenceStore
from console.sessions.startup import UserStartup
from support.clients import Session, run_once
from support.rawclients import Lines, Telnet, line_login
from support.servers import Host, make_key, wait_until

ROLES = {"vera": "viewer", "oscar": "operator", "ada": "admin", "nobody": "no role at all"}

WORDS = (
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
)

REFUSED = f"you may type: {', '.join(WORDS)}"

ATTACKS = (
    # values and what Python does by itself
    "canary",
    "canary.attribute",
    "canary()",
    "canary[0]",
    "str(canary)",
    "print(canary)",
    "f'{canary}'",
    "names",
    "_",
    "__import__('os').system('true')",
    "__builtins__",
    "import os",
    "from os import *",
    "canary = 1",
    "del canary",
    "[x for x in (1, 2)]",
    "lambda: canary",
    "(yield)",
    "await canary",
    "eval('canary')",
    "exec('canary')",
    # the console's own
    "%loop",
    "%thread",
    "%loop canary",
    "%loop tasks",
    "mode('loop')",
    "help(canary)",
    "pm()",
    "page(canary)",
    "breakpoint()",
    "patch(canary, 'a', 1)",
    "patches",
    "revert()",
    "keep(1)",
    "kick(1)",
    "reload()",
    "input()",
    "!true",
    "?canary",
    "canary?",
    "canary??",
    "tasks?",
    "?",
    # nearly commands
    "tasks(canary)",
    "tasks().canary",
    "tasks; canary",
    "tasks,",
    "tasks\tcanary",
    "stack(canary)",
    "stack(-1)",
    "stack(1, 2)",
    "stack(0x10)",
    "stack(1_0)",
    "stack(1.0)",
    "stack(9" + "9" * 40 + ")",
    "stack(\u0661)",
    "stack(\uff11)",
    "\uff54asks",
    "t\u0430sks",
    "tasks\u00a0",
    "tasks\u200b",
    "tasks\uff08\uff09",
    "TASKS",
    "ta\\\nsks",
    "'''",
    "(" * 200,
    "tasks(" * 2000,
    "\\N{DIGIT ONE}",
    "stack(" + "1" * 20_000 + ")",
    "canary " * 5000,
    "class A:\n    canary",
    "if canary:\n    pass\n\n",
    "\x0ccanary",
    "# coding: rot13\ncanary",
)


# ---- the grammar


BLANKS = st.text(alphabet=" \t", max_size=3)
NUMBERS = st.integers(min_value=0, max_value=10**20 - 1)


@given(st.from_regex(r"[a-z]{1,20}", fullmatch=True), st.none() | NUMBERS, st.data())
def test_each_way_to_write_a_command(name, number, data):
    """A word, a call and a word with a number are the same command, with blanks or without."""
    blank = lambda: data.draw(BLANKS)  # noqa: E731 - drawn anew each time
    digits = "" if number is None else str(number)
    forms = [f"{blank()}{name}{blank()}({blank()}{digits}{blank()}){blank()}"]
    forms.append(f"{name} {digits}" if digits else name)
    for text in forms:
        assert parse(text) == ViewerCommand(name, number)


def tokens(text):
    """Split a text by a rule of its own, to compare with: None if it has what no command has."""
    found, at = [], 0
    while at < len(text):
        end = at + 1
        if text[at] in "()":
            pass
        elif text[at] in " \t\r\n":
            at = end
            continue
        elif text[at] in "abcdefghijklmnopqrstuvwxyz":
            while end < len(text) and text[end] in "abcdefghijklmnopqrstuvwxyz":
                end += 1
        elif text[at] in "0123456789":
            while end < len(text) and text[end] in "0123456789":
                end += 1
        else:
            return None
        found.append(text[at:end])
        at = end
    return found


@given(
    st.text()
    | st.text(alphabet="stack()09 \t\n.,_%;\u0661\uff54\u00a0", max_size=12)
    | st.sampled_from(ATTACKS)
)
def test_nothing_else_is_a_command(text):
    """What is read as a command is a word, then at most parentheses and digits; nothing is lost."""
    command = parse(text)
    if command is None:
        return
    found = tokens(text)
    assert found is not None, text
    assert found.pop(0) == command.name
    digits = [one for one in found if one not in "()"]
    assert digits == ([] if command.number is None else digits[:1])
    assert "".join(one for one in found if one in "()") in {"", "()"}
    if command.number is not None:
        assert int(digits[0]) == command.number


def test_words_are_found_where_blanks_stand():
    """A word with a space in it, or a number without one before it, is not a command."""
    for text in ("ta sks", "tasks5", "stack(1 2)", "stack 1 2", "", "   ", "()", "(5)", "5"):
        assert parse(text) is None, text


# ---- the evaluator alone


class Answers:
    """Stands for a service: answers with what it was asked."""

    def __init__(self):
        self.release = threading.Event()

    def stack(self, ident=None):
        return f"stack {ident}"

    def tasks(self):
        self.release.wait(60)
        return "tasks"

    def threads(self):
        raise RuntimeError("a fault of ours")

    def statements(self):
        return ""


def viewer_evaluator(answers):
    principal = Principal("vera", "ssh", "127.0.0.1:1", "password", Role.VIEWER)
    return ViewerEvaluator(principal=principal, session=1, commands=discover(), inspection=answers)


def test_an_answer_that_takes_long_is_not_waited_for():
    """Ctrl-C gives the prompt back while an answer is being made, and the next one is made."""

    async def test():
        answers = Answers()
        evaluator = viewer_evaluator(answers)
        waiting = asyncio.ensure_future(evaluator.evaluate("tasks"))
        await asyncio.sleep(0)  # it begins
        assert evaluator.interrupt()
        outcome = await waiting
        assert (outcome.kind, outcome.status) == (OutcomeKind.INTERRUPTED, 130)
        assert not evaluator.interrupt()
        assert (await evaluator.evaluate("stack(7)")).text == "stack 7"
        answers.release.set()
        evaluator.close()
        evaluator.close()

    asyncio.run(test())


def test_a_fault_of_ours_is_logged_and_ends_no_session(caplog):
    """An answer that cannot be made is an error in one line; the log has the rest."""

    async def test():
        evaluator = viewer_evaluator(Answers())
        outcome = await evaluator.evaluate("threads")
        assert (outcome.kind, outcome.status) == (OutcomeKind.EXCEPTION, 1)
        assert outcome.text == "threads failed; the service's log says why"
        assert (await evaluator.evaluate("statements")).text == "no statements"
        evaluator.close()

    asyncio.run(test())
    assert "a fault of ours" in caplog.text


@pytest.mark.parametrize("role", list(Role))
def test_a_viewer_has_no_names(role, tmp_path):
    """A viewer's session has no namespace; operators and admins share the service's own."""
    names, found = {"canary": 1}, []

    class Terminal:
        kind, command, closed = TerminalKind(interactive=False), None, None

        def close(self, status=0):
            self.closed = status

    def look(session, _):
        found.append(session.namespace)
        raise RuntimeError("seen enough")

    async def test():
        manager = SessionManager(
            namespace=names,
            viewer_commands=WORDS,
            history=HistoryStore(tmp_path),
            preferences=PreferenceStore(tmp_path),
            startup=UserStartup(tmp_path, for_commands=False),
            events=EventBus(),
            make_frontend=look,
            make_evaluator=lambda session: None,
            greeting=lambda principal: "",
            pending_output_characters=1024,
            settings=SessionSettings(),
            look_up=None,
        )
        terminal = Terminal()
        manager.admit(Principal("x", "ssh", "x", "password", role), terminal)
        assert terminal.closed == 1

    asyncio.run(test())
    assert found == [{} if role is Role.VIEWER else names]
    assert (found[0] is names) is (role is not Role.VIEWER)


# ---- a service with users of each role


@pytest.fixture(scope="module")
def _service(tmp_path_factory):
    directory = tmp_path_factory.mktemp("roles")
    with Host(directory / "host", roles=ROLES, watched=True) as host:
        for user in ("vera", "oscar", "ada"):
            key = make_key(directory / f"id_{user}")
            FileCredentials(host.keys).grant_key(user, Path(f"{key}.pub").read_text())
        host.directory = directory
        yield host


@pytest.fixture
def service(_service):
    """A service whose namespace notices everything that is done to it."""
    yield _service
    assert _service.alive, f"the service ended:\n{_service.stderr}"


@pytest.fixture
def enter(service):
    """Log in as a user, by the line or with an editor; the clients are closed after the test."""
    clients = []

    def enter(user, **options):
        client = line_login(service.telnet_port, user, user, **options)
        clients.append(client)
        return client

    yield enter
    for client in clients:
        client.close()


def run(service, user, *arguments, **options):
    """Run a command over ssh with the user's key."""
    key = service.directory / f"id_{user}"
    return run_once("ssh", service, *arguments, user=user, key=key, **options)


@pytest.fixture
def untouched(service, enter):
    """Nothing is compiled and nothing of the service is asked for anything during the test."""
    viewer = enter("vera")
    # What is imported at the first use of each frontend is compiled in part.
    for first in (viewer, enter("vera", kind=Telnet)):
        first.run("whoami")
    before = service.ask(seen="")
    yield viewer
    assert "session" in viewer.run("whoami")
    after = service.ask(seen="")
    assert after["touched"] == []
    assert after["names"] == before["names"]
    assert after["compiled"] == before["compiled"]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda text: text[:30])
def test_a_viewer_evaluates_nothing(attack, untouched, service):
    """Whatever a viewer types, by line or as a command, is refused, and changes nothing."""
    shown = untouched.run(attack)
    for _ in range(attack.count("\n")):  # each line is one of its own
        shown += untouched.until_prompt()
    if attack != "patches":
        assert REFUSED in shown
    # Longer ones do not fit into a command line of ssh, or end at a null byte.
    if len(attack) < 10_000:
        result = run(service, "vera", "--", attack)
        if attack != "patches":
            assert (result.returncode, result.stdout) == (1, b"")
            assert result.stderr.decode().strip() == REFUSED


@pytest.mark.parametrize("piped", [True, False])
def test_a_viewer_pipes_no_script(piped, untouched, service):
    """Lines on stdin are commands one by one, and what is none is refused."""
    script = "canary\nwhoami\nfor x in canary:\n    print(x)\n\nexit(canary)\nexit\ncanary\n"
    if piped:
        result = run(service, "vera", input=script.encode())
        assert b"vera (viewer) over ssh" in result.stdout
        assert result.stderr.decode().count(REFUSED) == 4
        assert result.stdout.count(b"\n") == 1
    else:
        result = run(service, "vera", "whoami", input=script.encode())
        assert result.stdout.count(b"\n") == 1
        assert result.stderr == b""


def test_a_viewer_at_an_editor(untouched, service):
    """With a full-screen editor too nothing is compiled, and Tab offers the commands alone."""
    with Session("ssh", service, user="vera") as client:
        client.login("vera")
        lines = [a for a in ATTACKS if len(a) < 60 and a.isprintable() and a.isascii()]
        # An open parenthesis or a colon does not ask for another line.
        for attack in (*lines, "stack(", "if canary:", "'''"):
            if attack != "patches":
                assert client.run(attack) == [REFUSED]
        # Keywords, builtins and live names are not completed: they are not commands.
        for typed in ("cana", "impor", "prin", "canary.", "tasks()."):
            client.type(typed + "\t\t!")
            client.wait_until(lambda t=typed: client.cursor_line == f">>> {t}!", f"{typed}!")
            client.type("\x03")
            client.expect_prompt()
        # Nor does F1 explain it, which would look it up.
        client.type("print(\x1bOP!")
        client.wait_until(lambda: client.cursor_line == ">>> print(!", "print(!")
        client.type("\x03")
        client.expect_prompt()
        client.type("upti\t")
        client.wait_until(lambda: client.cursor_line == ">>> uptime", "uptime")
        client.type("\r")
        client.wait_for("Python 3")
        client.expect_prompt()
        client.line("exit()")
        assert client.expect_end() == 0


def test_a_viewer_has_no_startup_file(tmp_path):
    """Nothing of one is compiled or run, at a prompt or for a command; an admin's is."""
    ways = {"startup_for_commands": True}
    with Host(tmp_path / "host", roles=ROLES, watched=True, sessions=ways) as host:
        startup = host.keys / "startup"
        startup.mkdir(0o700)
        for user in ("vera", "ada"):
            (startup / f"{user}.py").write_text(f"print('startup of {user}')\n")
            (startup / f"{user}.py").chmod(0o600)
            key = make_key(tmp_path / f"id_{user}")
            FileCredentials(host.keys).grant_key(user, Path(f"{key}.pub").read_text())
            client = line_login(host.telnet_port, user, user)
            assert f"{user} (" in client.run("whoami" if user == "vera" else "whoami()")
            client.close()
            done = run_once("ssh", host, "whoami", user=user, key=key)
            assert (b"startup of" in done.stdout) is (user == "ada")
        assert host.ask(seen="startup of vera")["compiled"] == []
        assert host.ask(seen="startup of ada")["compiled"] != []


def test_no_file_is_run_for_a_viewer():
    """The evaluator itself refuses it."""

    async def test():
        viewer = viewer_evaluator(Answers())
        return await viewer.run_file("print('run')", "vera.py", private=True)

    outcome = asyncio.run(test())
    assert (outcome.kind, outcome.status) == (OutcomeKind.EXCEPTION, 1)
    assert "vera.py" in outcome.text


def test_a_viewer_leaves(enter, service):
    """A viewer leaves with exit, quit, their calls and Ctrl-D."""
    for words in ("exit", "quit()", "\x04"):
        client = enter("vera", kind=Telnet)
        client.send(words if words == "\x04" else words + "\n")
        client.rest()
    assert run(service, "vera", "exit").returncode == 0


@pytest.mark.parametrize("word", [word for word in WORDS if word not in {"exit", "quit"}])
def test_each_word_and_its_call(word, service, enter):
    """Each word answers the same as a line, as a call, and as a command of ssh."""
    viewer = enter("vera")
    answer, call = viewer.run(word), viewer.run(f" {word} ( ) ")
    heading = re.sub(r"[\d.:-]+.*", "", answer.split("\n")[0])
    assert heading
    assert re.sub(r"[\d.:-]+.*", "", call.split("\n")[0]) == heading
    result = run(service, "vera", word)
    assert (result.returncode, result.stderr) == (0, b"")
    assert result.stdout.strip()


def test_what_a_viewer_sees(service, enter):
    """A viewer sees tasks, threads and sessions; names are escaped, and no source is shown."""
    operator, viewer = enter("oscar"), enter("vera")
    operator.run("secret = {'a': 1}")
    operator.run("patch(secret, 'a', 'hunter2')")
    operator.send("import asyncio; await asyncio.sleep(300) # hunter2\n")
    shown = wait_until(
        lambda: "asyncio/tasks.py" in (text := viewer.run("statements")) and text, "a statement"
    )
    shown += viewer.run("tasks")
    assert "wait_for_ever" in shown
    assert r"\x1b[2J\nhostile\u202e" in shown
    assert "watch_lag" in viewer.run("tasks()")
    assert "MainThread" in viewer.run("threads")
    who = viewer.run("who")
    assert re.search(r"oscar +operator +telnet 127.0.0.1:\d+ +line .* \d+\.3$", who, re.MULTILINE)
    patches = viewer.run("patches")
    assert re.search(r"<dict>\[\.\.\.\] +oscar over telnet", patches)
    stack = viewer.run("stack")
    assert stack.startswith("thread 'MainThread':\n")
    ident = re.search(r"^MainThread +(\d+)", viewer.run("threads"), re.MULTILINE)[1]
    assert viewer.run(f"stack({ident})").startswith("thread 'MainThread':\n")
    assert "hunter2" not in shown + who + patches + stack
    operator.send("\x03")
    operator.until_prompt()
    operator.run("revert()")
    operator.run("del secret, asyncio")


def test_looking_while_the_service_is_stuck(service, enter):
    """Viewers and operators are answered while the service's loop runs nothing."""
    viewer, operator = enter("vera"), enter("oscar")
    service.ask(block=True)
    try:
        assert "in block" in viewer.run("stack")
        assert "watch_lag" in viewer.run("tasks")
        assert re.search(r"MainThread .* in Condition.wait", viewer.run("threads"))
        assert "watch_lag" in operator.run("tasks()")
        assert "vera" in operator.run("who()")
    finally:
        service.ask(release=True)


def test_an_operator_looks_with_python(enter):
    """For operators and admins the same answers are values, over which code can iterate."""
    operator = enter("oscar")
    assert operator.run("[t.state for t in tasks() if t.name == 'watch_lag']") == "['waiting']"
    assert operator.run("[s.user for s in who()][-1]") == "'oscar'"
    assert operator.run("whoami().role, uptime().rss_bytes > 0") == "('operator', True)"
    assert "oscar (operator) over telnet from 127.0.0.1" in operator.run("whoami()")
    assert "who()" in operator.run("who()")
    assert operator.run("any(t.name == 'MainThread' for t in threads())") == "True"


def test_an_operator_completes_the_commands(service):
    """Tab offers the names that look, and asks the names of the service nothing."""
    with Session("ssh", service, user="oscar") as client:
        client.login("oscar")
        client.type("whoam\t")
        client.wait_until(lambda: client.cursor_line == ">>> whoami", "whoami")
        client.type("\x03")
    assert service.ask(seen="")["touched"] == []


def test_help_shows_what_the_role_may_do(enter):
    """Help names kick and reload for an admin alone, and Python not at all for a viewer."""
    shown = {user: enter(user).run("%json help()") for user in ("oscar", "ada")}
    shown["vera"] = enter("vera").run("help()")
    assert "Python" not in shown["vera"]
    assert "kick" not in shown["vera"] + shown["oscar"]
    assert "tasks()" in shown["oscar"]
    assert "kick(n, reason)" in shown["ada"]
    assert "reload()" in shown["ada"]


# ---- administering


def test_only_an_admin_administers(enter):
    """An operator's kick and reload are refused as an admin's commands."""
    operator, admin = enter("oscar"), enter("ada")
    number = re.search(r"^(\d+) +ada", operator.run("who()"), re.MULTILINE)[1]
    for call in (f"kick({number})", "kick()", "reload()"):
        name = call.partition("(")[0]
        assert f"NotPermitted: {name}(): your role is operator; ask an admin" in operator.run(call)
    assert admin.run("1 + 1") == "2"
    ours, rest = admin.run("reload()").split("\n")
    assert re.fullmatch(r"ssh: host key SHA256:\S{43}", ours)
    assert rest == "users, keys, authorities and revocations: read at each login"


def test_kick(service, enter):
    """An admin ends a session: its user and the log see by whom and why."""
    admin = enter("ada")
    for kind in ({}, {"kind": Telnet}):
        operator = enter("oscar", **kind)
        number = re.findall(r"^(\d+) +oscar", admin.run("who()"), re.MULTILINE)[-1]
        answer = admin.run(f"kick({number}, 'an upgrade\\x1b[2J')")
        assert answer == f"session {number} of oscar is being ended"
        assert r"ada has ended this session: an upgrade\x1b[2J" in operator.rest()
        service.wait_for_stderr(
            rf"session {number} kicked: user=oscar transport=telnet peer=\S+ by=ada"
            r" reason=an upgrade\\x1b\[2J\n"
        )
        assert f"session {number}: is not open" in admin.run(f"kick({number})")
    own = re.search(r"session (\d+)", admin.run("whoami()"))[1]
    assert f"session {own}: is your own" in admin.run(f"kick({own})")


def test_kick_ends_what_runs(service, enter):
    """The statement of a session that is ended is interrupted; a command of ssh fails."""
    admin = enter("ada")
    results = []
    thread = threading.Thread(
        target=lambda: results.append(run(service, "oscar", "import time; time.sleep(300)"))
    )
    thread.start()
    number = wait_until(
        lambda: re.search(r"^(\d+) +oscar .*time.sleep", admin.run("who()"), re.MULTILINE),
        "the command of ssh",
    )[1]
    admin.run(f"kick({number})")
    thread.join(60)
    assert results[0].returncode not in {0, 255}
    assert b"ada has ended this session\n" in results[0].stderr


def test_kick_a_client_that_does_not_read(enter):
    """A session whose client takes nothing any more is cut when it does not end in order."""
    admin, operator = enter("ada"), enter("oscar")
    number = re.findall(r"^(\d+) +oscar", admin.run("who()"), re.MULTILINE)[-1]
    operator.send("while True: print('x' * 10_000)\n\n")
    waiting = re.compile(rf"^console-session-{number} .* in Latch.wait$", re.MULTILINE)
    wait_until(lambda: waiting.search(admin.run("threads()")), "output that waits")
    admin.run(f"kick({number})")
    pattern = re.compile(rf"^{number} ", re.MULTILINE)
    wait_until(lambda: not pattern.search(admin.run("who()")), "the end of the session")


def test_without_a_role_no_user_logs_in(service):
    """A store that cannot tell a user's role lets that user not in at all."""
    with Lines(service.telnet_port) as client:
        client.until("username: ")
        client.send("nobody\nnobody\n")
        client.until("login incorrect")
        client.until("username: ")
        assert ">>> " not in client.seen
    service.wait_for_stderr("credential store: 'no role at all' is not a valid Role")


def test_the_shell_of_an_application_tells_the_roles_of_its_store():
    """A shell asks its credentials for the role; the one user that it has itself is its admin."""

    class Plain(CredentialStore):
        def password_hash(self, name):
            return None

        def authorized_keys(self, name):
            return ()

    class Store(Plain):
        def role(self, name):
            return {"vera": Role.VIEWER}[name]

    assert ShellFactory(credentials=Store()).role("vera") is Role.VIEWER
    assert ShellFactory(credentials=Plain()).role("vera") is Role.OPERATOR
    assert ShellFactory().role("admin") is Role.ADMIN


# ---- how many


def principals(**counts):
    """Make principals, so many for each user."""
    return [
        Principal(user, "ssh", "x", "password", Role(ROLES.get(user, "operator")))
        for user, count in counts.items()
        for _ in range(count)
    ]


@pytest.mark.parametrize(
    ("user", "present", "reason"),
    [
        ("oscar", {}, ""),
        ("oscar", {"oscar": 1, "vera": 1}, ""),
        ("oscar", {"oscar": 2}, "you have 2 sessions open"),
        ("oscar", {"vera": 2, "oscar": 1}, "3 sessions are open and the rest is for admins"),
        ("ada", {"vera": 2, "oscar": 1}, ""),
        ("ada", {"ada": 2}, "you have 2 sessions open"),
        ("ada", {"vera": 2, "oscar": 2}, "4 sessions are open; wait"),
        ("ada", {"vera": 2, "oscar": 3}, "5 sessions are open; wait"),
    ],
)
def test_who_is_given_a_session(user, present, reason):
    """There is a limit for a user and one for all, of which admins have a reserve."""
    settings = SessionSettings(most=4, per_user=2, reserved_for_admin=1)
    found = refusal(settings, *principals(**{user: 1}), principals(**present))
    assert found.startswith(reason)
    assert bool(found) is bool(reason)


@given(st.integers(1, 20), st.integers(0, 19))
def test_an_admin_is_never_locked_out_by_others(most, reserved):
    """However many others want in, there is room for as many admins as are reserved."""
    if reserved >= most:
        with pytest.raises(ConfigurationError, match="must be less than sessions.most"):
            SessionSettings(most=most, per_user=100, reserved_for_admin=reserved)
        return
    settings = SessionSettings(most=most, per_user=100, reserved_for_admin=reserved)
    present = []
    (operator,), (admin,) = principals(oscar=1), principals(ada=1)
    while not refusal(settings, operator, present):
        present.append(operator)
    before = len(present)
    while not refusal(settings, admin, present):
        present.append(admin)
    assert (before, len(present) - before) == (most - reserved, reserved)


def test_too_many_sessions(tmp_path):
    """One session too many is refused with a line, a status and an entry; its end makes room."""
    limits = {"most": 3, "per_user": 2, "reserved_for_admin": 1}
    with Host(tmp_path / "host", roles=ROLES, sessions=limits) as host:
        host.directory = tmp_path
        for user in ("vera", "oscar"):
            key = make_key(tmp_path / f"id_{user}")
            FileCredentials(host.keys).grant_key(user, Path(f"{key}.pub").read_text())
        first, second = (line_login(host.telnet_port, "vera", "vera") for _ in range(2))
        refused = run(host, "oscar", "1 + 1")
        assert (refused.returncode, refused.stdout) == (1, b"")
        words = "2 sessions are open and the rest is for admins; wait until one ends"
        assert refused.stderr.decode() == f"no session: {words}\n"
        host.wait_for_stderr(
            rf"session refused: user=oscar transport=ssh peer=\S+ role=operator reason={words}"
        )
        with Session("telnet", host, user="oscar") as client:
            client.give_name()
            client.give_password("oscar")
            client.wait_for(f"no session: {words}")
            client.expect_end()
        admin = line_login(host.telnet_port, "ada", "ada")
        with Session("telnet", host, user="ada") as client:
            client.give_name()
            client.give_password("ada")
            client.wait_for("no session: 3 sessions are open; wait until one ends")
            client.expect_end()
        admin.close()
        first.close()
        result = wait_until(
            lambda: (r := run(host, "oscar", "1 + 1")).returncode == 0 and r, "room for a session"
        )
        assert result.stdout == b"2\n"
        second.close()
