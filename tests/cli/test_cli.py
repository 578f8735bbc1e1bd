"""The command line: users and keys from a shell, and errors in one line."""

from __future__ import annotations

import base64
import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pyotp
import pytest
import segno

from console._version import __version__
from console.auth.passwords import verify
from console.auth.stores.directory import FileCredentials
from console.cli import main
from console.cli.configured import uses_default_user
from console.config.file import read_settings
from console.interfaces.credentials import Role


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
        [str(Path(sys.executable).parent / "console"), "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Usage: console" in done.stdout
    assert "console user add boss" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        *("user add", "user passwd", "user remove", "user role", "user totp"),
        *("key add", "key remove", "key host"),
        *("init", "run", "check", "completion"),
    ],
)
def test_help_has_an_example(console, command):
    """Each command that does something shows how, in a line of its own."""
    code, out, _ = console(*command.split(), "--help")
    assert code == 0
    assert any(line.startswith(f"    console {command} ") for line in out.splitlines())
    assert ("CONSOLE_KEYS" in out) == (" " in command)


def test_a_user_comes_changes_and_goes(console, keys):
    """Each step says what it did, and the store knows it."""
    store = FileCredentials(keys)
    code, out, err = console("user", "add", "boss", "--stdin", stdin="sekrit-8\nnot this\n")
    assert (code, out, err) == (0, f"added boss to {keys}\n", "")
    assert verify(store.password_hash("boss"), "sekrit-8")
    assert console("user", "passwd", "boss", "--stdin", stdin="other-pw\r\n")[0] == 0
    assert verify(store.password_hash("boss"), "other-pw")
    assert console("user", "add", "ann", "--no-password")[0] == 0
    assert store.password_hash("ann") is None
    listed = "boss  operator  password\nann   operator  no way in\n"
    assert console("user", "list") == (0, listed, "")
    assert console("user", "remove", "boss") == (0, "removed boss\n", "")
    assert console("user", "list") == (0, "ann  operator  no way in\n", "")


def test_roles_are_given_and_listed(console, keys):
    """With the user, later, and by hand; a user who is refused has no role."""
    assert console("user", "add", "boss", "--stdin", "--role", "admin", stdin="sekrit-8\n")[0] == 0
    assert console("user", "add", "ann", "--no-password", "--role", "viewer")[0] == 0
    assert console("key", "add", "ann", "-", stdin=ed25519_line(1, "laptop"))[0] == 0
    assert console("user", "list")[1] == "boss  admin     password\nann   viewer    1 key\n"
    assert console("user", "role", "ann", "operator") == (
        0,
        "ann is operator from the next login on\n",
        "",
    )
    assert FileCredentials(keys).role("ann") is Role.OPERATOR
    with (keys / "users").open("a") as users:
        users.write("eve:*:root\n")
    assert console("user", "list")[1].splitlines()[1:] == [
        "ann   operator  1 key",
        "eve   -         no way in",
    ]


@pytest.mark.parametrize("change", ["user role boss operator", "user remove boss"])
def test_the_last_admin_does_not_go_in_silence(console, keys, change):
    """The change is made, with a warning; while there is another admin there is none."""
    console("user", "add", "boss", "--stdin", "--role", "admin", stdin="sekrit-8\n")
    console("user", "add", "ann", "--no-password", "--role", "admin")
    assert console(*change.replace("boss", "ann").split())[2] == ""
    code, _, err = console(*change.split())
    assert code == 0
    assert err == (
        "console: warning: no user is an admin any more; make one: console user role NAME admin\n"
    )
    assert console("user", "add", "eve", "--no-password")[2] == ""
    assert console("user", "remove", "eve")[2] == ""


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
    """One bad line is reported with its place, and no key of the file is accepted."""
    console("user", "add", "boss", "--no-password")
    path = tmp_path / "keys.pub"
    path.write_text(f"{ed25519_line(1, 'good')}\ntunnel {ed25519_line(2, 'bad')}\n")
    code, out, err = console("key", "add", "boss", path)
    assert (code, out) == (2, "")
    assert err.startswith(f"console: {path}:2: the option 'tunnel' is not enforced")
    assert console("key", "list", "boss") == (0, "", "")


