"""The pid file: one process at a time, and nothing trusted but the lock."""

import fcntl
import os
import subprocess
import sys

import pytest

from console.files.pid import PidFile, PidFileError
from support.servers import Process

HOLD = """
import sys
from console.files.pid import PidFile
with PidFile(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "console.pid"


@pytest.fixture
def holder(path, tmp_path):
    """Another process that holds the file."""
    with Process([sys.executable, "-c", HOLD, str(path)], tmp_path / "holder") as process:
        process.wait_for_stdout("held")
        yield process


def test_it_holds_the_number_and_goes(path):
    """While it is held it names this process; afterwards there is no file."""
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"
        assert path.stat().st_mode & 0o022 == 0
    assert not path.exists()


def test_it_goes_after_an_error(path):
    """A service that fails leaves no file."""
    with pytest.raises(RuntimeError), PidFile(path):
        raise RuntimeError
    assert not path.exists()


def test_it_is_removed_from_another_directory(path, tmp_path, monkeypatch):
    """A service may change its directory: the file that it made is the one that goes."""
    monkeypatch.chdir(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with PidFile("console.pid"):
        assert path.exists()
        monkeypatch.chdir(elsewhere)
    assert not path.exists()


def test_a_living_process_is_not_disturbed(path, holder):
    """Of two processes the second is refused, with the first one's number, and changes nothing."""
    with pytest.raises(PidFileError, match=f"process {holder.popen.pid} is running") as caught:
        PidFile(path).__enter__()
    assert "\n" not in str(caught.value)
    assert path.read_text() == f"{holder.popen.pid}\n"


def test_what_a_killed_process_left_is_taken_over(path, holder):
    """After SIGKILL the file remains, and does not keep the next process from starting."""
    holder.popen.kill()
    holder.wait()
    assert path.exists()
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"
    assert not path.exists()


@pytest.mark.parametrize(
    "content",
    ["", "1\n", f"{os.getpid()}\n", "99999999999\n"],
    ids=["nothing", "init", "ourselves", "nobody"],
)
def test_a_number_alone_is_not_trusted(path, content):
    """The number of a live process that does not hold the file keeps no process from starting."""
    path.write_text(content)
    with PidFile(path):
        assert path.read_text() == f"{os.getpid()}\n"


@pytest.mark.parametrize("content", ["a letter\n", "12 13\n", "1" * 40])
def test_another_kind_of_file_is_kept(path, content):
    """A file with anything but a number in it is refused and unchanged."""
    path.write_text(content)
    with pytest.raises(PidFileError, match="something other than a process number"):
        PidFile(path).__enter__()
    assert path.read_text() == content


def test_a_place_that_cannot_be_written(tmp_path):
    """A missing directory, and a directory in the file's place, are errors of one line."""
    for path in (tmp_path / "nowhere" / "console.pid", tmp_path):
        with pytest.raises(PidFileError, match="cannot be written: ") as caught:
            PidFile(path).__enter__()
        assert "\n" not in str(caught.value)


def test_a_symbolic_link_is_not_followed(path, tmp_path):
    """The target of another user's link is not written."""
    target = tmp_path / "target"
    target.write_text("1\n")
    path.symlink_to(target)
    with pytest.raises(PidFileError):
        PidFile(path).__enter__()
    assert target.read_text() == "1\n"


def test_a_file_that_another_process_made_is_not_removed(path):
    """If the file was replaced meanwhile, the new one stays."""
    with PidFile(path):
        path.unlink()
        path.write_text("1\n")
    assert path.read_text() == "1\n"


def test_a_file_that_was_removed_before_it_was_locked(path, monkeypatch):
    """If the old owner removes the file between open and lock, a new one is made and locked."""
    real, calls = fcntl.flock, []

    def flock(descriptor, operation):
        if not calls:
            path.unlink()
        calls.append(operation)
        real(descriptor, operation)

    monkeypatch.setattr("console.files.pid.fcntl.flock", flock)
    with PidFile(path):
        assert len(calls) == 2
        assert path.read_text() == f"{os.getpid()}\n"
        with pytest.raises(PidFileError):
            PidFile(path).__enter__()


def test_a_forked_child_lets_go(path):
    """A child that outlives its parent does not keep the file, nor remove it."""
    code = """
import os, sys
from console.files.pid import PidFile
child = 0
with PidFile(sys.argv[1]):
    child = os.fork()
    if child == 0:
        print("forked", flush=True)
        sys.stdin.read()
    else:
        os._exit(0)
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout.readline() == b"forked\n"
        parent.wait(30)
        with PidFile(path):
            parent.stdin.close()  # the child ends: its end of stdout closes
            assert parent.stdout.read() == b""
            assert path.read_text() == f"{os.getpid()}\n"
