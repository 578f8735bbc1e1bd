"""Saving an application and restoring it: what comes back, what is named, what is refused."""

import asyncio
import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from console import (
    Application,
    Daytime,
    EvaluationSettings,
    Factory,
    FileCredentials,
    MemoryCredentials,
    SessionSettings,
    ShellFactory,
)
from console.application import application as application_module
from console.application.run import ConsoleSettings, Run
from console.application.saved.file import VERSION, read
from console.auth.passwords import verify
from console.context.namespace import Namespace
from console.errors import ConfigurationError, StateError
from console.files import exposure
from console.interfaces.credentials import CredentialStore, Role
from console.patches.journal import PatchJournal
from console.patches.targets import ABSENT
from support.servers import ROOT, SUPPORT


@pytest.fixture(autouse=True)
def _current_application_is_put_back(monkeypatch):
    monkeypatch.setattr(application_module, "_current", None)


@pytest.fixture
def shell():
    return ShellFactory("boss", "sekrit")


@pytest.fixture
def application(shell):
    application = Application("demo")
    application.listen_tcp(8123, Factory())
    application.listen_tcp(8007, shell)
    return application


@pytest.fixture
def path(tmp_path):
    return tmp_path / "demo.tap"


def run(shell, source):
    """Run a cell as a session of the console does."""
    namespace = Namespace(shell.namespace)
    namespace.install()
    try:
        exec(compile(source, "<console-1.1>", "exec"), shell.namespace)
    finally:
        namespace.uninstall()


def again(application, path):
    """Save and restore; nothing may be lost. Returns the restored application and its names."""
    assert application.save(path) == []
    restored = Application.load(path)
    assert restored.not_restored == []
    return restored, restored.tcp_ports[-1][1].namespace


# ---- what comes back


def test_ports_factories_and_services(application, shell, path, tmp_path):
    """Ports, factories, their protocols, services and settings come back as they were."""
    application = Application(
        "demo",
        keys=tmp_path / "keys",
        history="history",
        evaluation=EvaluationSettings(mode="loop"),
        sessions=SessionSettings(most=7),
    )
    quotes = Factory(Daytime)
    application.listen_tcp(8123, quotes, 7, "127.0.0.2")
    application.listen_ssh(8022, shell)
    application.listen_tcp(8007, shell)
    application.services["numbers"] = [1, 2, 3]
    application.motto = "an attribute of our own"
    restored, names = again(application, path)
    (port, factory, backlog, interface), (_, restored_shell, *_) = restored.tcp_ports
    assert (restored.name, port, backlog, interface) == ("demo", 8123, 7, "127.0.0.2")
    assert type(factory) is Factory
    assert factory is not quotes
    assert factory.protocol is Daytime
    assert restored.ssh_ports == [(8022, restored_shell, 5, "127.0.0.1")]
    assert restored.services == {"numbers": [1, 2, 3]}
    assert restored.motto == "an attribute of our own"
    assert restored._console_settings == ConsoleSettings(
        tmp_path / "keys", "history", EvaluationSettings(mode="loop"), None, SessionSettings(most=7)
    )
    assert application_module.current() is restored
    assert names == {}


def test_the_password_comes_back_as_a_hash(application, shell, path):
    """The restored shell takes the same user and password, and the file has no plain password."""
    restored, _ = again(application, path)
    restored_shell = restored.tcp_ports[1][1]
    assert restored_shell.username == "boss"
    assert verify(restored_shell.password_hash("boss"), "sekrit")
    assert not verify(restored_shell.password_hash("boss"), "other")
    assert restored_shell.password_hash("other") is None
    assert not restored_shell.has_default_password
    assert b"sekrit" not in path.read_bytes()
    restored_shell.password = "changed"
    assert verify(restored_shell.password_hash("boss"), "changed")


