"""The configuration file: each setting is declared once, and a fault says where it is."""

import subprocess
import sys
from pathlib import Path

import pytest

from console.config.declaration import declarations, variable
from console.config.file import examine, place, read_settings
from console.config.page import cells_of, page
from console.config.settings import (
    EvaluationSettings,
    LoginSettings,
    ServerSettings,
    SessionSettings,
    SshSettings,
    TelnetSettings,
    TelnetsSettings,
    tables,
)
from console.errors import ConfigurationError
from support.servers import ROOT

PAGE = ROOT / "docs" / "configuration.md"

WHOLE = """
name = "demo"
keys = "keys"
history = "/var/lib/demo"
namespace = "service:names"
default_user = true
patches_at_restart = "undo"

[telnet]
port = 4040
host = "127.0.0.1"
backlog = 7

[telnets]
port = 992
certificate = "own/certificate.pem"

[ssh]
port = 8022
host = "::1"
host_key = "own/key"

[login]
grace_seconds = 5
throttle_loopback = false

[evaluation]
mode = "loop"
report_seconds = 1
interrupt_seconds = "never"
keep_running = true

[sessions]
most = 20
per_user = 10
reserved_for_admin = 2
"""


@pytest.fixture
def write(tmp_path):
    """Write a configuration file; return its path."""

    def write(text):
        path = tmp_path / "demo.toml"
        path.write_text(text)
        return path

    return write


def faults(path, **environment):
    """Return the faults, as text, without the directory."""
    found = [str(fault).replace(f"{path.parent}/", "") for fault in examine(path, environment)[1]]
    assert all("\n" not in fault for fault in found)
    return found


def test_everything_is_read(write, tmp_path):
    """Each key arrives; paths are taken from the file's directory."""
    assert read_settings(write(WHOLE), {}) == ServerSettings(
        name="demo",
        keys=tmp_path / "keys",
        history=Path("/var/lib/demo"),
        namespace="service:names",
        default_user=True,
        patches_at_restart="undo",
        telnet=TelnetSettings(4040, "127.0.0.1", 7),
        telnets=TelnetsSettings(992, certificate=tmp_path / "own" / "certificate.pem"),
        ssh=SshSettings(8022, "::1", host_key=tmp_path / "own" / "key"),
        login=LoginSettings(grace_seconds=5, throttle_loopback=False),
        evaluation=EvaluationSettings(
            mode="loop", report_seconds=1, interrupt_seconds=None, keep_running=True
        ),
        sessions=SessionSettings(most=20, per_user=10, reserved_for_admin=2),
    )


def test_an_empty_file_is_the_defaults(write):
    """Nothing listens, and everything else is as it was declared."""
    assert read_settings(write(""), {}) == ServerSettings()


def test_the_environment_wins(write):
    """A variable beats the file; it also switches a transport on; an empty one counts as none."""
    environment = {
        "CONSOLE_TELNET_PORT": "4041",
        "CONSOLE_SSH_PORT": " 0 ",
        "CONSOLE_KEYS": "elsewhere",
        "CONSOLE_EVALUATION_REPORT_SECONDS": "0.5",
        "CONSOLE_EVALUATION_INTERRUPT_SECONDS": "never",
        "CONSOLE_EVALUATION_KEEP_RUNNING": "True",
        "CONSOLE_NAME": "",
    }
    settings = read_settings(write("name = 'demo'\n[telnet]\nport = 4040\n"), environment)
    assert (settings.name, settings.keys) == ("demo", Path("elsewhere"))
    assert (settings.telnet.port, settings.ssh.port) == (4041, 0)
    assert settings.evaluation == EvaluationSettings(
        report_seconds=0.5, interrupt_seconds=None, keep_running=True
    )


def test_the_environment_alone_is_enough():
    """Without a file the variables make the settings."""
    assert read_settings(None, {"CONSOLE_SSH_PORT": "8022"}).ssh == SshSettings(8022)