def test_options_of_keys_are_kept_and_shown_as_they_are_enforced(console, keys):
    """The file keeps what was written; the list has what it comes to."""
    console("user", "add", "boss", "--no-password")
    options = 'restrict,user-rc,From="10.0.0.0/8",command="print(\\"a b\\")"'
    line = f"{options} {ed25519_line(1, 'tablet')}"
    code, out, _ = console("key", "add", "boss", "-", stdin=line)
    assert code == 0
    fingerprint = out.split()[0]
    assert (keys / "authorized_keys" / "boss").read_text() == f"{line}\n"
    shown = 'from="10.0.0.0/8",command="print(\\"a b\\")",no-pty'
    assert console("key", "list", "boss")[1] == f"{fingerprint} ssh-ed25519 {shown} tablet\n"
    assert console("key", "add", "boss", "-", stdin=line)[0] == 0
    code, _, err = console("key", "add", "boss", "-", stdin=ed25519_line(1, "tablet"))
    assert code == 2
    assert "boss:1: has this key already, with other options; first remove it: " in err
    assert f"console key remove boss {fingerprint}" in err
    assert (keys / "authorized_keys" / "boss").read_text() == f"{line}\n"
    console("key", "remove", "boss", fingerprint)
    assert console("key", "list", "boss") == (0, "", "")


@pytest.mark.parametrize(
    ("arguments", "stdin", "problem"),
    [
        ("user add boss --stdin", "sekrit-8\n", "there is a user 'boss' already"),
        ("user add ../x", "", "'../x' is not a user name"),
        ("user add ann --stdin", "\n", "password: is empty"),
        ("user add ann --stdin", "", "password: is empty"),
        ("user add ann --stdin", b"\xff\n", "password: is not UTF-8"),
        ("user passwd ann --stdin", "sekrit-8\n", "no user 'ann'"),
        ("user remove ann", "", "no user 'ann'"),
        ("user role ann viewer", "", "no user 'ann'"),
        ("user totp ann", "", "no user 'ann'"),
        ("user totp ann --remove", "", "no user 'ann'"),
        ("user totp boss --remove", "", "'boss' has none"),
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
    console("user", "add", "boss", "--stdin", stdin="hunter-22")
    before = (keys / "users").read_bytes()
    code, out, err = console(*arguments.split(), stdin=stdin)
    assert (code, out) == (2, "")
    assert err.startswith("console: ")
    assert err.count("\n") == 1
    assert problem in err
    assert "sekrit-8" not in err
    assert (keys / "users").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("no-such-command", "no such command 'no-such-command' (see: console --help)"),
        ("usr list", "no such command 'usr'. Did you mean 'user'? (see: console --help)"),
        ("user add", "missing argument 'NAME' (see: console user add --help)"),
        ("user add x --kays y", "--keys"),
        ("key add boss nothing.pub", "invalid value for 'FILE': File 'nothing.pub' does not exist"),
        ("completion tcsh", "invalid value for '{bash|zsh|fish}': 'tcsh' is not one of"),
        ("init -p 70000", "invalid value for '-p' / '--port': 70000 is not in the range"),
        ("init -w x --stdin", "give -w or --stdin, not both (see: console init --help)"),
        ("user role boss root", "'root' is not one of 'viewer', 'operator', 'admin'"),
        ("user totp boss --remove --stdin", "--remove goes with no other option"),
        ("user list --keys x --config y.toml", "give --keys or --config, not both"),
        ("run", "missing argument 'TARGET' (see: console run --help)"),
    ],
)
def test_a_wrong_use_is_one_line_and_status_2(console, tmp_path, monkeypatch, arguments, told):
    """It says what is wrong, and which help to read."""
    monkeypatch.chdir(tmp_path)
    code, out, err = console(*arguments.split())
    assert (code, out) == (2, "")
    assert err.startswith("console: ")
    assert err.count("\n") == 1
    assert told in err
    assert list(tmp_path.iterdir()) == []


