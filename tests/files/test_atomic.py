"""Atomic files: old or new content whatever happens, and private."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading

import pytest

from console.files.atomic import locked, make_private_directory, write_atomically
from console.files.exposure import exposure, read_with_status


def mode(path):
    """Return a file's permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def test_a_written_file_has_the_data_and_the_mode(tmp_path):
    """The content is whole and the mode is the one asked for, whatever the umask."""
    path = tmp_path / "file"
    previous = os.umask(0o277)
    try:
        write_atomically(path, b"one")
    finally:
        os.umask(previous)
    assert path.read_bytes() == b"one"
    assert mode(path) == 0o600
    path.chmod(0o666)
    write_atomically(path, b"two", mode=0o640)
    assert path.read_bytes() == b"two"
    assert mode(path) == 0o640
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    """A write that fails changes nothing and leaves no temporary file."""
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError):
        write_atomically(path, "text")
    (tmp_path / "directory").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomically(tmp_path / "directory", b"new")
    with pytest.raises(NotADirectoryError):
        write_atomically(path / "below", b"new")
    assert path.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == [tmp_path / "directory", path]


def test_without_replace_the_first_file_stays(tmp_path):
    """An existing file is left alone, and the caller gets FileExistsError."""
    path = tmp_path / "file"
    write_atomically(path, b"first", replace=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"second", replace=False)
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_a_symbolic_link_stays_one(tmp_path):
    """The file behind the link is replaced, not the link."""
    (tmp_path / "real").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("real")
    write_atomically(link, b"new")
    assert link.is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


WRITER = """
import sys
from console.files.atomic import write_atomically
path, size = sys.argv[1], int(sys.argv[2])
write_atomically(path, b"a" * size)
print("ready", flush=True)
while True:
    for letter in (b"b", b"c"):
        write_atomically(path, letter * size)
"""


def test_a_killed_writer_leaves_one_whole_content(tmp_path):
    """Thirty times killed in the middle of writing, the file is whole each time."""
    size = 1_000_000
    path = tmp_path / "file"
    seen = set()
    for round_number in range(30):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), str(size)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout.readline() == b"ready\n"
            first = path.stat().st_ino
            # Let it get a few writes on, a different number each round.
            for _ in range(round_number % 5):
                while (inode := path.stat().st_ino) == first:
                    pass
                first = inode
            writer.kill()
        data = path.read_bytes()
        assert data in {letter * size for letter in (b"a", b"b", b"c")}
        seen.add(data[:1])
    assert len(seen) > 1  # otherwise nothing was ever replaced


def test_a_private_directory_is_for_its_owner_alone(tmp_path):
    """Each directory that is made has 0700; one that exists keeps its mode."""
    tmp_path.chmod(0o755)
    make_private_directory(tmp_path / "a" / "b")
    assert mode(tmp_path / "a") == mode(tmp_path / "a" / "b") == 0o700
    assert mode(tmp_path) == 0o755
    make_private_directory(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(NotADirectoryError):
            make_private_directory(path)


def test_reading_refuses_what_is_no_file_or_too_long(tmp_path):
    """A FIFO does not hang, a device and a huge file are refused."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "long").write_bytes(b"12345")
    with pytest.raises(OSError, match="not a regular file"):
        read_with_status(tmp_path / "fifo")
    with pytest.raises(OSError, match="not a regular file"):
        read_with_status("/dev/zero")
    with pytest.raises(OSError, match="longer than 4 bytes"):
        read_with_status(tmp_path / "long", limit_bytes=4)
    data, status = read_with_status(tmp_path / "long", limit_bytes=5)
    assert data == b"12345"
    assert status.st_size == 5


@pytest.mark.parametrize(
    ("bits", "secret", "remedy"),
    [
        (0o600, True, None),
        (0o400, True, None),
        (0o640, True, "chmod 600"),
        (0o604, True, "chmod 600"),
        (0o644, False, None),
        (0o664, False, "chmod go-w"),
        (0o646, False, "chmod go-w"),
    ],
)
def test_exposure_tells_the_command_that_mends_it(tmp_path, bits, secret, remedy):
    """Access of others to a secret or a file is reported, with the remedy that works."""
    path = tmp_path / "with blank"
    path.touch()
    path.chmod(bits)
    found = exposure(path, path.stat(), secret=secret)
    if remedy is None:
        assert found is None
    else:
        assert found.remedy.startswith(remedy)
        subprocess.run(found.remedy, shell=True, check=True)
        assert exposure(path, path.stat(), secret=secret) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_exposure_tells_of_another_owner(tmp_path):
    """A file of another user, who could change it, is not trusted."""
    path = tmp_path / "file"
    path.touch(0o600)
    os.chown(path, 12345, -1)
    found = exposure(path, path.stat(), secret=True)
    assert "user 12345" in found.problem
    subprocess.run(found.remedy, shell=True, check=True)
    assert exposure(path, path.stat(), secret=True) is None


def test_a_lock_is_held_by_one_and_given_up_after_a_while(tmp_path):
    """Threads take turns; a wait beyond the limit is an error that says how to find the holder."""
    path = tmp_path / ".lock"
    counter = {"inside": 0, "most": 0, "turns": 0}

    def take_turn():
        with locked(path, wait_seconds=60):
            counter["inside"] += 1
            counter["most"] = max(counter["most"], counter["inside"])
            counter["turns"] += 1
            counter["inside"] -= 1

    threads = [threading.Thread(target=take_turn) for _ in range(8)]
    with locked(path, wait_seconds=0):
        for thread in threads:
            thread.start()
        with pytest.raises(OSError, match="fuser"), locked(path, wait_seconds=0):
            pass
        assert counter["turns"] == 0
    for thread in threads:
        thread.join()
    assert counter == {"inside": 0, "most": 1, "turns": 8}
