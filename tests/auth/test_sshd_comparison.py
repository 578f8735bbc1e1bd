"""The same files, keys and certificates before OpenSSH's sshd and before our own decision.

Each case says what stands in the files and what a client shows. A real ``ssh`` asks a real
``sshd``, and `grant` is asked about the same bytes. Both have to answer the same: who is let in,
whether a command is forced, whether there is a terminal. Where ours answers otherwise, the case
says why.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import asyncssh
import pytest

from console.auth.keys.asyncssh_keys import read_offer
from console.auth.keys.grants import Grant, grant
from console.auth.stores.directory import FileCredentials
from console.interfaces.credentials import Peer
from support.clients import clean_environment, need
from support.servers import wait_until
from support.sshd_cases import (
    ASKED,
    CERTIFICATES,
    FORCED,
    IN,
    LINES,
    OUT,
    REVOKED,
    USER,
    Case,
    Verdict,
)

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Sshd:
    """A server of our own, and the files that it and our store read."""

    def __init__(self, directory):
        self.directory = directory
        self.store = FileCredentials(directory / "keys")
        self.store.add(USER)
        self._make_keys()
        self.process, self.port = self._start()
        self.gives_terminals = True
        case = Case("{id}", IN)
        try:
            self.gives_terminals = self.theirs(case, self.prepare(case)).terminal
        except AssertionError:
            self.gives_terminals = False

    def _keygen(self, *arguments):
        done = subprocess.run(
            ["ssh-keygen", "-q", *arguments], cwd=self.directory, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done

    def _make_keys(self):
        for name, kind in (
            *((name, "-t ed25519") for name in ("host", "id", "other", "ca", "other_ca")),
            *(("rsa", "-t rsa -b 2048"), ("rsa1024", "-t rsa -b 1024")),
            *(("ecdsa", "-t ecdsa -b 256"), ("ecdsa521", "-t ecdsa -b 521")),
        ):
            self._keygen(*kind.split(), "-N", "", "-C", name, "-f", name)
        odd = asyncssh.generate_private_key("ssh-rsa", key_size=2048, exponent=3)
        (self.directory / "rsa_e3").touch(0o600)
        odd.write_private_key(self.directory / "rsa_e3")
        odd.write_public_key(self.directory / "rsa_e3.pub")

    def _start(self):
        keys, root = self.store.directory, self.directory
        (keys / "authorized_keys").mkdir(exist_ok=True, mode=0o700)
        for path in (self.lines, self.authorities, self.revoked):
            path.touch(0o600)
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
        config = [
            *(f"Port {port}", "ListenAddress 127.0.0.1", f"HostKey {root}/host", "PidFile none"),
            *("UsePAM no", "StrictModes yes", "UseDNS no", "PermitRootLogin yes"),
            *("PasswordAuthentication no", "KbdInteractiveAuthentication no"),
            *(f"AuthorizedKeysFile {self.lines}", f"TrustedUserCAKeys {self.authorities}"),
            *(f"RevokedKeys {self.revoked}", "LogLevel VERBOSE", "PrintMotd no", "PrintLastLog no"),
        ]
        path = root / "sshd_config"
        for more in (["PerSourcePenalties no"], []):  # since 9.8 a refused login costs time
            path.write_text("\n".join([*config, *more, ""]))
            check = subprocess.run([SSHD, "-t", "-f", path], capture_output=True, text=True)
            if check.returncode == 0:
                break
        assert check.returncode == 0, check.stderr
        self.log = (root / "sshd.log").open("wb")
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", path], stdin=subprocess.DEVNULL, stderr=self.log
        )

        def answers():
            assert process.poll() is None, (root / "sshd.log").read_text()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", port)).close()
                return True

        try:
            wait_until(answers, "sshd answers")
        except BaseException:
            process.kill()
            process.wait()
            raise
        return process, port

    @property
    def lines(self):
        return self.store.directory / "authorized_keys" / USER

    @property
    def authorities(self):
        return self.store.directory / "authorities"

    @property
    def revoked(self):
        return self.store.directory / "revoked_keys"

    def close(self):
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def _text(self, template):
        """Fill a file's text in."""
        text = template.replace("FORCED", FORCED)
        key = self.directory / "id.pub"
        text = text.replace("{id_base64}", key.read_text().split()[1])
        if "{id_fingerprint}" in text:
            print_of_key = self._keygen("-l", "-f", key).stdout.split()[1]
            text = text.replace("{id_fingerprint}", print_of_key)
        if "{id_cert}" in text:
            text = text.replace("{id_cert}", (self.directory / "id-cert.pub").read_text().strip())
        for path in sorted(self.directory.glob("*.pub")):
            line = path.read_text().strip()
            text = text.replace(f"{{{path.stem}}}", line)
            text = text.replace(f"{{{path.stem}_bare}}", " ".join(line.split()[:2]))
            text = text.replace(f"{{{path.stem}_tabs}}", " \t\t ".join(line.split()))
        return text

    def prepare(self, case):
        """Write the files of a case; return the path of what is shown."""
        for certificate in self.directory.glob("*-cert.pub"):
            certificate.unlink()
        shown = self.directory / f"{case.shown}.pub"
        if case.cert:
            ca, *arguments = case.cert
            arguments = [argument.replace("FORCED", FORCED) for argument in arguments]
            self._keygen("-s", ca, "-I", "me", *arguments, shown.name)
            shown = self.directory / f"{case.shown}-cert.pub"
        self.lines.write_text(self._text(case.lines) + "\n")
        self.authorities.write_text(self._text(case.authorities) + "\n")
        self._write_revoked(case.revoked)
        return shown

    def _write_revoked(self, template):
        kind, _, text = template.partition(" ")
        if kind == "MISSING":
            self.revoked.unlink()
            return
        if kind not in {"KRL", "ELSE", "CUT", "LONG"}:
            self.revoked.write_text(self._text(template) + "\n")
            return
        (self.directory / "spec").write_text(self._text(text) + "\n")
        ca = "other_ca.pub" if kind == "ELSE" else "ca.pub"
        self._keygen("-k", "-f", "krl", "-s", ca, "spec")
        data = (self.directory / "krl").read_bytes()
        self.revoked.write_bytes({"CUT": data[:-1], "LONG": data + b"x"}.get(kind, data))

    def theirs(self, case, shown):
        """Ask sshd."""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "KexAlgorithms": "curve25519-sha256",  # the quickest
        }
        command = [
            *("ssh", "-F", "none", "-p", str(self.port), "-i", str(self.directory / case.shown)),
            *(part for item in options.items() for part in ("-o", "=".join(item))),
        ]
        if case.cert:
            command += ["-o", f"CertificateFile={shown}"]
        who = f"{USER}@127.0.0.1"
        done = self._ssh(*command, *(["-tt"] if self.gives_terminals else []), who, ASKED)
        if "Permission denied" in done.stderr:
            return OUT
        terminal = self.gives_terminals and "PTY allocation request failed" not in done.stderr
        if self.gives_terminals and not terminal:  # the client gives up then
            done = self._ssh(*command, who, ASKED)
        assert done.returncode in {0, 1}, done
        return Verdict(allowed=True, forced="asked" not in done.stdout.split(), terminal=terminal)

    def _ssh(self, *command):
        return subprocess.run(
            command,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=60,
            env=clean_environment(self.directory),
        )

    def ours(self, case, shown):
        """Ask the store and the decision, for what the client shows: the certificate, the key."""
        for path in (shown, self.directory / f"{case.shown}.pub"):
            offer = read_offer(base64.b64decode(path.read_text().split()[1]))
            if offer is None or self.store.is_revoked(offer[0]):
                continue
            lines = self.store.authorized_keys(USER)
            answer = grant(USER, offer[0], lines, Peer("127.0.0.1", 1), time.time())
            if isinstance(answer, Grant):
                return Verdict(allowed=True, forced=answer.command is not None, terminal=answer.pty)
        return OUT

    def known(self, verdict):
        """Leave terminals out where this sshd cannot have them: run by a user, in a container."""
        return verdict if self.gives_terminals else dataclasses.replace(verdict, terminal=False)