def test_without_a_command_the_help_is_shown(console):
    """It lists the commands."""
    code, out, err = console()
    assert (code, out) == (2, "")
    for name in ("init", "run", "check", "user", "key", "completion"):
        assert f"\n  {name} " in err


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


def ask(keys, answers, *arguments):
    """Run the command on a terminal, answer its questions, return what it showed.

    An answer may be a function of what has been shown.
    """
    child, terminal = pty.fork()
    if child == 0:
        os.environ["CONSOLE_KEYS"] = str(keys)
        code = "from console.cli import main; main()"
        os.execv(sys.executable, [sys.executable, "-c", code, *arguments])
    shown = b""
    try:
        while True:
            part = os.read(terminal, 1024)
            if not part:
                break
            shown += part
            if answers and shown.rstrip().endswith(answers[0][0]):
                answer = answers.pop(0)[1]
                os.write(terminal, (answer(shown) if callable(answer) else answer) + b"\n")
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
            (b"new password for boss:", b"sekrit-8"),
            (b"again:", b"sekrlt"),
            (b"new password for boss:", b"sekrit-8"),
            (b"again:", b"sekrit-8"),
        ],
        *("user", "add", "boss"),
    )
    assert code == 0
    assert b"sekr" not in shown
    assert b"added boss" in shown
    assert verify(FileCredentials(keys).password_hash("boss"), "sekrit-8")


# ---------------------------------------------------------------- second factors


def secret_in(shown):
    """Find the secret in a URI, which a terminal does not wrap: it only looks so."""
    return re.search(r"otpauth://totp/\S*secret=([A-Z2-7]{32})", shown)[1]


def code_of(shown):
    """Make the code that an app shows."""
    return pyotp.TOTP(secret_in(shown.decode())).now().encode()


def drawn_modules(shown):
    """Read a QR code back from half blocks: rows of what is dark."""
    rows = []
    for line in re.findall("\x1b\\[38;5;16;48;5;231m([ ▀▄█]+)\x1b\\[0m", shown):
        rows += [[block in "▀█" for block in line], [block in "▄█" for block in line]]
    return rows


def test_a_second_factor_is_set_up_on_a_terminal(keys):
    """The URI is shown with its QR code, and a code of the app puts it in force."""
    store = FileCredentials(keys)
    store.add("boss", "sekrit-8")
    prompt = b"code that the app shows:"
    answers = [(prompt, b"000 0000"), (prompt, code_of)]
    code, shown = ask(keys, answers, "user", "totp", "boss", "--issuer", "demo")
    assert code == 0
    text = shown.decode()
    assert "that is not one of its codes" in text
    assert "the password of boss needs a code beside it from now on" in text
    assert "all users are asked for a code from now on" in text
    assert text.count("demo") == 2
    uri = re.search(r"otpauth://\S+", text)[0]
    expected = [
        [bool(one) for one in row] for row in segno.make(uri, error="l").matrix_iter(border=2)
    ]
    drawn = drawn_modules(text)
    assert drawn[: len(expected)] == expected
    assert not any(map(any, drawn[len(expected) :]))
    assert store.has_second_factor("boss")
    assert secret_in(text) in (keys / "second_factors" / "boss").read_text()


def test_a_second_factor_takes_a_right_code(keys):
    """After three wrong ones nothing has changed, and the line says what may be the reason."""
    FileCredentials(keys).add("boss", "sekrit-8")
    answers = [(b"code that the app shows:", b"0")] * 3
    code, shown = ask(keys, answers, "user", "totp", "boss")
    assert code == 2
    assert b"no code was right, so nothing has changed for boss" in shown
    assert not (keys / "second_factors").exists()


