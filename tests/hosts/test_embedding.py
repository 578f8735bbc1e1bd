"""A console in a service's process: how it starts and stops, and what it leaves alone."""

import asyncio
import contextlib
import gc
import io
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings

import pytest
import uvloop

from console import (
    AlreadyRunning,
    ConfigurationError,
    Console,
    ConsoleError,
    CredentialError,
    FileCredentials,
    KeyFileError,
    ListenError,
    SshSettings,
    TelnetSettings,
)
from support.clients import Session
from support.rawclients import line_login, reachable, refused
from support.servers import DEADLINE_SECONDS, Host, clean_environment, wait_until

USERS = {"boss": "sekrit"}
LOOPS = {"asyncio": asyncio.run, "uvloop": uvloop.run}


@pytest.fixture
def make(tmp_path):
    """Make a console with files of its own; it is stopped after the test."""
    made = []

    def make(**settings):
        given = {
            "namespace": {},
            "credentials": USERS,
            "keys": tmp_path / "keys",
            "history": tmp_path / "history",
            "telnet": 0,
        }
        console = Console("embedded", **{**given, **settings})
        made.append(console)
        return console

    yield make
    for console in made:
        console.stop()


def descriptors():
    """Count this process's file descriptors."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def threads():
    """Name this process's threads, the tests' own aside."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("console")]


def held():
    """Return what a console that has stopped must not hold any more, once its threads ended."""
    wait_until(lambda: not threads(), "no thread of a console")
    return descriptors(), state_that_stop_restores()


def process_state():
    """Return what a library must not change behind its host's back."""
    return {
        "signal handlers": [
            signal.getsignal(number)
            for number in signal.valid_signals()
            if number not in {signal.SIGKILL, signal.SIGSTOP}
        ],
        "sys.path": list(sys.path),
        "sys.displayhook": sys.displayhook,
        "sys.excepthook": sys.excepthook,
        "sys.breakpointhook": sys.breakpointhook,
        "threading.excepthook": threading.excepthook,
        "wakeup fd": wakeup_descriptor(),
        "event loop policy": event_loop_policy(),
        "umask": umask(),
    }


def state_that_stop_restores():
    """Return what is changed while a console runs, and put back."""
    return {
        "sys.stdout": sys.stdout,
        "sys.stderr": sys.stderr,
        "sys.stdin": sys.stdin,
        "Thread.start": threading.Thread.start,
    }


def wakeup_descriptor():
    number = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(number)
    return number


def event_loop_policy():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return asyncio.get_event_loop_policy()


def umask():
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


# ---- start and stop


def test_with(make):
    """`with` starts and stops a console in a service without a loop."""
    with make() as console:
        port = console.telnet_port
        assert reachable(port)
        with line_login(port) as client:
            assert client.run("6 * 7") == "42"
    assert refused(port)
    assert console.telnet_port is None


@pytest.mark.parametrize("loop", LOOPS)
def test_async_with(loop, make):
    """`async with` starts and stops a console on the running loop, which goes on meanwhile."""

    async def serve():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async with make(namespace={"loop": asyncio.get_running_loop()}) as console:
            port = console.telnet_port
            before = ticks
            answer = await asyncio.to_thread(ask, port, "await get() is loop")
            assert answer == "True"
            assert ticks > before
        ticking.cancel()
        assert await asyncio.to_thread(refused, port)

    LOOPS[loop](serve())


def ask(port, statement):
    with line_login(port) as client:
        client.run("import asyncio")
        client.send("async def get(): return asyncio.get_running_loop()\n\n")
        client.until_prompt()
        return client.run(statement)


def test_restart_after_stop(make):
    """A stopped console can be started again, on the same port, with its names."""
    console = make(namespace={"kept": "yes"})
    console.start()
    port = console.telnet_port
    with line_login(port) as client:
        client.run("made = 'in the first life'")
    console.stop()
    again = make(namespace=console.namespace, telnet=port)
    for running in (again, again):
        running.start()
        with line_login(port) as client:
            assert client.run("kept, made") == "('yes', 'in the first life')"
        running.stop()


def test_start_twice(make):
    """start() on a running console raises and harms nothing."""
    console = make()
    console.start()
    with pytest.raises(AlreadyRunning, match="already running"):
        console.start()
    assert reachable(console.telnet_port)


def test_stop_twice_and_without_start(make):
    """stop() does nothing on a console that never started, and nothing when it is repeated."""
    console = make()
    console.stop()
    console.start()
    console.stop()
    console.stop()
    assert console.listeners == ()


