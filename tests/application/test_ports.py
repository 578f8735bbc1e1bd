"""The ports of an application: settings travel whole, and a refused port is not listed."""

import contextlib
import re
import socket
import ssl
import threading

import pytest

from console import (
    Application,
    Daytime,
    Factory,
    ListenError,
    ShellFactory,
    SshSettings,
    TelnetSettings,
    TelnetsSettings,
)
from console.application import application as application_module
from console.application.ports import by_console
from console.errors import ConfigurationError, ConsoleError
from support.example import QUOTE, ask_quote
from support.rawclients import Lines, reachable
from support.servers import DEADLINE_SECONDS, wait_until
from support.tls import make_certificate


@pytest.fixture(autouse=True)
def _current_application_is_put_back(monkeypatch):
    monkeypatch.setattr(application_module, "_current", None)


@pytest.fixture
def private(tmp_path):
    path = tmp_path / "private"
    path.mkdir(mode=0o700)
    return path


@pytest.fixture
def application(private):
    return Application("demo", keys=private / "keys", history=private / "history")


@pytest.fixture
def shell():
    return ShellFactory("boss", "sekrit", {"foo": 12})


def while_running(application, work):
    """Run an application, call ``work`` on another thread once it is open; return its result."""
    results = []

    def work_and_stop():
        try:
            results.append(work())
        finally:
            application.stop()

    worker = threading.Thread(target=work_and_stop)
    application.run(save_at_shutdown=False, on_started=worker.start)
    worker.join(DEADLINE_SECONDS)
    return results[0]


def said_ports(capsys):
    """Return the ports that the application said it listens on, in their order."""
    return [int(port) for port in re.findall(r"starting on (\d+)", capsys.readouterr().out)]


def subject(port, certificate):
    """Complete a TLS handshake in which only this certificate is trusted."""
    context = ssl.create_default_context(cafile=certificate)
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE_SECONDS) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as wrapped,
    ):
        return wrapped.version()


# ---- each port keeps its own settings


def test_tls_and_plain_text_on_ports_that_the_system_chooses(application, shell, private, capsys):
    """Telnet within TLS on port 0 leaves plain telnet on port 0 of the same shell as it is."""
    certificate, key = make_certificate(private)
    application.listen_telnets(0, shell, certificate, key)
    application.listen_tcp(0, shell)

    def look():
        tls, plain = said_ports(capsys)
        with contextlib.closing(Lines(plain)) as client:
            client.until("username: ")
        return subject(tls, certificate)

    assert while_running(application, look) == "TLSv1.3"


def test_each_port_has_its_own_certificate(application, shell, private, capsys):
    """Of two TLS ports that the system chooses each shows the certificate that it was given."""
    made = [make_certificate(private, name) for name in ("one", "two")]
    for certificate, key in made:
        application.listen_telnets(0, shell, certificate, key)

    def look():
        return [
            subject(port, certificate)
            for port, (certificate, _) in zip(said_ports(capsys), made, strict=True)
        ]

    assert while_running(application, look) == ["TLSv1.3", "TLSv1.3"]


def test_listen_with_settings(application, shell, private, capsys, monkeypatch):
    """Settings are taken whole: the port is listed in the same words, and paths are absolute."""
    monkeypatch.chdir(private)
    application.listen(TelnetSettings(socket="x.sock", backlog=3), shell)
    application.listen(TelnetSettings(4040, "0.0.0.0", allow_plain_text=True), shell)
    application.listen(SshSettings(0, "::1", 4, host_key="host_key"), shell)
    assert application.tcp_ports == [
        (0, shell, 3, str(private / "x.sock")),
        (4040, shell, 100, "0.0.0.0"),
    ]
    assert application.ssh_ports == [(0, shell, 4, "::1")]
    assert application._entries[2].settings.host_key == str(private / "host_key")


def test_settings_are_saved_whole(application, shell, private):
    """Certificates, host keys, sockets and what else settings say come back from saved state."""
    certificate, key = make_certificate(private)
    other, other_key = make_certificate(private, "other")
    application.listen_telnets(0, shell, certificate, key)
    application.listen_telnets(0, shell, other, other_key, backlog=9)
    application.listen_tcp(0, shell, interface=str(private / "x.sock"))
    application.listen(SshSettings(8022, host_key=private / "host_key"), shell)
    application.listen_tcp(8123, Factory(Daytime), interface="")
    assert application.save(private / "demo.tap") == []
    restored = Application.load(private / "demo.tap")
    assert restored.not_restored == []
    assert [one.settings for one in restored._entries] == [
        one.settings for one in application._entries
    ]
    assert [one.settings.certificate for one in restored._entries[:2]] == [
        str(certificate),
        str(other),
    ]
    assert restored.tcp_ports[-1][3] == ""