def test_a_second_factor_is_set_up_by_a_script(console, keys):
    """The one line on stdout is the URI; the code comes on stdin."""
    store = FileCredentials(keys)
    store.add("boss", "sekrit-8")
    command = [sys.executable, "-c", "from console.cli import main; main()"]
    with subprocess.Popen(
        [*command, "user", "totp", "boss", "--stdin"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        uri = process.stdout.readline()
        process.stdin.write(pyotp.parse_uri(uri.strip()).now() + "\n")
        process.stdin.close()
        assert "needs a code" in process.stdout.read()
    assert process.returncode == 0
    assert store.has_second_factor("boss")
    assert console("user", "list")[1] == "boss  operator  password and code\n"
    code, out, err = console("user", "totp", "boss", "--stdin", stdin=b"\xff\n")
    assert code == 2
    assert out.count("\n") == 1
    assert err.startswith("console: no code was right, so nothing has changed for boss")
    assert console("user", "totp", "boss", "--remove") == (
        0,
        "removed the second factor of boss\n",
        "",
    )
    assert not store.has_second_factor("boss")


def test_what_a_second_factor_does_not_do_is_said(keys):
    """It protects a password only: keys open without it, and without a password it is nothing."""
    store = FileCredentials(keys)
    store.add("boss")
    store.grant_key("boss", ed25519_line(1, "laptop"))
    answers = [(b"code that the app shows:", code_of)]
    code, shown = ask(keys, answers, "user", "totp", "boss")
    assert code == 0
    assert b"warning: boss has no password, so no code is used" in shown
    assert b"warning: the keys of boss let in without a code" in shown


def test_help_imports_little():
    """The help and completion need no part that reads keys or serves."""
    code = """
import sys
from console.cli import main
try:
    main(["--help"])
except SystemExit:
    heavy = {"asyncio", "asyncssh", "argon2", "daemon", "ptpython", "pyotp", "segno"}
    heavy |= {"console.auth.stores.directory"}
    print(heavy & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "set()"


def test_importing_the_package_does_not_import_click():
    """A service that embeds a console does not pay for the command line."""
    code = (
        "import sys, console, console.auth.stores.directory, console.cli;"
        "print('click' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


# ---------------------------------------------------------------- init


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Work in a directory of its own, without any of our variables."""
    for name in [name for name in os.environ if name.startswith("CONSOLE_")]:
        monkeypatch.delenv(name)
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def command(console, here):
    """Run the command in that directory."""
    return console


def test_init_as_in_the_howto(command, here):
    """One command writes the file, a private host key and the user, and says what to do next."""
    code, out, err = command("init", "--name", "telnet", "-p", "4040", "-u", "admin", "-w", "admin")
    assert code == 0
    assert [line.split(" (")[0] for line in out.splitlines()] == [
        "wrote telnet.toml",
        "wrote keys/host_key",
        "added admin to keys",
        "start it with: console run telnet.toml",
    ]
    assert err.startswith("console: warning: a password on the command line shows in the process")
    settings = read_settings("telnet.toml")
    assert (settings.name, settings.keys) == ("telnet", Path("keys"))
    assert (settings.telnet.port, settings.ssh, settings.default_user) == (4040, None, False)
    assert verify(FileCredentials("keys").password_hash("admin"), "admin")
    assert FileCredentials("keys").role("admin") is Role.ADMIN
    assert (here / "keys").stat().st_mode & 0o777 == 0o700
    assert (here / "keys" / "host_key").stat().st_mode & 0o777 == 0o600
    assert "*" in (here / "keys" / ".gitignore").read_text().splitlines()


def test_init_without_a_user_says_who_may_enter(command, here):
    """No user is written, both transports get a port, and the file says what that means."""
    code, out, err = command("init")
    assert (code, err) == (0, "")
    assert "no user written: admin may enter with the password admin, from here only" in out
    text = (here / "console.toml").read_text()
    assert "user admin, password admin, loopback only" in text
    assert "console user add NAME --config console.toml" in text
    settings = read_settings("console.toml")
    assert settings.default_user
    assert (settings.telnet.port, settings.ssh.port) == (4040, 8022)
    assert FileCredentials("keys").users() == []


def test_init_takes_the_password_from_stdin(command):
    """The first line is the user's password; the user is an admin by default."""
    code, out, err = command("init", "--ssh-port", "0", "--stdin", stdin="sekrit-8\n")
    assert (code, err) == (0, "")
    assert "sekrit-8" not in out
    assert read_settings("console.toml").telnet is None
    assert verify(FileCredentials("keys").password_hash("admin"), "sekrit-8")


def test_init_asks_for_the_password(here):
    """With a user and no password it is typed hidden, on the terminal."""
    answers = [(b"new password for boss:", b"sekrit-8"), (b"again:", b"sekrit-8")]
    code, shown = ask(here, answers, "init", "-u", "boss")
    assert code == 0
    assert b"sekrit-8" not in shown
    assert b"warning" not in shown
    assert verify(FileCredentials("keys").password_hash("boss"), "sekrit-8")


def test_ctrl_c_at_the_question_leaves_nothing(here):
    """Ctrl-C at the prompt writes nothing, and gives the status of an interrupt."""
    code, shown = ask(here, [(b"new password for boss:", b"\x03")], "init", "-u", "boss")
    assert code == 130
    assert b"console: interrupted" in shown
    assert list(here.iterdir()) == []


def test_init_beside_another_keeps_its_keys(command, here):
    """A second configuration in a directory has the same host key and users."""
    assert command("init", "--name", "one", "-u", "boss", "--stdin", stdin="sekrit-8\n")[0] == 0
    before = {path: path.read_bytes() for path in (here / "keys").rglob("*") if path.is_file()}
    code, out, _ = command("init", "--name", "two")
    assert code == 0
    assert "kept keys/host_key" in out
    assert not read_settings("two.toml").default_user
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ("--name old", "old.toml: exists already; remove it, or give another --name"),
        ("--name ../x", "1 to 64 of a-z A-Z 0-9 _ . -"),
        ("--name new -u boss --stdin", "there is a user 'boss' already"),
        ("--name new -u a/b --stdin", "'a/b' is not a user name"),
        ("--name new -u ann --stdin", "password: is empty"),
    ],
)
def test_init_changes_nothing_if_it_fails(command, here, arguments, told):
    """What exists is kept, and nothing is half written."""
    assert command("init", "--name", "old", "-u", "boss", "--stdin", stdin="sekrit-8\n")[0] == 0
    before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
    code, out, err = command("init", *arguments.split(), stdin="\n")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert told in err
    assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before


