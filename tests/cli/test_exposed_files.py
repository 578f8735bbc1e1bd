"""`console run` and `console check` with files that another user of the machine could have made."""

import os
import subprocess
import sys

import pytest

from console.cli.findings import examine_all
from support.rawclients import line_login
from support.servers import Process, clean_environment

CONSOLE = [sys.executable, "-c", "from console.cli import main; main()"]
STRANGER = 65534
SERVICE = """
from console import Application, ShellFactory

application = Application("service")
application.listen_tcp(0, ShellFactory("boss", "sekrit", namespace={"foo": 12}))
"""
STARTING = r"starting on (\d+)\n"
TRAP = "import pathlib; pathlib.Path(__file__).with_name('sprung').touch(); raise ImportError\n"

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")


@pytest.fixture
def here(tmp_path):
    place = tmp_path / "here"
    place.mkdir()
    (place / "service.py").write_text(SERVICE)
    (place / "demo.toml").write_text('keys = "keys"\n[telnet]\nport = 0\n')
    return place


@pytest.fixture
def command(here):
    """Run a command of ours to its end; return its status and all that it printed."""

    def run(*arguments, cwd=here):
        done = subprocess.run(
            [*CONSOLE, *map(str, arguments)],
            cwd=cwd,
            env=clean_environment(here.parent),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        return done.returncode, done.stdout + done.stderr

    return run


def is_one_line(text):
    """Whether a command has printed one line of error."""
    return text.startswith("console: ") and text.count("\n") == 1


@pytest.mark.parametrize("target", ["service.py:application", "demo.toml"])
def test_a_file_that_others_can_change_is_not_run(command, here, target):
    """Neither code, nor a configuration, which may name code."""
    path = here / target.partition(":")[0]
    path.chmod(0o666)
    status, told = command("run", target)
    assert status
    assert is_one_line(told), told
    assert f"can be changed by other users (mode 0666); chmod go-w {path.name}" in told.replace(
        f"{here}/", ""
    )


@pytest.mark.parametrize("option", ["--log-file", "--pid-file"])
@pytest.mark.parametrize("trap", ["link", "owner", "directory"])
@as_root
def test_a_log_or_pid_file_of_another_user_is_not_written(command, here, tmp_path, option, trap):
    """A link leads nowhere, a file of another user is not written to, nor made where others can."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    victim = tmp_path / "victim"
    victim.write_text("")
    path = shared / "file"
    if trap == "link":
        path.symlink_to(victim)
        os.lchown(path, STRANGER, -1)
    elif trap == "owner":
        path.touch()
        os.chown(path, STRANGER, -1)
        victim = path
    else:
        shared.chmod(0o777)
    status, told = command("run", "service.py:application", option, path)
    assert status
    assert is_one_line(told), told
    assert option in told
    assert str(path) in told
    assert victim.read_text() == ""
    assert path.exists() is (trap != "directory")


def test_a_log_and_a_pid_file_in_a_shared_directory_are_written(here, tmp_path):
    """In a directory like /tmp, other users cannot move them."""
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    arguments = ["run", "service.py:application", "--no-save"]
    arguments += ["--log-file", str(shared / "log"), "--pid-file", str(shared / "pid")]
    with Process([*CONSOLE, *arguments], tmp_path / "run", cwd=here) as process:
        process.wait_for_stdout(STARTING)
        assert (shared / "pid").read_text() == f"{process.popen.pid}\n"
    assert "login" not in (shared / "log").read_text()


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_no_module_is_imported_from_a_directory_that_others_can_write(
    here, tmp_path, mode, command
):
    """The current directory, where another user has put a module that the first login imports."""
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "telnetlib3.py").write_text(TRAP)
    shared.chmod(mode)
    arguments = ["run", f"{here / 'service.py'}:application", "--no-save"]
    with Process(
        [*CONSOLE, *arguments, "--pid-file", str(here / "pid")],
        tmp_path / "run",
        cwd=shared,
    ) as process:
        port = int(process.wait_for_stdout(STARTING)[1])
        with line_login(port) as client:
            assert client.run("foo") == "12"
    assert not (shared / "sprung").exists()
    assert "no modules are imported from" in process.stderr
    status, told = command("run", "telnetlib3:application", "--pid-file", here / "pid", cwd=shared)
    assert status
    assert not (shared / "sprung").exists()
    assert "Traceback" not in told


@as_root
@pytest.mark.parametrize(
    "owned", ["keys/host_key", "keys/users", "keys", "demo.toml", "keys/authorized_keys/boss"]
)
def test_check_ends_with_a_line_whoever_owns_a_file(command, here, tmp_path, monkeypatch, owned):
    """Whether it is run by root or by a user who may not read it."""
    (here / "demo.toml").unlink()
    assert command("init", "--name", "demo", "-u", "boss", "-w", "sekrit")[0] == 0
    (here / "keys" / "authorized_keys" / "boss").touch(0o600)
    os.chown(here / owned, STRANGER, -1)
    status, told = command("check", "demo.toml")
    assert status == 2
    assert f"is owned by user {STRANGER}" in told
    monkeypatch.chdir(here)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert any(f"user {STRANGER}" in str(one) for one in examine_all("demo.toml", {}))
    for place in (tmp_path, here):
        place.chmod(0o755)
    os.seteuid(STRANGER - 1)  # in this process: another user may not be able to run our Python
    try:
        findings = examine_all("demo.toml", {})
    finally:
        os.seteuid(0)
    assert any(one.is_fault for one in findings)
    assert not any("\n" in str(one) for one in findings)
