"""The greeting: its text, the last login, the warning about a blocked loop."""

from __future__ import annotations

import asyncio
import json
import os
import re
import stat
import threading
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.application.run import _default_password_notice
from console.application.shell import ShellFactory
from console.evaluation.host_loop import HostLoop
from console.evaluation.loop_probe import LoopProbe
from console.events import LoginFailed, LoginSucceeded
from console.interfaces.credentials import Principal, Role
from console.sessions.greeting import (
    Greeted,
    LastLogin,
    greeting,
    spoken_duration,
    spoken_moment,
)
from console.sessions.logins import LoginBook
from support.clients import run_once
from support.rawclients import Lines, line_login
from support.servers import Host, wait_until

HINT = "Type help() for help, exit() or Ctrl-D to leave."
BOSS = Principal("boss", "ssh", "10.0.0.7:4711", "password", Role.ADMIN)
DAY = 86400


def local(text):
    """Return the time of a moment in the time zone of this machine."""
    return datetime.fromisoformat(text).timestamp()


NOW = local("2026-11-24 18:30:00")


def lines(**facts):
    """Return the lines of a greeting, where all is well unless the facts say otherwise."""
    given = {
        "principal": BOSS,
        "name": "demo",
        "version": "0.1.0",
        "host": "web3",
        "process": 4711,
        "up_seconds": 3 * DAY + 2 * 3600 + 59,
        "last": LastLogin(local("2026-11-23 18:02"), "ssh", "10.0.0.7:50000"),
        "others": (),
        "patches": 0,
        "silent_seconds": 0.0,
        "notice": "",
        "now": NOW,
    }
    text = greeting(Greeted(**{**given, **facts}))
    assert text.endswith("\n")
    return text.removesuffix("\n").split("\n")


# ---- the words


def test_three_lines_where_all_is_well():
    """The service, the user, and how to get help."""
    assert lines() == [
        "demo (console 0.1.0) on web3, process 4711, up 3 days 2 h",
        "you are boss (admin), last login yesterday 18:02 by ssh from 10.0.0.7",
        HINT,
    ]


@pytest.mark.parametrize("transport", ["telnet", "telnets"])
def test_telnet_is_not_told_the_name_twice(transport):
    """What stood above the login is not repeated below it."""
    boss = Principal("boss", transport, "10.0.0.7:4711", "password")
    assert lines(principal=boss)[0] == "on web3, process 4711, up 3 days 2 h"


def test_what_is_not_known_is_not_made_up():
    """A system without a process's start time, and a user's first login."""
    shown = lines(up_seconds=None, last=None)
    assert shown[0] == "demo (console 0.1.0) on web3, process 4711"
    assert shown[1] == "you are boss (admin), no earlier login is known"


def test_everything_at_once():
    """Each warning, and the other open sessions, have a line of their own."""
    last = LastLogin(NOW - 60, "telnet", "[::1]:50000", 3, NOW - 10, "unix:1000")
    shown = lines(
        last=last,
        others=("ann", "boss", "ann", "bob"),
        patches=2,
        silent_seconds=12.4,
        notice="WARNING: boss still has the default password.\n",
    )
    assert shown[1:] == [
        "you are boss (admin), last login today 18:29 by telnet from ::1",
        "3 failed logins since then, the last today 18:29 from unix:1000",
        "also here: ann (2 sessions), bob, you (1 other session)",
        "2 patches applied: patches() tells which",
        "WARNING: the service's loop has been blocked for at least 12 s: stack() shows where",
        "WARNING: boss still has the default password.",
        HINT,
    ]


def test_one_of_each():
    """One is said as one."""
    last = LastLogin(NOW - 60, "ssh", "10.0.0.7:1", 1, NOW, "10.0.0.9:77")
    shown = lines(last=last, others=("boss", "boss"), patches=1, silent_seconds=0.21)
    assert shown[2:6] == [
        "1 failed login since then: today 18:30 from 10.0.0.9",
        "also here: you (2 other sessions)",
        "1 patch applied: patches() tells which",
        "WARNING: the service's loop has been blocked for at least 0.2 s: stack() shows where",
    ]


@pytest.mark.parametrize(
    ("users", "end"), [(5, "u2, u3, 1 other user"), (7, "u2, u3, 3 other users"), (4, "u2, u3")]
)
def test_a_crowd_is_counted(users, end):
    """However many are here, the line stays short."""
    shown = lines(others=[f"u{number}" for number in range(users)])
    assert shown[2] == f"also here: u0, u1, {end}"


