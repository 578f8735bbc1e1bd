"""Startup files, secrets and the history in real sessions."""

from __future__ import annotations

import contextlib
import re
import threading

import pytest

from console import Console, SessionSettings
from console.config.file import examine
from console.config.settings import ServerSettings
from console.errors import ConfigurationError, StartError
from console.sessions.history import HistoryStore
from console.sessions.startup import UserStartup, read_startup
from support.clients import run_once
from support.rawsession import Raw
from support.servers import Host, wait_until


@pytest.fixture
def start(tmp_path):
    """Start a service with settings of its sessions; it is ended after the test."""
    hosts = []

    def start(**sessions):
        host = Host(tmp_path / f"host{len(hosts)}", names={}, guarded=False, sessions=sessions)
        hosts.append(host)
        return host

    yield start
    for host in hosts:
        host.close()


@pytest.fixture
def connect_raw():
    """Open sessions as nc has them; they are closed after the test."""
    with contextlib.ExitStack() as stack:

        def connect(host, user="boss", password="sekrit"):
            raw = Raw(host.telnet_port, user, password)
            stack.callback(raw.close)
            return raw

        yield connect


def write(path, text, mode=0o600):
    """Write a startup file."""
    path.parent.mkdir(exist_ok=True)
    path.parent.chmod(0o700)
    path.write_text(text)
    path.chmod(mode)
    return path


# ---------------------------------------------------------------- the console's


def test_the_consoles_file_chooses_for_no_user(start, tmp_path, connect_raw):
    """Preferences in the startup file apply to no user, which the log says."""
    host = start(startup=str(write(tmp_path / "startup.py", "theme('dark')\nmode('loop')\n")))
    host.wait_for_stderr(r"this holds for this session only: the console's startup file chose it\n")
    assert connect_raw(host).run("theme(), mode()").strip() == "('terminal', 'thread')"


def test_the_consoles_file_runs_once_in_the_namespace(start, tmp_path, connect_raw):
    """Its names are there in each session, and in the service; what it prints is in the log."""
    text = "import os\nruns = globals().get('runs', 0) + 1\nprint('started', runs)\nruns\n"
    host = start(startup=str(write(tmp_path / "startup.py", text)))
    host.wait_for_stderr(r"console\.startup: \S+startup\.py: started 1\n")
    one, two = connect_raw(host), connect_raw(host)
    assert one.run("runs").strip() == two.run("runs").strip() == "1"
    assert host.ask(get="runs") == "1"
    assert one.run("os.sep").strip() == "'/'"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "x = 1\n1 / 0\n",
            r'startup\.py", line 2, in <module>\n.*1 / 0\n(.*\n)?.*ZeroDivisionError',
        ),
        ("x = (\n", r"SyntaxError"),
        ("raise SystemExit('gone')", r"gone"),
    ],
)
def test_a_file_that_fails_blocks_no_login(start, tmp_path, connect_raw, text, problem):
    """The traceback is in the log, a line in the greeting says so, and the prompt is there."""
    host = start(startup=str(write(tmp_path / "startup.py", text)))
    host.wait_for_stderr(rf"startup file \S+ has failed:(\n  \| .*)*{problem}")
    assert connect_raw(host).run("1 + 1").strip() == "2"


def test_a_file_that_does_not_end_blocks_no_login(start, tmp_path, connect_raw, login):
    """Logins get their prompt at once, and the greeting says that the file is still running."""
    text = "import threading\nstop = threading.Event()\nstop.wait()\n"
    host = start(startup=str(write(tmp_path / "startup.py", text)))
    client = login("ssh", host)
    assert "startup.py is still running." in client.text
    assert "0.0 " in "".join(client.run("statements()"))
    client.run("stop.set()")
    wait_until(lambda: "still running" not in login("ssh", host).text, "the file has ended")


def test_a_file_may_await(start, tmp_path, connect_raw):
    """It runs on the service's loop then, as a statement would."""
    text = "import asyncio\nawait asyncio.sleep(0)\nloop = asyncio.get_running_loop()\n"
    host = start(startup=str(write(tmp_path / "startup.py", text)))
    raw = connect_raw(host)
    wait_until(lambda: host.ask(get="loop") != "None", "the file has run")
    assert raw.run("%loop loop is asyncio.get_running_loop()").strip() == "True"


def test_a_console_does_not_start_with_a_file_that_it_cannot_use(tmp_path):
    """A missing file, one that others can write, and a directory are errors with a remedy."""
    exposed = write(tmp_path / "own" / "startup.py", "x = 1", mode=0o666)
    for path, problem in (
        (tmp_path / "absent.py", "cannot be read: No such file"),
        (exposed, f"chmod go-w {exposed}"),
        (tmp_path, "cannot be read: not a regular file"),
    ):
        console = Console(
            credentials={"boss": "sekrit"}, telnet=0, sessions=SessionSettings(startup=path)
        )
        with pytest.raises(StartError, match=re.escape(problem)):
            console.start()
        assert not console.listeners


