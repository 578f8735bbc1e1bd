"""The command line: users and keys from a shell, and errors in one line."""

from __future__ import annotations

import base64
import io
import os
import pty
import subprocess
import sys

import pytest

from console._version import __version__
from console.auth.passwords import verify
from console.auth.store import FileCredentials
from console.cli import main


def ed25519_line(seed, comment):
    """Write a line; parsing does not ask whether the 32 bytes are a point of the curve."""
    parts = (b"ssh-ed25519", bytes([seed]) * 32)
    blob = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return f"ssh-ed25519 {base64.b64encode(blob).decode()} {comment}"


@pytest.fixture
def keys(tmp_path, monkeypatch):
    """Name the directory that the commands use."""
    directory = tmp_path / "keys"
    monkeypatch.setenv("CONSOLE_KEYS", str(directory))
    return directory


@pytest.fixture
def console(keys, monkeypatch, capsys):
    """Run the command in this process; return its status and what it printed."""

    def run(*arguments, stdin=""):
        data = stdin if isinstance(stdin, bytes) else stdin.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))
        with pytest.raises(SystemExit) as caught:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


def test_the_version_is_ours(console):
    """It is the package's, after the program's name."""
    assert console("--version") == (0, f"console {__version__}\n", "")


def test_the_script_is_installed():
    """The command of the package runs, and tells how it is used."""
    done = subprocess.run(
        [sys.executable, "-c", "from console.cli import main; main()", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage: console" in done.stdout
    assert "console user add boss" in done.stdout


@pytest.mark.parametrize(
    "command",
    ["user add", "user passwd", "user remove", "key add", "key remove"],
)
def test_help_has_an_example(console, command):
    """Each command that changes something shows how, in a line of its own."""
    code, out, _ = console(*command.split(), "--help")
    assert code == 0
    assert any(line.startswith(f"    console {command} ") for line in out.splitlines())
    assert "CONSOLE_KEYS" in out


def test_a_user_comes_changes_and_goes(console, keys):
    """Each step says what it did, and the store knows it."""
    store = FileCredentials(keys)
    code, out, err = console("user", "add", "boss", "--stdin", stdin="sekrit\nnot this\n")
    assert (code, out, err) == (0, f"added boss to {keys}\n", "")
    assert verify(store.password_hash("boss"), "sekrit")
    assert console("user", "passwd", "boss", "--stdin", stdin="other\r\n")[0] == 0
    assert verify(store.password_hash("boss"), "other")
    assert console("user", "add", "ann", "--no-password")[0] == 0
    assert store.password_hash("ann") is None
    assert console("user", "list") == (0, "boss\nann\n", "")
    assert console("user", "remove", "boss") == (0, "removed boss\n", "")
    assert console("user", "list") == (0, "ann\n", "")


def test_keys_come_and_go(console, keys, tmp_path):
    """From a file and from stdin; the fingerprint names the key that is taken back."""
    assert console("user", "add", "boss", "--no-password")[0] == 0
    path = tmp_path / "id.pub"
    path.write_text(f"# laptop\n{ed25519_line(1, 'laptop')}\n\n{ed25519_line(2, 'desk')}\n")
    code, out, err = console("key", "add", "boss", path)
    assert (code, err) == (0, "")
    prints = [line.split()[0] for line in out.splitlines()]
    assert [f"{one} lets boss in" for one in prints] == out.splitlines()
    code, out, err = console("key", "add", "boss", "-", stdin=ed25519_line(3, "phone"))
    prints.append(out.split()[0])
    listed = console("key", "list", "boss")[1].splitlines()
    assert listed == [
        f"{one} ssh-ed25519 {comment}"
        for one, comment in zip(prints, ("laptop", "desk", "phone"), strict=True)
    ]
    assert console("key", "remove", "boss", prints[1])[0] == 0
    found = FileCredentials(keys).authorized_keys("boss")
    assert [key.comment for key in found] == ["laptop", "phone"]


def test_a_file_of_keys_is_taken_whole_or_not_at_all(console, tmp_path):
    """One bad line, told with its place, and no key of the file lets anybody in."""
    console("user", "add", "boss", "--no-password")
    path = tmp_path / "keys.pub"
    path.write_text(f"{ed25519_line(1, 'good')}\nrestrict {ed25519_line(2, 'bad')}\n")
    code, out, err = console("key", "add", "boss", path)
    assert (code, out) == (2, "")
    assert err.startswith(f"console: {path}:2: the option 'restrict' is not enforced")
    assert console("key", "list", "boss") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "stdin", "problem"),
    [
        ("user add boss --stdin", "sekrit\n", "there is a user 'boss' already"),
        ("user add ../x", "", "'../x' is no user name"),
        ("user add ann --stdin", "\n", "password: is empty"),
        ("user add ann --stdin", "", "password: is empty"),
        ("user add ann --stdin", b"\xff\n", "password: is not UTF-8"),
        ("user passwd ann --stdin", "sekrit\n", "no user 'ann'"),
        ("user remove ann", "", "no user 'ann'"),
        ("key add ann -", ed25519_line(1, ""), "no user 'ann'"),
        ("key add boss -", "", "there is no public key in it"),
        (
            "key add boss -",
            "-----BEGIN OPENSSH PRIVATE KEY-----\n",
            "give the one line of the .pub",
        ),
        ("key list ann", "", "no user 'ann'"),
        ("key remove boss SHA256:x", "", "no key 'SHA256:x'"),
    ],
)
def test_an_error_is_one_line_and_status_2(console, keys, arguments, stdin, problem):
    """The line names the program; nothing is changed, and no password is shown."""
    console("user", "add", "boss", "--stdin", stdin="hunter2")
    before = (keys / "users").read_bytes()
    code, out, err = console(*arguments.split(), stdin=stdin)
    assert (code, out) == (2, "")
    assert err.startswith("console: ")
    assert err.count("\n") == 1
    assert problem in err
    assert "sekrit" not in err
    assert (keys / "users").read_bytes() == before