def test_nothing_of_a_peer_reaches_the_terminal_raw():
    """Names and addresses with control characters are escaped, and make no lines."""
    evil = "\x1b[2J\r\nevil\u202e"
    boss = Principal(evil, evil, evil, "password")
    last = LastLogin(NOW, evil, evil, 1, NOW, evil)
    shown = lines(principal=boss, last=last, others=(evil + "2", evil), host=evil, name=evil)
    assert len(shown) == 5
    assert all(line.isprintable() for line in shown)


@pytest.mark.parametrize(
    ("moment", "said"),
    [
        ("2026-11-24 18:30:00", "today 18:30"),
        ("2026-11-24 00:00:00", "today 00:00"),
        ("2026-11-23 23:59:59", "yesterday 23:59"),
        ("2026-11-22 08:05:00", "Sunday 08:05"),
        ("2026-11-18 18:31:00", "Wednesday 18:31"),
        ("2026-11-17 18:31:00", "2026-11-17 18:31"),
        ("2025-11-24 18:30:00", "2025-11-24 18:30"),
        ("2026-11-24 18:31:00", "2026-11-24 18:31"),
        ("2027-01-01 00:00:00", "2027-01-01 00:00"),
    ],
)
def test_moments_as_people_say_them(moment, said):
    """Days of the last week have their names; what lies ahead, and what is long ago, has a date."""
    assert spoken_moment(local(moment), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (-5, "0 s"),
        (59.9, "59 s"),
        (61, "1 min 1 s"),
        (7200, "2 h"),
        (DAY, "1 day"),
        (DAY + 3600, "1 day 1 h"),
        (2 * DAY + 59 * 60, "2 days"),
    ],
)
def test_durations_as_people_say_them(seconds, said):
    """In two units, days written out."""
    assert spoken_duration(seconds) == said


def test_a_default_password_is_warned_of_until_it_is_changed():
    """The next login after the change is not warned any more."""
    shell = ShellFactory()
    assert _default_password_notice(shell).startswith("WARNING: admin still has the default")
    shell.password = "another one"
    assert _default_password_notice(shell) == ""


# ---- the last logins


@pytest.fixture
def directory(tmp_path):
    """Name a directory that is not there yet."""
    return tmp_path / "state" / "history"


def come_in(directory, now, user="boss", transport="ssh"):
    """Log in as in a process of its own; return what is known of the login before."""
    book = LoginBook(directory)
    try:
        return book.opened(Principal(user, transport, f"10.0.0.7:{now}", "password"), now)
    finally:
        book.close()


def failed(user="boss", peer="10.0.0.9:1"):
    return LoginFailed(transport="ssh", peer=peer, user=user, method="password", reason="wrong")


def test_the_last_login_is_known_to_the_next_process(directory):
    """It is kept a user, in files that are for the service's user alone."""
    assert come_in(directory, 1) is None
    assert come_in(directory, 2, "ann") is None
    assert come_in(directory, 3, transport="telnet") == LastLogin(1, "ssh", "10.0.0.7:1")
    assert come_in(directory, 4) == LastLogin(3, "telnet", "10.0.0.7:3")
    assert sorted(os.listdir(directory)) == [".ann.login", ".boss.login"]
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / ".boss.login").stat().st_mode) == 0o600


def test_failures_are_told_once(directory):
    """Failures since the last login are shown at the next one, and then no more."""
    book = LoginBook(directory)
    book.opened(BOSS, 1)
    for peer in ("10.0.0.8:1", "10.0.0.9:1"):
        book.on_event(failed(peer=peer))
    book.on_event(LoginSucceeded(transport="ssh", peer="x", user="boss", method="password"))
    last = book.opened(BOSS, 2)
    assert (last.failures, last.failed_from) == (2, "10.0.0.9:1")
    assert abs(last.failed_at - time.time()) < 60
    assert book.opened(BOSS, 3).failures == 0
    book.close()


def test_failures_survive_the_process(directory):
    """Failures counted when the console stopped are shown by the next one, with its own."""
    come_in(directory, 1)
    book = LoginBook(directory)
    for _ in range(3):
        book.on_event(failed())
    book.close()
    book = LoginBook(directory)
    book.on_event(failed(peer="10.0.0.8:1"))
    last = book.opened(BOSS, 2)
    book.close()
    assert (last.at, last.failures, last.failed_from) == (1, 4, "10.0.0.8:1")


def test_another_process_has_seen_the_last_login(directory):
    """The later login counts, with the failures that only this process knows of."""
    ours, theirs = LoginBook(directory), LoginBook(directory)
    ours.opened(BOSS, 1)
    ours.close()
    assert theirs.opened(BOSS, 5).at == 1
    theirs.close()
    ours.on_event(failed())
    last = ours.opened(BOSS, 9)
    ours.close()
    assert (last.at, last.failures) == (5, 1)