def test_a_variable_of_a_transport_without_a_port_does_not_switch_it_on(write):
    """A host alone is set for the case that it listens."""
    assert read_settings(write(""), {"CONSOLE_SSH_HOST": "::1"}).ssh is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("name = 5", "demo.toml:1: name = 5: must be a text on one line"),
        ('name = "a\\nb"', 'demo.toml:1: name = "a\\nb": must be a text on one line'),
        ("# x\n\nkeys = ['a',\n'b']\n", "demo.toml:3: keys = ['a', 'b']: must be a path"),
        (
            "[telnet]\nport = 65536",
            "demo.toml:2: telnet.port = 65536: must be a whole number, 0 to 65535",
        ),
        ("[ssh]\nport = true", "demo.toml:2: ssh.port = true: must be a whole number, 0 to 65535"),
        ("[ssh]\nport = 22.0", "demo.toml:2: ssh.port = 22.0: must be a whole number, 0 to 65535"),
        ("[ssh]", "demo.toml:1: ssh.port: neither a port nor a socket is given; give one of them"),
        ("ssh.port = 1\nssh.host = ''", 'demo.toml:2: ssh.host = "": must be a text on one line'),
        ("ssh = 8022", "demo.toml:1: ssh = 8022: must be a table: [ssh] and its settings"),
        (
            "[[ssh]]\nport = 1",
            "demo.toml:1: ssh = [{'port': 1}]: must be a table: [ssh] and its settings",
        ),
        ("\nprot = 1", "demo.toml:2: prot: unknown setting; the settings are name, keys, "),
        (
            "port = 1",
            (
                "demo.toml:1: port: unknown setting; "
                "did you mean telnet.port or telnets.port or ssh.port?"
            ),
        ),
        ("[telnt]\nport = 1", "demo.toml:1: telnt: unknown setting; did you mean telnet?"),
        (
            "[telnet]\nport = 1\nhots = 'x'",
            "demo.toml:3: telnet.hots: unknown setting; did you mean telnet.host?",
        ),
        (
            "[telnet]\nport = 1\nhost_key = 'x'",
            "demo.toml:3: telnet.host_key: unknown setting; did you mean ",
        ),
        ("[evaluation]\nmode = 'x'", 'demo.toml:2: evaluation.mode = "x": must be thread or loop'),
        (
            "evaluation = { report_seconds = 0 }",
            "demo.toml:1: evaluation.report_seconds = 0: must be a number of seconds, more than 0",
        ),
        (
            "[evaluation]\nreport_seconds = nan",
            "demo.toml:2: evaluation.report_seconds = nan: must be a number of seconds",
        ),
        (
            "[evaluation]\ninterrupt_seconds = 'x'",
            (
                'demo.toml:2: evaluation.interrupt_seconds = "x": must be a number of seconds,'
                ' more than 0, or "never"'
            ),
        ),
        (
            "[evaluation]\nresult_characters = 10",
            (
                "demo.toml:2: evaluation.result_characters = 10:"
                " must be a whole number of characters, at least 1024"
            ),
        ),
        (
            "[sessions]\nmost = 5\nreserved_for_admin = 5",
            (
                "demo.toml:3: sessions.reserved_for_admin = 5:"
                " must be less than sessions.most, which is 5"
            ),
        ),
        (
            f"[evaluation]\nresult_characters = {10**400}",
            f"demo.toml:2: evaluation.result_characters = {str(10**400)[:60]}...: must be",
        ),
        (
            "[telnet]\nport = 1\nhost = '0.0.0.0'",
            'demo.toml:3: telnet.host = "0.0.0.0": telnet shows passwords to the network',
        ),
        (
            "name = demo",
            "demo.toml:1: is not valid TOML: Invalid value at column 8; texts need quotes",
        ),
        (
            "[ssh]\nport = 1\n[ssh]\n",
            "demo.toml:3: is not valid TOML: Cannot declare ('ssh',) twice",
        ),
        ('name = "', "demo.toml: is not valid TOML: Unterminated string"),
    ],
)
def test_a_fault_says_where_and_what(write, text, fault):
    """File, line, key, value, and what is expected or meant, in one line."""
    (found,) = faults(write(text))
    assert found.startswith(fault)


def test_the_line_of_a_key_behind_a_long_text(write):
    """What looks like a key within a text is none."""
    text = 'name = """\nport = 1"""\n[ssh]\n# port = 5\n\nport = -1\n'
    assert faults(write(text))[0].startswith("demo.toml:6: ssh.port = -1: ")


def test_all_faults_are_found(write):
    """One reading finds each of them, and the first is the one that is raised."""
    path = write("nane = 1\n[telnet]\nport = -1\nhost = 2\n[ssh]\n[evaluation]\nmode = 3\n")
    found = faults(path)
    assert [fault.split(":")[1] for fault in found] == ["3", "4", "5", "7", "1"]
    with pytest.raises(ConfigurationError) as caught:
        read_settings(path, {})
    assert str(caught.value).endswith(found[0].removeprefix("demo.toml"))


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("CONSOLE_SSH_PORT", "x", 'ssh.port = "x": must be a whole number, 0 to 65535'),
        ("CONSOLE_SSH_PORT", "8022.0", 'ssh.port = "8022.0": must be a whole number'),
        ("CONSOLE_SSH_PORT", "-1", "ssh.port = -1: must be a whole number"),
        ("CONSOLE_TELNET_HOST", "0.0.0.0", 'telnet.host = "0.0.0.0": telnet shows passwords'),
        ("CONSOLE_DEFAULT_USER", "1", 'default_user = "1": must be true or false'),
        ("CONSOLE_EVALUATION_MODE", "Loop", 'evaluation.mode = "Loop": must be thread or loop'),
        ("CONSOLE_EVALUATION_REPORT_SECONDS", "inf", "evaluation.report_seconds = inf: must be"),
        ("CONSOLE_EVALUATION_REPORT_SECONDS", "1s", 'evaluation.report_seconds = "1s": must be'),
    ],
)
def test_a_fault_of_a_variable_names_it(write, name, value, fault):
    """The file is not blamed for what the environment says."""
    (found,) = faults(write("[telnet]\nport = 0\n"), **{name: value})
    assert found.startswith(f"{name}: {fault}")


