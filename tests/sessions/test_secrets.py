"""Nothing secret leaks: not into a log at any level, an error, a repr, a history or a terminal."""

from __future__ import annotations

import contextlib
import io
import linecache
import logging
import os
import re
import subprocess
import sys
import time
import traceback
from pathlib import Path

import asyncssh
import pyotp
import pytest

from console import (
    Console,
    EvaluationSettings,
    FileCredentials,
    LoginSettings,
    MemoryCredentials,
    ShellFactory,
    SshSettings,
    TelnetSettings,
)
from console.auth.authenticator import Authenticator
from console.auth.keys.authorized_keys import parse_authorized_key
from console.auth.keys.host_key import load_host_key
from console.auth.passwords import hash_password
from console.auth.stores.directory import credential_store
from console.auth.stores.users_file import parse_users
from console.cli import main
from console.errors import ConsoleError
from console.events import EventBus
from console.transports.telnet.login_dialogue import Attempt
from support.clients import SSH_OPTIONS, need
from support.rawclients import Lines
from support.servers import DEADLINE_SECONDS, clean_environment, make_key, wait_until

PASSWORD = "Sw0rdfish-marker"
GUESS = "Wr0ng-guess-marker"
TYPED = "typed-at-getpass-marker"

_EVERYTHING = logging.Formatter("%(name)s %(levelname)s %(message)s")


class Log(logging.Handler):
    """Keeps all that any logger says, tracebacks and what hangs on a record included."""

    def __init__(self):
        super().__init__(level=1)
        self.texts = []

    def emit(self, record):
        self.texts.append(f"{_EVERYTHING.format(record)}\n{vars(record)}")


@pytest.fixture
def log():
    """Listen to every logger at its most talkative, and put all of them back."""
    root, handler = logging.getLogger(), Log()
    loggers = [root, *(logging.getLogger(name) for name in logging.root.manager.loggerDict)]
    before = [(one, one.level) for one in loggers]
    for one in loggers:
        one.setLevel(1 if one is root else logging.NOTSET)
    root.addHandler(handler)
    try:
        yield handler
    finally:
        root.removeHandler(handler)
        for one, level in before:
            one.setLevel(level)


@pytest.fixture
def keys(tmp_path):
    return tmp_path / "keys"


@pytest.fixture
def private_key(tmp_path):
    """Make a key pair of boss; return its file."""
    return make_key(tmp_path / "id_boss")


def body_of(path):
    """Return the lines of a private key between its markers, but for a short one at the end."""
    lines = Path(path).read_text().splitlines()
    return [line for line in lines if "-----" not in line and len(line) > 20]


@contextlib.contextmanager
def running(keys, tmp_path):
    store = FileCredentials(keys, initial={"boss": PASSWORD, "ann": PASSWORD})
    with Console(
        "demo",
        credentials=store,
        telnet=0,
        ssh=0,
        keys=keys,
        history=tmp_path / "history",
        login=LoginSettings(failure_seconds=0.01, failure_most_seconds=0.01),
    ) as console:
        yield console, store


def telnet(console, *lines):
    """Type lines at the login and return the client, at its prompt."""
    client = Lines(console.telnet_port)
    client.until("username: ")
    client.send("".join(f"{line}\n" for line in lines))
    client.until(">>> ")
    return client


def ssh(console, tmp_path, password, *options):
    """Log in with the real client, the password given to its question; return its output."""
    need("ssh")
    answer = tmp_path / "askpass"
    answer.write_text('#!/bin/sh\nprintf "%s\\n" "$ANSWER"\n')
    answer.chmod(0o700)
    environment = {
        **clean_environment(tmp_path),
        "SSH_ASKPASS": str(answer),
        "SSH_ASKPASS_REQUIRE": "force",
        "ANSWER": password,
    }
    where = ("-p", str(console.ssh_port), "boss@127.0.0.1", "'done'")
    return subprocess.run(
        ["ssh", *SSH_OPTIONS, *options, *where],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment,
        timeout=DEADLINE_SECONDS,
    ).stdout