def test_passwords_in_other_places(application, shell, path):
    """Neither a shell without a port nor a patch of a password brings one into the file."""
    other = ShellFactory("ann", "plain-text-1", {"foo": shell})
    other.namespace["me"] = other
    shell.namespace["other"] = other
    with_journal(application, shell).patch(shell, "password", "plain-text-2")
    assert application.save(path) == ["patch 1, <ShellFactory>.password (a password)"]
    assert b"plain-text" not in path.read_bytes()
    restored_shell = Application.load(path).tcp_ports[1][1]
    assert verify(restored_shell.password_hash("boss"), "plain-text-2")
    restored_other = restored_shell.namespace["other"]
    assert verify(restored_other.password_hash("ann"), "plain-text-1")
    assert restored_other.namespace == {"foo": restored_shell, "me": restored_other}


def test_the_default_password_is_still_known_as_one(application, path):
    """A restored shell with the default password is refused on addresses that others reach."""
    shell = ShellFactory()
    application.listen_ssh(8022, shell)
    restored, _ = again(application, path)
    with pytest.raises(ConfigurationError):
        restored.listen_ssh(8023, restored.ssh_ports[0][1], interface="0.0.0.0")
    changed = ShellFactory("boss", "sekrit")
    restored.listen_ssh(8023, changed, interface="0.0.0.0")
    changed.password = "admin"
    with pytest.raises(ConfigurationError, match="default password"):
        restored.run()


def test_credential_stores(application, shell, path, tmp_path):
    """A store of files is kept as its directory, one in memory as hashes; neither in plain text."""
    files = FileCredentials(tmp_path / "users", initial={"deputy": "plain-text-1"})
    memory = MemoryCredentials({"deputy": "plain-text-2"}, roles={"deputy": "viewer"})
    application.listen_tcp(1, ShellFactory(credentials=files))
    application.listen_tcp(2, ShellFactory(credentials=memory))
    shell.namespace.update(files=files, memory=memory)
    application.listen_tcp(3, shell)
    restored, names = again(application, path)
    (_, one, *_), (_, two, *_) = restored.tcp_ports[2:4]
    assert one.credentials is names["files"]
    assert one.credentials.directory == tmp_path / "users"
    assert two.credentials is names["memory"]
    assert verify(two.password_hash("deputy"), "plain-text-2")
    assert two.role("deputy") is Role.VIEWER
    assert two.password_hash("admin") is None
    assert b"plain-text" not in path.read_bytes()


class Store(CredentialStore):
    """A store that cannot be saved."""

    def __init__(self):
        self.lock = threading.Lock()

    def password_hash(self, name):
        return None

    def authorized_keys(self, name):
        return ()


def test_a_shell_without_its_store_authenticates_no_user(application, path):
    """Where a credential store cannot be saved, no default user takes its place."""
    application.listen_tcp(1, ShellFactory(credentials=Store()))
    (line,) = application.save(path)
    said = f"credentials on tcp port 1, so that no user can log in there ({__name__}."
    assert line.startswith(said)
    shell = Application.load(path).tcp_ports[-1][1]
    assert shell.username == "admin"
    assert shell.password_hash("admin") is None
    assert shell.authorized_keys("admin") == ()


def test_functions_see_the_restored_namespace(application, shell, path):
    """A function, a lambda and a coroutine function see what is rebound after the restart."""
    run(
        shell,
        "foo = 12\n"
        "def get(more=1, *, most=2):\n    'says foo'\n    return foo + more + most\n"
        "get.mark = get\n"
        "short = lambda: foo\n"
        "async def wait(): return foo\n"
        "def set_foo(value):\n    global foo\n    foo = value\n",
    )
    _, names = again(application, path)
    assert names["get"].__globals__ is names
    assert "__builtins__" not in names
    names["foo"] = 20
    assert names["get"]() == 23
    assert names["get"](2, most=3) == 25
    assert names["get"].mark is names["get"]
    assert names["get"].__doc__ == "says foo"
    assert names["short"]() == 20
    assert asyncio.run(names["wait"]()) == 20
    names["set_foo"](30)
    assert names["foo"] == 30
    assert shell.namespace["foo"] == 12


