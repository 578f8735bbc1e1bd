"""Hundreds of sessions, however they end, leave the service as it was."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor

import asyncssh
import pytest

from support.rawclients import Lines, Telnet, line_login
from support.servers import Host, wait_until

LOGINS = (40, 60)
"""In each of two rounds; what the first one takes is kept for those to come."""

AT_ONCE = 4
"""Visitors at a time: much of a visit is waiting."""

RSS_BYTES = 6 * 1024 * 1024
"""What the second round may add. A session that stays alive costs 0.6 MB, so that those of one
ending alone are more than this; the allocator's own swings are below it."""

ENDINGS = ("exit", "close", "reset", "await", "block")


@pytest.fixture(scope="module")
def busy_host(tmp_path_factory):
    """A service of these tests alone, without throttling: one address connects very often."""
    login = {"failure_seconds": 0.01, "failure_most_seconds": 0.01, "connections_per_source": 64}
    with Host(tmp_path_factory.mktemp("leaks"), login=login) as host:
        yield host


def visit_by_socket(host, kind, ending):
    """Log in with a socket, use the session, and leave.

    In mid-statement a line client leaves by a reset: an end of its input alone says no more than
    that nothing else will be typed, and the statement may finish (``printf ... | nc -N``).
    """
    client = line_login(host.telnet_port, kind=kind)
    try:
        client.send("foo\n")
        client.until("12")
        match ending:
            case "exit":
                client.send("exit()\n")
                client.rest()
            case "await":
                client.send("print('a' + 'b'); await __import__('asyncio').sleep(100)\n")
                client.until("ab")
            case "block":
                client.send("print('a' + 'b'); __import__('time').sleep(0.3)\n")
                client.until("ab")
    finally:
        client.close(reset=ending == "reset" or (ending == "await" and kind is Lines))


def visit_by_telnet(host, ending):
    """Visit with the full-screen editor over telnet."""
    visit_by_socket(host, Telnet, ending)


def visit_by_nc(host, ending):
    """Visit line by line, as nc does."""
    visit_by_socket(host, Lines, ending)


def connect_ssh(host, **credentials):
    return asyncssh.connect(
        "127.0.0.1",
        host.ssh_port,
        username="boss",
        known_hosts=None,
        config=None,
        agent_path=None,
        # One algorithm of each kind: as quick as it gets.
        kex_algs=["curve25519-sha256"],
        **credentials,
    )


async def visit_shell(connection, ending):
    async with connection.create_process(
        term_type="xterm-256color", term_size=(80, 24), encoding="utf-8", errors="replace"
    ) as process:
        await until(process, ">>> ")
        process.stdin.write("foo\r")
        # With the prompt that follows: what is read here is not seen again.
        await until(process, "12", ">>> ")
        match ending:
            case "exit":
                process.stdin.write("exit()\r")
                await process.wait()
            case "reset":
                connection.abort()
            case "await":
                process.stdin.write("print('a' + 'b'); await __import__('asyncio').sleep(100)\r")
                await until(process, "ab")
            case "block":
                process.stdin.write("print('a' + 'b'); __import__('time').sleep(0.3)\r")
                await until(process, "ab")
        if ending != "exit":
            connection.abort()


async def until(process, *texts):
    """Read until these have come, one behind the other."""
    seen = ""
    async with asyncio.timeout(60):
        while not re.search(".*".join(map(re.escape, texts)), seen, re.DOTALL):
            part = await process.stdout.read(65536)
            assert part, seen
            seen += part


def visit_by_ssh_password(host, ending):
    """Visit with the full-screen editor over SSH, by password."""

    async def visit():
        async with connect_ssh(host, password=host.password, client_keys=None) as connection:
            await visit_shell(connection, ending)

    asyncio.run(visit())


def visit_by_ssh_key(host, ending):
    """Visit with the full-screen editor over SSH, by key."""

    async def visit():
        async with connect_ssh(host, client_keys=[str(host.key_file)]) as connection:
            await visit_shell(connection, ending)

    asyncio.run(visit())


def visit_by_ssh_exec(host, ending):
    """Run a statement as a command over SSH."""

    async def visit():
        async with connect_ssh(host, client_keys=[str(host.key_file)]) as connection:
            match ending:
                case "exit" | "close" | "reset":
                    statement = {"exit": "foo", "close": "1/0", "reset": "exit(3)"}[ending]
                    done = await connection.run(statement)
                    assert done.exit_status == {"exit": 0, "close": 1, "reset": 3}[ending]
                case "await" | "block":
                    module = "asyncio" if ending == "await" else "time"
                    seconds = 100 if ending == "await" else 0.3
                    prefix = "await " if ending == "await" else ""
                    process = await connection.create_process(
                        f"print('ab'); {prefix}__import__('{module}').sleep({seconds})"
                    )
                    await until(process, "ab")
                    connection.abort()

    asyncio.run(visit())


def visit_without_login(host, ending):
    """Connect, send half of a login, and close."""
    client = Lines(host.telnet_port)
    try:
        client.until("username: ")
        if ending != "close":
            client.send("boss\n")
            client.until("password: ")
        if ending == "exit":
            client.send("wrong\n")
            client.until("username: ")
    finally:
        client.close(reset=ending == "reset")


VISITS = {
    "telnet": visit_by_telnet,
    "nc": visit_by_nc,
    "ssh-password": visit_by_ssh_password,
    "ssh-key": visit_by_ssh_key,
    "ssh-exec": visit_by_ssh_exec,
    "no-login": visit_without_login,
}


def held(host):
    """Return what the service holds, without what the first login starts and keeps."""
    now = host.statistics()
    kept = ("console-pool", "console-auth")
    now["threads"] = [name for name in now["threads"] if not name.startswith(kept)]
    return now


def settled(host, *, like):
    """Wait until the service holds as much as before; return what it holds then.

    It may have fewer descriptors: one was perhaps about to be closed when they were counted.
    """
    last = {}

    def same():
        last.update(held(host))
        return (
            last["tasks"] == like["tasks"]
            and last["threads"] == like["threads"]
            and last["descriptors"] <= like.get("descriptors", last["descriptors"])
        )

    try:
        wait_until(same, "tasks, threads and descriptors as before")
    except AssertionError as error:
        difference = {name: (like[name], last[name]) for name in like}
        raise AssertionError(f"{error}: {difference}") from None
    return last


@pytest.fixture(scope="module")
def idle(busy_host):
    """The tasks and threads of a service before the first connection."""
    return {name: held(busy_host)[name] for name in ("tasks", "threads")}


@pytest.mark.parametrize("way", VISITS)
def test_sessions_leave_nothing(way, busy_host, idle):
    """After 100 sessions tasks, threads and descriptors are as before, and memory is flat."""
    visit = VISITS[way]
    for ending in ENDINGS:
        visit(busy_host, ending)
    before = {**idle, "descriptors": settled(busy_host, like=idle)["descriptors"]}
    rss = []
    for logins in LOGINS:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            endings = [ENDINGS[number % len(ENDINGS)] for number in range(logins)]
            list(pool.map(lambda ending: visit(busy_host, ending), endings))
        rss.append(settled(busy_host, like=before)["rss"])
    assert rss[1] - rss[0] < RSS_BYTES
    for trouble in ("internal error", "Task was destroyed", "never retrieved"):
        assert trouble not in busy_host.stderr
