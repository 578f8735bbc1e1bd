"""Options of keys and certificates, as a client meets them: what is decided is also done."""

import base64
import subprocess
from pathlib import Path

import pytest

from console import FileCredentials
from support import rawssh
from support.clients import SSH_OPTIONS, need
from support.rawssh import CHANNEL_DATA, Gone, RawSsh, boolean, string, uint32
from support.servers import DEADLINE_SECONDS, clean_environment, make_key, wait_until

CHANNEL_CLOSE = 97

FORCED = "seen.append('forced') or 'forced'"
OTHER = "seen.append('other') or 'other'"


@pytest.fixture
def place(make, tmp_path):
    """A console with a user boss and an empty list, and what its clients need."""
    need("ssh")
    return Place(make, tmp_path)


class Place:
    def __init__(self, make, directory):
        self.directory = directory
        self.keys = directory / "keys"
        self.seen = []
        store = FileCredentials(self.keys, initial={"boss": "sekrit", "ann": "secret2"})
        store.prepare()
        self.key = make_key(directory / "id")
        self.public = Path(f"{self.key}.pub").read_text()
        self.console = make(ssh=0, credentials=store, namespace={"seen": self.seen})
        self.console.start()

    def write(self, file, text):
        """Write a file of the keys directory."""
        path = self.keys / file
        path.touch(0o600)
        path.write_text(text)

    def ssh(self, *command, options=(), user="boss", stdin=""):
        """Run OpenSSH's client with the key."""
        return subprocess.run(
            [
                *("ssh", *SSH_OPTIONS, "-i", self.key, "-o", "IdentitiesOnly=yes"),
                *("-o", "BatchMode=yes", "-p", str(self.console.ssh_port), *options),
                *(f"{user}@127.0.0.1", *command),
            ],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            env=clean_environment(self.directory),
        )

    def keygen(self, *arguments):
        """Run ssh-keygen among the keys."""
        subprocess.run(
            ["ssh-keygen", "-q", *map(str, arguments)],
            cwd=self.directory,
            check=True,
            stdin=subprocess.DEVNULL,
        )

    def sign(self, *arguments):
        """Make a certificate of the key, which the client then shows."""
        self.keygen("-s", "ca", "-I", "ann's laptop", "-z", 17, *arguments, "id.pub")


@pytest.mark.parametrize("command", [[OTHER], []], ids=["command", "shell"])
@pytest.mark.parametrize("terminal", ["-T", "-tt"])
@pytest.mark.parametrize("more", [(), ("SetEnv=CONSOLE_FRONTEND=line CONSOLE_FORMAT=text",)])
def test_a_key_with_a_command_runs_that_alone(place, command, terminal, more):
    """Whatever the client asks for and types, with a terminal and without one."""
    place.write("authorized_keys/boss", f'command="{FORCED}" {place.public}')
    options = (terminal, *(part for one in more for part in ("-o", one)))
    done = place.ssh(*command, options=options, stdin=f"{OTHER}\n{OTHER}\n")
    assert done.returncode == 0
    assert "'forced'" in done.stdout
    assert place.seen == ["forced"]


@pytest.mark.parametrize("options", ["restrict", "no-pty"])
def test_a_key_without_a_terminal_has_none(place, options):
    """A command works, and a terminal is refused."""
    place.write("authorized_keys/boss", f"{options} {place.public}")
    assert place.ssh(OTHER).stdout == "'other'\n"
    assert "PTY allocation request failed" in place.ssh(OTHER, options=("-tt",)).stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ('from="10.0.0.0/8"', "the line is not for this address"),
        ('expiry-time="20200101Z"', "the line has expired"),
        ("cert-authority", "no key of this user"),
        ('environment="A=b"', "no key of this user"),
    ],
)
def test_a_line_that_does_not_let_in_says_why(place, options, reason, caplog):
    """In the log, and not to the client."""
    place.write("authorized_keys/boss", f"{options} {place.public}")
    done = place.ssh(OTHER)
    assert done.returncode == 255
    assert "Permission denied" in done.stderr
    wait_until(lambda: reason in caplog.text, "the reason in the log")
    assert reason not in done.stderr
    assert place.seen == []


def test_a_key_opens_one_account(place):
    """The one whose file names it."""
    place.write("authorized_keys/boss", place.public)
    assert place.ssh(OTHER).returncode == 0
    assert place.ssh(OTHER, user="ann").returncode == 255
    assert place.ssh(OTHER, user="nobody").returncode == 255


def test_a_certificate_lets_in_until_its_authority_goes(place, caplog):
    """The account that it names and no other; the log has its key id and serial; no restart."""
    caplog.set_level("INFO", "console.audit")
    place.keygen("-t", "ed25519", "-N", "", "-f", "ca")
    authority = (place.directory / "ca.pub").read_text()
    place.sign("-n", "boss")
    assert place.ssh(OTHER).returncode == 255
    place.write("authorities", authority)
    assert place.ssh(OTHER).stdout == "'other'\n"
    assert 'certificate "ann\'s laptop" serial 17 by SHA256:' in caplog.text
    assert place.ssh(OTHER, user="ann").returncode == 255
    place.write("revoked_keys", "serial: 17\n")
    assert place.ssh(OTHER).returncode == 255
    place.write("revoked_keys", "serial: 18\n")
    assert place.ssh(OTHER).returncode == 0
    place.write("authorities", "")
    assert place.ssh(OTHER).returncode == 255


def test_a_certificate_with_a_command_and_no_terminal(place):
    """What the authority signed is what its holder gets."""
    place.keygen("-t", "ed25519", "-N", "", "-f", "ca")
    place.write("authorities", (place.directory / "ca.pub").read_text())
    place.sign("-n", "boss", "-O", "clear", "-O", f"force-command={FORCED}")
    assert place.ssh(OTHER).stdout == "'forced'\n"
    assert place.seen == ["forced"]
    assert "PTY allocation request failed" in place.ssh(OTHER, options=("-tt",)).stderr


def test_a_line_that_has_changed_holds_for_the_next_session(place):
    """On a connection from before: a command that is forced now, and a key that is gone."""
    key = rawssh.make_ed25519()
    public = f"ssh-ed25519 {base64.b64encode(rawssh.ed25519_blob(key)).decode()}"
    place.write("authorized_keys/boss", public)

    def run(client):
        channel = client.open_session()
        client.send(
            rawssh.CHANNEL_REQUEST, uint32(channel), string("exec"), boolean(False), string(OTHER)
        )
        output = client.expect(CHANNEL_DATA)[9:]
        while client.read()[0] != CHANNEL_CLOSE:
            pass
        return output

    with RawSsh(place.console.ssh_port) as client:
        client.handshake().sign_request("boss", key)
        client.expect(rawssh.USERAUTH_SUCCESS)
        assert run(client) == b"'other'\n"
        place.write("authorized_keys/boss", f'command="{FORCED}" {public}')
        assert run(client) == b"'forced'\n"
        place.write("authorized_keys/boss", "")
        with pytest.raises((Gone, AssertionError)):
            run(client)
    assert place.seen == ["other", "forced"]