def test_guessing_writes_nothing(directory):
    """Neither names without a login nor a flood of guesses at one change a file."""
    come_in(directory, 1)
    before = (directory / ".boss.login").stat()
    book = LoginBook(directory)
    for number in range(2000):
        book.on_event(failed(f"guess{number}/../\x00"))
        book.on_event(failed())
    assert list(book._known) == ["boss"]
    assert os.listdir(directory) == [".boss.login"]
    after = (directory / ".boss.login").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_directory_that_cannot_be_written_is_logged_once(tmp_path, caplog):
    """Logins work on in memory, and the one warning has the path and the remedy."""
    (tmp_path / "file").touch()
    book = LoginBook(tmp_path / "file" / "history")
    for now in (1, 2, 3):
        last = book.opened(BOSS, now)
        book.close()
    assert last.at == 2
    (record,) = caplog.records
    assert ".boss.login" in record.getMessage()
    assert "file" in record.getMessage()


def test_a_file_that_others_can_read_is_not_used(directory, caplog):
    """A user's addresses are private; the next login makes an exposed file private again."""
    come_in(directory, 1)
    path = directory / ".boss.login"
    path.chmod(0o644)
    assert come_in(directory, 2) is None
    assert f"chmod 600 {path}" in caplog.text
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert come_in(directory, 3).at == 2


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"at": 1}',
        '{"at": "1", "transport": "ssh", "peer": "x"}',
        '{"at": 1e99, "transport": "ssh", "peer": "x"}',
        '{"at": NaN, "transport": "ssh", "peer": "x"}',
        '{"at": 1, "transport": 2, "peer": "x"}',
        '{"at": 1, "transport": "ssh", "peer": "x", "failures": "3"}',
        '{"at": 1, "transport": "ssh", "peer": "x", "more": 1}',
        "[" * 4000,
        "x" * 5000,
    ],
)
def test_a_file_that_is_none_of_ours(directory, caplog, content):
    """It is said to be none, and the next login replaces it."""
    directory.mkdir(parents=True)
    (directory / ".boss.login").write_text(content)
    (directory / ".boss.login").chmod(0o600)
    assert come_in(directory, 1) is None
    assert len(caplog.records) == 1
    assert come_in(directory, 2).at == 1


@given(data=st.binary(max_size=200))
def test_no_file_makes_a_login_fail(tmp_path_factory, data):
    """Whatever is in the file, the login goes on and is the last one of the next."""
    directory = tmp_path_factory.mktemp("history")
    (directory / ".boss.login").write_bytes(data)
    (directory / ".boss.login").chmod(0o600)
    come_in(directory, 1)
    assert come_in(directory, 2).at == 1


def test_what_is_kept_can_be_greeted_with(directory):
    """The least and the latest that a file may say make lines."""
    for at in (0, 253402300799):
        directory.mkdir(parents=True, exist_ok=True)
        (directory / ".boss.login").write_text(
            json.dumps({"at": at, "transport": "ssh", "peer": "x", "failures": 1, "failed_at": at})
        )
        (directory / ".boss.login").chmod(0o600)
        last = LoginBook(directory)._last("boss")
        assert last is not None
        assert len(lines(last=last)) == 4


# ---- the loop


class Service:
    """A loop on a thread of its own, as a service's."""

    def __enter__(self):
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()
        wait_until(self.loop.is_running, "the loop runs")
        self.release = threading.Event()
        return self

    def block(self):
        ready = threading.Event()
        self.loop.call_soon_threadsafe(lambda: (ready.set(), self.release.wait(60)))
        assert ready.wait(20)

    def __exit__(self, *_):
        self.release.set()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


def test_a_blocked_loop_is_silent_from_the_first_question_on():
    """A later session shows how long the first has been waiting; one probe is open."""
    with Service() as service:

        async def test():
            pulse = LoopProbe(HostLoop(service.loop))
            while await pulse.silent_seconds():  # a busy machine takes its time
                pass
            service.block()
            first = await pulse.silent_seconds()
            assert first >= 0.2
            both = await asyncio.gather(pulse.silent_seconds(), pulse.silent_seconds())
            assert min(both) > first
            waiting = [one for one in service.loop._ready if "LoopProbe" in repr(one)]
            assert len(waiting) == 1
            service.release.set()
            while await pulse.silent_seconds():
                pass
            assert pulse._open is None

        asyncio.run(test())


def test_a_loop_that_does_not_run_is_left_alone():
    """Before it runs, and after it is closed, nothing is put on it, and nothing is said."""

    async def test(loop):
        assert await LoopProbe(HostLoop(loop)).silent_seconds() == 0

    loop = asyncio.new_event_loop()
    asyncio.run(test(loop))
    assert not loop._ready
    loop.close()
    asyncio.run(test(loop))


