"""What users have typed: over sessions, processes, and files that cannot be used."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prompt_toolkit.history import FileHistory

from console.interfaces.frontends import HistoryLog
from console.sessions import history as history_module
from console.sessions.history import HistoryStore


@pytest.fixture
def directory(tmp_path):
    """Name a directory that is not there yet."""
    return tmp_path / "state" / "history"


def entries(directory, name="boss"):
    """Read a user's entries as a process that starts now does."""
    return list(HistoryStore(directory).for_user(name).entries())


def test_entries_are_kept_in_order_over_restarts(directory):
    """What one process typed the next one finds, oldest first, lines and blanks included."""
    typed = ["1 + 1", "def f():\n    return 'é'\n\nf()", "+", "# comment", "\tx", "a\n", "ä" * 1000]
    log: HistoryLog = HistoryStore(directory).for_user("boss")
    for entry in typed:
        log.append(entry)
    assert list(log.entries()) == typed
    assert entries(directory) == typed


def test_sessions_of_a_user_share_one_history(directory):
    """A statement typed over telnet is there over ssh, and not for another user."""
    store = HistoryStore(directory)
    telnet, ssh = store.for_user("boss"), store.for_user("boss")
    telnet.append("1")
    assert telnet is ssh
    assert list(ssh.entries()) == ["1"]
    assert list(store.for_user("ann").entries()) == []


def test_what_is_not_kept(directory):
    """Blank entries, repeated ones, those behind a space, and pasted files are left out."""
    log = HistoryStore(directory).for_user("boss")
    for entry in ("a", "a", "", "\n", "  \t", " password = 'sekrit'", "x" * 70_000, "b", "a", "a"):
        log.append(entry)
    assert list(log.entries()) == ["a", "b", "a"]
    assert entries(directory) == ["a", "b", "a"]
    assert b"sekrit" not in (directory / "boss").read_bytes()


def test_files_are_private(directory):
    """The directory has 0700 and the file 0600, whatever the umask."""
    previous = os.umask(0)
    try:
        HistoryStore(directory).for_user("boss").append("1")
    finally:
        os.umask(previous)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "boss").stat().st_mode) == 0o600


def test_other_tools_read_the_file(directory):
    """prompt_toolkit's own history reads ours, and we read its."""
    log = HistoryStore(directory).for_user("boss")
    for entry in ("one", "two\n  lines"):
        log.append(entry)
    other = FileHistory(directory / "boss")
    assert list(other.load_history_strings()) == ["two\n  lines", "one"]
    other.store_string("three\nlines\nmore")
    assert entries(directory) == ["one", "two\n  lines", "three\nlines\nmore"]


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("boss", "boss"),
        ("boss@example.org", "boss@example.org"),
        ("..", "%2E."),
        (".", "%2E"),
        (".boss", "%2Eboss"),
        ("../../boss", "%2E.%2F..%2Fboss"),
        ("a/b c%", "a%2Fb%20c%25"),
        ("ä\x00\udcff", "%C3%A4%00%ED%B3%BF"),
        ("", "%"),
    ],
)
def test_odd_names_stay_in_the_directory(directory, name, file):
    """Each name has a file of its own, right in the directory."""
    HistoryStore(directory).for_user(name).append("1")
    assert [path.name for path in directory.iterdir()] == [file]
    assert entries(directory, name) == ["1"]


def test_long_names_have_files_of_their_own(directory):
    """Two names that differ at their end only do not share a history."""
    store = HistoryStore(directory)
    for last in "ab":
        store.for_user("x" * 500 + last).append(last)
    assert entries(directory, "x" * 500 + "a") == ["a"]
    assert entries(directory, "x" * 500 + "b") == ["b"]


def test_entries_of_another_process_are_seen_at_the_next_session(directory):
    """for_user() reads what was appended elsewhere, in the file's order, and only then."""
    ours, theirs = HistoryStore(directory), HistoryStore(directory)
    mine = ours.for_user("boss")
    mine.append("1")
    theirs.for_user("boss").append("2")
    mine.append("3")
    assert list(mine.entries()) == ["1", "3"]
    assert list(ours.for_user("boss").entries()) == ["1", "2", "3"]
    mine.append("4")
    assert list(theirs.for_user("boss").entries()) == ["1", "2", "3", "4"]


def test_our_own_entries_do_not_make_us_read_again(directory, monkeypatch):
    """A session that opens finds memory up to date, and leaves the file alone."""
    store = HistoryStore(directory)
    log = store.for_user("boss")
    for number in range(5):
        log.append(str(number))

    def fail(*_):
        raise AssertionError("read again")

    monkeypatch.setattr(history_module, "_read_tail", fail)
    assert len(store.for_user("boss").entries()) == 5


def test_a_file_with_strange_bytes_is_read(directory):
    """Undecodable bytes and lines of no entry neither raise nor hide the entries."""
    directory.mkdir(parents=True)
    path = directory / "boss"
    path.write_bytes(b"\xff\xfe\n+good\n\x00rubbish\n+b\xffd\r\n+\n\n# 2020\n+end")
    path.chmod(0o600)
    assert entries(directory) == ["good", "b\ufffdd\r\n", "end"]