def test_a_wrong_use_is_status_2(console, tmp_path):
    """A missing file and an unknown command are told by the usage."""
    for arguments in (("key", "add", "boss", tmp_path / "nothing"), ("no-such-command",)):
        code, out, err = console(*arguments)
        assert (code, out) == (2, "")
        assert "Usage: console" in err


def test_the_option_wins_over_the_environment(console, keys, tmp_path):
    """--keys names the directory where both are given."""
    other = tmp_path / "other"
    assert console("user", "add", "boss", "--no-password", "--keys", other)[0] == 0
    assert FileCredentials(other).users() == ["boss"]
    assert not keys.exists()


def test_without_either_the_users_own_directory_is_used(console, tmp_path, monkeypatch):
    """It follows the system's convention."""
    monkeypatch.delenv("CONSOLE_KEYS")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert console("user", "add", "boss", "--no-password")[0] == 0
    assert FileCredentials(tmp_path / "data" / "console" / "keys").users() == ["boss"]


def ask(keys, answers):
    """Run ``console user add boss`` on a terminal, answer its questions, return what it showed."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["CONSOLE_KEYS"] = str(keys)
        code = "from console.cli import main; main()"
        os.execv(sys.executable, [sys.executable, "-c", code, "user", "add", "boss"])
    shown = b""
    try:
        while True:
            part = os.read(terminal, 1024)
            if not part:
                break
            shown += part
            if answers and shown.rstrip().endswith(answers[0][0]):
                os.write(terminal, answers.pop(0)[1] + b"\n")
    except OSError:  # Linux: the terminal's other end is closed
        pass
    finally:
        os.close(terminal)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), shown


def test_the_password_is_asked_for_twice_and_not_shown(keys):
    """On a terminal it is typed hidden; the two have to be the same."""
    code, shown = ask(
        keys,
        [
            (b"new password for boss:", b"sekrit"),
            (b"again:", b"sekrlt"),
            (b"new password for boss:", b"sekrit"),
            (b"again:", b"sekrit"),
        ],
    )
    assert code == 0
    assert b"sekr" not in shown
    assert b"added boss" in shown
    assert verify(FileCredentials(keys).password_hash("boss"), "sekrit")


def test_importing_the_package_does_not_import_click():
    """A service that embeds a console does not pay for the command line."""
    code = "import sys, console, console.auth.store, console.cli; print('click' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