# ---------------------------------------------------------------- the users'


def test_a_users_file_runs_at_each_login(fresh_host, connect_raw):
    """Its names are that session's own: not in the namespace, and not another user's."""
    text = (
        "import json as j\n"
        "def both(x):\n    return twice(x), j.dumps(x)\n"
        "def twice(x):\n    return 2 * x\n"
        "class Shown:\n    pair = [twice(n) for n in range(2)]\n"
        "print('hello from startup', both(1))\n"
    )
    write(fresh_host.keys / "startup" / "boss.py", text)
    mine = connect_raw(fresh_host)
    assert mine.run("both(2)").strip() == "(4, '2')"
    assert mine.run("Shown.pair").strip() == "[0, 2]"
    assert mine.run("dir()").strip() == "['__builtins__']"
    theirs = connect_raw(fresh_host, "deputy", "sekrit2")
    assert "NameError: name 'both'" in theirs.run("both(2)")
    write(fresh_host.keys / "startup" / "boss.py", "both = 'changed'")
    assert connect_raw(fresh_host).run("both").strip() == "'changed'"
    assert mine.run("both(2)").strip() == "(4, '2')"


@pytest.fixture(scope="module")
def startup_host(tmp_path_factory):
    """A service for the files of `test_no_file_keeps_its_user_from_the_prompt`."""
    with Host(tmp_path_factory.mktemp("startup") / "host") as host:
        yield host


@pytest.mark.parametrize("way", ["ssh", "telnet", "nc"])
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("print('hello')\n1 / 0\n", "ZeroDivisionError: division by zero"),
        ("print('hello'); exit()", "ended"),
        ("print('hello')\n(", "SyntaxError: '(' was never closed"),
        ("print('hello'); input('name? ')", "EOFError"),
    ],
    ids=["raises", "exits", "is wrong", "reads"],
)
def test_no_file_keeps_its_user_from_the_prompt(startup_host, connect, way, text, shown):
    """Output and exceptions are shown, and then the prompt works."""
    write(startup_host.keys / "startup" / "boss.py", text)
    client = connect(way, startup_host)
    client.give_name()
    client.give_password("sekrit")
    if "input" in text:
        client.wait_for("name?")
        client.type("\x04" if way != "nc" else "\n")
        client.expect_prompt()
        return
    client.wait_for(shown)
    assert client.run("1 + 1") == ["2"]


def test_ctrl_c_ends_a_users_file(fresh_host, connect):
    """A file that hangs is interrupted as a statement is."""
    write(fresh_host.keys / "startup" / "boss.py", "print('begun')\nwhile True: pass\n")
    client = connect("ssh", fresh_host)
    client.give_password("sekrit")
    client.wait_for("begun")
    client.type("\x03")
    client.wait_for("KeyboardInterrupt")
    assert client.run("1 + 1") == ["2"]


def test_a_users_file_takes_no_number(fresh_host, connect_raw):
    """The first statement is number 1, in errors as in who(); the file is number 0."""
    path = write(fresh_host.keys / "startup" / "boss.py", "\n\n1 / 0")
    raw = connect_raw(fresh_host)
    assert raw.run("who()[0].statement").strip() == "'1.1'"
    assert "(error 1.2)" in raw.run("1 / 0")
    fresh_host.wait_for_stderr(rf'error 1.0: (.|\n)*{re.escape(str(path))}", line 3')


def test_a_users_file_with_a_secret_is_shown_to_no_other_user(fresh_host, connect_raw):
    """Its traceback, which quotes it, is for its session alone."""
    write(fresh_host.keys / "startup" / "boss.py", "password = 'hunter2'; 1 / 0")
    raw = connect_raw(fresh_host)
    assert raw.run("1 + 1").strip() == "2"
    fresh_host.wait_for_stderr("error 1.0: (.|\n)*not shown, as its statement is a secret")
    assert "hunter2" not in fresh_host.stderr


def test_a_users_file_that_others_can_write_is_not_run(fresh_host, connect_raw):
    """The session says why and how to put it right."""
    path = write(fresh_host.keys / "startup" / "boss.py", "started = True", mode=0o622)
    raw = connect_raw(fresh_host)
    assert "NameError" in raw.run("started")
    fresh_host.wait_for_stderr(f"{re.escape(str(path))}: is not used: .* chmod go-w ")
    path.chmod(0o600)
    path.parent.chmod(0o777)
    assert "NameError" in connect_raw(fresh_host).run("started")


def test_a_file_that_others_can_put_in_its_place_is_not_run(tmp_path):
    """Each directory on the way to it counts, as for keys."""
    path = write(tmp_path / "mine" / "startup.py", "1")
    assert read_startup(path).source == "1"
    tmp_path.chmod(0o777)
    with pytest.raises(StartError, match=f"is not used: it is in {re.escape(str(tmp_path))}, "):
        read_startup(path)


