"""`console run`: real processes, from the configuration file to the end by `kill`."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from support.clients import SSH_OPTIONS, need
from support.rawclients import line_login, refused
from support.servers import Process, clean_environment, wait_until

CONSOLE = [sys.executable, "-W", "error", "-c", "from console.cli import main; main()"]
STARTING = r"starting on (\d+)\n"
SERVICE = """
from console import Application, Factory, QOTD, ShellFactory

application = Application("service")
shell = ShellFactory("boss", "sekrit", namespace={"foo": 12})
application.listen_tcp(0, shell)

class Holder:
    inner = application

holder = Holder()
number = 5

def make():
    made = Application("made")
    made.listen_tcp(0, Factory(QOTD))
    return made

def fail():
    return 1 / 0

def exposed():
    made = Application("made")
    made.listen_tcp(0, ShellFactory(), interface="0.0.0.0")
"""


@pytest.fixture
def here(tmp_path):
    place = tmp_path / "here"
    place.mkdir()
    return place


@pytest.fixture
def command(here):
    """Run a command of ours to its end; return what it printed and its status."""

    def run(*arguments, input="", cwd=here, **environment):
        return subprocess.run(
            [*CONSOLE, *map(str, arguments)],
            cwd=cwd,
            env={**clean_environment(here.parent), **environment},
            input=input,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run


@pytest.fixture
def run(here, tmp_path):
    """Start `console run`; it is ended after the test."""
    with contextlib.ExitStack() as stack:

        def start(*arguments, name="run", cwd=here, **environment):
            return stack.enter_context(
                Process(
                    [*CONSOLE, "run", *map(str, arguments)],
                    tmp_path / name,
                    cwd=cwd,
                    env=environment,
                )
            )

        yield start


@pytest.fixture
def telnet_toml(command):
    """Run the howto's `mktap telnet`, on any free port."""
    done = command("init", "--name", "telnet", "-p", "0", "-u", "admin", "-w", "admin")
    assert done.returncode == 0


def port_of(process):
    return int(process.wait_for_stdout(STARTING)[1])


def kill_by_file(path):
    """Do `kill $(cat console.pid)`."""
    subprocess.run(["sh", "-c", f"kill $(cat {path})"], check=True)


def one_line(done):
    """Return the one line of an error; the status is 2."""
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("console: ")
    assert done.stderr.count("\n") == 1
    return done.stderr.removeprefix("console: ").rstrip("\n")


# ---------------------------------------------------------------- the howto


def test_the_howtos_first_part(telnet_toml, run, here):
    """Init, run, log in, kill by the pid file: the words are those of the howto."""
    process = run("telnet.toml")
    port = port_of(process)
    pid_file = here / "console.pid"
    assert pid_file.read_text() == f"{process.popen.pid}\n"
    with line_login(port, "admin", "admin") as client:
        assert client.run("dir()") == "['__builtins__']"
        assert client.run("import console.application") == ""
        assert client.run("console.application.current()") == "<'telnet' app>"
    kill_by_file(pid_file)
    assert process.wait() == 0
    said = process.stdout.splitlines()
    assert said[0] == f"console.application.shell.ShellFactory starting on {port}"
    assert said[1:] == [
        "Starting Shutdown Sequence.",
        "Stopping main loop.",
        "Main loop terminated.",
        "Saving telnet application to telnet-shutdown.tap...",
        "Saved.",
    ]
    assert "the default password" in process.stderr
    assert "Traceback" not in process.stderr
    assert not pid_file.exists()
    refused(port)


def test_state_is_saved_and_run_again(telnet_toml, run, here):
    """What a session made is there again when the saved state is run."""
    process = run("telnet.toml")
    with line_login(port_of(process), "admin", "admin") as client:
        assert client.run("answer = 42") == ""
    assert process.end() == 0
    assert process.stdout.endswith("Saving telnet application to telnet-shutdown.tap...\nSaved.\n")
    process = run("telnet-shutdown.tap", name="again")
    with line_login(port_of(process), "admin", "admin") as client:
        assert client.run("answer") == "42"
    assert process.end(signal.SIGINT) == 0
    assert not (here / "console.pid").exists()