def test_two_consoles(make):
    """Two consoles of one process have each their own names, and end by themselves."""
    with (
        make(namespace={"who": "first"}) as first,
        make(namespace={"who": "second"}) as second,
        line_login(first.telnet_port) as one,
        line_login(second.telnet_port) as two,
    ):
        assert one.run("who") == "'first'"
        assert two.run("who") == "'second'"
        second.stop()
        assert one.run("print(who)") == "first"


def test_describe(make):
    """describe() says what listens where, and the fingerprint of the host key."""
    with make(ssh=0) as console:
        text = console.describe()
        assert f"telnet on 127.0.0.1:{console.telnet_port}" in text
        assert f"ssh on 127.0.0.1:{console.ssh_port}" in text
        assert console.host_key_fingerprint in text


def test_leaves_nothing(make):
    """After stop, threads, descriptors, streams and hooks are what they were."""
    with make(ssh=0):
        pass  # the first start imports, and what is imported stays
    before = held()
    with make(ssh=0) as console, line_login(console.telnet_port) as client:
        client.run("print('x')")
    assert held() == before


def test_stop_tells_the_sessions(make):
    """stop() tells an open session why it ends."""
    with make() as console, line_login(console.telnet_port) as client:
        console.stop()
        assert "embedded is stopping this console." in client.rest()


def test_stop_with_a_stuck_statement(make):
    """stop() returns within seconds while a statement does not end."""
    release, running = threading.Event(), threading.Event()

    class Stubborn:
        """Cannot be interrupted: each interrupt is caught, and the wait begins anew."""

        def wait(self):
            running.set()
            while not release.is_set():
                with contextlib.suppress(BaseException):
                    release.wait(60)

    with make(namespace={"stubborn": Stubborn()}) as console:
        client = line_login(console.telnet_port)
        client.send("stubborn.wait()\n")
        assert running.wait(DEADLINE_SECONDS)
        began = time.monotonic()
        console.stop()
        took = time.monotonic() - began
        client.close()
    release.set()
    assert took < 30


@pytest.mark.parametrize("kind", ["asyncio", "uvloop", "threaded"])
@pytest.mark.parametrize("statement", ["__import__('time').sleep(300)", "exec('while True: pass')"])
def test_process_ends_with_a_stuck_statement(statement, kind, tmp_path):
    """A service leaves in order while a statement sleeps or computes without end."""
    with Host(tmp_path, kind) as host:
        with line_login(host.telnet_port) as client:
            client.send(f"print('it ' + 'runs'); {statement}\n")
            client.until("it runs")
            began = time.monotonic()
            assert host.stop() == 0
            assert time.monotonic() - began < 30
        assert "ended in order" in host.stdout


# ---- what cannot work is said at once


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"telnet": None}, "telnet"),
        ({"telnet": 65536}, "telnet.port"),
        ({"telnet": -1}, "telnet.port"),
        ({"telnet": True}, "telnet"),
        ({"telnet": "nonsense"}, "telnet"),
        ({"telnet": 1.5}, "telnet"),
        ({"ssh": "127.0.0.1:70000"}, "ssh.port"),
        ({"telnet": "0.0.0.0:0"}, "telnet.host"),
        ({"namespace": []}, "namespace"),
        ({"credentials": 5}, "credentials"),
    ],
)
def test_bad_settings(settings, named, make):
    """A setting that cannot work is refused by name, before anything is opened."""
    with pytest.raises(ConfigurationError, match=named):
        make(**settings)


def test_password_is_not_shown_in_an_error(make):
    """An error about credentials shows no password."""
    with pytest.raises(ConsoleError) as caught:
        make(credentials=["boss:sekrit"])
    assert "sekrit" not in str(caught.value)


def test_telnet_beyond_loopback_needs_a_word(make):
    """Telnet on all interfaces is refused unless plain text is allowed by name."""
    with pytest.raises(ConfigurationError):
        TelnetSettings(0, "0.0.0.0")
    assert TelnetSettings(0, "0.0.0.0", allow_plain_text=True).port == 0


@pytest.mark.parametrize("transport", ["telnet", "ssh"])
def test_taken_port(transport, make):
    """A taken port is refused with its address and what to do, and nothing stays open."""
    with make(ssh=0):
        pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        before = held()
        console = make(**{"telnet": 0, "ssh": 0, transport: port})
        with pytest.raises(ListenError) as caught:
            console.start()
        assert held() == before
    assert str(caught.value).startswith(f"{transport} on 127.0.0.1:{port}: the address is in use; ")
    assert f"ss -ltnp 'sport = :{port}'" in str(caught.value)
    assert "__builtins__" not in console.namespace
    console.start()
    assert reachable(getattr(console, f"{transport}_port"))


