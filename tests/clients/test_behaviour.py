"""What every way in does alike: telnet, nc, and three SSH clients, on three kinds of service."""

import os
import re
import shutil
import socket
import subprocess

import pytest

from console import __version__
from support.clients import DEADLINE_SECONDS, FULLSCREEN, SSH_OPTIONS, WAYS, command, need, run_once
from support.servers import Host, clean_environment, wait_until

SSH_WAYS = ("ssh", "plink", "dbclient")
OTHER_WAY = (("telnet", "ssh"), ("ssh", "nc"), ("nc", "plink"), ("dbclient", "telnet"))


@pytest.fixture(scope="module")
def bare_host(tmp_path_factory):
    """A service with an empty namespace, in which no test may set a name."""
    with Host(tmp_path_factory.mktemp("bare"), names={}, guarded=False) as host:
        yield host


def ssh_with(host, *options, statement=None, env=None):
    """Run ssh with options of its own before ours; return its CompletedProcess."""
    need("ssh")
    line = command("ssh", host, *([statement] if statement else []), key=host.key_file)
    return subprocess.run(
        [line[0], *options, *line[1:]],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        env={**clean_environment(host.keys.parent), **(env or {})},
    )


def number_of_session(client):
    """Return the number of a client's session, as errors show it."""
    shown = "\n".join(client.run("raise LookupError"))
    return int(re.search(r"\(error (\d+)\.\d+\)", shown)[1])


# ---- the login and the greeting


def test_banner(client):
    """The service, the console's version and the user stand above the first prompt, once."""
    lines = client.screen()
    (name,) = [line for line in lines if line.startswith("tested service")]
    (version,) = [line for line in lines if f"console {__version__}" in line]
    assert (name == version) is (client.way not in {"telnet", "nc"})
    assert sum(line.startswith("you are boss (") for line in lines) == 1


@pytest.mark.parametrize("way", WAYS)
def test_wrong_passwords(way, host, connect):
    """Three wrong passwords end the connection, and the service logs it without them."""
    client = connect(way, host)
    for _ in range(3):
        client.give_name()
        client.give_password("wr0ng-one")
    client.expect_end()
    assert ">>>" not in client.text
    host.wait_for_stderr(r"login failed: user=boss transport=\w+ peer=127\.0\.0\.1")
    assert "wr0ng-one" not in host.stderr


@pytest.mark.parametrize("way", WAYS)
def test_right_password_after_a_wrong_one(way, host, connect):
    """After a wrong password the question is repeated, and the right one is accepted."""
    client = connect(way, host)
    client.give_name()
    client.give_password("wrong")
    client.login()
    assert client.run("foo") == ["12"]


@pytest.mark.parametrize("way", WAYS)
def test_unknown_user(way, host, connect):
    """An unknown user is asked for a password as any other, and refused."""
    client = connect(way, host, user="nobody")
    client.give_name()
    client.give_password("sekrit")
    client.wait_until(
        lambda: "incorrect" in client.text or client.text.lower().count("password:") > 1,
        "the next question",
    )
    assert ">>>" not in client.text


@pytest.mark.parametrize("way", WAYS)
def test_the_other_users_password(way, host, connect):
    """A password lets its own user in and no other."""
    client = connect(way, host, user="deputy")
    client.give_name()
    client.give_password("sekrit")
    client.login("sekrit2")
    assert client.run("foo") == ["12"]


def test_password_on_telnet_is_stars(host, login):
    """On telnet a password shows as one star for each character."""
    client = login("telnet", host)
    assert "password: ******" in client.screen()
    assert "sekrit" not in client.text


@pytest.mark.parametrize("way", SSH_WAYS)
def test_password_on_ssh_is_invisible(way, host, login):
    """On SSH nothing is shown of a password."""
    client = login(way, host)
    assert b"sekrit" not in client.received
    assert b"*" not in client.received


def test_password_on_nc_shows_and_is_warned_of(host, login):
    """On nc a password cannot be hidden, and the user is warned before typing it."""
    client = login("nc", host)
    warning = client.text.index("(this client is no telnet client: the password will show")
    assert warning < client.text.index("password: sekrit")