def test_a_service_without_a_loop_is_not_given_one():
    """Asking makes no loop and no thread."""

    async def test():
        host = HostLoop(None)
        assert await LoopProbe(host).silent_seconds() == 0
        assert host.known_loop is None

    asyncio.run(test())


# ---- a service, by real clients


@pytest.fixture(params=["asyncio", "threaded"])
def service(request, tmp_path):
    """A service of this test alone, whose users have roles."""
    with Host(tmp_path / "host", request.param, roles={"vera": "viewer"}) as host:
        yield host
        assert host.alive, host.stderr


BLOCKED = "WARNING: the service's loop has been blocked for at least "


def calm(lines):
    """Leave out what a busy machine may add: that the service's loop has not answered in time."""
    return [line for line in lines if not line.startswith(BLOCKED)]


def greeting_of(client):
    """Return the lines between the login and the first prompt."""
    shown = [line for line in client.screen() if line]
    begins = max(n for n, line in enumerate(shown) if "assword:" in line)
    return shown[begins + 1 : -1]


def test_logins_by_telnet_and_ssh(service, login, connect):
    """Each transport shows the login over the other, the failures, and the open sessions."""
    pid = service.popen.pid
    place = rf"on \S+, process {pid}, up \d+ (s|min.*)"
    telnet = login("telnet", service)
    first, *rest = calm(greeting_of(telnet))
    assert re.fullmatch(place, first)
    assert rest == ["you are boss (operator), no earlier login is known", HINT]

    guesser = connect("telnet", service)
    for _ in range(3):
        guesser.give_name()
        guesser.give_password("wrong")
    guesser.expect_end()

    shown = calm(greeting_of(login("ssh", service)))
    assert re.fullmatch(rf"tested service \(console \S+\) {place}", shown[0])
    assert re.fullmatch(
        r"you are boss \(operator\), last login \w+ \d\d:\d\d by telnet from 127\.0\.0\.1", shown[1]
    )
    assert re.fullmatch(
        r"3 failed logins since then, the last \w+ \d\d:\d\d from 127\.0\.0\.1", shown[2]
    )
    assert shown[3:] == ["also here: you (1 other session)", HINT]
    assert " by ssh from 127.0.0.1" in "\n".join(greeting_of(login("telnet", service)))


def test_nothing_of_the_process_is_told_before_the_login(service):
    """A client without a password learns only the application's name and our version."""
    client = Lines(service.telnet_port)
    client.until("username: ")
    before = client.seen
    client.close()
    assert str(service.popen.pid) not in before
    assert os.uname().nodename not in before.split()
    assert " up " not in before


def test_commands_are_not_greeted(service):
    """A command over ssh shows its own output only, and does not count as a login."""
    done = run_once("ssh", service, "1 + 1", key=service.key_file)
    assert (done.stdout, done.stderr) == (b"2\n", b"")
    client = line_login(service.telnet_port, "boss", "sekrit")
    assert "no earlier login is known" in client.seen
    client.close()


def test_a_viewer_is_greeted(service):
    """A viewer sees the open sessions and the number of patches, but not the patches."""
    boss = line_login(service.telnet_port, "boss", "sekrit")
    boss.run("patch({'secret_name': 0}, 'secret_name', 'secret value')")
    vera = line_login(service.telnet_port, "vera", "vera")
    assert "you are vera (viewer)" in vera.seen
    assert "also here: boss\r\n" in vera.seen
    assert "1 patch applied: patches() tells which\r\n" in vera.seen
    assert "secret" not in vera.seen
    assert "<dict>[...]" in vera.run("patches()")
    boss.run("revert()")
    boss.close()
    vera.close()


@pytest.mark.parametrize("way", ["telnet", "ssh"])
def test_a_blocked_service_is_told_of(fresh_host, login, way):
    """The prompt comes while the service's loop is held, with a warning; later there is none."""
    fresh_host.ask(block=True)
    try:
        shown = greeting_of(login(way, fresh_host))
        assert [line for line in shown if line.startswith(BLOCKED)]
        assert shown[-1] == HINT
    finally:
        fresh_host.ask(release=True)
    wait_until(lambda: BLOCKED not in "\n".join(greeting_of(login(way, fresh_host))), "no warning")


def test_what_is_typed_while_the_loop_is_asked_is_not_lost(fresh_host):
    """A client that types ahead is greeted first, and then answered."""
    fresh_host.ask(block=True)
    client = Lines(fresh_host.telnet_port)
    try:
        client.send("boss\nsekrit\n6 * 7\n")
        client.until(HINT)
        client.until("42")
    finally:
        fresh_host.ask(release=True)
        client.close()
