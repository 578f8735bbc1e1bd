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
import re
import shutil
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from clients import clean_environment, need
from console.auth.grants import grant
from console.auth.ssh_keys import read_offer
from console.auth.store import FileCredentials
from console.interfaces import Grant, Peer
from servers import wait_until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
USER = pwd.getpwuid(os.geteuid()).pw_name

ASKED = "echo asked"
FORCED = "echo forced"


@dataclass(frozen=True)
class Verdict:
    """What came of a login."""

    allowed: bool
    forced: bool = False
    terminal: bool = False


OUT = Verdict(allowed=False)
IN = Verdict(allowed=True, terminal=True)
COMMAND = Verdict(allowed=True, forced=True, terminal=True)
BARE = Verdict(allowed=True)
BARE_COMMAND = Verdict(allowed=True, forced=True)


@dataclass(frozen=True)
class Case:
    """What stands in the files, what is shown, and what comes of it.

    ``{key}`` in a file is a public key's line, and FORCED a command. ``cert`` are the arguments
    with which ssh-keygen signs the shown key: authority first.
    """

    lines: str
    theirs: Verdict
    shown: str = "id"
    cert: tuple[str, ...] = ()
    authorities: str = ""
    revoked: str = ""
    ours: Verdict | None = None
    why: str = ""
    new_sshd_agrees: bool = False

    @property
    def name(self):
        text = " ".join(filter(None, (self.lines, *self.cert, self.authorities, self.revoked)))
        return re.sub(r"[^ -~]", "?", f"{self.shown}: {text}")[:150]


def stricter(lines, theirs, why, **more):
    """Make a case that sshd lets in, or a newer one does not, and we never."""
    return Case(lines, theirs, ours=OUT, why=why, **more)


NAMES = "host names are not looked up: the line would not do what it says"
NOT_ENFORCED = "an option that we do not enforce refuses its line"
SLOPPY = "a line that may not mean what it says is refused rather than guessed at"
WEAK = "a key known to be weak"
NO_PRINCIPALS = "a certificate that names nobody opens nothing (sshd since 10.3 agrees)"

