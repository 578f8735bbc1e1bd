"""A host key is changed, and a real OpenSSH client that has learnt the next one sees nothing."""

from __future__ import annotations

import re
import subprocess

import pytest

from console.auth.keys.host_key import (
    forget_old,
    load_host_key,
    load_host_keys,
    make_host_key,
    make_next_host_key,
    next_path,
    old_path,
    rotate,
)
from console.auth.keys.public_keys import fingerprint
from console.cli import main
from console.errors import KeyFileError
from support.clients import clean_environment, need
from support.servers import Host, wait_until


@pytest.fixture
def path(tmp_path):
    """Make a host key."""
    path = tmp_path / "keys" / "host_key"
    make_host_key(path)
    return path


def blobs(path):
    """Return the keys that a server has, as it orders them."""
    return [key.public_data for key in load_host_keys(path)]


def test_the_steps_of_a_rotation(path):
    """The next key is announced, then used; the former one is announced until it is forgotten."""
    (first,) = blobs(path)
    second = make_next_host_key(path).public_data
    assert blobs(path) == [first, second]
    assert make_next_host_key(path).public_data == second
    assert rotate(path).public_data == second
    assert blobs(path) == [second, first]
    third = make_next_host_key(path).public_data
    assert blobs(path) == [second, third, first]
    rotate(path)
    assert blobs(path) == [third, second]
    forget_old(path)
    assert blobs(path) == [third]
    assert {one.name for one in path.parent.iterdir()} == {"host_key", ".lock"}


def test_files_of_a_rotation_are_private(path):
    """Each private key is for its owner alone."""
    make_next_host_key(path)
    rotate(path)
    make_next_host_key(path)
    for one in (path, next_path(path), old_path(path)):
        assert one.stat().st_mode & 0o777 == 0o600


def test_a_rotation_that_was_cut_in_the_middle_can_be_repeated(path):
    """Killed after the old key was written, nothing is lost and nothing is announced twice."""
    (first,) = blobs(path)
    second = make_next_host_key(path).public_data
    old_path(path).write_bytes(path.read_bytes())
    old_path(path).chmod(0o600)
    assert blobs(path) == [first, second]
    rotate(path)
    assert blobs(path) == [second, first]


def test_what_is_not_there_cannot_be_rotated_or_forgotten(path):
    """Both say so, and leave the host key as it was."""
    before = path.read_bytes()
    with pytest.raises(KeyFileError, match="no next key"):
        rotate(path)
    with pytest.raises(KeyFileError, match="no old key"):
        forget_old(path)
    next_path(path).write_text("garbage")
    next_path(path).chmod(0o600)
    for call in (rotate, load_host_keys):
        with pytest.raises(KeyFileError, match="is not a private key"):
            call(path)
    assert path.read_bytes() == before
    with pytest.raises(KeyFileError, match="no such file"):
        make_next_host_key(path.with_name("other"))


def test_the_next_key_is_of_the_same_kind(path):
    """A client offered two kinds could choose the one that it does not know."""
    make_host_key(path.with_name("ecdsa"), "ecdsa-sha2-nistp256")
    key = make_next_host_key(path.with_name("ecdsa"))
    assert key.kind == "ecdsa-sha2-nistp256"
    make_host_key(path.with_name("rsa"), "ssh-rsa")
    assert make_next_host_key(path.with_name("rsa")).kind == "ssh-rsa"


def test_the_commands_do_the_steps_and_show_them(path, capsys, tmp_path):
    """With --keys, and with the file that a configuration names."""

    def console(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(["key", "host", *arguments])
        return caught.value.code, capsys.readouterr()

    def line(role, file):
        return f"{role:7} {fingerprint(load_host_key(file).public_data)} ssh-ed25519 {file}\n"

    keys = ("--keys", str(path.parent))
    assert console(*keys)[1].out == line("current", path)
    code, said = console("next", *keys)
    assert code == 0
    assert said.out.endswith(line("current", path) + line("next", next_path(path)))
    code, said = console("rotate", *keys)
    assert code == 0
    assert said.out.endswith(line("current", path) + line("old", old_path(path)))
    assert console("forget", *keys)[1].out == line("current", path)
    code, said = console("forget", *keys)
    assert code == 2
    assert said.err.count("\n") == 1
    named = tmp_path / "own_key"
    make_host_key(named)
    config = tmp_path / "demo.toml"
    config.write_text('keys = "keys"\n[ssh]\nport = 1\nhost_key = "own_key"\n')
    assert console("show", "--config", str(config))[1].out == line("current", named)
    config.write_text('keys = "keys"\n[ssh]\nport = 1\n')
    assert console("--config", str(config))[1].out == line("current", path)


def test_a_client_that_learnt_the_next_key_sees_no_warning(tmp_path):
    """OpenSSH keeps what is announced; another that has not is warned, as it should be."""
    need("ssh")
    need("ssh-keygen")
    path = tmp_path / "keys" / "host_key"
    path.parent.mkdir(mode=0o700)

    def service(name):
        """Start the service once more, with the same keys."""
        (tmp_path / name).mkdir()
        (tmp_path / name / "keys").symlink_to(path.parent)
        return Host(tmp_path / name)

    def known(name):
        """Return the keys that a client knows."""
        file = tmp_path / name
        return set(re.findall(r"ssh-ed25519 (\S+)", file.read_text())) if file.exists() else set()

    def ssh(host, name, checking):
        options = {
            "UserKnownHostsFile": tmp_path / name,
            "GlobalKnownHostsFile": "/dev/null",
            "HostKeyAlias": "service",  # the port is another one after each start
            "StrictHostKeyChecking": checking,
            "UpdateHostKeys": "yes",
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
        }
        return subprocess.run(
            [
                *("ssh", "-F", "none", "-i", host.key_file, "-p", str(host.ssh_port)),
                *(part for name, value in options.items() for part in ("-o", f"{name}={value}")),
                *("boss@127.0.0.1", "foo"),
            ],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=60,
            env=clean_environment(tmp_path),
        )

    with service("first") as host:
        for name in ("learns", "sleeps"):
            assert ssh(host, name, "accept-new").stdout == "12\n"
            assert len(known(name)) == 1
    make_next_host_key(path)
    with service("second") as host:
        assert ssh(host, "learns", "yes").stdout == "12\n"
        wait_until(lambda: len(known("learns")) == 2, "the client keeps the next key")
    rotate(path)
    with service("third") as host:
        done = ssh(host, "learns", "yes")
        assert (done.stdout, done.stderr) == ("12\n", "")
        assert len(known("learns")) == 2
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in ssh(host, "sleeps", "yes").stderr
    forget_old(path)
    with service("fourth") as host:
        done = ssh(host, "learns", "yes")
        assert (done.stdout, done.stderr) == ("12\n", "")
        wait_until(lambda: len(known("learns")) == 1, "the client forgets the old key")