def trusted_by_sshd(directory):
    """Whether sshd's StrictModes would trust files of ours below a directory."""
    home = Path(pwd.getpwuid(os.geteuid()).pw_dir).resolve()
    if not os.access(directory, os.W_OK):
        return False
    for above in (directory.resolve(), *directory.resolve().parents):
        status = above.stat()
        if status.st_uid not in {0, os.geteuid()} or status.st_mode & 0o022:
            return False
        if above == home:  # what is above it is not looked at
            break
    return True


def trusted_directory():
    """Return where sshd's files may lie: nothing below /tmp, wherever HOME is."""
    homes = (Path(pwd.getpwuid(os.geteuid()).pw_dir), Path.home(), Path(__file__).parent)
    for directory in homes:
        if trusted_by_sshd(directory):
            return directory
    told = f"sshd trusts none of {', '.join(map(str, homes))}"
    if os.environ.get("CONSOLE_REQUIRE_CLIENTS") == "1":
        pytest.fail(told)
    pytest.skip(told)


@pytest.fixture(scope="module")
def sshd():
    """Start sshd on loopback, with its files where it trusts them."""
    if SSHD is None:
        need("sshd")
    need("ssh")
    place = trusted_directory()
    with tempfile.TemporaryDirectory(dir=place, prefix=".sshd-comparison-") as directory:
        server = Sshd(Path(directory))
        yield server
        server.close()