def test_recursion_and_closures(application, shell, path):
    """Recursive functions work, and closures that share a variable go on sharing it."""
    run(
        shell,
        "def factorial(n): return 1 if n < 2 else n * factorial(n - 1)\n"
        "def make():\n"
        "    n = 0\n"
        "    def add():\n        nonlocal n\n        n += 1\n        return n\n"
        "    def get(): return n\n"
        "    def down(k): return 'down' if k == 0 else up(k - 1)\n"
        "    def up(k): return 'up' if k == 0 else down(k - 1)\n"
        "    def unbound(): return later\n"
        "    if n: later = 1\n"
        "    return add, get, down, unbound\n"
        "add, get, down, unbound = make()\n"
        "add(), add()\n",
    )
    _, names = again(application, path)
    assert names["factorial"](5) == 120
    assert names["add"]() == 3
    assert names["get"]() == 3
    assert shell.namespace["get"]() == 2
    assert (names["down"](3), names["down"](4)) == ("up", "down")
    with pytest.raises(NameError):
        names["unbound"]()


def test_classes_of_a_session(application, shell, path):
    """Classes with super(), their instances, dataclasses, enums and slots come back."""
    run(
        shell,
        "import dataclasses, enum\n"
        "factor = 2\n"
        "class Base:\n"
        "    def __init__(self, n): self.n = n\n"
        "    def value(self): return self.n * factor\n"
        "class Derived(Base):\n"
        "    kind = 'derived'\n"
        "    def value(self): return super().value() + 1\n"
        "    @classmethod\n    def make(cls): return cls(7)\n"
        "    @staticmethod\n    def helper(): return factor\n"
        "    @property\n    def double(self): return self.n * 2\n"
        "one = Derived(3)\n"
        "method = one.value\n"
        "function = Derived.value\n"
        "@dataclasses.dataclass\nclass Point:\n    x: int\n"
        "    tags: list = dataclasses.field(default_factory=list)\n"
        "point = Point(1)\n"
        "class Colour(enum.Enum):\n    RED = 1\n"
        "red = Colour.RED\n"
        "class Slots:\n    __slots__ = ('a',)\n"
        "slots = Slots()\nslots.a = 5\n",
    )
    _, names = again(application, path)
    assert names["Derived"].__module__ == "__console__"
    assert type(names["one"]) is names["Derived"]
    assert names["one"].value() == 7
    names["factor"] = 10
    assert names["one"].value() == names["method"]() == 31
    assert names["Derived"].make().double == 14
    assert names["Derived"].helper() == 10
    assert names["function"] is names["Derived"].value
    assert names["point"] == names["Point"](1)
    assert names["red"] is names["Colour"].RED
    assert names["slots"].a == 5
    # The class that lives on in this process is another one, and untouched.
    assert names["Derived"] is not shell.namespace["Derived"]
    assert shell.namespace["one"].value() == 7


def test_what_is_shared_stays_shared(application, shell, path):
    """What ports, names, services and attributes share is one object after the restart."""
    factory = application.tcp_ports[0][1]
    log = []
    shell.namespace.update(
        f=factory, app=application, shell=shell, log=log, services=application.services
    )
    shell.namespace["me"] = shell.namespace
    factory.log = log
    application.services.update(log=log, factory=factory, names=shell.namespace)
    application.listen_ssh(8022, shell)
    application.listen_tcp(8008, shell)
    restored, names = again(application, path)
    restored_factory = restored.tcp_ports[0][1]
    assert restored_factory is names["f"] is restored.services["factory"]
    assert names["log"] is restored_factory.log is restored.services["log"]
    assert names["app"] is restored
    assert names["services"] is restored.services
    assert names["me"] is names is restored.services["names"]
    assert names["shell"] is restored.tcp_ports[1][1] is restored.ssh_ports[0][1]
    assert names["shell"] is restored.tcp_ports[2][1]


def test_shells_that_share_a_namespace(application, shell, path):
    """Two shells of one namespace share it after the restart; a third has its own."""
    application.listen_tcp(1, ShellFactory(namespace=shell.namespace))
    application.listen_tcp(2, ShellFactory(namespace={"own": 1}))
    shell.namespace["foo"] = 12
    restored, own = again(application, path)
    assert restored.tcp_ports[1][1].namespace is restored.tcp_ports[2][1].namespace
    assert restored.tcp_ports[1][1].namespace == {"foo": 12}
    assert own == {"own": 1}


