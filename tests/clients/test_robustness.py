"""What peers and statements do to a console that it must survive."""

import asyncio
import contextlib
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from support.clients import run_once
from support.rawsession import Raw
from support.servers import DEADLINE_SECONDS, wait_until

# ---- peers


@pytest.mark.parametrize("transport", ["telnet", "ssh"])
def test_an_unauthenticated_flood_leaves_room(transport, make):
    """Of too many connections before login the oldest is ended, and the next one is served."""
    with make(**{transport: 0}) as console, contextlib.ExitStack() as stack:
        flood = [
            stack.enter_context(
                socket.create_connection(("127.0.0.1", console.listeners[0].port), 20)
            )
            for _ in range(100)
        ]
        greetings = [one.recv(1) for one in flood[-10:]]
        assert all(greetings)
        with contextlib.suppress(ConnectionError):
            while flood[0].recv(65536):
                pass


def test_a_pasted_block_stops_no_other(host, raw, login):
    """While 200 KB of code are pasted line by line, another user logs in and works."""
    block = raw(host)
    line = "    print(len([1, 2, 3]), 'some text', (4, 5))\n"
    block.send("def pasted():\n" + line * (200_000 // len(line)) + "\n")
    other = login("telnet", host)
    assert other.run("foo") == ["12"]
    block.wait_for(b"... >>> ")
    assert block.run("pasted.__code__.co_name") == "'pasted'\n"


def test_a_pasted_literal_stops_no_other(host, raw, login):
    """A list of many lines is read in time, and runs when its bracket closes."""
    block = raw(host)
    block.send("values = [\n" + "(1, 'one'),\n" * 15_000 + "]\n\n")
    other = login("ssh", host)
    assert other.run("foo") == ["12"]
    block.wait_for(b">>> ")
    assert block.run("len(values)") == "15000\n"


def test_ctrl_c_behind_much_typing(host, login):
    """Ctrl-C is seen behind more typing than is kept, and ends the statement."""
    client = login("telnet", host)
    client.run("import time")
    client.expect_prompt()
    client.line("print('be' + 'gins'); time.sleep(0.2); exec('while True: pass')")
    client.wait_for("begins")
    client.type("typed ahead " * 100_000)
    client.type("\x03")
    client.expect_prompt()
    assert client.run("foo") == ["12"]


def test_piped_input_is_data(host):
    """Standard input of a command arrives as it is: long lines, control characters, and all."""
    data = b"x" * 100_000 + b"\n\x03\x04\tab\x7f\x15\x1b[A\n" + b"no newline"
    done = run_once(
        "ssh",
        host,
        "import sys; text = sys.stdin.read(2) + sys.stdin.read(2) + sys.stdin.read()\n"
        "print(len(text), repr(text[100000:]))",
        input=data,
        key=host.key_file,
    )
    assert done.returncode == 0, done.stderr
    length, _, rest = done.stdout.decode().partition(" ")
    assert int(length) == len(data)
    assert rest.startswith(repr(data[100_000:].decode()))


def test_too_many_sessions_on_one_connection(host, tmp_path):
    """The eleventh session on one SSH connection is refused, and the ten go on."""
    asyncssh = pytest.importorskip("asyncssh")

    async def main():
        async with asyncssh.connect(
            "127.0.0.1",
            host.ssh_port,
            username="boss",
            client_keys=[str(host.key_file)],
            known_hosts=None,
            agent_path=None,
            config=None,
        ) as connection:
            sessions = [await connection.create_process(term_type="dumb") for _ in range(10)]
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.create_process(term_type="dumb")
            sessions[0].stdin.write("foo\n")
            assert "12" in await sessions[0].stdout.readuntil("12")
            sessions[0].stdin.write("exit()\n")
            await sessions[0].wait_closed()
            await connection.create_process(term_type="dumb")

    asyncio.run(main())


# ---- statements


def test_a_fork_ends_with_its_statement(host, raw):
    """The child of a statement that forks ends with it, and the service and its sessions go on."""
    session = raw(host)
    session.run("import os")
    shown = session.run("pid = os.fork()")
    assert shown == ""
    assert session.run("os.waitpid(pid, 0)[1]") == "0\n"
    assert session.run("foo") == "12\n"


def test_exit_in_a_callback_spares_the_service(host, raw):
    """exit() in a task or a callback of the loop is an error there, and ends nothing."""
    session = raw(host)
    session.run("import asyncio")
    session.run("%loop asyncio.get_running_loop().call_soon(exit) and None")
    session.run("async def leave(): exit()\n")
    assert "RuntimeError" in session.run("await asyncio.create_task(leave())")
    assert session.run("foo") == "12\n"
    assert host.alive


def test_a_stubborn_statement_lets_the_service_leave(fresh_host, raw):
    """A statement that swallows every cancellation does not keep the service from ending."""
    session = raw(fresh_host)
    session.run("import asyncio")
    session.send(
        "async def stubborn():\n    while True:\n        try: await asyncio.sleep(100)\n"
        "        except BaseException: print('not me')\n\nprint('be' + 'gins'); await stubborn()\n"
    )
    session.wait_for(b"begins")
    session.socket.sendall(b"\x03")
    session.wait_for(b"left behind")
    fresh_host.stop()
    assert "ended in order" in fresh_host.stdout


def test_stepping_off_a_statement(host, login):
    """Stepping past the end of a statement in the debugger gives the prompt back."""
    client = login("ssh", host)
    for command in ("n", "s"):
        client.expect_prompt()
        client.line("breakpoint(); y = 1; z = 2")
        client.wait_until(lambda: client.cursor_line == "(Pdb)", "the debugger")
        for _ in range(8):
            if client.cursor_line == "(Pdb)":
                before = len(client.received)
                client.line(command)
                client.wait_until(
                    lambda n=before: (
                        len(client.received) > n + 4 and client.cursor_line in {"(Pdb)", ">>>"}
                    ),
                    "a prompt",
                )
        client.expect_prompt()
        assert "execution.py" not in client.text
        assert client.run("y + z") == ["3"]


def test_input_after_the_statement_is_refused(host, raw):
    """A thread that reads when its statement has ended gets an error; the prompt keeps its keys."""
    session = raw(host)
    session.run("import threading, time")
    session.run("def late():\n    time.sleep(0.3)\n    input('who? ')\n")
    session.run("threading.Thread(target=late).start()")
    session.wait_for(b"the statement that started this has ended")
    session.wait_for(b">>> ")
    assert session.run("foo") == "12\n"


def test_an_exception_in_a_thread_reaches_the_session(host, raw):
    """What a thread of a statement raises is shown in its session, without our frames."""
    session = raw(host)
    session.run("import threading")
    session.send("t = threading.Thread(target=lambda: 1/0); t.start(); t.join()\n")
    shown = session.wait_for(b"ZeroDivisionError")
    assert "hooks.py" not in shown


def test_a_long_expression(host, raw):
    """An expression of thousands of operators runs."""
    session = raw(host)
    assert session.run("+".join(["1"] * 1100)) == "1100\n"


# ---- the process


def test_a_cancelled_start_leaves_nothing(make):
    """A cancelled start() leaves no console."""

    async def main():
        console = make(telnet=0, ssh=0)
        starting = asyncio.ensure_future(console.start())
        await asyncio.sleep(0)
        starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        deadline = time.monotonic() + DEADLINE_SECONDS
        while console.state.value != "stopped":
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        assert console.listeners == ()

    asyncio.run(main())


def test_a_start_without_descriptors_raises(tmp_path):
    """Where no descriptor is left start() raises, and works once there are some."""
    program = f"""
import os, resource
from console import Console, StartError
import console.transports.telnet, asyncio
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
console = Console("full", credentials={{"boss": "sekrit"}}, telnet=0, keys={str(tmp_path)!r})
console.start(); console.stop()
resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, hard))
try:
    console.start()
except StartError as error:
    print("refused:", error)
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
console.start()
print("started:", console.telnet_port > 0)
console.stop()
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert "refused:" in done.stdout, done.stderr
    assert "started: True" in done.stdout, done.stderr


def test_two_consoles_share_one_process(make, caplog):
    """Two consoles that both used the main thread's signal give it back when both have stopped."""
    before = signal.getsignal(signal.SIGURG)
    failures = []

    async def main():
        loop = asyncio.get_running_loop()
        first, second = make(telnet=0), make(telnet=0)
        done = asyncio.Event()

        def visit():
            try:
                for console in (first, second):
                    session = Raw(console.telnet_port)
                    assert session.run("%loop 6 * 7") == "42\n"
                    session.close()
            except BaseException as error:
                failures.append(error)
            loop.call_soon_threadsafe(done.set)

        async with first, second:
            threading.Thread(target=visit).start()
            await done.wait()
            await first.stop()
            assert signal.getsignal(signal.SIGURG) is not before

    asyncio.run(main())
    assert not failures
    assert signal.getsignal(signal.SIGURG) == before


def test_descriptors_are_few(make):
    """An unused console takes few of the service's descriptors."""
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 100
    with make(telnet=0, ssh=0) as console:
        wait_until(lambda: console.listeners, "the listeners")