def test_init_where_nothing_can_be_written(command, here):
    """A file in the keys directory's place is an error of one line."""
    (here / "keys").write_text("")
    code, _, err = command("init")
    assert code == 2
    assert err.startswith("console: keys")
    assert err.count("\n") == 1


def test_the_users_of_a_configuration(command, here):
    """--config names the directory as the file does."""
    (here / "sub").mkdir()
    (here / "sub" / "demo.toml").write_text('keys = "own"\n')
    config = ("--config", "sub/demo.toml")
    assert command("user", "add", "boss", "--stdin", *config, stdin="sekrit-8\n")[0] == 0
    assert FileCredentials(here / "sub" / "own").users() == ["boss"]
    assert command("user", "list", *config) == (0, "boss  operator  password\n", "")
    code, _, err = command("key", "list", "ann", *config)
    assert (code, err.count("\n")) == (2, 1)
    code, _, err = command("user", "list", "--config", "none.toml")
    assert (code, err.count("\n")) == (2, 1)
    assert "none.toml: there is no such file" in err


# ---------------------------------------------------------------- check


def test_check_has_nothing_to_say_of_a_good_one(command):
    """A configuration with a user and a real password is fine, and stays as it is."""
    command("init", "--name", "demo", "-u", "boss", "--stdin", stdin="sekrit-8\n")
    assert command("check", "demo.toml") == (0, "demo.toml: no errors, no warnings\n", "")