def test_no_save(telnet_toml, run, here):
    """With --no-save no state is written."""
    process = run("telnet.toml", "--no-save")
    port_of(process)
    assert process.end() == 0
    assert process.stdout.endswith("Main loop terminated.\n")
    assert not list(here.glob("*.tap"))


def test_a_session_by_netcat(telnet_toml, run):
    """A client needs no more than nc."""
    need("nc")
    port = port_of(run("telnet.toml"))
    done = subprocess.run(
        ["nc", "127.0.0.1", str(port)],
        input=b"admin\nadmin\n6 * 7\nexit()\n",
        capture_output=True,
        timeout=60,
    )
    assert b"42" in done.stdout


def test_users_and_ssh(command, run):
    """A user of the keys directory logs in over SSH and telnet; a wrong password does not."""
    need("ssh")
    done = command("init", "-p", 0, "--ssh-port", 0, "-u", "boss", "--stdin", input="sekrit-8\n")
    assert done.returncode == 0
    process = run("console.toml")
    telnet = int(process.wait_for_stdout(r"starting on (\d+)\n")[1])
    ssh = process.wait_for_stdout(r"starting on (\d+) \(ssh\)\n")[1]
    with line_login(telnet, "boss", "sekrit-8") as client:
        assert client.run("foo = 12") == ""
    # By key, because ssh asks for a password on a terminal only.
    key = process.stdout_file.parent / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    done = command("key", "add", "boss", f"{key}.pub", "--config", "console.toml")
    assert done.returncode == 0
    line = ["ssh", *SSH_OPTIONS, "-i", str(key), "-o", "BatchMode=yes", "-p", ssh]
    done = subprocess.run([*line, "boss@127.0.0.1", "foo"], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b"12\n")
    assert process.end() == 0
    assert process.complaints == ""


def test_the_default_user(command, run):
    """Without a user admin logs in with the password admin, and is warned."""
    assert command("init", "-p", 0).returncode == 0
    process = run("console.toml")
    with line_login(port_of(process), "admin", "admin") as client:
        assert "WARNING: admin still has the default password." in client.seen
    process.wait_for_stderr("default password")


def test_the_environment_and_the_namespace(telnet_toml, run, here):
    """Variables change a run, and the live names can be a dict of a module."""
    (here / "names.py").write_text("live = {'foo': 12}\n")
    process = run("telnet.toml", CONSOLE_NAMESPACE="names:live", CONSOLE_NAME="other")
    with line_login(port_of(process), "admin", "admin") as client:
        assert "\r\nother\r\nconsole " in client.seen
        assert client.run("foo") == "12"


# ---------------------------------------------------------------- targets


@pytest.fixture
def service(here):
    (here / "service.py").write_text(SERVICE)


@pytest.mark.parametrize("target", ["service:application", "service.py:application"])
def test_an_application_of_a_module(service, run, target):
    """An Application is found in a module and in a file, and is what the session finds."""
    process = run(target)
    with line_login(port_of(process)) as client:
        assert client.run("foo") == "12"
        assert client.run("import service; service.shell.namespace is globals()") == "True"
    assert process.end() == 0


@pytest.mark.parametrize("target", ["service:make", "service:holder.inner"])
def test_a_callable_and_an_attribute_of_an_attribute(service, run, target):
    """A callable is called for the Application, and dots go on into an object."""
    process = run(target)
    port_of(process)
    assert process.end() == 0