def test_taken_port_in_a_coroutine(make):
    """In a coroutine the error comes out of the await."""

    async def serve(port):
        with pytest.raises(ListenError):
            await make(telnet=port).start()
        with pytest.raises(ListenError):
            async with make(telnet=port):
                pass

    with socket.create_server(("127.0.0.1", 0)) as taken:
        asyncio.run(serve(taken.getsockname()[1]))


def test_unknown_host_name(make):
    """A host that cannot be resolved is refused with its name."""
    with pytest.raises(ListenError, match=r"no\.such\.host\.invalid"):
        make(ssh=SshSettings(0, "no.such.host.invalid")).start()


def break_mode(path):
    path.chmod(0o644)


def break_content(path):
    path.write_text("this is no key\n")
    path.chmod(0o600)


def break_kind(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("break_it", [break_mode, break_content, break_kind])
def test_unusable_host_key(break_it, make):
    """A host key that is open to others, or is none, is refused by its path and left alone."""
    with make(ssh=0) as console:
        path = console.keys / "host_key"
    break_it(path)
    before = path.stat()
    with pytest.raises(KeyFileError) as caught:
        console.start()
    assert str(path) in str(caught.value)
    assert caught.value.remedy
    assert path.stat() == before


def test_named_host_key_is_never_made(make, tmp_path):
    """A host key that the settings name must exist: a typing error makes no new identity."""
    path = tmp_path / "absent"
    with pytest.raises(KeyFileError, match=str(path)):
        make(ssh=SshSettings(0, host_key=path)).start()
    assert not path.exists()


def test_users_file_open_to_others(make, tmp_path):
    """A users file that others can read stops the start, with the remedy."""
    store = FileCredentials(tmp_path / "keys", initial=USERS)
    with make(credentials=store):
        pass
    (tmp_path / "keys" / "users").chmod(0o644)
    with pytest.raises(CredentialError, match="chmod"):
        make(credentials=FileCredentials(tmp_path / "keys")).start()


def test_keys_directory_of_a_group(make, tmp_path):
    """A group-writable keys directory, as git makes it under umask 002, is reported."""
    keys = tmp_path / "keys"
    keys.mkdir()
    keys.chmod(0o775)
    console = make(credentials=FileCredentials(keys, initial=USERS))
    try:
        console.start()
    except CredentialError as error:
        assert "chmod" in str(error)
    else:
        with line_login(console.telnet_port) as client:
            assert client.run("1 + 1") == "2"


# ---- what the host keeps


@pytest.mark.parametrize("loop", LOOPS)
def test_host_is_left_alone(loop, make):
    """While a console runs and is used, the host's process-wide settings stay as they were."""

    async def serve():
        before = process_state()
        async with make(ssh=0) as console:
            assert process_state()["sys.path"] == before["sys.path"]
            await asyncio.to_thread(ask, console.telnet_port, "print('x')")
            during = process_state()
        assert during["sys.displayhook"] is before["sys.displayhook"]
        assert during["sys.excepthook"] is before["sys.excepthook"]
        assert during["sys.path"] == before["sys.path"]
        assert during["wakeup fd"] == before["wakeup fd"]
        sigint = signal.getsignal(signal.SIGINT)
        assert sigint in during["signal handlers"]
        assert process_state() == before

    LOOPS[loop](serve())


def test_default_executor_is_not_used(make):
    """Open sessions take no thread of the host loop's default executor."""

    async def serve():
        loop = asyncio.get_running_loop()
        async with make() as console:
            clients = []
            for _ in range(5):
                # Not with to_thread, which would make the executor that must not be there.
                connecting = loop.create_future()

                def connect(future=connecting, port=console.telnet_port):
                    client = line_login(port)
                    loop.call_soon_threadsafe(future.set_result, client)

                threading.Thread(target=connect).start()
                clients.append(await connecting)
            assert loop._default_executor is None
            for client in clients:
                client.close()

    asyncio.run(serve())


def test_namespace_is_the_hosts_own(make):
    """The dict itself is used; only `__builtins__` is added, and taken away again."""
    names = {"x": 1}
    with make(namespace=names) as console:
        with line_login(console.telnet_port) as client:
            assert client.run("x, sorted(dir())") == "(1, ['__builtins__', 'x'])"
            client.run("y = 2")
            names["z"] = 3
            assert client.run("y + z") == "5"
        assert set(names) == {"__builtins__", "x", "y", "z"}
    assert names == {"x": 1, "y": 2, "z": 3}


def test_builtins_of_the_host_come_back(make):
    """A namespace that has `__builtins__` of its own gets them back."""
    names = {"__builtins__": {"only": 1}}
    with make(namespace=names) as console, line_login(console.telnet_port) as client:
        assert client.run("len('abc')") == "3"
    assert names == {"__builtins__": {"only": 1}}


def test_streams_of_other_code_stay(make):
    """A stream that the host replaces while a console runs stays after its stop."""
    mine, previous = io.StringIO(), sys.stdout
    try:
        with make():
            sys.stdout = mine
        assert sys.stdout is mine
    finally:
        sys.stdout = previous


def test_threads_of_the_host_print_as_before(make, capsys):
    """What the service prints, in whichever thread, goes to its own stdout."""
    with make() as console, line_login(console.telnet_port) as client:
        thread = threading.Thread(target=print, args=("said in a thread",))
        thread.start()
        thread.join()
        print("said in the main thread")
        assert client.run("1 + 1") == "2"
        assert "said" not in client.seen
    assert capsys.readouterr().out == "said in a thread\nsaid in the main thread\n"


FORK = """
import os, sys, time
from console import Console

with Console("forks", telnet=0, credentials={"boss": "sekrit"}) as console:
    port = console.telnet_port
    ready, until = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(until[1])
        own = sys.stdout.__class__.__module__
        os.write(ready[1], f"{console.state.value} {own}".encode())
        os.read(until[0], 1)
        os._exit(0)
    print(port, os.read(ready[0], 100).decode(), flush=True)
    sys.stdin.readline()
print("stopped", flush=True)
sys.stdin.readline()
os.close(until[1])
os.waitpid(child, 0)
"""


def test_fork_after_start(tmp_path):
    """A forked child has no console: it keeps no listener and takes none from its parent."""
    with subprocess.Popen(
        [sys.executable, "-c", FORK],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=clean_environment(tmp_path),
    ) as process:
        port, state, module = process.stdout.readline().split()
        assert (state, module) == ("stopped", "_io")
        for _ in range(3):
            with line_login(int(port)) as client:
                assert client.run("1 + 1") == "2"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "stopped\n"
        # The child is alive still, and holds nothing that listens.
        assert refused(int(port))
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait(DEADLINE_SECONDS) == 0


HEAVY = {"argon2", "asyncssh", "cryptography", "prompt_toolkit", "ptpython", "telnetlib3"}


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import console", {"asyncio", *HEAVY}),
        ("from console import Console", {"console.server.server", *HEAVY}),
        ("from console import FileCredentials", HEAVY),
    ],
)
def test_import_is_light(statement, heavy, tmp_path):
    """Importing the package loads none of the heavy libraries."""
    script = f"import sys; {statement}; print(*{heavy!r} & sys.modules.keys())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment(tmp_path),
    )
    assert (done.stdout, done.stderr) == ("\n", "")