def test_a_protocol_of_a_session(application, shell, path):
    """A protocol class assigned in a session makes the connections after the restart."""
    shell.namespace["f"] = application.tcp_ports[0][1]
    run(
        shell,
        "import asyncio\n"
        "class Hello(asyncio.Protocol):\n"
        "    def connection_made(self, transport): transport.write(greeting)\n"
        "greeting = b'hello'\n"
        "f.protocol = Hello\n",
    )
    restored, names = again(application, path)
    made = restored.tcp_ports[0][1]()
    assert type(made) is names["Hello"]
    assert made.factory is names["f"]
    assert type(application.tcp_ports[0][1]()) is shell.namespace["Hello"]


def test_a_second_restart(application, shell, path):
    """What has been restored can be saved and restored again."""
    run(
        shell,
        "foo = 1\ndef get(): return foo\nclass C:\n    def get(self): return get()\nc = C()\n",
    )
    restored, _ = again(application, path)
    restored, _ = again(restored, path)
    _, names = again(restored, path)
    names["foo"] = 5
    assert names["c"].get() == 5


def test_tracebacks_show_restored_lines(application, shell, path):
    """A traceback through a restored function shows its lines, not those of a new statement."""
    import linecache
    import traceback

    source = "def fail():\n    raise ValueError('the old line')\n"
    linecache.cache["<console-1.1>"] = (len(source), None, source.splitlines(True), "<console-1.1>")
    run(shell, source)
    try:
        _, names = again(application, path)
    finally:
        del linecache.cache["<console-1.1>"]
    with pytest.raises(ValueError) as caught:
        names["fail"]()
    assert "raise ValueError('the old line')" in "".join(traceback.format_exception(caught.value))


def test_streams_and_modules(application, shell, path):
    """Modules come back as imports, submodules too, and the standard streams as those of now."""
    run(shell, "import sys, xml.dom.minidom, __main__\nout = sys.stdout\n")
    _, names = again(application, path)
    assert names["xml"] is sys.modules["xml"]
    assert names["out"] is sys.stdout
    assert names["__main__"] is sys.modules["__main__"]


# ---- what does not


class Raises:
    def __reduce__(self):
        raise ValueError("not me\nthank you")


def test_what_cannot_be_pickled_is_named(application, shell, path):
    """Each thing that cannot be saved is named with its type, and everything else is saved."""

    def generate():
        yield

    async def forever():
        await asyncio.Event().wait()

    async def fill():
        task = asyncio.create_task(forever())
        await asyncio.sleep(0)
        with Path(__file__).open() as file, socket.socket() as sock:  # noqa: ASYNC230
            unpicklable = {
                "event": threading.Event(),
                "file": file,
                "generator": generate(),
                "holder": {"deep": [threading.Lock()]},
                "lock": threading.Lock(),
                "raises": Raises(),
                "sock": sock,
                "task": task,
                "thread": threading.Thread(),
            }
            shell.namespace.update(a=1, **unpicklable, z=2)
            factory = application.tcp_ports[0][1]
            factory.lock, factory.kept = threading.Lock(), "kept"
            application.services.update(queue=queue.Queue(), other=5)
            application.listen_tcp(1, lambda: sock)
            lines = application.save(path)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        return lines

    lines = asyncio.run(fill())
    # What of a thread cannot be pickled differs from one Python to the next.
    (thread,) = [line for line in lines if line.startswith("namespace name 'thread' (threading.T")]
    assert lines == [
        "tcp port 1 (function: cannot pickle 'socket' object)",
        "attribute 'lock' of the factory on tcp port 8123 (_thread.lock)",
        "namespace name 'event' (threading.Event: cannot pickle '_thread.lock' object)",
        "namespace name 'file' (_io.TextIOWrapper: an open file)",
        "namespace name 'generator' (generator)",
        "namespace name 'holder' (dict: cannot pickle '_thread.lock' object)",
        "namespace name 'lock' (_thread.lock)",
        f"namespace name 'raises' ({__name__}.Raises: not me\\nthank you)",
        "namespace name 'sock' (socket.socket)",
        "namespace name 'task' (_asyncio.Task)",
        thread,
        "service 'queue' (queue.Queue: cannot pickle '_thread.lock' object)",
    ]
    header, _ = read(path)
    assert list(header.not_saved) == lines
    assert (header.name, header.python) == ("demo", "{}.{}.{}".format(*sys.version_info))
    restored = Application.load(path)
    assert [entry[0] for entry in restored.tcp_ports] == [8123, 8007]
    assert vars(restored.tcp_ports[0][1]) == {"kept": "kept"}
    assert restored.tcp_ports[1][1].namespace == {"a": 1, "z": 2}
    assert restored.services == {"other": 5}