LINES = [
    Case("{id}", IN),
    Case("{other}", OUT),
    Case("", OUT),
    Case("# {id}", OUT),
    Case("  \t{id}", IN),
    Case("\n\n# me\n{other}\n{id}\n", IN),
    Case("{id_bare}\r", IN),
    Case("{id_tabs}", IN),
    Case("{id} a comment, with \"quotes\" from='x'", IN),
    Case("{rsa}", IN, shown="rsa"),
    Case("{ecdsa}", IN, shown="ecdsa"),
    Case("{ecdsa521}", IN, shown="ecdsa521"),
    stricter("{rsa1024}", IN, WEAK, shown="rsa1024"),
    stricter("{rsa_e3}", IN, WEAK, shown="rsa_e3"),
    # from=
    Case('from="127.0.0.1" {id}', IN),
    Case('from="10.0.0.1" {id}', OUT),
    Case('from="127.0.0.0/8" {id}', IN),
    Case('from="0.0.0.0/0" {id}', IN),
    Case('from="::/0" {id}', OUT),
    Case('from="10.0.0.0/8,127.0.0.0/8" {id}', IN),
    Case('from="127.*" {id}', IN),
    Case('from="127.?.0.1" {id}', IN),
    Case('from="127.??.0.1" {id}', OUT),
    Case('from="*" {id}', IN),
    Case('from="!127.0.0.1,*" {id}', OUT),
    Case('from="*,!127.0.0.0/8" {id}', OUT),
    Case('from="!127.0.*,*" {id}', OUT),
    Case('from="!10.0.0.0/8,*" {id}', IN),
    Case('from="!10.0.0.0/8" {id}', OUT),
    Case('from="127.0.0.1/8" {id}', OUT),
    Case('from="127.0.0.0/255.0.0.0" {id}', OUT),
    Case('from="127.0.0.0/33" {id}', OUT),
    Case('from="" {id}', OUT),
    Case('from="127.0.0.1,,10.0.0.1" {id}', OUT),
    Case("from=127.0.0.1 {id}", OUT),
    Case('from="127.0.0.1",from="127.0.0.1" {id}', OUT),
    Case('FROM="10.0.0.1" {id}', OUT),
    Case('from="localhost" {id}', OUT),
    Case('from="thief.example" {id}', OUT),
    stricter('from="!thief.example,*" {id}', IN, NAMES),
    stricter('from="bastion.example,127.0.0.1" {id}', IN, NAMES),
    stricter('from="fe80*,127.0.0.1" {id}', IN, NAMES),
    stricter('from="127.1" {id}', IN, SLOPPY),
    stricter('from="127.0.0.1, 10.0.0.1" {id}', IN, SLOPPY),
    Case('from="10.0.0.1" {id}\n{id}', IN),
    Case('from="10.0.0.1",command="FORCED" {id}\nno-pty {id}', BARE),
    # command=
    Case('command="FORCED" {id}', COMMAND),
    Case('COMMAND="FORCED" {id}', COMMAND),
    Case('command="FORCED; echo \\"a\\\\b\\"" {id}', COMMAND),
    Case('command="FORCED",no-pty {id}', BARE_COMMAND),
    Case('command="FORCED",command="FORCED" {id}', OUT),
    Case("command=ls {id}", OUT),
    Case('command="FORCED {id}', OUT),
    Case('command="FORCED"x {id}', OUT),
    Case("command {id}", OUT),
    Case('command="FORCED" {id}\n{id}', COMMAND),
    Case('{id}\ncommand="FORCED" {id}', IN),
    # expiry-time=
    Case('expiry-time="20500101" {id}', IN),
    Case('expiry-time="205001010203" {id}', IN),
    Case('expiry-time="20500101020304Z" {id}', IN),
    Case('expiry-time="20200101" {id}', OUT),
    Case('expiry-time="202001010203Z" {id}', OUT),
    Case('expiry-time="20500101",expiry-time="20200101" {id}', OUT),
    Case('expiry-time="20200101",expiry-time="20500101" {id}', OUT),
    Case('expiry-time="2050-01-01" {id}', OUT),
    Case('expiry-time="tomorrow" {id}', OUT),
    Case('expiry-time="20501301" {id}', OUT),
    stricter('expiry-time="20500230" {id}', IN, SLOPPY),
    # flags
    Case("restrict {id}", BARE),
    Case("RESTRICT {id}", BARE),
    Case("restrict,pty {id}", IN),
    Case("pty,restrict {id}", BARE),
    Case("no-pty {id}", BARE),
    Case("no-pty,pty {id}", IN),
    Case("No-Pty {id}", BARE),
    Case("no-port-forwarding,no-agent-forwarding,no-X11-forwarding,no-user-rc {id}", IN),
    Case("restrict,port-forwarding,agent-forwarding,x11-forwarding,user-rc {id}", BARE),
    Case("unknown {id}", OUT),
    Case("no-restrict {id}", OUT),
    Case("ptyx {id}", OUT),
    Case('restrict="yes" {id}', OUT),
    Case("restrict, pty {id}", OUT),
    Case("unknown {id}\n{id}", IN),
    Case("hunter2\nssh-ed25519 AAAA\n{other} \n{id}", IN),
    stricter("restrict, {id}", BARE, SLOPPY),
    stricter("restrict,,no-pty {id}", BARE, SLOPPY),
    stricter(",restrict {id}", BARE, SLOPPY),
    stricter('environment="A=b" {id}', IN, NOT_ENFORCED),
    stricter('permitopen="host:1" {id}', IN, NOT_ENFORCED),
    stricter('permitlisten="8080" {id}', IN, NOT_ENFORCED),
    stricter('tunnel="0" {id}', IN, NOT_ENFORCED),
    stricter("verify-required {id}", IN, NOT_ENFORCED),
    stricter("no-touch-required {id}", IN, NOT_ENFORCED),
    stricter('command="" {id}', COMMAND, SLOPPY),
    # authorities
    Case("cert-authority {id}", OUT),
    Case('principals="x" {id}', OUT),
    Case("{ca}", OUT, cert=("ca", "-n", USER)),
    Case("{id}", IN, cert=("ca", "-n", USER), why="the client shows the plain key as well"),
]