def test_check_without_a_file(command):
    """It takes console.toml, and says what to do if there is none."""
    code, out, _ = command("check")
    assert code == 2
    assert out.startswith("error: console.toml: there is no such file; make one with: console init")
    command("init", "-u", "boss", "--stdin", stdin="sekrit-8\n")
    assert command("check")[0] == 0


def test_check_names_each_fault(command, here, monkeypatch):
    """Errors of the file and of the environment have line, key and remedy."""
    (here / "bad.toml").write_text("[telnet]\nprot = 1\nport = 0\n[evaluation]\nmode = 'x'\n")
    monkeypatch.setenv("CONSOLE_SSH_PORT", "ssh")
    monkeypatch.setenv("CONSOLE_TELNET_PROT", "1")
    code, out, err = command("check", "bad.toml")
    assert (code, err) == (2, "")
    assert out.splitlines() == [
        "error: bad.toml:2: telnet.prot: unknown setting; did you mean telnet.port?",
        'error: CONSOLE_SSH_PORT: ssh.port = "ssh": must be a whole number, 0 to 65535',
        'error: bad.toml:5: evaluation.mode = "x": must be thread or loop',
        "warning: CONSOLE_TELNET_PROT: is without effect; did you mean CONSOLE_TELNET_PORT?",
        "bad.toml: 3 errors, 1 warning",
    ]


def found(command, *needles, file="demo.toml", status=0):
    """Check a file; each needle has to stand in a line of its own, and there are no others."""
    code, out, err = command("check", file)
    lines = out.splitlines()[:-1]
    assert (code, err) == (status, "")
    assert len(lines) == len(needles), out
    for needle in needles:
        assert any(needle in line for line in lines), (needle, out)


def test_check_warns_of_passwords_that_everybody_knows(command):
    """Those are the default one, and a name that is its own password."""
    command("init", "--name", "demo", "-w", "admin")
    for name, password in (("boss", "boss"), ("ann", "sekrit"), ("eve", "a-longer-one")):
        FileCredentials("keys").add(name, password)
    found(
        command,
        "with the default password; set another with: console user passwd admin --config demo.toml",
        "the password of boss is the name, or one that is tried first; set another with: console",
        "the password of ann is the name, or one that is tried first; set another with: console",
    )


def test_check_fails_on_the_default_user(command):
    """The line that lets it in is named, with the command that adds a user."""
    command("init", "--name", "demo")
    words = "error: demo.toml:7: every user of this machine can enter as admin with the default"
    found(command, words, status=2)


AFTER_A_USER = {
    "removed": lambda users: FileCredentials("keys").remove("boss"),
    "a missing file": lambda users: users.unlink(),
    "UTF-16": lambda users: users.write_bytes(users.read_text().encode("utf-16")),
    "a byte order mark": lambda users: users.write_bytes(b"\xef\xbb\xbf" + users.read_bytes()),
    "a blank": lambda users: users.write_text(users.read_text().replace("boss", "bo ss")),
}


@pytest.mark.parametrize("damage", AFTER_A_USER.values(), ids=AFTER_A_USER)
def test_the_default_user_does_not_come_back(damage, command, here):
    """Once a user was added, admin/admin opens nothing, whatever becomes of the users file."""
    command("init", "--name", "demo")
    settings, store = read_settings("demo.toml"), FileCredentials("keys")
    assert uses_default_user(settings, store)
    assert command("user", "add", "boss", "--keys=keys", "--stdin", stdin="long-enough\n")[0] == 0
    damage(here / "keys" / "users")
    assert not uses_default_user(settings, store)


def test_short_passwords(command):
    """`user add` and `passwd` refuse them; `init -w` warns, for the howto's admin/admin."""
    err = command("init", "--name", "demo", "-w", "admin")[2]
    assert "the password of admin has fewer than 8 characters" in err
    for line in ("user add ann", "user passwd admin"):
        code, _, err = command(*line.split(), "--keys=keys", "--stdin", stdin="1234567\n")
        assert (code, "has fewer than 8 characters; choose a longer" in err) == (2, True)