def test_names_that_share_what_fails(application, shell, path):
    """Two names of one unpicklable object are both named, and what else they share is kept."""
    shared = [1, 2]
    holder = {"shared": shared, "lock": threading.Lock()}
    shell.namespace.update(one=holder, two=holder, shared=shared, pair=[shared, shared])
    assert len(application.save(path)) == 2
    names = Application.load(path).tcp_ports[1][1].namespace
    assert names == {"shared": [1, 2], "pair": [[1, 2], [1, 2]]}
    assert names["pair"][0] is names["pair"][1] is names["shared"]


class TwoArguments(Exception):
    def __init__(self, one, two):
        super().__init__(one)


def test_what_cannot_be_restored_is_named(application, shell, path, caplog):
    """A value whose constructor fails at the restart is named, and everything else is restored."""
    error = TwoArguments(1, 2)
    shell.namespace.update(a=1, error=error, same=error, inside=[1, error, 3], z=2)
    assert application.save(path) == []
    restored = Application.load(path)
    names = restored.tcp_ports[1][1].namespace
    assert {name: names[name] for name in ("a", "z")} == {"a": 1, "z": 2}
    assert "error" not in names
    assert "same" not in names
    assert names["inside"][::2] == [1, 3]
    assert "TwoArguments" in repr(names["inside"][1])
    assert restored.not_restored[0].startswith("namespace name 'error' (TwoArguments: TypeError")
    assert restored.not_restored[1].startswith("namespace name 'same'")
    assert "namespace name 'error'" in caplog.text


