"""Tools that ask many services at once, unchanged, over twenty consoles."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncssh
import pytest

from support.servers import SUPPORT, Process, clean_environment, make_key

COUNT = 20
SECONDS = 120
NAMES = [f"c{number:02}" for number in range(1, COUNT + 1)]
ALL = f"c[01-{COUNT}]"

# Twenty answers tell apart whether each console gave its own.
STATEMENT = 'print("printed"); import sys; print("to stderr", file=sys.stderr); number * 100'
VALUES = {name: number * 100 for number, name in enumerate(NAMES, 1)}

OPTIONS = {
    "HostName": "127.0.0.1",
    "User": "boss",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "GlobalKnownHostsFile": "/dev/null",
    "LogLevel": "ERROR",
}


class Fleet:
    """Twenty consoles, and an ssh configuration with a host for each."""

    def __init__(self, directory):
        self.directory = directory
        self.key = make_key(directory / "id")
        self.process = Process(
            [sys.executable, "-W", "error", SUPPORT / "fleet_process.py", directory, str(COUNT)],
            directory / "run",
        )
        self.ports = json.loads(self.process.wait_for_stdout(r"\[.*\]\n")[0])
        self.config = directory / "config"
        lines = ["Host *", f"IdentityFile {self.key}"]
        lines += [f"{name} {value}" for name, value in OPTIONS.items()]
        for name, port in zip(NAMES, self.ports, strict=True):
            lines += [f"Host {name}", f"Port {port}"]
        self.config.write_text("\n".join([*lines, ""]))

    def run(self, *line, input="", **variables):
        """Run a tool; return its CompletedProcess, in text."""
        place = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return subprocess.run(
            line,
            input=input,
            capture_output=True,
            timeout=SECONDS,
            env={**clean_environment(self.directory), "PATH": place, **variables},
            cwd=self.directory,
            text=True,
        )

    def run_python(self, script):
        """Run a script that uses a library, with what it needs to know; return what it printed."""
        about = {"names": NAMES, "ports": self.ports, "key": str(self.key), "statement": STATEMENT}
        done = self.run(sys.executable, "-c", script, json.dumps(about))
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """Twenty consoles; they have survived every test at the end."""
    if shutil.which("ssh-keygen") is None:
        missing("ssh-keygen")
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    with fleet.process as process:
        yield fleet
        assert process.alive
        process.popen.stdin.close()
        assert process.wait() == 0


def missing(what):
    """Skip the test for want of a tool; fail it where the tools are required."""
    if os.environ.get("CONSOLE_REQUIRE_CLIENTS") == "1":
        pytest.fail(f"{what} is not installed, and CONSOLE_REQUIRE_CLIENTS=1 is set")
    pytest.skip(f"{what} is not installed")


def need(program):
    """Find a program on the path or beside Python, where pip puts those of its packages."""
    if not shutil.which(program) and not shutil.which(program, path=Path(sys.executable).parent):
        missing(program)


def need_library(name):
    """Find a library that a script will import."""
    if importlib.util.find_spec(name) is None:
        missing(f"the library {name}")


def by_host(text):
    """Return {host: lines} of output that has `host: ` in front of each line."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(": ")
        found.setdefault(name, []).append(rest)
    return found


# ---- clush and pdsh


def test_clush(fleet):
    """Each console answers clush on its own streams, and -S gives the largest status."""
    need("clush")
    clush = ("clush", "-o", f"-F {fleet.config}", "-w", ALL, "-f", str(COUNT))
    done = fleet.run(*clush, STATEMENT)
    assert by_host(done.stdout) == {name: ["printed", str(VALUES[name])] for name in NAMES}
    assert by_host(done.stderr) == {name: ["to stderr"] for name in NAMES}
    assert done.returncode == 0
    done = fleet.run(*clush, "-S", "import sys; sys.exit(number)")
    assert done.returncode == COUNT
    done = fleet.run(*clush, "-b", "1 + 1")
    assert f"{ALL} ({COUNT})" in done.stdout
    assert done.stdout.splitlines().count("2") == 1


def test_clush_with_stdin(fleet):
    """A script that is piped into clush runs on each console."""
    need("clush")
    clush = ("clush", "-o", f"-F {fleet.config}", "-w", ALL, "-f", str(COUNT))
    done = fleet.run(*clush, "print(input(), number)", input="a line\n")
    assert by_host(done.stdout) == {
        name: [f"a line {number}"] for number, name in enumerate(NAMES, 1)
    }


def test_pdsh(fleet):
    """Each console answers pdsh, and -S gives the largest status."""
    need("pdsh")
    variables = {"PDSH_SSH_ARGS_APPEND": f"-F {fleet.config}"}
    pdsh = ("pdsh", "-R", "ssh", "-w", ALL, "-f", str(COUNT))
    done = fleet.run(*pdsh, STATEMENT, **variables)
    assert by_host(done.stdout) == {name: ["printed", str(VALUES[name])] for name in NAMES}
    assert by_host(done.stderr) == {name: ["to stderr"] for name in NAMES}
    done = fleet.run(*pdsh, "-S", "import sys; sys.exit(number)", **variables)
    assert done.returncode == COUNT


# ---- Ansible