def test_one_console_serves_one_port_of_each_transport(shell):
    """Ports of a shell are given to as few consoles as can serve them, in their order."""
    application, other = Application("demo"), ShellFactory("ann", "secret2")
    for port in (1, 2):
        application.listen_tcp(port, shell)
    application.listen_ssh(3, shell)
    application.listen_tcp(4, other)
    application.listen_tcp(5, Factory())
    groups = by_console(application._entries)
    assert [(one.shell, [settings.port for settings in one.listeners]) for one in groups] == [
        (shell, [1, 3]),
        (shell, [2]),
        (other, [4]),
    ]


# ---- refused ports are not listed


def refusals(application, shell, taken, missing):
    """Return calls that are refused: at once, and if the application runs."""
    at_once = [
        lambda: application.listen_tcp(1, object()),
        lambda: application.listen_tcp(70_000, Factory()),
        lambda: application.listen_tcp(70_000, shell),
        lambda: application.listen_tcp(1, shell, interface="0.0.0.0"),
        lambda: application.listen_ssh(1, Factory()),
        lambda: application.listen_ssh(70_000, shell),
        lambda: application.listen_telnets(1, Factory(), missing),
        lambda: application.listen_telnets(70_000, shell, missing),
        lambda: application.listen_telnets(1, ShellFactory(), missing, interface="0.0.0.0"),
        lambda: application.listen(TelnetSettings(1), Factory()),
        lambda: application.listen(SshSettings(1, "0.0.0.0"), ShellFactory()),
        lambda: application.listen(4040, shell),
    ]
    later = [
        lambda: application.listen_tcp(taken, Factory()),
        lambda: application.listen_tcp(taken, shell),
        lambda: application.listen_ssh(taken, shell),
        lambda: application.listen_telnets(0, shell, missing),
        lambda: application.listen(TelnetsSettings(0, certificate=missing), shell),
        lambda: application.listen(SshSettings(0, host_key=missing), shell),
    ]
    return at_once, later


def test_a_refused_port_is_not_listed(application, shell, private):
    """A listen that raises leaves no entry behind, whichever method it is."""
    at_once, _ = refusals(application, shell, 1, private / "missing")
    for listen in at_once:
        with pytest.raises(ConfigurationError):
            listen()
    assert application._entries == []


def test_a_refused_port_is_not_listed_while_it_runs(application, shell, private, capsys):
    """While the application runs the same holds, and a good port after it opens and is listed."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        taken = sock.getsockname()[1]
        at_once, later = refusals(application, shell, taken, private / "missing")

        def refuse_all():
            for listen in (*at_once, *later):
                with pytest.raises(ConsoleError):
                    listen()
            left = application.tcp_ports + application.ssh_ports
            application.listen_tcp(0, Factory())
            (port,) = said_ports(capsys)
            return left, ask_quote(port), len(application.tcp_ports)

        assert while_running(application, refuse_all) == ([], QUOTE, 1)


def test_a_refused_port_is_forgotten_on_the_loop(application, shell, private, caplog):
    """On the loop's own thread, which cannot wait, a port that fails is logged and not listed."""
    missing = private / "missing"

    def wait():
        wait_until(lambda: "a port could not be opened" in caplog.text, "the error")
        application.stop()

    waiter = threading.Thread(target=wait)

    def started():
        application.listen_telnets(0, shell, missing)
        assert len(application.tcp_ports) == 1
        waiter.start()

    application.run(save_at_shutdown=False, on_started=started)
    waiter.join(DEADLINE_SECONDS)
    assert application.tcp_ports == []
    assert f"telnets.certificate = '{missing}': cannot be read" in caplog.text


def test_the_default_password_is_refused_in_the_words_of_the_shell():
    """The error of the default password ends with the remedy that the shell names."""
    for shell, remedy in (
        (ShellFactory(), "set ShellFactory.password"),
        (ShellFactory(password_remedy="add a user"), "add a user"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            Application("demo").listen_ssh(1, shell, interface="0.0.0.0")
        assert str(caught.value) == (
            "setting interface = '0.0.0.0': with the default password only this machine may"
            f" connect; {remedy}"
        )


# ---- the start


def test_on_started(application, shell, capsys):
    """It is called once, when every port is open and can be reached."""
    application.listen_tcp(0, shell)
    application.listen_tcp(0, Factory())

    def look():
        shell_port, factory_port = said_ports(capsys)
        return reachable(shell_port), ask_quote(factory_port)

    assert while_running(application, look) == (True, QUOTE)


def test_on_started_that_raises(application, capsys):
    """What it raises comes out of run(), and nothing is left open."""
    application.listen_tcp(0, Factory())

    def started():
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        application.run(save_at_shutdown=False, on_started=started)
    (port,) = said_ports(capsys)
    assert not reachable(port)


def test_on_started_is_not_called_if_the_start_fails(application):
    """If a port cannot be opened, run() raises one error without the frames of the loop."""
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        application.listen_tcp(taken.getsockname()[1], Factory())
        with pytest.raises(ListenError) as caught:
            application.run(save_at_shutdown=False, on_started=lambda: calls.append(1))
    assert calls == []
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    assert len(caught.traceback) <= 2