@given(data=st.binary(max_size=300))
def test_no_file_makes_reading_raise(tmp_path_factory, data):
    """Any bytes at all give entries, and a next entry is kept behind them."""
    directory = tmp_path_factory.mktemp("history")
    (directory / "boss").write_bytes(data)
    (directory / "boss").chmod(0o600)
    log = HistoryStore(directory).for_user("boss")
    before = list(log.entries())
    log.append("the end")
    assert entries(directory) == [*before, "the end"]


@given(typed=st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), max_size=8))
def test_any_text_comes_back(tmp_path_factory, typed):
    """What memory keeps, the file keeps."""
    directory = tmp_path_factory.mktemp("history")
    log = HistoryStore(directory).for_user("boss")
    for entry in typed:
        log.append(entry)
    assert entries(directory) == list(log.entries())


def test_memory_is_bounded(directory, monkeypatch):
    """The newest entries stay, by number and by size."""
    monkeypatch.setattr(history_module, "ENTRIES", 10)
    log = HistoryStore(directory).for_user("boss")
    for number in range(100):
        log.append(str(number))
    assert list(log.entries()) == [str(number) for number in range(90, 100)]
    monkeypatch.setattr(history_module, "HISTORY_BYTES", 50)
    log.append("x" * 45)
    assert list(log.entries()) == ["98", "99", "x" * 45]


@pytest.mark.parametrize("limit", ["ENTRIES", "HISTORY_BYTES"])
def test_a_file_that_has_grown_is_trimmed(directory, monkeypatch, limit):
    """Over twice what is kept it is rewritten with that; below, it is left alone."""
    log = HistoryStore(directory).for_user("boss")
    for number in range(100):
        log.append(f"entry {number:03}")
    path = directory / "boss"
    size = path.stat().st_size
    monkeypatch.setattr(history_module, limit, {"ENTRIES": 60, "HISTORY_BYTES": size}[limit])
    kept = entries(directory)
    assert kept[-1] == "entry 099"
    assert path.stat().st_size == size
    monkeypatch.setattr(history_module, limit, {"ENTRIES": 40, "HISTORY_BYTES": 300}[limit])
    kept = entries(directory)
    assert kept == [f"entry {number:03}" for number in range(100 - len(kept), 100)]
    # In 600 bytes of file: a record has 41, or 34 on a full second.
    assert len(kept) in {"ENTRIES": [40], "HISTORY_BYTES": range(14, 18)}[limit]
    assert path.stat().st_size < size / 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert entries(directory) == kept
    assert list(directory.iterdir()) == [path]


def test_a_writer_that_has_the_old_file_goes_on_in_the_new(directory, monkeypatch):
    """After another process trimmed the file, ours appends to the new one."""
    log = HistoryStore(directory).for_user("boss")
    for number in range(20):
        log.append(str(number))
    monkeypatch.setattr(history_module, "ENTRIES", 5)
    assert entries(directory) == ["15", "16", "17", "18", "19"]
    log.append("20")
    assert entries(directory)[-2:] == ["19", "20"]


def test_a_file_is_not_trimmed_during_an_append(directory, monkeypatch):
    """What a writer is just adding is not lost; the next reader trims."""
    log = HistoryStore(directory).for_user("boss")
    for number in range(20):
        log.append(str(number))
    path = directory / "boss"
    size = path.stat().st_size
    monkeypatch.setattr(history_module, "ENTRIES", 5)
    with path.open("ab") as writer:
        fcntl.flock(writer, fcntl.LOCK_SH)
        assert entries(directory) == ["15", "16", "17", "18", "19"]
        assert path.stat().st_size == size
    assert entries(directory) == ["15", "16", "17", "18", "19"]
    assert path.stat().st_size < size


WRITER = """
import sys
from console.sessions.history import HistoryStore
log = HistoryStore(sys.argv[1]).for_user("boss")
sys.stdin.readline()
for number in range(300):
    log.append(f"{sys.argv[2]}\\n{number}")
"""


def test_processes_share_a_file(directory):
    """Entries of two processes that type at once are all there, each whole."""
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(directory), name], stdin=subprocess.PIPE, text=True
        )
        for name in "ab"
    ]
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    kept = entries(directory)
    for name in "ab":
        mine = [entry for entry in kept if entry.startswith(name)]
        assert mine == [f"{name}\n{number}" for number in range(300)]


@pytest.mark.parametrize("later", ["entry", "login", "end"])
def test_nothing_is_lost_while_others_trim(directory, later):
    """What is typed while another process rewrites the file is written a little later."""
    store = HistoryStore(directory)
    log = store.for_user("boss")
    log.append("before")
    with (directory / "boss").open("ab") as trimming:
        fcntl.flock(trimming, fcntl.LOCK_EX)
        log.append("1")
        log.append("2")
        assert entries(directory) == ["before"]
        assert list(store.for_user("boss").entries()) == ["before", "1", "2"]
    {
        "entry": lambda: log.append("3"),
        "login": lambda: store.for_user("boss"),
        "end": store.close,
    }[later]()
    assert list(log.entries()) == entries(directory)
    assert entries(directory)[:3] == ["before", "1", "2"]


