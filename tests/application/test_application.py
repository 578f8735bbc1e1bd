"""The application of the howto: its ports while it runs, its words, its end and its restart."""

import contextlib
import re
import signal
import socket
import sys

import pytest

import console
from console import Application, Daytime, Factory, ShellFactory
from console.application import application as application_module
from console.errors import ConfigurationError, ListenError
from support.clients import Session
from support.example import QUOTE, ask_quote
from support.rawclients import Lines, line_login, reachable
from support.servers import Process, wait_until

SCRIPT = """\
import os
from console import Application, Factory, ShellFactory
application = Application("demo", keys="keys", history="history")
f = Factory()
shell = ShellFactory("boss", "sekrit", {"foo": 12})
application.listen_tcp(0, f)
application.listen_tcp(0, shell)
application.listen_ssh(0, shell)
application.run()
print("back in the script", flush=True)
"""
RESTART = """\
from console import Application
Application.load("demo-shutdown.tap").run()
"""


class Running(Process):
    """A script with the application "demo", in a process."""

    password = "sekrit"

    def __init__(self, directory, script=SCRIPT):
        directory.mkdir(exist_ok=True)
        (directory / "script.py").write_text(script)
        self.keys = directory / "keys"
        super().__init__(
            [sys.executable, "-W", "error", "script.py"], directory / "run", cwd=directory
        )
        try:
            self.telnet_port = int(self.wait_for_stdout(r"ShellFactory starting on (\d+)\n")[1])
            self.ssh_port = int(self.wait_for_stdout(r"starting on (\d+) \(ssh\)\n")[1])
            self.qotd_port = int(self.wait_for_stdout(r"protocols.Factory starting on (\d+)\n")[1])
        except BaseException:
            self.close()
            raise

    def log_in(self, password="sekrit", user="boss"):
        return line_login(self.telnet_port, user, password)

    def refuses(self, password, user="boss"):
        """Whether the user is asked again after this password."""
        with contextlib.closing(Lines(self.telnet_port)) as client:
            for question, answer in (("username: ", user), ("password: ", password)):
                client.until(question)
                client.send(f"{answer}\n")
            return "login incorrect" in client.until("username: ")


@pytest.fixture
def running(tmp_path):
    with Running(tmp_path / "demo") as process:
        yield process


@pytest.fixture
def shell(running):
    client = running.log_in()
    client.run("from console.application import current; a = current()")
    yield client
    client.close()


WORDS = """\
Starting Shutdown Sequence.
Stopping main loop.
Main loop terminated.
Saving demo application to demo-shutdown.tap...
Saved.
"""


# ---- the howto, from the first word to the restart


def test_what_it_says_at_the_start(running):
    """Each factory is named with the port that it is really starting on."""
    assert re.fullmatch(
        r"console\.application\.shell\.ShellFactory starting on \d+\n"
        r"console\.application\.shell\.ShellFactory starting on \d+ \(ssh\)\n"
        r"console\.application\.protocols\.Factory starting on \d+\n",
        running.stdout,
    )


def test_the_howtos_session(running, shell):
    """A session finds the application, its ports and the factory, and turns quotes into times."""
    assert shell.run("a") == "<'demo' app>"
    shell.run("pretty(False)")  # nc has 80 columns, over which the ports would be wrapped
    assert re.fullmatch(
        r"\[\(0, <console\.application\.protocols\.Factory instance at 0x[0-9a-f]+>, 5, "
        r"'127\.0\.0\.1'\), \(0, <console\.application\.shell\.ShellFactory instance at "
        r"0x[0-9a-f]+>, 5, '127\.0\.0\.1'\)\]",
        shell.run("a.tcp_ports"),
    )
    assert shell.run("a.ssh_ports[0][1] is a.tcp_ports[1][1]") == "True"
    assert shell.run("foo") == "12"
    shell.run("f = a.tcp_ports[0][1]")
    assert shell.run("f.protocol") == "<class 'console.application.protocols.QOTD'>"
    assert ask_quote(running.qotd_port) == QUOTE
    shell.run("from console import Daytime; f.protocol = Daytime")
    assert re.match(r"\w{3} \w{3} +\d+ \d\d:\d\d:\d\d \d{4}\r\n", ask_quote(running.qotd_port))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_howtos_end(number, running):
    """On Ctrl-C and on SIGTERM the howto's words are printed in order, and the script goes on."""
    before = running.stdout
    assert running.end(number) == 0
    assert running.stdout == before + WORDS + "back in the script\n"
    assert running.complaints == ""