ME = ("ca", "-n", USER)
CA_LINE = "cert-authority {ca}"
CERTIFICATES = [
    Case(CA_LINE, IN, cert=ME),
    Case(CA_LINE, OUT),
    Case(CA_LINE, OUT, cert=("other_ca", "-n", USER)),
    Case(CA_LINE, OUT, cert=("ca", "-n", "nobody")),
    Case(CA_LINE, IN, cert=("ca", "-n", f"nobody,{USER}")),
    Case(CA_LINE, OUT, cert=("ca", "-n", "*")),
    Case(CA_LINE, OUT, cert=("ca", "-n", USER.upper())),
    stricter(CA_LINE, IN, NO_PRINCIPALS, cert=("ca",), new_sshd_agrees=True),
    Case('cert-authority,principals="ops" {ca}', OUT, cert=("ca",)),
    Case('cert-authority,principals="ops" {ca}', OUT, cert=ME),
    Case('cert-authority,principals="ops" {ca}', IN, cert=("ca", "-n", "ops")),
    Case('cert-authority,principals="dba,ops" {ca}', IN, cert=("ca", "-n", "x,ops")),
    Case('cert-authority,principals="op*" {ca}', OUT, cert=("ca", "-n", "ops")),
    Case('cert-authority,principals="" {ca}', OUT, cert=ME),
    Case('cert-authority,principals="a",principals="ops" {ca}', OUT, cert=("ca", "-n", "ops")),
    Case(CA_LINE, OUT, cert=(*ME, "-h")),
    Case(CA_LINE, IN, cert=(*ME, "-V", "20200101:20500101")),
    Case(CA_LINE, OUT, cert=(*ME, "-V", "20200101:20210101")),
    Case(CA_LINE, OUT, cert=(*ME, "-V", "20490101:20500101")),
    Case(CA_LINE, BARE, cert=(*ME, "-O", "no-pty")),
    Case(CA_LINE, BARE, cert=(*ME, "-O", "clear")),
    Case(CA_LINE, IN, cert=(*ME, "-O", "clear", "-O", "permit-pty")),
    Case("cert-authority,no-pty {ca}", BARE, cert=ME),
    Case("cert-authority,restrict {ca}", BARE, cert=ME),
    Case(CA_LINE, COMMAND, cert=(*ME, "-O", "force-command=FORCED")),
    Case('cert-authority,command="FORCED" {ca}', COMMAND, cert=ME),
    Case(
        'cert-authority,command="FORCED" {ca}',
        COMMAND,
        cert=(*ME, "-O", "force-command=FORCED"),
    ),
    Case('cert-authority,command="FORCED" {ca}', OUT, cert=(*ME, "-O", "force-command=ls")),
    Case(CA_LINE, IN, cert=(*ME, "-O", "source-address=127.0.0.0/8,::1/128")),
    Case(CA_LINE, OUT, cert=(*ME, "-O", "source-address=10.0.0.0/8")),
    Case(CA_LINE, IN, cert=(*ME, "-O", "extension:strange@example=x")),
    Case(CA_LINE, OUT, cert=(*ME, "-O", "critical:strange@example=x")),
    stricter(CA_LINE, IN, NOT_ENFORCED, cert=(*ME, "-O", "verify-required")),
    Case('cert-authority,from="127.0.0.1" {ca}', IN, cert=ME),
    Case('cert-authority,from="10.0.0.1" {ca}', OUT, cert=ME),
    Case('cert-authority,expiry-time="20200101" {ca}', OUT, cert=ME),
    Case('cert-authority,from="10.0.0.1" {ca}\ncert-authority,no-pty {ca}', BARE, cert=ME),
    Case("CERT-AUTHORITY {ca}", IN, cert=ME),
    Case("cert-authority {rsa}", IN, cert=("rsa", "-n", USER)),
    Case("cert-authority {rsa}", OUT, cert=("rsa", "-n", USER, "-t", "ssh-rsa")),
    Case("cert-authority {ecdsa}", IN, cert=("ecdsa", "-n", USER)),
    Case(CA_LINE, IN, shown="rsa", cert=ME),
    Case(CA_LINE, IN, shown="ecdsa", cert=ME),
    stricter(CA_LINE, IN, WEAK, shown="rsa1024", cert=ME),
    stricter("cert-authority {rsa1024}", IN, WEAK, cert=("rsa1024", "-n", USER)),
    # TrustedUserCAKeys, which is our authorities file
    Case("", IN, cert=ME, authorities="{ca}"),
    Case("", IN, cert=ME, authorities="# all\n\n{other_ca}\n{ca}\n"),
    Case("", OUT, cert=ME, authorities="{other_ca}"),
    Case("", IN, cert=ME, authorities="{ca}\nhunter2"),
    Case(
        *("", OUT),
        cert=ME,
        authorities="hunter2\n{ca}",
        ours=IN,
        why="laxer: one bad line harms no other, here as in authorized_keys",
    ),
    Case("", OUT, cert=("ca", "-n", "nobody"), authorities="{ca}"),
    Case("", OUT, cert=("ca",), authorities="{ca}"),
    Case("", OUT, authorities="{id}"),
    Case("", BARE, cert=(*ME, "-O", "no-pty"), authorities="{ca}"),
    Case("", COMMAND, cert=(*ME, "-O", "force-command=FORCED"), authorities="{ca}"),
    Case("", OUT, cert=(*ME, "-V", "20200101:20210101"), authorities="{ca}"),
]