@pytest.mark.parametrize(
    "case", LINES + CERTIFICATES + REVOKED, ids=[c.name for c in LINES + CERTIFICATES + REVOKED]
)
def test_we_let_in_whom_sshd_lets_in(sshd, case):
    """The same answer, or a stricter one for the reason that the case has."""
    shown = sshd.prepare(case)
    theirs, ours = sshd.theirs(case, shown), sshd.ours(case, shown)
    log = (sshd.directory / "sshd.log").read_text()[-2000:]
    if not (case.new_sshd_agrees and theirs == OUT):
        assert theirs == sshd.known(case.theirs), log
    assert ours == (case.theirs if case.ours is None else case.ours), log


@pytest.mark.parametrize(
    ("path", "mode", "expected"),
    [
        ("keys/authorized_keys/USER", 0o606, OUT),
        ("keys/authorized_keys", 0o707, OUT),
        ("keys", 0o707, OUT),
        (".", 0o707, OUT),
        (".", 0o755, IN),
        ("keys/authorized_keys/USER", 0o644, IN),
    ],
)
def test_we_trust_the_files_that_sshd_trusts(sshd, path, mode, expected):
    """A world-writable file or directory up to our home authenticates no user."""
    changed = sshd.directory / path.replace("USER", USER)
    before = changed.stat().st_mode & 0o7777
    case = Case("{id}", expected)
    shown = sshd.prepare(case)
    changed.chmod(mode)
    try:
        assert sshd.theirs(case, shown) == sshd.known(expected)
        assert sshd.ours(case, shown) == expected
    finally:
        changed.chmod(before)


@pytest.mark.parametrize(
    ("mode", "target", "expected"),
    [(0o700, "keys", IN), (0o707, "keys", OUT), (0o700, "nothing", OUT), (0o700, ".", OUT)],
)
def test_we_follow_the_links_that_sshd_follows(sshd, mode, target, expected):
    """To a file that is safe where it lies; not to one that others can replace, nor to none."""
    case = Case("{id}", expected)
    shown = sshd.prepare(case)
    elsewhere = sshd.directory / "elsewhere"
    elsewhere.mkdir(exist_ok=True)
    elsewhere.chmod(mode)
    sshd.lines.rename(elsewhere / "keys")
    sshd.lines.symlink_to(elsewhere / target)
    try:
        assert sshd.theirs(case, shown) == sshd.known(expected)
        assert sshd.ours(case, shown) == expected
    finally:
        sshd.lines.unlink()
        (elsewhere / "keys").rename(sshd.lines)


def test_what_lies_below_a_sticky_directory_is_trusted_by_us_alone(sshd):
    """We are laxer here: others cannot move our files in a directory such as /tmp."""
    case = Case("{id}", OUT)
    shown = sshd.prepare(case)
    sshd.directory.chmod(0o1777)
    try:
        assert (sshd.theirs(case, shown), sshd.ours(case, shown)) == (OUT, IN)
    finally:
        sshd.directory.chmod(0o700)