def test_restart_with_the_same_state(tmp_path):
    """Names, functions, classes, the protocol, the password and patches survive a restart."""
    place = tmp_path / "demo"
    with Running(place) as running:
        client = running.log_in()
        for line in (
            "import console.application, threading; a = console.application.current()",
            "f = a.tcp_ports[0][1]; lock = threading.Lock()",
            "def more(n=1): return foo + n\n",
            "class Hello(type(f).protocol):\n    @property\n    def quote(self): return word\n",
            "word = b'hello'; f.protocol = Hello",
            " a.tcp_ports[1][1].password = 'changed'",
        ):
            assert client.run(line).replace("... ", "") == ""
        client.run("patch(console.application.shell, 'DEFAULT_USER', 'nobody')")
        assert ask_quote(running.qotd_port) == "hello"
        assert running.end() == 0
        assert running.stdout.endswith(
            WORDS + "not saved: namespace name 'lock' (_thread.lock)\nback in the script\n"
        )
        client.close()
    assert (place / "demo-shutdown.tap").stat().st_mode & 0o777 == 0o600
    content = (place / "demo-shutdown.tap").read_bytes()
    assert b"sekrit" not in content
    assert b"changed" not in content
    (place / "run" / "stdout").unlink()
    with Running(place, RESTART) as running:
        assert ask_quote(running.qotd_port) == "hello"
        client = running.log_in("changed")
        assert client.run("foo, more(3), f is a.tcp_ports[0][1]") == "(12, 15, True)"
        client.run("foo = 20")
        assert client.run("more()") == "21"
        client.run("word = b'bye'")
        assert ask_quote(running.qotd_port) == "bye"
        assert client.run("console.application.shell.DEFAULT_USER") == "'nobody'"
        assert "by boss over telnet" in client.run("patches()")
        client.run("revert()")
        assert client.run("console.application.shell.DEFAULT_USER") == "'admin'"
        assert "lock" not in client.run("dir()")
        assert running.refuses("sekrit")
        client.close()
        assert running.end() == 0


def test_save_from_sessions(running, shell):
    """A session saves while the application runs, from its thread and on the loop."""
    assert shell.run("a.save()") == "[]"
    assert shell.run("%loop a.save('loop.tap')") == "[]"
    place = running.keys.parent
    assert (place / "demo.tap").exists()
    assert (place / "loop.tap").exists()
    assert "Traceback" not in running.stderr


# ---- changed while it runs


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return sock.getsockname()[1]


@pytest.mark.parametrize("mode", ["", "%loop "])
def test_listening_while_it_runs(mode, running, shell):
    """A port opened by a session, from its thread or on the loop, serves at once and is listed."""
    port = free_port()
    shell.run("from console import Factory, Daytime, ShellFactory")
    assert shell.run(f"{mode}a.listen_tcp({port}, Factory(Daytime))") == ""
    assert shell.run("a.tcp_ports[-1][0]") == str(port)
    wait_until(lambda: reachable(port), "the new port")
    assert ask_quote(port) != QUOTE
    running.wait_for_stdout(f"console.application.protocols.Factory starting on {port}\n")


def test_a_second_shell_while_it_runs(running, shell):
    """A shell added by a session lets its own user in."""
    shell.run("from console import ShellFactory; s = ShellFactory('ann', 'secret2', {'bar': 1})")
    shell.run("a.listen_tcp(0, s)")
    ports = re.findall(r"ShellFactory starting on (\d+)\n", running.stdout)
    running.telnet_port = int(ports[-1])
    client = running.log_in("secret2", "ann")
    assert client.run("bar") == "1"
    client.close()