def test_public_names():
    """Every public name can be imported, and is listed."""
    import console

    for name in console.__all__:
        assert getattr(console, name) is not None
    assert set(console.__all__) == set(dir(console))


def test_host_loop_stays_free(tmp_path):
    """The host's loop never waits long while people log in, type and complete."""
    with Host(tmp_path) as host:
        with Session("ssh", host).login() as client:
            client.run("foo")  # the first key imports the editor
        host.ask(lag=True)
        for way in ("telnet", "ssh"):
            with Session(way, host).login() as client:
                for _ in range(5):
                    client.run("[n for n in range(100)]")
                    client.type("guarded.\t")
                    client.wait_for("harmless")
                    client.type("\x03")
        # Generous, for a busy machine: a stock prompt in the host's loop stalls it for 200 ms.
        assert host.ask(lag=True) < 0.5


def test_stop_during_a_connection(make):
    """A connection that arrives at the moment of the stop is closed with the others."""
    for _ in range(10):
        console = make(ssh=0)
        console.start()
        with (
            socket.create_connection(("127.0.0.1", console.telnet_port)) as telnet,
            socket.create_connection(("127.0.0.1", console.ssh_port)) as ssh,
        ):
            console.stop()
            for sock in (telnet, ssh):
                sock.settimeout(DEADLINE_SECONDS)
                with contextlib.suppress(ConnectionError):
                    while sock.recv(65536):
                        pass
    gc.collect()  # a transport that was never closed would warn here, and a warning is an error