def test_an_unknown_key_does_not_show_its_value(write):
    """The value may be a password."""
    (found,) = faults(write('password = "sekrit"\n'))
    assert "sekrit" not in found


def test_a_file_that_cannot_be_read(tmp_path):
    """A missing one says how to make one; a directory and other text say what they are."""
    (missing,) = faults(tmp_path / "demo.toml")
    assert missing == ("demo.toml: there is no such file; make one with: console init --name NAME")
    (directory,) = faults(tmp_path)
    assert "not a regular file" in directory or "cannot be read" in directory
    (tmp_path / "latin.toml").write_bytes(b"name = '\xe9'\n")
    assert faults(tmp_path / "latin.toml") == ["latin.toml: is not UTF-8; save it as such"]


def test_the_place_of_a_setting(write):
    """It is the line, the variable that wins, or the file where it stands nowhere."""
    path = write("[ssh]\nport = 1\n")
    assert place(path, "ssh.port", {}) == f"{path}:2"
    assert place(path, "ssh.port", {"CONSOLE_SSH_PORT": "2"}) == "CONSOLE_SSH_PORT"
    assert place(path, "ssh.host", {}) == str(path)


def test_code_and_file_refuse_the_same():
    """A value that the file may not have cannot be given in code either."""
    for make in (
        lambda: TelnetSettings(-1),
        lambda: SshSettings(0, backlog=0),
        lambda: SshSettings(0, host=""),
        lambda: EvaluationSettings(mode="x"),
        lambda: EvaluationSettings(keep_running=1),
        lambda: EvaluationSettings(interrupt_seconds=0),
        lambda: EvaluationSettings(result_characters=2.5),
        lambda: SessionSettings(most=0),
        lambda: SessionSettings(most=1),
        lambda: ServerSettings(name="a\x1bb"),
    ):
        with pytest.raises(ConfigurationError):
            make()
    assert EvaluationSettings(interrupt_seconds=None).interrupt_seconds is None


def test_the_defaults_are_allowed():
    """No declaration refuses its own default."""
    for kind in tables().values():
        for one in declarations(kind):
            assert one.required or one.accepts(one.default), one


def test_each_field_is_declared():
    """No setting is without its meaning, and no two have the same variable."""
    names = []
    for table, kind in tables().items():
        assert {one.name for one in declarations(kind)} == (
            {field for field in kind.__dataclass_fields__ if field not in tables()}
        )
        for one in declarations(kind):
            assert one.facts.meaning.endswith(".")
            names.append(variable(table, one.name))
    assert len(set(names)) == len(names)


def test_the_page_is_that_of_the_declarations():
    """docs/configuration.md is what the command in its head writes."""
    if not PAGE.exists():
        pytest.skip("the documentation is not installed")
    done = subprocess.run(
        [sys.executable, "-m", "console.config.page"], capture_output=True, text=True, check=True
    )
    assert done.stdout == page()
    assert PAGE.read_text() == page(), (
        "make it again: python -m console.config.page > docs/configuration.md"
    )


def test_the_example_of_the_page_is_right(write):
    """What the page shows as a file can be read."""
    shown = page().split("```toml\n")[1].split("```")[0]
    assert read_settings(write(shown), {}).ssh == SshSettings(8022)


def test_defaults_of_the_page_can_be_written_in_a_file(write):
    """Each default that docs/configuration.md shows as a value is one that a file may hold."""
    shown = 0
    for table, kind in tables().items():
        if table == "telnets":
            continue  # its certificate must be given
        for one in declarations(kind):
            default = cells_of(table, one)[3]
            if default.startswith("`") and default.count("`") == 2 and not one.facts.default_words:
                shown += 1
                head = f"[{table}]\n" if table else ""
                port = "port = 1\n" if table in {"telnet", "ssh"} else ""
                assert faults(write(f"{head}{port}{one.name} = {default.strip('`')}\n")) == []
    assert shown > 20