def test_login_by_key(host, connect):
    """A key that was granted lets its user in without a question."""
    client = connect("ssh", host, key=host.key_file)
    assert client.run("foo") == ["12"]


def test_key_of_another_user(host):
    """A key that was granted to one user lets no other user in."""
    done = run_once("ssh", host, "foo", key=host.key_file, user="deputy")
    assert done.returncode == 255
    assert done.stdout == b""


def test_user_name_never_reaches_stderr_raw(host):
    """A user name with escape sequences and newlines in it is escaped in the log."""
    need("ssh")
    hostile = "x\x1b]0;owned\x07\x1b[2J\nforged entry: all is well"
    line = command("ssh", host, "foo", user="boss", key=host.key_file)
    line[line.index("boss@127.0.0.1")] = "127.0.0.1"
    env = clean_environment(host.keys.parent)
    done = subprocess.run(
        [*line[:1], "-l", hostile, *line[1:]],
        capture_output=True,
        env=env,
        timeout=DEADLINE_SECONDS,
    )
    assert done.returncode == 255
    with socket.create_connection(("127.0.0.1", host.telnet_port)) as sock:
        for name in (
            b"y\x1b[2J\x9b2J\r\n",
            b"forged entry\x00\xff\xfe\r\n",
            b"\xe2\x80\xaeforged\r\n",
        ):
            sock.sendall(name + b"wrong\r\n")
        while sock.recv(65536):
            pass
    host.wait_for_stderr("login failed")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", host.stderr)
    assert not re.search(r"^forged", host.stderr, re.MULTILINE)


# ---- names and values


def test_foo(client):
    """The howto's `foo` is 12."""
    assert client.run("foo") == ["12"]


@pytest.mark.parametrize("way", WAYS)
def test_dir_of_a_fresh_console(way, bare_host, login):
    """`dir()` of a console without names is what it was in 2002."""
    assert login(way, bare_host).run("dir()") == ["['__builtins__']"]


def test_import_main(client):
    """`import __main__` gives the module that the service was started as."""
    assert client.run("import __main__; __main__.__name__") == ["'__main__'"]
    assert client.run("__main__.names is globals()") == ["True"]


@pytest.mark.parametrize(("way", "other"), OTHER_WAY)
def test_underscore_is_private(way, other, host, login):
    """`_` is the last value of one's own session."""
    mine, theirs = login(way, host), login(other, host)
    assert mine.run("41 + 1") == ["42"]
    assert theirs.run("'theirs'") == ["'theirs'"]
    assert mine.run("_") == ["42"]
    assert theirs.run("_") == ["'theirs'"]


def test_underscore_of_a_new_session(client):
    """A new session has no `_` yet."""
    assert client.run("_")[-2] == "NameError: name '_' is not defined"


@pytest.mark.parametrize(("way", "other"), OTHER_WAY)
def test_names_are_shared(way, other, host, login):
    """A name set in one session is read in another, over the other transport."""
    name = f"shared_{way}_{other}"
    mine, theirs = login(way, host), login(other, host)
    assert mine.run(f"{name} = ['set by {way}']") == []
    assert theirs.run(name) == [f"['set by {way}']"]
    assert theirs.run(f"{name}.append(1)") == []
    assert mine.run(name) == [f"['set by {way}', 1]"]


def test_a_bound_name_survives_an_await_elsewhere(host, login):
    """A name bound in one session is kept while another session awaits."""
    mine, theirs = login("ssh", host), login("telnet", host)
    mine.run("import asyncio")
    mine.run("gate = asyncio.Event()")
    mine.line("ok = await gate.wait()")
    assert theirs.run("kept = 'yes'") == []
    theirs.run("await asyncio.sleep(0); gate.set()")
    mine.expect_prompt()
    assert mine.run("kept, ok") == ["('yes', True)"]


def test_multi_line_definition(client):
    """A function can be typed over several lines, and called."""
    client.enter_block("def twice(x):", "y = x", "return x + y")
    assert client.run("twice(21)") == ["42"]


def test_top_level_await(client):
    """`await` works at the prompt, and its value is shown."""
    assert client.run("import asyncio") == []
    assert client.run("await asyncio.sleep(0.01, 'woke up')") == ["'woke up'"]