def test_a_file_of_another_directory(service, run, here, tmp_path):
    """A file is run from anywhere, and finds the modules beside it."""
    (here / "beside.py").write_text("answer = 42\n")
    with (here / "service.py").open("a") as file:
        file.write("import beside\nshell.namespace['answer'] = beside.answer\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    process = run("../here/service.py:application", cwd=elsewhere)
    with line_login(port_of(process)) as client:
        assert client.run("answer") == "42"
    assert (elsewhere / "console.pid").exists()


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("nothing", "nothing: cannot be run; give NAME.toml, NAME.tap, module:attribute"),
        ("none.toml", "none.toml: there is no such file; make one with: console init"),
        ("none.tap", "none.tap"),
        ("none:application", "there is no module 'none' here or on the path"),
        ("none.py:application", "there is no file none.py"),
        ("service:", "is not a target; write module:attribute"),
        ("service:a b", "is not a target; write module:attribute"),
        ("service:nothing", "service has no attribute 'nothing'"),
        ("service:number", "is of type int, not an Application"),
        ("service:exposed", "with the default password only this machine may connect"),
        ("console.py:application", "a module 'console' is loaded already; rename the file"),
        ("bad.toml", "bad.toml:2: telnet.port = 70000: must be a whole number, 0 to 65535"),
        ("silent.toml", "nothing listens; add [telnet] or [ssh] with a port"),
        (
            "open.toml",
            (
                'open.toml:4: ssh.host = "0.0.0.0": with the default password only this machine may'
                " connect; set another with: console user add NAME --config open.toml"
            ),
        ),
        ("names.toml", 'names.toml:1: namespace = "service:number": is of type int; name a dict'),
    ],
)
def test_what_cannot_be_run(service, command, here, target, told):
    """It is one line with the remedy, status 2, and no pid file is left."""
    (here / "bad.toml").write_text("[telnet]\nport = 70000\n")
    (here / "silent.toml").write_text("name = 'x'\n")
    (here / "open.toml").write_text(
        "default_user = true\nkeys = 'k'\n[ssh]\nhost = '0.0.0.0'\nport = 0"
    )
    (here / "names.toml").write_text(
        "namespace = 'service:number'\nkeys = 'k'\ndefault_user = true\nssh.port = 0\n"
    )
    (here / "console.py").write_text("")
    environment = {"PYTHONSAFEPATH": "1"}  # our own package, not this directory's
    done = command("run", target, **environment)
    assert told in one_line(done)
    assert not (here / "console.pid").exists()


@pytest.mark.parametrize("target", ["service:fail", "broken:application"])
def test_code_that_fails_is_shown(service, command, here, target):
    """Its traceback comes first, and the last line says what was done when it failed."""
    (here / "broken.py").write_text("import no_such_module_at_all\n")
    done = command("run", target)
    assert done.returncode == 2
    assert done.stderr.startswith("Traceback")
    last = done.stderr.splitlines()[-1]
    assert re.match(rf"console: {target}: (calling|importing) it raised \w+Error: ", last)