NUMBERED = (*ME, "-z", "7")
REVOKED = [
    Case("{id}", IN, revoked="# nothing\n"),
    Case("{id}", OUT, revoked="{id}"),
    Case("{id}", OUT, revoked="# lost\n{other}\n{id}\n"),
    Case("{id}", IN, revoked="{other}"),
    Case("{id}", OUT, revoked="hunter2"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="{id}"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="{ca}"),
    Case(CA_LINE, IN, cert=NUMBERED, revoked="{other_ca}"),
    Case("", OUT, cert=NUMBERED, authorities="{ca}", revoked="{ca}"),
    # as ssh-keygen -k makes it
    Case("{id}", OUT, revoked="KRL {id}"),
    Case("{id}", IN, revoked="KRL {other}"),
    Case("{id}", OUT, revoked="KRL sha1: {id}"),
    Case("{id}", OUT, revoked="KRL sha256: {id}"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL {id}"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL {ca}"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL serial: 7"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL serial: 3-9"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL serial: 1\nserial: 4\nserial: 7\nserial: 11"),
    Case(CA_LINE, IN, cert=NUMBERED, revoked="KRL serial: 8"),
    Case(CA_LINE, IN, cert=ME, revoked="KRL serial: 1-99"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL id: me"),
    Case(CA_LINE, IN, cert=NUMBERED, revoked="KRL id: you"),
    Case("{id}", OUT, revoked="CUT {other}"),
]


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
        self.lines.write_text(self._text(case.lines) + "\n")
        self.authorities.write_text(self._text(case.authorities) + "\n")
        self._write_revoked(case.revoked)
        if not case.cert:
            return self.directory / f"{case.shown}.pub"
        ca, *arguments = case.cert
        arguments = [argument.replace("FORCED", FORCED) for argument in arguments]
        self._keygen("-s", ca, "-I", "me", *arguments, f"{case.shown}.pub")
        return self.directory / f"{case.shown}-cert.pub"

    def _write_revoked(self, template):
        kind, _, text = template.partition(" ")
        if kind not in {"KRL", "CUT"}:
            self.revoked.write_text(self._text(template) + "\n")
            return
        (self.directory / "spec").write_text(self._text(text) + "\n")
        self._keygen("-k", "-f", "krl", "-s", "ca.pub", "spec")
        data = (self.directory / "krl").read_bytes()
        self.revoked.write_bytes(data[:-1] if kind == "CUT" else data)

    def theirs(self, case, shown):
        """Ask sshd."""
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
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


@pytest.fixture(scope="module")
def sshd():
    """Start sshd on loopback, with its files in our home: it trusts nothing below /tmp."""
    if SSHD is None:
        need("sshd")
    need("ssh")
    with tempfile.TemporaryDirectory(dir=Path.home(), prefix=".sshd-comparison-") as directory:
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
    """A file or directory up to our home that all may write lets nobody in."""
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


def test_what_lies_below_a_sticky_directory_is_trusted_by_us_alone(sshd):
    """We are laxer here: nobody can move what is ours in a directory such as /tmp."""
    case = Case("{id}", OUT)
    shown = sshd.prepare(case)
    sshd.directory.chmod(0o1777)
    try:
        assert (sshd.theirs(case, shown), sshd.ours(case, shown)) == (OUT, IN)
    finally:
        sshd.directory.chmod(0o700)