def test_commands_run_no_startup_file_unless_asked(start):
    """Neither a command nor piped input does, unless the setting says so."""
    for asked in (False, True):
        host = start(startup_for_commands=asked)
        write(host.keys / "startup" / "boss.py", "started = True\n")
        statement = "__builtins__.get('started', False) or 'started' in dir() or started"
        for arguments, piped in (([statement], b""), ([], statement.encode())):
            done = run_once("ssh", host, *arguments, input=piped, key=host.key_file)
            assert (b"NameError" in done.stderr) is not asked
            assert done.stdout == (b"True\n" if asked else b"")


def test_odd_names_find_their_own_file(tmp_path):
    """A user's name never leads out of the directory."""
    write(tmp_path / "boss.py", "outside")
    write(tmp_path / "startup" / "%2E.%2Fboss.py", "inside")
    startup = UserStartup(tmp_path, for_commands=False)
    assert startup.for_user("../boss").source == "inside"
    assert startup.for_user("nobody") is None
    assert UserStartup(tmp_path / "absent", for_commands=False).for_user("boss") is None


# ---------------------------------------------------------------- settings


def test_settings_are_read_and_checked(tmp_path):
    """The table [sessions]; a pattern that is none is an error with its line."""
    file = tmp_path / "demo.toml"
    file.write_text('[telnet]\nport = 0\n[sessions]\nstartup = "s.py"\nsecrets = "none"\n')
    settings, faults = examine(file, {})
    assert not faults
    assert settings == ServerSettings(
        telnet=settings.telnet, sessions=SessionSettings(startup=tmp_path / "s.py", secrets=None)
    )
    file.write_text('[telnet]\nport = 0\n[sessions]\nsecrets = "("\n')
    (fault,) = examine(file, {})[1]
    assert f"{file}:4: sessions.secrets" in str(fault)
    with pytest.raises(ConfigurationError, match="not a valid regular expression"):
        SessionSettings(secrets="(")


# ---------------------------------------------------------------- secrets and history in sessions


@pytest.mark.parametrize("way", ["ssh", "telnet", "nc"])
def test_secrets_stay_in_their_session(fresh_host, login, way):
    """Neither history, log, nor the list of statements has them; one line says so."""
    client, other = login(way, fresh_host), login("ssh", fresh_host)
    client.run("import threading; e = threading.Event()")
    assert client.run("password = 'hunter2'")[-1].startswith("(kept out of the history and the log")
    assert client.run(" x = 'hunter2'") == []
    assert "ZeroDivisionError" in "".join(client.run("token = 'hunter2'; 1 / 0"))
    assert "ZeroDivisionError" in "".join(client.run(" 'hunter2'; 1 / 0"))
    client.expect_prompt()
    client.line(" secret = 'hunter2'; e.wait()")
    wait_until(lambda: "as it is a secret" in "".join(other.run("statements()")), "it is listed")
    assert "not shown as a secret" in "".join(other.run("[one.source for one in who()]"))
    other.run("e.set()")
    client.expect_prompt()
    other.run("'the last one'")
    assert "hunter2" not in other.text
    assert "ZeroDivisionError" not in fresh_host.stderr
    assert "not shown, as its statement is a secret" in fresh_host.stderr
    kept = list(HistoryStore(fresh_host.history).for_user("boss").entries())
    assert kept[-1] == "'the last one'"
    assert not [entry for entry in kept if "hunter2" in entry]
    assert "hunter2" not in fresh_host.stderr
    client.run("1")
    if way != "nc":
        for _ in range(5):
            client.type("\x1b[A")
        client.type("\x03")
        client.expect_prompt()
        assert "hunter2" not in client.cursor_line


@pytest.mark.parametrize("way", ["ssh", "nc"])
def test_a_leading_space_is_no_error(fresh_host, login, way):
    """A statement behind a space runs as without, blocks included."""
    client = login(way, fresh_host)
    assert client.run(" 1 + 1") == ["2"]
    assert client.run("  x = 3; x") == ["3"]
    client.expect_prompt()
    for line in (" if x:", "y = 'yes'" if client.fullscreen else "    y = 'yes'"):
        client.type(line)
        client.wait_until(lambda line=line: client.cursor_line.endswith(line), "the echo")
        client.line()
        client.expect_continuation()
    client.line()
    assert client.run("y") == ["'yes'"]


def test_ten_sessions_write_one_history(fresh_host, connect_raw):
    """Of statements that ten sessions run at once none is missing."""
    sessions = [connect_raw(fresh_host) for _ in range(10)]

    def work(number):
        for count in range(30):
            sessions[number].run(f"'session {number} statement {count}'")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    kept = list(HistoryStore(fresh_host.history).for_user("boss").entries())
    assert len(kept) == 300
    for number in range(10):
        mine = [entry for entry in kept if entry.startswith(f"'session {number} ")]
        assert mine == [f"'session {number} statement {count}'" for count in range(30)]