def ansible(fleet, *arguments, **variables):
    """Run Ansible over the fleet; return {host: what it says} and its status."""
    need("ansible")
    inventory = fleet.directory / "inventory"
    inventory.write_text("\n".join([*NAMES, ""]))
    with tempfile.TemporaryDirectory(prefix="cp") as sockets:  # a socket's path has to be short
        done = fleet.run(
            *("ansible", "-i", str(inventory), "all", "-f", str(COUNT), *arguments),
            ANSIBLE_SSH_ARGS=f"-C -o ControlMaster=auto -o ControlPersist=2s -F {fleet.config}",
            ANSIBLE_SSH_CONTROL_PATH_DIR=sockets,
            ANSIBLE_LOCAL_TEMP=str(fleet.directory / "ansible"),
            ANSIBLE_NOCOLOR="1",
            ANSIBLE_CALLBACK_RESULT_FORMAT="json",
            **variables,
        )
    answers = {}
    for head, body in re.findall(
        r"^(c\d\d \| .*?>>)\n(.*?)(?=^c\d\d \||\Z)", done.stdout, re.MULTILINE | re.DOTALL
    ):
        answers[head[:3]] = (head.split(" | ", 1)[1], body.splitlines())
    return answers, done


def test_ansible_raw(fleet):
    """Ansible's raw module, which asks for a terminal, gets output and status of each console."""
    answers, done = ansible(fleet, "-m", "raw", "-a", STATEMENT)
    assert set(answers) == set(NAMES), done.stdout + done.stderr
    for name, (head, lines) in answers.items():
        assert head == "CHANGED | rc=0 >>"
        assert [line for line in lines if line] == ["printed", "to stderr", str(VALUES[name])]


def test_ansible_raw_that_fails(fleet):
    """An exception in one console fails that host alone, with its traceback."""
    answers, done = ansible(fleet, "-m", "raw", "-a", "1 / (number - 7)")
    assert done.returncode != 0
    failed = {name for name, (head, _) in answers.items() if head.startswith("FAILED | rc=1")}
    assert failed == {"c07"}, done.stdout + done.stderr
    assert any("ZeroDivisionError: division by zero" in line for line in answers["c07"][1])


def test_ansible_with_a_shell(fleet):
    """What Ansible writes for a shell is answered with one line that says what is wrong."""
    _, done = ansible(fleet, "-m", "raw", "-a", "number", "--become", "-l", "c01")
    assert "this is Python, not a shell; nothing was run of: sudo -H -S" in done.stdout
    assert "rc=127" in done.stdout


# ---- libraries

PARALLEL_SSH = """
import json, sys
from pssh.clients import ParallelSSHClient
from pssh.config import HostConfig
about = json.loads(sys.argv[1])
client = ParallelSSHClient(
    ["127.0.0.1"] * len(about["ports"]),
    host_config=[
        HostConfig(port=port, user="boss", private_key=about["key"]) for port in about["ports"]
    ],
    pool_size=20,
)
answers = {}
for statement in (about["statement"], "import sys; sys.exit(number)"):
    outputs = client.run_command(statement)
    client.join(outputs)
    for name, one in zip(about["names"], outputs):
        answers.setdefault(name, []).append([list(one.stdout), list(one.stderr), one.exit_code])
print(json.dumps(answers))
"""

FABRIC = """
import json, sys
from fabric import Config, Connection, ThreadingGroup
about = json.loads(sys.argv[1])
connections = [
    Connection(
        "127.0.0.1",
        user="boss",
        port=port,
        config=Config(lazy=True),
        connect_kwargs={"key_filename": about["key"], "allow_agent": False, "look_for_keys": False},
    )
    for port in about["ports"]
]
group = ThreadingGroup.from_connections(connections)
answers = {}
names = {port: name for name, port in zip(about["names"], about["ports"])}
for statement in (about["statement"], "import sys; sys.exit(number)"):
    for one, result in group.run(statement, hide=True, warn=True, in_stream=False).items():
        answers.setdefault(names[one.port], []).append(
            [result.stdout.splitlines(), result.stderr.splitlines(), result.exited]
        )
group.close()
print(json.dumps(answers))
"""


@pytest.mark.parametrize(
    ("library", "script"),
    [("pssh", PARALLEL_SSH), ("fabric", FABRIC)],
    ids=["parallel-ssh", "fabric"],
)
def test_libraries(fleet, library, script):
    """Each console answers parallel-ssh and Fabric on its own streams, with its own status."""
    need_library(library)
    assert fleet.run_python(script) == {
        name: [[["printed", str(VALUES[name])], ["to stderr"], 0], [[], [], number]]
        for number, name in enumerate(NAMES, 1)
    }


def test_asyncssh(fleet):
    """A script of asyncssh asks all consoles at once, with JSON and a time limit from its side."""

    async def ask(port):
        async with asyncssh.connect(
            "127.0.0.1",
            port,
            username="boss",
            client_keys=[str(fleet.key)],
            known_hosts=None,
            config=None,
        ) as connection:
            plain = await connection.run(STATEMENT)
            answer = await connection.run(
                "{'number': number}", env={"CONSOLE_FORMAT": "json", "CONSOLE_TIMEOUT": "60"}
            )
            script = await connection.run(input="def f():\n    return number\nf()\n")
            return (
                (plain.stdout, plain.stderr, plain.exit_status),
                json.loads(answer.stdout)["value"],
                script.stdout,
            )

    async def ask_all():
        async with asyncio.timeout(SECONDS):
            return await asyncio.gather(*map(ask, fleet.ports))

    for number, (plain, value, script) in enumerate(asyncio.run(ask_all()), 1):
        assert plain == (f"printed\n{number * 100}\n", "to stderr\n", 0)
        assert value == {"number": number}
        assert script == f"{number}\n"