def test_await_runs_on_the_host_loop(host, login):
    """What is awaited runs on the service's own loop."""
    client = login("ssh", host)
    client.run("import asyncio")
    shown = client.run("await asyncio.sleep(0, sorted(t.get_name() for t in asyncio.all_tasks()))")
    assert "'watch_lag'" in "".join(shown)


def test_utf_8(client):
    """UTF-8 goes both ways: what is typed is what arrives, and what is printed is what is seen."""
    assert client.run("print('é 漢字 🙂')") == ["é 漢字 🙂"]
    assert client.run("[hex(ord(c)) for c in 'é漢🙂']") == ["['0xe9', '0x6f22', '0x1f642']"]


def test_lone_surrogate(client):
    """Text that UTF-8 cannot hold is shown escaped, and the session goes on."""
    assert client.run(r"print('\udcff')") == [r"\udcff"]
    assert client.run("foo") == ["12"]


# ---- output and exceptions


def test_output_reaches_the_session_alone(client):
    """What a statement writes is seen in its session and not on the service's streams."""
    shown = client.run("import sys; print('a-print'); n = sys.stdout.write('a-write\\n')")
    assert shown == ["a-print", "a-write"]
    assert client.run("n = sys.stderr.write('an-error\\n')") == ["an-error"]
    streams = client.host.stdout + client.host.stderr
    assert not re.search("a-print|a-write|an-error", streams)


def test_output_of_tasks_and_threads(host, login):
    """What tasks and threads of a statement print later reaches the session that started them."""
    client, other = login("ssh", host), login("telnet", host)
    client.run("import threading, asyncio")
    client.run("t = threading.Thread(target=print, args=('from-a' + '-thread',)); t.start()")
    client.wait_for("from-a-thread")
    client.run("async def late(): print('from-a' + '-task')")
    client.run("await asyncio.sleep(0); late_task = asyncio.create_task(late())")
    client.wait_for("from-a-task")
    other.run("foo")
    assert "from-a" not in other.text
    assert "from-a" not in host.stdout


def test_output_of_the_host_stays_there(client):
    """What the service prints by itself goes to its own streams and to no session."""
    client.host.ask(print="said by the service")
    client.host.wait_for_stdout("said by the service")
    client.host.wait_for_stderr(r"said by the service \(stderr\)")
    assert client.run("foo") == ["12"]
    assert "said by the service" not in client.text


def test_exception(client):
    """An exception shows its source and none of the console's frames, and is mirrored on stderr."""
    shown = client.run("1 / 0")
    assert shown[0] == "Traceback (most recent call last):"
    assert "    1 / 0" in shown
    assert shown[-2] == "ZeroDivisionError: division by zero"
    places = [line for line in shown if line.startswith("  File ")]
    error_id = re.fullmatch(r"\(error ((\d+)\.\d+)\)", shown[-1])
    assert places == [f'  File "<console-{error_id[1]}>", line 1, in <module>']

    transport = "telnet" if client.way in {"telnet", "nc"} else "ssh"
    entry = client.host.wait_for_stderr(
        rf"error {re.escape(error_id[1])}: user=boss transport={transport}"
        rf" peer=127\.0\.0\.1:\d+ session={error_id[2]}\n"
    )
    mirrored = client.host.stderr[entry.end() :].splitlines()[: len(shown) - 1]
    assert mirrored == [f"  | {line}" for line in shown[:-1]]


def test_exception_deep_in_a_function(client):
    """A traceback shows the lines of a function that was defined at the prompt."""
    client.enter_block("def fails():", "return {}['absent']")
    shown = client.run("fails()")
    assert "    return {}['absent']" in shown
    assert shown[-2] == "KeyError: 'absent'"


def test_syntax_error(client):
    """A syntax error is shown: by the editor before the line is sent, elsewhere as Python does."""
    client.expect_prompt()
    client.line("foo = = 1")
    if client.fullscreen:
        client.wait_for("Syntax Error: invalid syntax")
        client.type("\x03")
    else:
        client.wait_for("\nSyntaxError: invalid syntax\n")
    client.expect_prompt()
    assert client.run("foo") == ["12"]