SECRETS = [
    "password = 'x'",
    "f.password='x'",
    "login(user, password='hunter2')",
    "d['api_key'] = \"k\"",
    "{'token': 't'}",
    "token: str = 'x'",
    "SECRET_KEY=b'x'",
    "client = Client(secret=(\n    'a'))",
    "set_password('boss', 'x')",
    "os.environ['DB_PASSWORD'] = 'x'",
    "connect('postgres://u:p@h/db')",
    "h = {'Authorization': 'Bearer abcdefghijklmnop'}",
    "-----BEGIN RSA PRIVATE KEY-----",
    " anything",
]
NO_SECRETS = [
    "password == 'x'",
    "token = get_token()",
    "tokens = tokenize(text)",
    "getpass.getpass('password: ')",
    "user.password",
    "d.get('token')",
    "check(token)",
    "secrets.token_hex(8)",
    "import secrets",
    "'http://host:80/x@y'",
]


@pytest.mark.parametrize("entry", SECRETS)
def test_secrets_are_not_kept(directory, entry):
    """What looks like a secret is neither in the file nor in the memory of any session."""
    store = HistoryStore(directory)
    log = store.for_user("boss")
    log.append("1")
    log.append(entry)
    assert log.is_secret(entry)
    assert list(store.for_user("boss").entries()) == entries(directory) == ["1"]


@pytest.mark.parametrize("entry", NO_SECRETS)
def test_what_only_names_a_secret_is_kept(directory, entry):
    """A history without these would be no help."""
    log = HistoryStore(directory).for_user("boss")
    log.append(entry)
    assert not log.is_secret(entry)
    assert entries(directory) == [entry]


def test_what_a_secret_is_can_be_chosen(directory):
    """By another pattern, or by none; what begins with a space is always one."""
    mine = HistoryStore(directory, "(?i)boss").for_user("a")
    assert [mine.is_secret(entry) for entry in ("BOSS", "password = 'x'", " x")] == [1, 0, 1]
    none = HistoryStore(directory, None).for_user("a")
    assert [none.is_secret(entry) for entry in ("password = 'x'", " x")] == [False, True]


@pytest.mark.parametrize(
    "text", ["token", "token(", "password ", "token:", "://", "password[[", "a"]
)
def test_looking_for_secrets_is_quick(directory, text):
    """No text makes the search slow: it runs on the console's loop."""
    log = HistoryStore(directory).for_user("boss")
    began = time.thread_time()
    log.is_secret(text * 1_000_000)
    assert time.thread_time() - began < 2


def test_a_directory_that_cannot_be_written_is_logged_once(tmp_path, caplog):
    """Path and remedy are in one warning; the history works on in memory, for each user."""
    (tmp_path / "file").touch()
    store = HistoryStore(tmp_path / "file" / "history")
    for name in ("boss", "ann"):
        log = store.for_user(name)
        log.append("1")
        log.append("2")
        assert list(store.for_user(name).entries()) == ["1", "2"]
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    text = record.getMessage()
    assert str(tmp_path / "file" / "history" / "boss") in text
    assert "writable" in text
    assert "kept in memory only" in text


def test_a_file_that_others_can_read_is_not_used(directory, caplog):
    """Statements may hold secrets: nothing is read from it or written to it until it is private."""
    HistoryStore(directory).for_user("boss").append("1")
    path = directory / "boss"
    path.chmod(0o644)
    before = path.read_bytes()
    log = HistoryStore(directory).for_user("boss")
    log.append("2")
    assert list(log.entries()) == ["2"]
    assert path.read_bytes() == before
    (record,) = caplog.records
    assert f"chmod 600 {path}" in record.getMessage()


@pytest.mark.parametrize("kind", ["fifo", "link", "directory"])
def test_what_is_no_file_is_not_used(directory, tmp_path, caplog, kind):
    """A FIFO does not hang the loop, and a link leads nowhere."""
    directory.mkdir(parents=True)
    path = directory / "boss"
    (tmp_path / "target").touch(0o600)
    {
        "fifo": lambda: os.mkfifo(path, 0o600),
        "link": lambda: path.symlink_to(tmp_path / "target"),
        "directory": path.mkdir,
    }[kind]()
    log = HistoryStore(directory).for_user("boss")
    log.append("1")
    assert list(log.entries()) == ["1"]
    assert (tmp_path / "target").read_bytes() == b""
    assert len(caplog.records) == 1


def test_the_default_directory_is_the_users_own(tmp_path, monkeypatch):
    """It follows the system's convention for state."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    HistoryStore().for_user("boss").append("1")
    assert (tmp_path / "console" / "history" / "boss").exists()