BY_PASSWORD = ("-o", "PreferredAuthentications=password")
BY_QUESTION = ("-o", "PreferredAuthentications=keyboard-interactive")


def found_in(text, secrets):
    return [name for name, secret in secrets.items() if secret in text]


def secrets_of(private_key, host_key, **more):
    """Name what must not be seen."""
    parts = {
        f"{path.name} line {at}": line
        for path in (Path(private_key), Path(host_key))
        for at, line in enumerate(body_of(path))
    }
    return {"password": PASSWORD, "guess": GUESS, "typed": TYPED, **parts, **more}


def test_logins_leave_no_secret_in_logs_streams_and_files(
    keys, tmp_path, private_key, log, capfd, monkeypatch
):
    """Right and wrong ones of each method, with every logger at its most talkative."""
    monkeypatch.setattr(asyncssh.logging.SSHLogger, "_debug_level", 3)
    with running(keys, tmp_path) as (console, store):
        store.grant_key("boss", Path(f"{private_key}.pub").read_text())
        client = telnet(console, "boss", GUESS, "boss", PASSWORD)
        client.send("import getpass; x = getpass.getpass()\n")
        client.until("Password: ")
        client.send(f"{TYPED}\n")
        client.until_prompt()
        assert client.run("len(x)") == str(len(TYPED))
        client.close()
        for way in (BY_PASSWORD, BY_QUESTION):
            assert ssh(console, tmp_path, GUESS, *way) == ""
            assert ssh(console, tmp_path, PASSWORD, *way) == "'done'\n"
        with_key = ("-i", str(private_key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes")
        assert ssh(console, tmp_path, "", *with_key) == "'done'\n"
        enrolment = store.enrol("boss")
        app = pyotp.TOTP(enrolment.secret)
        assert store.activate(enrolment, app.now())
        telnet(console, "boss", PASSWORD, app.at(time.time() + 30)).close()
        wait_until(lambda: "boss" in " ".join(log.texts), "the log to tell of the logins")
    secrets = secrets_of(private_key, keys / "host_key", totp=enrolment.secret)
    captured = capfd.readouterr()
    assert found_in("\n".join(log.texts), secrets) == []
    assert found_in(captured.out + captured.err, secrets) == []
    places = {
        str(path.relative_to(tmp_path)): found_in(path.read_text("utf-8", "replace"), secrets)
        for path in tmp_path.rglob("*")
        if path.is_file()
    }
    assert any(name.startswith("history") for name in places)
    holding = {place for place, found in places.items() if found}
    assert holding == {"keys/host_key", "id_boss", "keys/second_factors/boss"}
    assert places["keys/second_factors/boss"] == ["totp"]


@pytest.mark.parametrize("piped", [False, True])
def test_secret_statements_are_in_no_log(keys, tmp_path, private_key, log, capfd, piped):
    """However a program sends one and however it ends, only its client sees of it."""
    need("ssh")
    statements = {
        f" {TYPED!r}; 1 / 0": 1,
        f"password = {TYPED!r}; raise ValueError(password)": 1,
        f"%json %timeout 9 token = {TYPED!r}; raise ValueError(token)": 1,
        f" %json {TYPED!r}; 1 / 0": 1,
        f" %timeout 0.1 {TYPED!r}; __import__('time').sleep(2)": 124,
        f" import sys; sys.exit({TYPED!r})": 1,
        f" {TYPED!r} is": 1,
        f" ls -la {TYPED}": 127,
        f" %timeout {TYPED} 1": 2,
        f" %json %timeout {TYPED} 1": 2,
    }
    with running(keys, tmp_path) as (console, store):
        store.grant_key("boss", Path(f"{private_key}.pub").read_text())
        where = ("-i", str(private_key), "-p", str(console.ssh_port), "boss@127.0.0.1")
        for statement, status in statements.items():
            done = subprocess.run(
                ["ssh", *SSH_OPTIONS, *where, *([] if piped else [statement])],
                input=statement.encode() if piped else b"",
                capture_output=True,
                env=clean_environment(tmp_path),
                timeout=DEADLINE_SECONDS,
            )
            assert done.returncode == status, (statement, done)
        # Those of restored functions are of other tests in this process.
        ours = [name for name in linecache.cache if name.startswith("<console-")]
        cached = [name for name in ours if not name.endswith(" saved>")]
        assert cached == []
    text = "\n".join(log.texts)
    assert text.count("(not shown, as its statement is a secret)") >= 5
    assert text.count("not run: (not shown, as it is a secret)") >= 3
    captured = capfd.readouterr()
    assert found_in(text + captured.out + captured.err, {"typed": TYPED}) == []


def test_the_sweep_sees_what_it_looks_for(log, capfd):
    """A secret in a message, in an argument, in a traceback or on a stream would be found."""
    secrets = {"password": PASSWORD}
    logger = logging.getLogger("console.test")
    logger.debug("it is %s", PASSWORD)
    logger.debug("attached", extra={"packet": PASSWORD.encode()})
    try:
        raise ValueError(PASSWORD)
    except ValueError:
        logger.debug("failed", exc_info=True)
    assert [found_in(text, secrets) for text in log.texts] == [["password"]] * 3
    print(PASSWORD)
    assert found_in(capfd.readouterr().out, secrets) == ["password"]


class AppStdin:
    """Answers as a user with an authenticator app, by the questions on the screen."""

    def __init__(self, shown):
        self.buffer = self
        self._shown = shown

    def readline(self):
        secret = re.search("secret=([A-Z2-7]{32})", self._shown())[1]
        return pyotp.TOTP(secret).now().encode()


def test_commands_show_no_secret(keys, tmp_path, private_key, log, capsys, monkeypatch):
    """No command prints or logs a password or a key; a second factor's secret is shown once."""
    monkeypatch.chdir(tmp_path)
    shown = []

    def read_shown():
        captured = capsys.readouterr()
        shown.append(captured.out + captured.err)
        return shown[-1]

    def run(*arguments, stdin="", status=0):
        if isinstance(stdin, str):
            stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        assert caught.value.code == status
        return read_shown()

    where = ("--keys", keys)
    run("init", "--ssh-port", "0", "-u", "owner", "--stdin", stdin=f"{PASSWORD}\n")
    run("user", "add", "boss", "--stdin", *where, stdin=f"{PASSWORD}\n")
    run("user", "add", "boss", "--stdin", *where, stdin=f"{GUESS}\n", status=2)
    run("user", "passwd", "boss", "--stdin", *where, stdin=f"{PASSWORD}\n")
    run("user", "passwd", "boss", "--stdin", *where, stdin=f"{GUESS}\x07\n", status=2)
    run("user", "passwd", "nobody", "--stdin", *where, stdin=f"{GUESS}\n", status=2)
    run("key", "add", "boss", f"{private_key}.pub", *where)
    run("key", "add", "boss", private_key, *where, status=2)
    key = private_key.read_text()
    run("key", "add", "boss", "-", *where, stdin=key, status=2)
    run("key", "add", "boss", "-", *where, stdin="".join(key.splitlines(True)[1:]), status=2)
    run("user", "totp", "boss", "--stdin", *where, stdin=AppStdin(read_shown))
    secret = (keys / "second_factors" / "boss").read_text().split()[1]
    enrolling = [text for text in shown if secret in text]
    assert len(enrolling) == 1
    shown.remove(enrolling[0])
    run("user", "role", "boss", "admin", *where)
    run("user", "list", *where)
    run("key", "list", "boss", *where)
    with (keys / "users").open("a") as users:
        users.write(f"{PASSWORD}\nann:{PASSWORD}\neve:*:{PASSWORD}\n")
    with (keys / "second_factors" / "boss").open("a") as factor:
        factor.write("x")
    (tmp_path / "demo.toml").write_text('keys = "keys"\n[ssh]\nport = 0\n')
    assert "error: keys/second_factors/boss" in run("check", "demo.toml", status=2)
    run("user", "list", *where)
    run("user", "totp", "boss", "--remove", *where)
    run("user", "remove", "boss", *where)
    secrets = secrets_of(private_key, "keys/host_key", totp=secret)
    assert found_in("\n".join(shown), secrets) == []
    assert found_in("\n".join(log.texts), secrets) == []


def failures(tmp_path, private_key):
    """Yield calls with a secret in the wrong place, or a wrong secret."""
    bad = f"{PASSWORD}\n"
    key = private_key.read_text()
    broken = tmp_path / "broken_key"
    broken.write_text(key.replace("A", "B", 40))
    broken.chmod(0o600)
    store = FileCredentials(tmp_path / "other", initial={"boss": PASSWORD})
    yield lambda: credential_store(PASSWORD)
    yield lambda: hash_password(bad)
    yield lambda: MemoryCredentials({"boss": bad})
    yield lambda: MemoryCredentials({"boss": PASSWORD}, {"boss": body_of(private_key)})
    yield lambda: MemoryCredentials({"boss": PASSWORD}, roles={"boss": PASSWORD})
    yield lambda: FileCredentials(tmp_path, initial={"boss": bad})
    yield lambda: FileCredentials(tmp_path, initial={"a b": PASSWORD})
    yield lambda: store.add("boss", PASSWORD)
    yield lambda: store.set_password("boss", PASSWORD * 100)
    yield lambda: store.grant_key("boss", key)
    yield lambda: store.grant_key("boss", body_of(private_key)[0])
    yield lambda: parse_authorized_key(f"ssh-ed25519 {body_of(private_key)[1]}", "here")
    yield lambda: load_host_key(broken)
    yield lambda: store.activate(store.enrol("boss"), "000000") or store.enrol("nobody")


def test_errors_and_reprs_hold_no_secret(keys, tmp_path, private_key):
    """Whatever object or error of ours ends in a log or at a prompt, it gives nothing away."""
    store = FileCredentials(keys, initial={"boss": PASSWORD})
    memory = MemoryCredentials({"boss": PASSWORD})
    console = Console("demo", credentials=memory, telnet=0, keys=keys)
    shell = ShellFactory("boss", PASSWORD)
    enrolment = store.enrol("boss")
    assert store.activate(enrolment, pyotp.TOTP(enrolment.secret).now())
    phc = memory.password_hash("boss")
    authenticator = Authenticator(memory, EventBus())
    objects = [
        *(store, memory, console, shell, enrolment, authenticator),
        *(TelnetSettings(0), SshSettings(0), EvaluationSettings()),
        Attempt("boss", PASSWORD, "code-marker"),
        parse_users(f"boss:{phc}:admin\nann:{PASSWORD}\n{PASSWORD}\n", "users"),
        shell.password,
        store._factors._read("boss"),
    ]
    authenticator.close()
    secrets = secrets_of(
        private_key,
        private_key,
        totp=enrolment.secret,
        hash=phc.rpartition("$")[2],
        code="code-marker",
    )
    for one in objects:
        assert found_in(f"{one!r} {one}", secrets) == [], type(one)
    calls = list(failures(tmp_path, private_key))
    for call in calls:
        with pytest.raises(ConsoleError) as caught:
            call()
        error = caught.value
        told = [str(error), repr(error), *traceback.format_exception(error)]
        assert found_in("\n".join(told), secrets) == [], error
        assert found_in(repr(vars(error)), secrets) == [], error
    assert len(calls) == 14
    assert os.path.lexists(keys / "users")