def test_hostile_repr(host, login):
    """A value whose repr fails or holds escape sequences does no harm to the screen."""
    client = login("ssh", host)
    client.run("class Bad: __repr__ = lambda self: 1 / 0")
    assert client.run("Bad()")[-2] == "ZeroDivisionError: division by zero"
    client.run(r"class Worse: __repr__ = lambda self: 'a\x1b[2Jb'")
    assert client.run("Worse()") == [r"a\x1b[2Jb"]


def test_large_output(client):
    """Output of many lines arrives whole."""
    client.expect_prompt()
    client.line("print(*(f'line {n}' for n in range(3000)), sep='\\n')")
    client.wait_for("line 2999")
    client.expect_prompt()
    numbers = re.findall(rb"line (\d+)\r+\n", client.received)
    assert [int(number) for number in numbers] == list(range(3000))


# ---- keys


def test_ctrl_c_drops_the_line(screen_client):
    """Ctrl-C at the prompt drops what has been typed, and the next statement runs."""
    for typed in ("dropped = 1", "", "'dropped"):
        screen_client.type(typed)
        shown = f">>> {typed}".rstrip()
        screen_client.wait_until(lambda s=shown: screen_client.cursor_line == s, "the echo")
        screen_client.type("\x03")
        screen_client.wait_until(
            lambda: screen_client.received.count(b"KeyboardInterrupt"), "KeyboardInterrupt"
        )
        screen_client.expect_prompt()
    assert screen_client.run("'dropped' in globals()") == ["False"]


@pytest.mark.parametrize(
    "statement",
    ["await asyncio.sleep(60)", "time.sleep(60)", "threading.Event().wait(60)", "spin()"],
)
def test_ctrl_c_ends_a_statement(statement, screen_client):
    """One Ctrl-C gives the prompt back while a statement awaits, sleeps, waits or computes."""
    client = screen_client
    client.run("import asyncio, threading, time")
    client.enter_block("def spin():", "while True: pass")
    client.run("def running(): print('it ' + 'runs')")
    client.expect_prompt()
    client.line(f"running(); {statement}")
    client.wait_for("it runs")
    client.type("\x03")
    client.expect_prompt()
    assert client.run("foo") == ["12"]


def leave(client, how):
    client.expect_prompt()
    if how == "Ctrl-D":
        client.type("\x04")
    else:
        client.line(how)
    client.expect_end()


@pytest.mark.parametrize("how", ["Ctrl-D", "exit()", "quit()", "import sys; sys.exit()"])
def test_leaving(how, client):
    """Ctrl-D, exit(), quit() and sys.exit() end the session; the service goes on."""
    if client.way == "nc" and how == "Ctrl-D":
        pytest.skip("nc keeps Ctrl-D to itself")
    leave(client, how)
    assert client.host.alive
    assert client.host.ask(get="foo") == "12"


def test_system_exit_in_a_task_spares_the_host(host, login):
    """sys.exit() under an await ends the session and not the service's loop."""
    client = login("ssh", host)
    client.expect_prompt()
    client.line("import asyncio, sys; await asyncio.sleep(0); sys.exit()")
    client.expect_end()
    assert login("ssh", host).run("foo") == ["12"]


@pytest.mark.parametrize(("way", "other"), [("telnet", "ssh"), ("ssh", "telnet"), ("nc", "plink")])
def test_history(way, other, host, login):
    """The up arrow brings back what the same user typed in a session over the other transport."""
    first = login(way, host)
    statement = f"'typed over {way}'"
    first.run(statement)
    leave(first, "exit()")
    second = login(other, host)
    second.type("\x1b[A")
    second.wait_until(lambda: second.cursor_line == ">>> exit()", "the newest entry")
    second.type("\x1b[A")
    second.wait_until(lambda: second.cursor_line == f">>> {statement}", "the entry before")
    second.line()
    second.expect_prompt()
    assert second.screen()[second.screen_state.cursor.y - 1] == statement


