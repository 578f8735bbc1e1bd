"""Lazy loading: nothing heavy at the start, the rest at the first connection."""

import base64
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from console.auth.keys.host_key import make_host_key, make_next_host_key, rotate
from support.clients import need, run_once
from support.rawclients import Lines, line_login
from support.servers import DEADLINE_SECONDS, SUPPORT, Host, clean_environment, wait_until

LIBRARIES = ("asyncssh", "telnetlib3")


@pytest.fixture
def start(tmp_path):
    """Start a service in which the import of some modules waits; it is ended after the test."""
    with contextlib.ExitStack() as stack:

        def start(*gated):
            make_host_key(tmp_path / "host" / "keys" / "host_key")
            return stack.enter_context(Host(tmp_path / "host", gate=gated))

        yield start


def log_in_by_telnet(client):
    """Log in on a connection that has been there for a while; return what a statement shows."""
    client.until("username: ")
    client.send("boss\n")
    client.until("password: ")
    client.send("sekrit\n")
    client.until_prompt()
    return client.run("foo")


def ask_by_ssh(host):
    """Run a statement by OpenSSH; return what it prints."""
    done = run_once("ssh", host, "foo", key=host.key_file)
    return done.stdout.decode(), done.stderr.decode()


# ---------------------------------------------------------------- the start

START = """
import sys
from console import Console, FileCredentials

credentials = FileCredentials("keys", initial={"boss": "sekrit"})
with Console("light", credentials=credentials, ssh=0, telnet=0, keys="keys") as console:
    print(console.host_key_fingerprint)
    print(*sorted({"argon2", "asyncssh", "cryptography", "prompt_toolkit", "ptpython",
                   "telnetlib3", "console.server.assembly"} & sys.modules.keys()))
"""


def test_a_start_loads_no_library(tmp_path):
    """A service whose users and host key are there loads none of the libraries when it starts."""
    need("ssh-keygen")

    def run():
        return subprocess.run(
            [sys.executable, "-c", START],
            cwd=tmp_path,
            env=clean_environment(tmp_path),
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        ).stdout.splitlines()

    first, second = run(), run()
    assert second == [first[0], ""]
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-f", tmp_path / "keys" / "host_key"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.split()[1] == second[0]


# ---------------------------------------------------------------- the first connections


def test_those_who_come_first_all_get_in(start):
    """A client that connects while the libraries load is served like all later ones."""
    need("ssh")
    host = start(*LIBRARIES)
    with ThreadPoolExecutor(2) as pool, contextlib.ExitStack() as stack:
        by_ssh = [pool.submit(ask_by_ssh, host) for _ in range(2)]
        by_telnet = [Lines(host.telnet_port) for _ in range(2)]
        for client in by_telnet:
            stack.callback(client.close)
        assert host.ask(gate="reached")
        host.ask(gate="open")
        assert [log_in_by_telnet(client) for client in by_telnet] == ["12", "12"]
        assert [one.result() for one in by_ssh] == [("12\n", "")] * 2
    assert host.complaints == ""


@pytest.mark.parametrize("reset", [False, True])
def test_those_who_do_not_wait_leave_nothing(start, reset):
    """Connections that go away while the libraries are being loaded leave no descriptor."""
    host = start(*LIBRARIES)
    before = host.statistics()["descriptors"]
    clients = [Lines(port) for port in (host.telnet_port, host.ssh_port) for _ in range(3)]
    assert host.ask(gate="reached")
    for client in clients:
        client.close(reset=reset)
    host.ask(gate="open")
    with line_login(host.telnet_port) as client:
        assert client.run("foo") == "12"
    assert ask_by_ssh(host) == ("12\n", "")
    wait_until(lambda: host.statistics()["descriptors"] == before, "all is closed again")
    assert host.complaints == ""


def test_a_stop_does_not_wait_for_an_import(start):
    """A console whose libraries are being loaded stops in time, and closes waiting clients."""
    host = start(*LIBRARIES)
    with Lines(host.telnet_port) as telnet, Lines(host.ssh_port) as ssh:
        assert host.ask(gate="reached")
        assert host.stop() == 0
        assert (telnet.rest(), ssh.rest()) == ("", "")
    assert host.stdout == "ended in order\n"
    assert host.complaints == ""