def test_a_port_that_is_taken(telnet_toml, command, here):
    """It is one line that names the port, and no pid file is left."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = command("run", "telnet.toml", CONSOLE_TELNET_PORT=port)
    assert done.returncode == 2
    last = done.stderr.splitlines()[-1]  # the first warns of the password
    assert last.startswith(f"console: telnet on 127.0.0.1:{port}: the address is in use; ")
    assert not (here / "console.pid").exists()


# ---------------------------------------------------------------- the pid file


def test_a_second_run_is_refused(telnet_toml, run, command, here):
    """The first goes on; the second has one line, and may have a file of its own."""
    first = run("telnet.toml")
    port_of(first)
    for arguments in ((), ("--daemon",)):
        told = one_line(command("run", "telnet.toml", *arguments))
        assert told.startswith(f"console.pid: process {first.popen.pid} is running with it; end")
    second = run("telnet.toml", "--pid-file", "second.pid", name="second")
    port_of(second)
    assert (here / "second.pid").read_text() == f"{second.popen.pid}\n"
    assert first.end() == 0
    assert (here / "second.pid").exists()
    assert second.end() == 0
    assert not (here / "second.pid").exists()


def test_a_stale_pid_file_is_no_obstacle(telnet_toml, run, here):
    """What a killed process left is taken over, also if its number lives again."""
    first = run("telnet.toml")
    port_of(first)
    first.end(signal.SIGKILL)
    assert (here / "console.pid").exists()
    (here / "console.pid").write_text(f"{os.getpid()}\n")  # the number of a process that lives
    second = run("telnet.toml", name="second")
    port_of(second)
    assert (here / "console.pid").read_text() == f"{second.popen.pid}\n"
    assert second.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_killed_while_it_loads(run, here, number):
    """A signal before anything listens ends it, and the pid file goes."""
    (here / "slow.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(300)\n")
    process = run("slow:application")
    process.wait_for_stdout("loading")
    assert process.end(number) == 128 + number
    assert not (here / "console.pid").exists()
    assert "Traceback" not in process.stderr


# ---------------------------------------------------------------- the log


def test_the_log_file(telnet_toml, run, here):
    """The log goes to a private file; warnings are seen on stderr as well."""
    process = run("telnet.toml", "--log-file", "service.log")
    with line_login(port_of(process), "admin", "admin") as client:
        client.run("1 / 0")
    assert process.end() == 0
    log = (here / "service.log").read_text()
    assert "INFO console.audit: login: user=admin transport=telnet" in log
    for text in (log, process.stderr):
        assert "ERROR console.exceptions: error " in text
        assert "ZeroDivisionError" in text
    assert "console.audit" not in process.stderr
    assert (here / "service.log").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("arguments", [(), ("--daemon",)])
def test_a_log_that_cannot_be_written(telnet_toml, command, arguments):
    """It is one line, before anything starts."""
    told = one_line(command("run", "telnet.toml", "--log-file", "nowhere/x.log", *arguments))
    assert told.startswith("nowhere/x.log: the log cannot be written: No such file or directory")


# ---------------------------------------------------------------- the background


@contextlib.contextmanager
def daemon(pid_file):
    """Kill the daemon of a pid file, whatever happens."""
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            os.kill(int(pid_file.read_text()), signal.SIGKILL)


def test_in_the_background(telnet_toml, command, here):
    """The command returns when everything listens; kill by the pid file ends it in order."""
    pid_file, log = here / "console.pid", here / "console.log"
    with daemon(pid_file):
        done = command("run", "telnet.toml", "--daemon")
        assert (done.returncode, done.stderr) == (0, "")
        pid = int(pid_file.read_text())
        assert done.stdout == f"started in the background: process {pid}, log console.log\n"
        assert os.getsid(pid) not in {os.getsid(0), pid}  # no terminal, and none can become its
        port = int(re.search(STARTING, log.read_text())[1])
        with line_login(port, "admin", "admin") as client:
            assert client.run("import os; os.getcwd()") == repr(str(here))
            assert client.run("oct(os.umask(0o22))") == repr(oct(_umask()))
        kill_by_file(pid_file)
        wait_until(lambda: not pid_file.exists(), "the pid file is gone")
    assert "Starting Shutdown Sequence.\n" in log.read_text()
    assert "INFO console.audit: login: user=admin" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    refused(port)


def _umask():
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("none.toml", "none.toml: there is no such file; make one with: console init --name NAME"),
        ("service:fail", "service:fail: calling it raised ZeroDivisionError: division by zero"),
        ("service:leave", "ended before it had started; see service.log"),
        ("service:kill", "ended before it had started; see service.log"),
    ],
)
def test_a_failed_start_is_told(service, command, here, target, told):
    """The one line of the background comes to the caller, with status 2; the log has more."""
    with (here / "service.py").open("a") as file:
        file.write(
            "def leave():\n    raise SystemExit(0)\n"
            "def kill():\n    import os\n    os.kill(os.getpid(), 9)\n"
        )
    done = command("run", target, "--daemon", "--log-file", "service.log")
    assert one_line(done).startswith(told)
    if target == "service:fail":
        assert "return 1 / 0\n" in (here / "service.log").read_text()
    if target != "service:kill":
        assert not (here / "console.pid").exists()


def test_in_the_background_without_streams(telnet_toml, here):
    """A caller that has closed its standard streams gets a daemon as well."""
    with daemon(here / "console.pid"):
        script = '"$@" <&- >&- 2>&-'
        done = subprocess.run(
            ["sh", "-c", script, "sh", *CONSOLE, "run", "telnet.toml", "--daemon"],
            cwd=here,
            env=clean_environment(here.parent),
            timeout=60,
        )
        assert done.returncode == 0
        assert re.search(STARTING, (here / "console.log").read_text())
        kill_by_file(here / "console.pid")
        wait_until(lambda: not (here / "console.pid").exists(), "the pid file is gone")