def test_check_refuses_the_default_password_for_other_machines(command, here):
    """Where others could enter with it, a start would be refused, and so says the check."""
    (here / "demo.toml").write_text('keys = "keys"\n[ssh]\nport = 0\nhost = "0.0.0.0"\n')
    FileCredentials("keys").add("admin", "admin", role=Role.ADMIN)
    found(
        command,
        "a password alone lets in admin",
        'error: demo.toml:4: ssh.host = "0.0.0.0": with the default password only this machine',
        status=2,
    )


def test_check_warns_if_no_user_can_log_in(command, here):
    """No users and no default user: the command that adds one is named."""
    (here / "demo.toml").write_text('keys = "keys"\n[ssh]\nport = 0\n')
    found(command, "no users, so no login succeeds; add one with: console user add NAME --config")


def test_check_finds_what_is_wrong_with_keys(command, here):
    """Lines of the users file and of authorized keys, permissions, and the host key."""
    command(
        "init", "--name", "demo", "--ssh-port", "0", "-u", "boss", "--stdin", stdin="sekrit-8\n"
    )
    with (here / "keys" / "users").open("a") as users:
        users.write("ann:sekrit-8\n")
    granted = here / "keys" / "authorized_keys"
    (granted / "boss").write_text(f"{ed25519_line(1, 'good')}\nnonsense\n")
    (granted / "gone").write_text(ed25519_line(1, "good"))
    (here / "keys" / "authorities").write_text("hunter2\n")
    (here / "keys" / "revoked_keys").write_text("serial: 1\nserial: x\n")
    (here / "keys" / "host_key").chmod(0o644)
    (here / "keys").chmod(0o755)
    found(
        command,
        "warning: keys: holds keys and passwords, and can be read by other users (mode 0755)",
        "keys/users:2: has no argon2 hash",
        "keys/authorized_keys/boss:2: the line does not begin with an accepted kind of key",
        "keys/authorized_keys/gone: is not used, because there is no user 'gone'",
        "keys/authorities:1: the line does not begin with an accepted kind of key",
        "keys/revoked_keys: cannot be understood: line 2: not a serial number",
        "keys/host_key: can be read by other users (mode 0644); chmod 600",
        status=2,
    )


def test_check_finds_what_is_wrong_with_roles_and_second_factors(command, here):
    """An unknown role, files without a user, and files for which no code is right."""
    command("init", "--name", "demo", "-u", "boss", "--stdin", stdin="sekrit-8\n")
    with (here / "keys" / "users").open("a") as users:
        users.write("ann:*:root\n")
    factors = here / "keys" / "second_factors"
    factors.mkdir(mode=0o700)
    for name in ("boss", "gone"):
        (factors / name).write_text("")
        (factors / name).chmod(0o600)
    found(
        command,
        "error: keys/users:2: has a role that is none of viewer, operator, admin",
        "error: keys/second_factors/boss: is no second factor, so no code is right",
        "warning: keys/second_factors/gone: is not used, because there is no user 'gone'; remove",
        status=2,
    )
    factors.chmod(0o777)
    found(
        command,
        "error: keys/users:2: has a role",
        "error: keys/second_factors: no password is accepted, because it can be changed by",
        status=2,
    )