def test_history_of_another_user(host, connect, login):
    """The up arrow never shows what another user has typed."""
    login("ssh", host).run("'private to boss'")
    deputy = connect("telnet", host, user="deputy").login("sekrit2")
    assert deputy.run("'private to deputy'") == ["'private to deputy'"]
    deputy.type("\x1b[A")
    deputy.wait_until(lambda: deputy.cursor_line == ">>> 'private to deputy'", "my own entry")
    for _ in range(20):
        deputy.type("\x1b[A")
    deputy.type("\x1b[B\x03")
    deputy.expect_prompt()
    assert b"private to boss" not in deputy.received


def test_tab_completes(screen_client):
    """Tab completes a name of the namespace and an attribute of its value."""
    screen_client.type("guar\t")
    screen_client.wait_for(">>> guarded")
    screen_client.type(".harm\t")
    screen_client.wait_for(">>> guarded.harmless")


def test_tab_never_runs_a_property(screen_client):
    """Tab behind a property offers its name and does not run it."""
    screen_client.type("guarded.dan\t")
    screen_client.wait_for(">>> guarded.danger")
    screen_client.type(".\t")
    screen_client.wait_for(">>> guarded.danger.")
    screen_client.type("x\t\x03")
    assert screen_client.run("foo") == ["12"]
    assert screen_client.host.ask(property_runs=True) == 0


def test_bracketed_paste_is_on_from_the_first_prompt(screen_client):
    """Bracketed paste is switched on before anything is typed."""
    screen_client.wait_until(lambda: b"\x1b[?2004h" in screen_client.received, "the request")


def test_bracketed_paste(screen_client):
    """Several lines pasted at once are edited as one cell, and run as one."""
    screen_client.paste("first = 20\ndef second(x):\n    return x + 1\n\nfirst + second(21)")
    screen_client.wait_for("first + second(21)")
    screen_client.line()
    screen_client.line()
    screen_client.wait_for("\n42\n")
    screen_client.expect_prompt()


@pytest.mark.parametrize(("way", "kind"), [("ssh", "asyncio"), ("telnet", "asyncio")])
def test_resize(way, kind, get_host, login):
    """A wider window is used at once: a line that did not fit into the old one does not wrap."""
    client = login(way, get_host(kind), columns=60)
    client.type("'")
    client.wait_until(lambda: client.cursor_line.startswith(">>> '"), "the echo")
    client.resize(50, 140)
    client.type("x" * 100)
    client.wait_until(lambda: client.cursor_line.startswith(">>> '" + "x" * 100), "one long line")


@pytest.mark.parametrize(("way", "other"), [("telnet", "ssh"), ("ssh", "ssh"), ("nc", "telnet")])
def test_two_sessions_typing_at_once(way, other, host, login):
    """Two sessions that are typed in at the same time get each their own keys."""
    mine, theirs = login(way, host), login(other, host)
    for _ in range(3):
        for a, b in zip("'mine-mine-mine'", "'yours-yours-xx'", strict=True):
            mine.type(a)
            theirs.type(b)
        mine.wait_until(lambda: mine.cursor_line.startswith(">>> 'mine-mine-mine'"), "my line")
        theirs.wait_until(lambda: theirs.cursor_line.startswith(">>> 'yours-yours-xx'"), "theirs")
        mine.line()
        theirs.line()
        mine.wait_for("\n'mine-mine-mine'\n")
        theirs.wait_for("\n'yours-yours-xx'\n")
        mine.expect_prompt()
        theirs.expect_prompt()
    assert "yours" not in mine.text
    assert "mine" not in theirs.text


# ---- without a terminal


@pytest.mark.parametrize("way", SSH_WAYS)
@pytest.mark.parametrize(
    ("statement", "stdout", "status"),
    [
        ("foo", b"12\n", 0),
        ("print('printed'); foo", b"printed\n12\n", 0),
        ("None", b"", 0),
        ("import sys; sys.exit(3)", b"", 3),
        ("exit()", b"", 0),
        ("import asyncio; await asyncio.sleep(0, 'late')", b"'late'\n", 0),
        ("print('漢字 🙂')", "漢字 🙂\n".encode(), 0),
    ],
)
def test_statement_as_command(way, statement, stdout, status, host):
    """`ssh host 'statement'` writes the output alone, and its status is the statement's."""
    done = run_once(way, host, statement, key=host.key_file if way == "ssh" else None)
    assert done.stdout == stdout
    assert done.returncode == status
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("way", SSH_WAYS)
def test_exception_as_command(way, host):
    """`ssh host '1/0'` has status 1, the traceback on stderr, and nothing on stdout."""
    done = run_once(way, host, "1/0", key=host.key_file if way == "ssh" else None)
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"Traceback (most recent call last):" in done.stderr
    assert b"ZeroDivisionError: division by zero" in done.stderr


