"""What users prefer: kept for their next sessions, by commands in their sessions."""

from __future__ import annotations

import os
import stat
import threading

import pytest

from console.interfaces.frontends import Preferences
from console.sessions.history import HistoryStore
from console.sessions.preferences import PreferenceStore
from support.clients import run_once


@pytest.fixture
def directory(tmp_path):
    """Name a directory that is not there yet."""
    return tmp_path / "state" / "history"


def kept(directory, user="boss"):
    """Return a user's preferences as a process that starts now finds them."""
    return PreferenceStore(directory).for_session(user).now


def test_defaults(directory):
    """A user without choices has the defaults, and no file."""
    assert kept(directory) == Preferences("emacs", "terminal", "")
    assert not directory.exists()


def test_choices_are_kept(directory):
    """What a user chooses holds at once, and in later sessions of that user."""
    session = PreferenceStore(directory).for_session("boss")
    assert session.choose("editing", "vi") == ""
    assert session.choose("mode", "loop") == ""
    assert session.now == kept(directory) == Preferences("vi", "terminal", "loop")
    assert kept(directory, "deputy") == Preferences()


def test_a_choice_for_one_session(directory):
    """What is not to be kept holds in its session only."""
    session = PreferenceStore(directory).for_session("boss")
    session.choose("theme", "dark", keep=False)
    assert session.now.theme == "dark"
    assert kept(directory) == Preferences()


@pytest.mark.parametrize(("name", "value"), [("theme", "pink"), ("editing", ""), ("mode", "fork")])
def test_no_such_choice(directory, name, value):
    """A choice that does not exist is refused with those that do, and changes nothing."""
    session = PreferenceStore(directory).for_session("boss")
    with pytest.raises(ValueError, match=f"no {name} '{value}'; there are '"):
        session.choose(name, value)
    assert session.now == kept(directory) == Preferences()


def test_sessions_do_not_undo_each_other(directory):
    """Open sessions, of other processes too, each keep what they change and see only their own."""
    one = PreferenceStore(directory).for_session("boss")
    two = PreferenceStore(directory).for_session("boss")
    one.choose("editing", "vi")
    two.choose("theme", "dark")
    assert (one.now, two.now) == (Preferences("vi"), Preferences(theme="dark"))
    assert kept(directory) == Preferences("vi", "dark")


def test_many_threads(directory):
    """Changes of many threads at once leave a whole file with the last of each."""
    store = PreferenceStore(directory)

    def change(name, values):
        session = store.for_session("boss")
        for value in values:
            assert session.choose(name, value) == ""

    threads = [
        threading.Thread(target=change, args=("editing", ["emacs", "vi"] * 5)),
        threading.Thread(target=change, args=("theme", ["light", "dark"] * 5)),
        threading.Thread(target=change, args=("mode", ["loop", "thread"] * 5)),
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert kept(directory) == Preferences("vi", "dark", "thread")
    assert [path.name for path in directory.iterdir()] == [".boss.toml"]


def test_the_file_is_private(directory):
    """The file has 0600, and stands where no history of any user can."""
    previous = os.umask(0)
    try:
        PreferenceStore(directory).for_session("../x").choose("editing", "vi")
    finally:
        os.umask(previous)
    (path,) = directory.iterdir()
    assert path.name == ".%2E.%2Fx.toml"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"editing = ", "mend or remove it"),
        (b"\xff\xfe", "mend or remove it"),
        (b'theme = "\\u001b[2J"\n', "is unknown, and ignored"),
        (b"editing = 3\n", "is unknown, and ignored"),
        (b'colour = "blue"\n', "is unknown, and ignored"),
        (b"x" * 20_000, "longer than|cannot be read"),
    ],
)
def test_a_bad_file(directory, caplog, content, problem):
    """A file that makes no sense is logged in a line without control characters; defaults hold."""
    directory.mkdir(parents=True)
    path = directory / ".boss.toml"
    path.write_bytes(content)
    path.chmod(0o600)
    assert kept(directory) == Preferences()
    (record,) = caplog.records
    assert str(path) in record.getMessage()
    assert "\x1b" not in record.getMessage()
    assert any(one in record.getMessage() for one in problem.split("|"))