def test_a_taken_port_while_it_runs(running, shell):
    """A taken port is an error in the session, on the loop in the log, and is not listed."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        shell.run("from console import Factory")
        text = shell.run(f"a.listen_tcp({port}, Factory())")
        assert f"ListenError: tcp on 127.0.0.1:{port}: " in text
        assert shell.run("len(a.tcp_ports)") == "2"
        shell.run(f"%loop a.listen_tcp({port}, Factory())")
        running.wait_for_stderr("a port could not be opened")
        assert shell.run("len(a.tcp_ports)") == "2"


def test_user_password_and_namespace_are_changed_live(running, shell):
    """A new user name, password and name in the namespace hold from the next login on."""
    shell.run("s = a.tcp_ports[1][1]; s.username = 'ann'; s.password = 'secret2'")
    shell.run("s.namespace['bar'] = 13")
    assert shell.run("s.password") == "'********'"
    client = running.log_in("secret2", "ann")
    assert client.run("bar, foo") == "(13, 12)"
    client.close()
    assert running.refuses("sekrit", "boss")
    assert running.refuses("sekrit", "ann")


def test_both_transports_share_the_shell(running, shell):
    """What a telnet session binds, an SSH command sees."""
    shell.run("bar = 14")
    with Session("ssh", running) as client:
        client.login()
        assert client.run("bar") == ["14"]


# ---- how it ends


@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once(second, running, shell):
    """While it is stopping or saving, a second signal ends the process, by that signal."""
    shell.run("class Slow:\n    def __reduce__(self): import time; time.sleep(60)\n")
    shell.run("slow = Slow()")
    running.popen.send_signal(signal.SIGINT)
    running.wait_for_stdout("Saving demo application")
    assert running.end(second) == -second
    assert "Saved." not in running.stdout
    assert running.complaints == ""
    assert not (running.keys.parent / "demo-shutdown.tap").exists()


def test_stop_from_a_session(running, shell):
    """A session that stops the application ends it in order."""
    shell.send("a.stop()\n")
    assert running.wait() == 0
    assert running.stdout.endswith(WORDS + "back in the script\n")


def test_an_end_that_cannot_save(tmp_path):
    """If the state cannot be saved, one line says so, and the script goes on."""
    with Running(tmp_path / "demo") as running:
        (running.keys.parent / "demo-shutdown.tap").mkdir()
        assert running.end() == 0
        (line,) = [line for line in running.stdout.splitlines() if line.startswith("Not saved: ")]
        assert "demo-shutdown.tap: cannot be written: Is a directory; " in line
        assert "Saved." not in running.stdout
        assert running.complaints == ""


def test_an_end_without_saving(tmp_path):
    """With save_at_shutdown=False nothing is saved, and nothing is said of it."""
    script = SCRIPT.replace("run()", "run(save_at_shutdown=False)")
    with Running(tmp_path / "demo", script) as running:
        assert running.end() == 0
        assert running.stdout.endswith("Main loop terminated.\nback in the script\n")
        assert not list(running.keys.parent.glob("*.tap"))


def test_patches_undone_at_the_end(tmp_path):
    """With patches_at_restart="undo" the state is saved as it was before the patches."""
    place = tmp_path / "demo"
    script = SCRIPT.replace('keys="keys"', 'keys="keys", patches_at_restart="undo"')
    with Running(place, script) as running:
        client = running.log_in()
        client.run("from console import Daytime; from console.application import current")
        client.run("patch(current().tcp_ports[0][1], 'protocol', Daytime)")
        assert ask_quote(running.qotd_port) != QUOTE
        assert running.end() == 0
        client.close()
        running.wait_for_stderr("undone before saving: <patch 1: <Factory>.protocol")
    (place / "run" / "stdout").unlink()
    with Running(place, RESTART) as running:
        assert ask_quote(running.qotd_port) == QUOTE


# ---- in this process


@pytest.fixture(autouse=True)
def _current_application_is_put_back(monkeypatch):
    monkeypatch.setattr(application_module, "_current", None)


def test_current():
    """The application that was made last is the current one."""
    assert console.current() is None
    made = Application("demo")
    assert console.current() is made
    assert repr(made) == "<'demo' app>"


def test_ports_are_tuples(monkeypatch):
    """A port is listed as (port, factory, backlog, interface), and the list is a copy."""
    application, factory, shell = Application("demo"), Factory(), ShellFactory()
    application.listen_tcp(8123, factory)
    application.listen_tcp(4040, shell, 7, "localhost")
    application.listen_ssh(4041, shell)
    assert application.tcp_ports == [
        (8123, factory, 5, "127.0.0.1"),
        (4040, shell, 7, "localhost"),
    ]
    assert application.ssh_ports == [(4041, shell, 5, "127.0.0.1")]
    application.tcp_ports.clear()
    assert len(application.tcp_ports) == 2


def test_factories():
    """A factory makes its protocol for each connection, and another class from then on."""
    factory = Factory()
    made = factory()
    assert made.factory is factory
    factory.protocol = Daytime
    assert type(factory()) is Daytime
    assert type(Factory()()) is not Daytime


def test_the_default_password_is_for_this_machine(caplog):
    """With the default password only loopback addresses are accepted."""
    application, shell = Application("demo"), ShellFactory()
    for listen in (application.listen_tcp, application.listen_ssh):
        with pytest.raises(ConfigurationError, match="default password"):
            listen(4040, shell, interface="0.0.0.0")
    shell.password = "sekrit"
    application.listen_ssh(4040, shell, interface="0.0.0.0")
    with pytest.raises(ConfigurationError, match="telnet shows passwords"):
        application.listen_tcp(4040, shell, interface="0.0.0.0")
    assert application.tcp_ports == []


def test_what_is_no_factory_is_refused():
    """A factory that makes no connections, or is not a shell, is refused before it is listed."""
    application = Application("demo")
    with pytest.raises(ConfigurationError):
        application.listen_tcp(1, object())
    with pytest.raises(ConfigurationError):
        application.listen_ssh(1, Factory())
    assert application.tcp_ports == application.ssh_ports == []


def test_the_warning_of_the_default_password(tmp_path):
    """With the default password the log has a warning, and each session after the login too."""
    script = SCRIPT.replace('ShellFactory("boss", "sekrit", ', "ShellFactory(namespace=")
    with Running(tmp_path / "demo", script) as running:
        running.wait_for_stderr("enter as admin with the default password; set ShellFactory.passw")
        client = running.log_in("admin", "admin")
        assert "WARNING: admin still has the default password." in client.seen
        client.close()


def test_a_taken_port_at_the_start(tmp_path, monkeypatch, capsys):
    """If a port is taken, run() raises, nothing is left open and nothing is saved."""
    monkeypatch.chdir(tmp_path)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    application = Application("demo", keys=tmp_path / "keys")
    shell = ShellFactory("boss", "sekrit")
    application.listen_tcp(0, shell)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        application.listen_tcp(taken.getsockname()[1], Factory())
        with pytest.raises(ListenError, match="the address is in use; stop the process"):
            application.run()
    said = capsys.readouterr().out
    assert not reachable(int(re.search(r"starting on (\d+)", said)[1]))
    assert "Saving" not in said
    assert list(tmp_path.glob("*.tap")) == []
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert "__builtins__" not in shell.namespace


def test_running_twice(tmp_path, monkeypatch, capsys):
    """An application that has ended can run again in the same process."""
    monkeypatch.chdir(tmp_path)
    application = Application("demo", keys=tmp_path / "keys")
    application.listen_tcp(0, ShellFactory("boss", "sekrit"))
    for _ in range(2):
        application.run(on_started=application.stop)
    assert capsys.readouterr().out.count(WORDS) == 2