def test_stderr_of_a_command(host):
    """What a command writes on stderr arrives on stderr."""
    done = run_once("ssh", host, "import sys; print('x', file=sys.stderr)", key=host.key_file)
    assert (done.stdout, done.stderr, done.returncode) == (b"", b"x\n", 0)


def test_command_with_a_terminal(host):
    """`ssh -tt host 'statement'` runs the statement, with CR LF, and never the editor."""
    done = ssh_with(host, "-tt", statement="foo")
    assert (done.stdout, done.returncode) == (b"12\r\n", 0)


def test_statements_on_stdin_over_ssh(host):
    """Statements piped into ssh run in order, and their output alone comes back."""
    done = run_once("ssh", host, key=host.key_file, input=b"piped = 5\nprint('out')\npiped * foo\n")
    assert (done.stdout, done.returncode) == (b"out\n60\n", 0)


def test_statements_on_stdin_over_nc(host):
    """A login and statements piped into nc run, and the output arrives whole."""
    need("nc")
    done = subprocess.run(
        ["nc", "-N", "127.0.0.1", str(host.telnet_port)],
        input=b"boss\nsekrit\n'x' * 5000\nfoo * 100\n",
        capture_output=True,
        timeout=DEADLINE_SECONDS,
    )
    assert b"x" * 5000 in done.stdout
    assert b"1200" in done.stdout


# ---- what is refused


def test_sftp_is_refused(host):
    """Sftp ends with an error, at once, and leaves nothing in the log but one line."""
    need("sftp")
    identity = ("-i", str(host.key_file), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes")
    done = subprocess.run(
        ["sftp", *SSH_OPTIONS, *identity, "-P", str(host.ssh_port), "boss@127.0.0.1"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=DEADLINE_SECONDS,
        env=clean_environment(host.keys.parent),
    )
    assert done.returncode != 0
    assert "Traceback" not in host.stderr.replace("  | Traceback", "")


def test_local_forwarding_is_refused(host):
    """`ssh -L` and `-W` reach nothing through the service."""
    done = ssh_with(host, "-W", f"127.0.0.1:{host.telnet_port}")
    assert done.returncode == 255
    assert done.stdout == b""


def test_remote_forwarding_is_refused(host):
    """`ssh -R` opens no port on the service's machine."""
    done = ssh_with(host, "-N", "-o", "ExitOnForwardFailure=yes", "-R", "127.0.0.1:0:127.0.0.1:9")
    assert done.returncode == 255
    assert b"forwarding failed" in done.stderr


def test_agent_forwarding_is_refused(host):
    """`ssh -A` works as without -A: the service is handed no agent."""
    need("ssh-agent")
    # A path in a socket's address has a hundred characters at the most.
    place = f"/tmp/agent-{os.getpid()}"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", place], stdout=subprocess.DEVNULL)
    try:
        wait_until(lambda: os.path.exists(place), "the agent's socket")
        done = ssh_with(
            host,
            *("-A", "-o", f"IdentityAgent={place}"),
            statement="import os; sorted(os.environ)",
            env={"SSH_AUTH_SOCK": place},
        )
    finally:
        agent.terminate()
        agent.wait(20)
    assert done.returncode == 0
    assert b"SSH_AUTH_SOCK" not in done.stdout


def test_several_sessions_of_one_user(host, login):
    """A user may have several sessions at once, each with its own number."""
    numbers = {number_of_session(login(way, host)) for way in FULLSCREEN if shutil.which(way)}
    assert len(numbers) == len([way for way in FULLSCREEN if shutil.which(way)])