def test_a_file_that_others_can_write_is_not_used(directory, caplog):
    """A file that others could have written is left alone, with the remedy in the log."""
    PreferenceStore(directory).for_session("boss").choose("editing", "vi")
    path = directory / ".boss.toml"
    path.chmod(0o666)
    assert kept(directory) == Preferences()
    assert "chmod 600" in caplog.text
    problem = PreferenceStore(directory).for_session("boss").choose("theme", "dark")
    assert "chmod 600" in problem
    path.chmod(0o600)
    assert kept(directory) == Preferences("vi")


def test_a_directory_that_cannot_be_made(tmp_path):
    """Where nothing can be kept, the choice holds for the session, and the reason is returned."""
    (tmp_path / "file").write_text("")
    session = PreferenceStore(tmp_path / "file" / "history").for_session("boss")
    problem = session.choose("editing", "vi")
    assert "cannot be" in problem
    assert session.now.editing == "vi"


# ---- through the console


def test_commands(fresh_host, login):
    """The commands tell and change what the user prefers; the next session begins with it."""
    client = login("ssh", fresh_host)
    assert client.run("editing(), theme(), mode()") == ["('emacs', 'terminal', 'thread')"]
    assert client.run("editing('vi')") == ["'vi'"]
    assert client.run("theme('light')") == ["'light'"]
    assert client.run("mode('loop', keep=True)") == ["'loop'"]
    assert login("nc", fresh_host).run("editing(), theme(), mode()") == ["('vi', 'light', 'loop')"]
    other = login("telnet", fresh_host)
    assert other.run("mode('thread')") == ["'thread'"]
    assert login("nc", fresh_host).run("mode()") == ["'loop'"]


def test_commands_are_told(fresh_host, login):
    """The commands explain themselves, refuse what does not exist, and stand in help()."""
    client = login("nc", fresh_host)
    assert client.run("theme")[0].startswith("theme('light'): Choose colours, or 'dark',")
    shown = client.run("editing('edlin')")
    assert "ValueError: no editing 'edlin'; there are 'emacs', 'vi'" in shown
    text = "\n".join(client.run("%json help()"))  # as a whole, not screen by screen
    assert "editing('vi')" in text
    assert "theme('light')" in text
    assert "name?, name??" in text


def test_help_fits_a_small_terminal(fresh_host, connect):
    """On 80 x 24 help() is read screen by screen from its first line, and no line is wrapped."""
    client = connect("ssh", fresh_host, rows=24, columns=80).login()
    client.line("help()")
    client.wait_for("--more-- lines 1-23 of ")
    assert client.screen()[0].startswith("This is a Python prompt")
    client.line()
    client.expect_prompt()
    assert "exit(status)     Leave, as Ctrl-D does" in client.text


def test_a_command_over_ssh(fresh_host):
    """A choice can be made with a single command."""
    done = run_once("ssh", fresh_host, "theme('dark')", key=fresh_host.key_file)
    assert done.stdout == b"'dark'\n"
    done = run_once("ssh", fresh_host, "theme()", key=fresh_host.key_file)
    assert done.stdout == b"'dark'\n"


def test_preferences_history_and_startup_file(fresh_host, login):
    """A startup file may choose, and what is chosen is kept beside a history that is whole."""
    startup = fresh_host.keys / "startup" / "boss.py"
    startup.parent.mkdir(mode=0o700)
    startup.write_text("editing('vi')\nmode('loop')\n")
    startup.chmod(0o600)
    client = login("nc", fresh_host)
    assert client.run("editing(), mode()") == ["('vi', 'loop')"]
    client.run("theme('dark')")
    startup.unlink()
    client = login("nc", fresh_host)
    assert client.run("editing(), theme(), mode()") == ["('vi', 'dark', 'thread')"]
    names = sorted(path.name for path in fresh_host.history.iterdir())
    assert names == [".boss.login", ".boss.toml", "boss"]
    history = HistoryStore(fresh_host.history).for_user("boss").entries()
    assert list(history)[:2] == ["editing(), mode()", "theme('dark')"]