def test_a_library_that_cannot_be_loaded(start):
    """It is logged, the client is refused, and the console goes on; later it is tried again.

    The other transport is not concerned.
    """
    host = start("asyncssh")
    host.ask(**{"gate": "broken", "is": True})
    host.ask(gate="open")
    with Lines(host.ssh_port) as client:
        assert client.rest() == ""
    host.wait_for_stderr(
        r"ERROR console: ssh: no connection can be served\n(?s:.)+asyncssh is broken"
    )
    with line_login(host.telnet_port) as client:
        assert client.run("foo") == "12"
    host.ask(**{"gate": "broken", "is": False})
    assert ask_by_ssh(host) == ("12\n", "")


def test_a_host_key_that_changes_before_the_first_connection(start):
    """A reload before the first SSH connection counts for that one."""
    need("ssh-keyscan")
    host = start(*LIBRARIES)
    host.ask(gate="open")
    path = host.keys / "host_key"
    make_next_host_key(path)
    new = rotate(path)
    with line_login(host.telnet_port) as client:
        client.run("reload()")
    scanned = subprocess.run(
        ["ssh-keyscan", "-p", str(host.ssh_port), "-t", "ed25519", "127.0.0.1"],
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert re.search(rb"ssh-ed25519 (\S+)", scanned.stdout)[1] == base64.b64encode(new.public_data)


# ---------------------------------------------------------------- forks

FORK = """
import asyncio, os, sys, threading
sys.path.insert(0, sys.argv[1])
from console.lazy_imports import load
from gate import Gate

gate = Gate({"colorsys"})
sys.meta_path.insert(0, gate)
loading = threading.Thread(target=asyncio.run, args=(load("colorsys"),))
loading.start()
gate.reached.wait()
threading.Timer(0.3, gate.open).start()
child = os.fork()
if child == 0:
    import colorsys
    os._exit(0)
loading.join()
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""

FORK_AND_STOP = """
import os, socket, sys
sys.path.insert(0, sys.argv[1])
from console import Console
from gate import Gate

gate = Gate({"telnetlib3"})
sys.meta_path.insert(0, gate)
with Console("forks", telnet=0, credentials={"boss": "sekrit"}) as console:
    port = console.telnet_port
    waiting = socket.create_connection(("127.0.0.1", port))
    gate.reached.wait()
    ready, until = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        os.close(until[1])
        os.write(ready[1], console.state.value.encode())
        os.read(until[0], 1)
        os._exit(0)
    print(os.read(ready[0], 100).decode(), port, flush=True)
    gate.open()
print("stopped", flush=True)
sys.stdin.readline()
os.close(until[1])
os.waitpid(child, 0)
"""


@pytest.fixture
def run_script(tmp_path):
    """Run a script in a session of its own, which ends with the test."""
    with contextlib.ExitStack() as stack:

        def run(script):
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-c", script, str(SUPPORT)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                    env=clean_environment(tmp_path),
                    start_new_session=True,
                )
            )
            stack.callback(end_session, process.pid)
            return process

        yield run


def end_session(pid):
    """End a session, with what it has forked."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


def test_a_fork_finds_no_half_loaded_module(run_script):
    """A child that was forked while something was being loaded can load the same itself."""
    process = run_script(FORK)
    assert process.communicate(timeout=DEADLINE_SECONDS)[0] == "0\n"


def test_a_fork_while_loading_keeps_no_listener(run_script):
    """A child that was forked while a library was being loaded holds nothing that listens."""
    process = run_script(FORK_AND_STOP)
    state, port = process.stdout.readline().split()
    assert state == "stopped"
    assert process.stdout.readline() == "stopped\n"
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)), timeout=DEADLINE_SECONDS)
    process.communicate("\n", timeout=DEADLINE_SECONDS)
    assert process.returncode == 0
