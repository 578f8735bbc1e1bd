"""What the command says of usual mistakes: one line, with what to do."""

import io
import shlex
import subprocess
import sys

import pytest

from console.cli import main
from support.servers import clean_environment
from support.tls import make_certificate, openssl


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A directory to work in, for its owner alone."""
    tmp_path.chmod(0o700)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CONSOLE_KEYS", raising=False)
    return tmp_path


@pytest.fixture
def command(here, monkeypatch, capsys):
    """Run the command in this process; return its status, its output and its errors."""

    def run(text, stdin=""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        with pytest.raises(SystemExit) as caught:
            main(shlex.split(text))
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


def run_fails(here, toml):
    """Run a configuration in a process that ends at once; return the last line of its errors."""
    (here / "demo.toml").write_text(toml)
    done = subprocess.run(
        [sys.executable, "-c", "from console.cli import main; main()", "run", "demo.toml"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=here,
        env=clean_environment(here),
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    return done.stderr.splitlines()


# ---- users and keys


@pytest.mark.parametrize("what", ["user list", "key list boss"])
def test_a_keys_directory_that_does_not_exist(what, command):
    """A listing of what is not there is an error, not an empty list."""
    code, out, err = command(f"{what} --keys /nonexistent")
    assert (code, out) == (2, "")
    assert err == (
        "console: /nonexistent: there is no such directory; name another with --keys or --config,"
        " or add a user: console user add NAME\n"
    )


def test_a_key_in_the_form_of_rfc_4716(command, here, ssh_keygen):
    """The command that the error names converts the key, which is then taken."""
    ssh_keygen("-q", "-t", "ed25519", "-N", "", "-f", "id")
    (here / "id.4716").write_text(ssh_keygen("-e", "-f", "id.pub").stdout)
    command("user add boss --no-password --keys keys")
    code, _, err = command("key add boss id.4716 --keys keys")
    assert code == 2
    assert err == (
        "console: id.4716:1: this is a key in the form of RFC 4716;"
        " convert it: ssh-keygen -i -f FILE\n"
    )
    back = ssh_keygen("-i", "-f", "id.4716").stdout
    assert command("key add boss - --keys keys", back)[0] == 0


def test_a_home_that_cannot_be_written(command, here, monkeypatch):
    """The error of the default keys directory says how another one is named."""
    (here / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(here / "file"))
    remedy = "name a directory that can be written: keys= in code and in the file, --keys for a"
    code, _, err = command("user add boss --no-password")
    assert code == 2
    assert f"cannot be written: Not a directory; {remedy}" in err


def test_the_help_names_the_keys_directory(command, here, monkeypatch):
    """`console --help` says where users and keys are if no directory is named."""
    monkeypatch.setenv("XDG_DATA_HOME", str(here / "data"))
    code, out, _ = command("--help")
    assert code == 0
    assert "Users and keys are kept here, if no other directory is named:\n" in out
    assert f"\n    {here}/data/console/keys\n" in out


# ---- configurations


def test_a_socket_in_a_directory_that_does_not_exist(here):
    """The error names the command that makes the directory, and it helps."""
    *_, line = run_fails(here, 'keys = "keys"\n[telnet]\nsocket = "run/x.sock"\n')
    directory = here / "run"
    remedy = f"mkdir -p -m 700 {directory}"
    assert line == (
        f"console: telnet on {directory}/x.sock: there is no directory {directory};"
        f" make it: {remedy}"
    )
    subprocess.run(shlex.split(remedy), check=True)
    assert directory.stat().st_mode & 0o777 == 0o700


def test_a_key_that_is_encrypted(command, here):
    """The check and the start say the same of an encrypted TLS key; the check names the line."""
    certificate, key = make_certificate(here)
    openssl("pkey", "-aes128", "-passout", "pass:sekrit", "-in", key, "-out", here / "e.key")
    (here / "e.key").chmod(0o600)
    toml = (
        f'keys = "keys"\n[telnets]\nport = 0\ncertificate = "{certificate.name}"\nkey = "e.key"\n'
    )
    said = "is encrypted, and a service cannot ask for the passphrase; decrypt it: openssl pkey"
    assert f"{here}/e.key': {said}" in run_fails(here, toml)[-1]
    code, out, _ = command("check demo.toml")
    assert code == 2
    (line,) = [line for line in out.splitlines() if line.startswith("error")]
    assert line.startswith(f'error: demo.toml:5: telnets.key = "e.key": {said}')


def test_the_default_password_beyond_this_machine(command, here):
    """What is refused is told once, in the words of the configuration file."""
    toml = 'keys = "keys"\ndefault_user = true\n[ssh]\nport = 0\nhost = "0.0.0.0"\n'
    lines = run_fails(here, toml)
    said = (
        'demo.toml:5: ssh.host = "0.0.0.0": with the default password only this machine may'
        " connect; set another with: console user add NAME --config demo.toml"
    )
    assert lines == [f"console: {said}"]
    code, out, _ = command("check demo.toml")
    assert code == 2
    assert [line for line in out.splitlines() if "password" in line] == [f"error: {said}"]


def test_a_users_file_that_is_not_trusted_is_told_once(command, here):
    """One that others can write ends the start with one line."""
    command("user add boss --stdin --keys keys", "sekrit-8\n")
    (here / "keys" / "users").chmod(0o666)
    lines = run_fails(here, 'keys = "keys"\n[telnet]\nport = 0\n')
    said = "is not used, because it can be changed by other users (mode 0666)"
    assert lines == [f"console: {here}/keys/users: {said}; chmod 600 {here}/keys/users"]