def test_a_module_that_is_gone(application, shell, path, tmp_path, monkeypatch):
    """What needs a module that cannot be imported any more is named, and all else is restored."""
    (tmp_path / "gone_module.py").write_text("class Thing:\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    import gone_module

    shell.namespace.update(thing=gone_module.Thing(), module=gone_module, foo=12)
    application.tcp_ports[0][1].thing = gone_module.Thing()
    assert application.save(path) == []
    monkeypatch.undo()
    monkeypatch.setattr(application_module, "_current", None)
    monkeypatch.delitem(sys.modules, "gone_module")
    restored = Application.load(path)
    assert restored.tcp_ports[1][1].namespace == {"foo": 12}
    assert [line.split(" (")[0] for line in restored.not_restored] == [
        "attribute 'thing' of the factory on tcp port 8123",
        "namespace name 'thing'",
        "namespace name 'module'",
    ]


def test_saving_while_the_state_changes(application, shell, path):
    """A save while another thread changes a large dict all the time loses nothing."""
    table = {number: [number] for number in range(30000)}
    shell.namespace.update(table=table, first=1)
    ended, changed = threading.Event(), threading.Event()

    def change():
        number = len(table) - 1
        while not ended.is_set():
            number += 1
            table[number] = [number]
            del table[number - 20000]
            changed.set()

    before = sys.getswitchinterval()
    thread = threading.Thread(target=change)
    thread.start()
    try:
        assert changed.wait(20)
        for _ in range(5):
            assert application.save(path) == []
    finally:
        ended.set()
        thread.join()
    assert sys.getswitchinterval() == before
    names = Application.load(path).tcp_ports[1][1].namespace
    assert len(names["table"]) in {29999, 30000, 30001}
    assert names["first"] == 1


# ---- patches


class Service:
    limit = 5

    def __init__(self):
        self.rate = 1.5


def with_journal(application, shell):
    journal = PatchJournal(lambda _seconds, _call: None, lambda _line: None)
    application._run = run = __import__("console.application.run").application.run.Run(
        "demo", [], [], {}, []
    )
    run._take_over_patches(shell, journal)
    return journal


def journal_after(restored):
    """Do what a run of the restored application does with the patches."""
    shell = restored.tcp_ports[1][1]
    timers = []
    journal = PatchJournal(lambda seconds, call: timers.append((seconds, call)), lambda _line: None)
    run = Run("demo", [], [], {}, restored._patches)
    run._take_over_patches(shell, journal)
    return journal, timers


def test_patches_are_applied_again(application, shell, path):
    """Patches are restored with user, time and time limit, and can be undone after the restart."""
    service = shell.namespace["service"] = Service()
    journal = with_journal(application, shell)
    journal.patch(service, "rate", 2.5, who="boss over ssh", minutes=10)
    journal.patch(service, "limit", 9, who="deputy")
    journal.patch(service, "rate", 3.5, who="deputy")
    journal.patch(shell.namespace, "foo", 13, who="boss")
    before = journal.patches()
    restored, names = again(application, path)
    assert names["service"].rate == 3.5
    journal, timers = journal_after(restored)
    after = journal.patches()
    assert [(one.number, one.who, one.made_at) for one in after] == [
        (one.number, one.who, one.made_at) for one in before
    ]
    assert [one.ends_at is None for one in after] == [False, True, True, True]
    ((seconds, _),) = timers
    assert 590 < seconds <= 600
    assert after[1].old is ABSENT
    journal.revert(1)
    assert names["service"].rate == 3.5
    journal.revert()
    assert (names["service"].rate, names["service"].limit) == (1.5, 5)
    assert "foo" not in names


def test_patches_of_modules_and_classes(application, shell, path, monkeypatch):
    """A patch of what is imported anew is applied to it, and undoing brings the new original."""
    original = vars(Service)["limit"], vars(time)["ctime"]
    journal = with_journal(application, shell)
    run(shell, "def fixed(*seconds): return year\nyear = 'a year'\n")
    journal.patch(Service, "limit", 9)
    journal.patch(time, "ctime", shell.namespace["fixed"])
    assert application.save(path) == []
    journal.revert()  # as a process that imports them anew
    restored = Application.load(path)
    names = restored.tcp_ports[1][1].namespace
    assert Service.limit == 5
    journal, _ = journal_after(restored)
    try:
        assert Service.limit == 9
        names["year"] = "another year"
        assert time.ctime() == "another year"
    finally:
        journal.revert()
    assert (vars(Service)["limit"], vars(time)["ctime"]) == original


def test_patches_that_cannot_be_saved(application, shell, path):
    """A patch whose value cannot be saved is named; so is one of a class changed since."""
    service = Service()
    application.services["kept"] = 1
    journal = with_journal(application, shell)
    journal.patch(service, "rate", threading.Lock())
    journal.patch(Service, "limit", 9)
    Service.limit = 11
    try:
        lines = application.save(path)
    finally:
        Service.limit = 5
    assert lines == [
        "patch 2, Service.limit (it was changed since)",
        "patch 1, <Service>.rate (_thread.lock)",
    ]
    restored = Application.load(path)
    assert journal_after(restored)[0].patches() == []
    assert restored.services == {"kept": 1}


def test_a_changed_value_is_not_patched_over(application, shell, path):
    """A value set over a patch stays, and undoing is refused as before the restart."""
    service = shell.namespace["service"] = Service()
    with_journal(application, shell).patch(service, "rate", 2.5)
    service.rate = 7.5
    restored, names = again(application, path)
    journal, _ = journal_after(restored)
    assert names["service"].rate == 7.5
    with pytest.raises(Exception, match="it was changed since"):
        journal.revert()
    assert names["service"].rate == 7.5


def test_patches_undone_at_the_restart(application, shell, path):
    """With patches_at_restart="undo" the old values are restored, and the live ones stay."""
    application.patches_at_restart = "undo"
    service = shell.namespace["service"] = Service()
    journal = with_journal(application, shell)
    journal.patch(service, "rate", 2.5)
    journal.patch(service, "rate", 3.5)
    journal.patch(service, "limit", 9)
    restored, names = again(application, path)
    assert (names["service"].rate, names["service"].limit) == (1.5, 5)
    assert "limit" not in vars(names["service"])
    assert journal_after(restored)[0].patches() == []
    assert (service.rate, service.limit) == (3.5, 9)
    with pytest.raises(ConfigurationError, match="keep or undo"):
        Application("demo", patches_at_restart="forget")


# ---- the file


def test_the_file(application, path, tmp_path, monkeypatch):
    """The file is private, tells about itself in its second line, and has a name by default."""
    monkeypatch.chdir(tmp_path)
    assert application.save() == []
    assert path.stat().st_mode & 0o777 == 0o600
    first, second, _ = path.read_bytes().split(b"\n", 2)
    assert first.startswith(b"console tap %d " % VERSION)
    assert json.loads(second)["name"] == "demo"
    Application("a/b").save()
    assert (tmp_path / "a_b.tap").exists()


def refused(path):
    with pytest.raises(StateError) as caught:
        Application.load(path)
    error = caught.value
    assert error.path
    assert error.problem and error.remedy
    assert "\n" not in str(error)
    return str(error)


class Trap:
    """Tells when something of a file is run."""

    sprung = False

    def __reduce__(self):
        return Trap.spring, ()

    @staticmethod
    def spring():
        Trap.sprung = True


@pytest.fixture
def trap(application, shell, path):
    Trap.sprung = False
    shell.namespace["trap"] = Trap()
    application.save(path)
    yield
    assert not Trap.sprung


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_others_can_write_is_refused(mode, trap, path, monkeypatch):
    """Nothing runs of a file that a group or others can write, by its name or by a link to it."""
    monkeypatch.setattr(exposure, "_is_own_group", lambda _number: False)
    path.chmod(mode)
    assert "can be changed by other users" in refused(path)
    link = path.with_name("link.tap")
    link.symlink_to(path)
    assert "chmod go-w" in refused(link)


def test_a_directory_that_others_can_write_is_refused(trap, path, tmp_path, application):
    """A file that others can replace is not run, also behind a link from elsewhere."""
    open_directory = tmp_path / "open"
    open_directory.mkdir()
    inside = open_directory / "demo.tap"
    path.rename(inside)
    path.symlink_to(inside)
    open_directory.chmod(0o777)
    assert f"chmod go-w {open_directory}" in refused(inside)
    assert f"chmod go-w {open_directory}" in refused(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to any group")
def test_a_directory_that_a_group_can_write_is_refused(trap, path):
    """Nothing runs of a file that others in the group could have put there."""
    os.chown(path.parent, -1, 12345)
    path.parent.chmod(0o770)
    assert f"chmod go-w {path.parent}" in refused(path)


@pytest.mark.parametrize("deed", ["load", "save"])
def test_a_directory_above_that_others_can_write_is_refused(deed, trap, application, path):
    """Others could move the directory of the file away, and put another one there."""
    above = path.parent / "above"
    inner = above / "inner"
    inner.mkdir(parents=True)
    path.rename(inner / path.name)
    above.chmod(0o777)
    if deed == "load":
        assert f"chmod go-w {above}" in refused(inner / path.name)
    else:
        with pytest.raises(StateError, match=f"chmod go-w {above}"):
            application.save(inner / "new.tap")
        assert not (inner / "new.tap").exists()


def test_a_sticky_directory_is_fine(application, path, tmp_path):
    """In a directory like /tmp, where others cannot replace our file, it is restored."""
    open_directory = tmp_path / "open"
    open_directory.mkdir()
    open_directory.chmod(0o1777)
    application.save(open_directory / "demo.tap")
    path.symlink_to(open_directory / "demo.tap")
    assert Application.load(path).name == "demo"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_another_user_is_refused(trap, path):
    """Nothing runs of a file that belongs to another user."""
    os.chown(path, 12345, -1)
    assert "is owned by user 12345" in refused(path)
    os.chown(path, 0, -1)
    os.chown(path.parent, 12345, -1)
    assert f"is in {path.parent}, which is owned by user 12345" in refused(path)
    os.chown(path.parent, 0, -1)


def damaged(data):
    first, second, rest = data.split(b"\n", 2)
    yield b"", "is not a saved application"
    yield b"\x80\x05N.", "is not a saved application"
    yield first + b"\n", "is damaged"
    yield data[:-1], "is damaged"
    yield data + b"x", "is damaged"
    yield data[: len(first) + 5], "is damaged"
    yield data[:-200] + bytes([data[-200] ^ 1]) + data[-199:], "is damaged"
    yield b"\n".join([first, second.replace(b"demo", b"dema"), rest]), "is damaged"
    yield data.replace(b"tap %d " % VERSION, b"tap 1 ", 1), "has format 1"


def test_damaged_files(trap, path):
    """A file that is cut, changed or of another format is refused, and nothing of it runs."""
    data = path.read_bytes()
    for content, problem in damaged(data):
        path.write_bytes(content)
        assert problem in refused(path)
    path.unlink()
    assert "No such file" in refused(path)
    assert "not a regular file" in refused(path.parent)
    os.mkfifo(path)
    assert "not a regular file" in refused(path)
    assert "cannot be read" in refused(Path("a\0b"))
    assert application_module.current() is not None


def test_functions_of_another_python(application, shell, path, monkeypatch):
    """A file with functions in it is refused by another Python, one without is taken."""
    assert application.save(path) == []
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert Application.load(path).name == "demo"
    monkeypatch.undo()
    monkeypatch.setattr(application_module, "_current", None)
    run(shell, "f = lambda: 1\n")
    application.save(path)
    monkeypatch.setattr(sys.implementation, "cache_tag", "cpython-399")
    assert "holds functions of Python" in refused(path)


def test_a_file_that_cannot_be_written(application, tmp_path):
    """A save that fails raises one clear error, and what was there before is still there."""
    with pytest.raises(StateError, match="cannot be written: No such file"):
        application.save(tmp_path / "missing" / "demo.tap")
    with pytest.raises(StateError, match="cannot be written"):
        application.save(tmp_path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a link away")
def test_a_link_of_another_user_is_not_followed(application, path, tmp_path):
    """A link that another user has put where we save does not lead us to another file."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    path.symlink_to(victim)
    os.chown(path, 12345, -1, follow_symlinks=False)
    with pytest.raises(StateError, match="a link that is owned by user 12345"):
        application.save(path)
    assert victim.read_text() == "precious"


def test_a_full_disk(application, path):
    """A disk that is full leaves the old file."""
    import errno
    from unittest import mock

    assert application.save(path) == []
    before = path.read_bytes()
    with (
        mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, "No space left on device")),
        pytest.raises(StateError, match="No space left on device"),
    ):
        application.save(path)
    assert path.read_bytes() == before
    assert [one.name for one in path.parent.iterdir()] == ["demo.tap"]


def test_kill_at_any_moment(tmp_path):
    """A process that saves and is killed, 200 times, leaves the old state or the new one."""
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SUPPORT / "tap_crash.py"), str(tmp_path), "200", "1"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("200 kills, ")


def test_a_script_restarts_in_another_process(tmp_path):
    """Factories and protocols of a script come back in a process without that script."""
    (tmp_path / "service.py").write_text(
        "import asyncio, threading\n"
        "from console import Application, ShellFactory\n"
        "quote = b'from the script'\n"
        "class Quote(asyncio.Protocol):\n"
        "    def line(self): return quote\n"
        "class Quotes:\n"
        "    def __init__(self): self.protocol = Quote; self.made = 0\n"
        "    def __call__(self):\n"
        "        self.made += 1\n"
        "        return self.protocol()\n"
        "application = Application('demo')\n"
        "f = Quotes()\n"
        "f()\n"
        "application.listen_tcp(8123, f)\n"
        "application.listen_tcp(8007, ShellFactory('boss', 'sekrit', {'f': f}))\n"
        "def made(): return application.tcp_ports[0][1].made\n"
        "application.services['made'] = made\n"
        "print(application.save())\n"
    )
    (tmp_path / "again.py").write_text(
        "from console import Application\n"
        "application = Application.load('demo.tap')\n"
        "f = application.tcp_ports[0][1]\n"
        "print(f().line(), application.services['made'](), application.not_restored)\n"
    )
    for script, said in (("service.py", "[]\n"), ("again.py", "b'from the script' 2 []\n")):
        done = subprocess.run(
            [sys.executable, "-W", "error", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert (done.stdout, done.stderr) == (said, "")