def test_check_finds_that_the_extra_is_missing(command, here):
    """Second factors without the library for codes: a start is refused, and so says the check."""
    command("init", "--name", "demo", "-u", "boss", "--stdin", stdin="sekrit-8\n")
    answers = [(b"code that the app shows:", code_of)]
    assert ask(here / "keys", answers, "user", "totp", "boss")[0] == 0
    found(command)
    code = "import sys; sys.modules['pyotp'] = None; from console.cli import main; main()"
    for arguments in (["check", "demo.toml"], ["run", "demo.toml"]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2
        assert "pyotp is not installed" in done.stdout + done.stderr
        assert "pip install 'admin-console[totp]'" in done.stdout + done.stderr


def test_check_finds_a_users_file_that_is_not_trusted(command, here):
    """A users file that others can write authenticates no user."""
    command("init", "--name", "demo", "-u", "boss", "--stdin", stdin="sekrit-8\n")
    (here / "keys" / "users").chmod(0o666)
    found(command, "is not used, because it can be changed by other users", status=2)


def test_check_looks_at_the_directories_above(command, here):
    """A directory that others can write is one problem, told once, as the error that it is."""
    command("init", "--name", "demo", "-u", "boss", "--stdin", stdin="sekrit-8\n")
    here.chmod(0o777)
    remedy = f"chmod go-w {here}"
    found(
        command,
        f"error: demo.toml: is in {here}, which can be changed by other users",
        status=2,
    )
    assert remedy in command("check", "demo.toml")[1]
    here.chmod(0o700)
    (here / "keys").chmod(0o777)
    found(command, "error: keys/users: is not used, because it is in ", status=2)
    (here / "keys").chmod(0o700)
    (here / "demo.toml").chmod(0o666)
    found(command, "error: demo.toml: can be changed by other users (mode 0666)", status=2)
    (here / "demo.toml").chmod(0o600)
    assert command("check", "demo.toml")[0] == 0


def test_check_finds_that_nothing_listens(command, here):
    """A file without a port starts nothing."""
    command("init", "--name", "demo", "-u", "boss", "--stdin", stdin="sekrit-8\n")
    (here / "demo.toml").write_text('keys = "keys"\n')
    found(command, "nothing listens; add [telnet] or [ssh] with a port", status=2)


def test_check_warns_of_what_could_be_harder(command, here):
    """Each item of the checklist that is off has a line with its place and its remedy."""
    command("init", "--name", "demo", "-u", "boss", "--stdin", stdin="sekrit-8\n")
    command("user", "role", "boss", "operator", "--keys", "keys")
    (here / "demo.toml").write_text(
        'keys = "keys"\n[telnet]\nport = 0\nhost = "0.0.0.0"\nallow_plain_text = true\n'
        "[login]\nthrottle_loopback = false\nfailure_seconds = 0.01\ngrace_seconds = 900\n"
        "[sessions]\nreserved_for_admin = 0\n"
    )
    found(
        command,
        "telnet shows passwords to the network",
        "a password alone lets in boss",
        "login.throttle_loopback: wrong passwords of peers on this machine",
        "login.failure_seconds: 0.01 slows guessing less",
        "login.grace_seconds: 900 lets unauthenticated connections hold",
        "reserved_for_admin: 0 lets others take every session",
        "no user is an admin, so",
    )


def test_check_looks_at_the_certificate(command, here):
    """One that expires soon is warned of, one that does not fit its key is a fault."""
    command("init", "--name", "demo", "-u", "boss", "--stdin", stdin="sekrit-8\n")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    make += ["-nodes", "-days", "7", "-subj", "/CN=localhost"]
    for name in ("a", "b"):
        subprocess.run(
            [*make, "-keyout", f"{name}.key", "-out", f"{name}.pem"],
            check=True,
            capture_output=True,
        )
        (here / f"{name}.key").chmod(0o600)
    text = 'keys = "keys"\n[telnets]\nport = 0\ncertificate = "a.pem"\nkey = "{}.key"\n'
    (here / "demo.toml").write_text(text.format("a"))
    found(command, "a.pem expires on ")
    (here / "demo.toml").write_text(text.format("b"))
    found(command, 'b.key": is not the key of the certificate a.pem; name', "expires on", status=2)


# ---------------------------------------------------------------- completion


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(console, shell):
    """Each shell gets a script that asks our command."""
    code, out, _ = console("completion", shell)
    assert code == 0
    assert "_CONSOLE_COMPLETE" in out


def test_completion_completes():
    """What the script asks for is answered: the commands that begin so."""
    done = subprocess.run(
        [str(Path(sys.executable).parent / "console")],
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            "_CONSOLE_COMPLETE": "bash_complete",
            "COMP_WORDS": "console us",
            "COMP_CWORD": "1",
        },
    )
    assert done.stdout == "plain,user\n"
