"""Cases of logins by key: the files, the offered key, and the result with OpenSSH's sshd.

`test_sshd_comparison.py` runs each case with sshd and with our server.
"""

from __future__ import annotations

import os
import pwd
import re
from dataclasses import dataclass

USER = pwd.getpwuid(os.geteuid()).pw_name

ASKED = "echo asked"
FORCED = "echo forced"


@dataclass(frozen=True)
class Verdict:
    """The result of a login."""

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
    """The files of a login, the offered key, and the result.

    ``{key}`` in a file is a public key's line, and FORCED a command. ``cert`` are the arguments
    with which ssh-keygen signs the offered key: authority first.
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
    """Make a case that sshd, or only an older one, accepts, and our server refuses."""
    return Case(lines, theirs, ours=OUT, why=why, **more)


NAMES = "host names are not looked up: the line would not do what it says"
NOT_ENFORCED = "an option that we do not enforce refuses its line"
SLOPPY = "a line that may not mean what it says is refused rather than guessed at"
WEAK = "a key known to be weak"
NO_PRINCIPALS = "a certificate without principals is refused (as by sshd since 10.3)"

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
    Case("\ufeff{id}", OUT),
    Case("\u00a0{id}", OUT),
    Case("\v{id}", OUT),
    Case("\0{id}", OUT),
    Case("{id_bare} a comment\0{other}", IN),
    stricter("{id_bare}\0{other}", IN, SLOPPY),
    Case("# me\r{id}", OUT),
    Case("{id_bare}\r{other}", OUT),
    Case("\\\n{id}", IN),
    Case("{id} {other}", IN),
    Case("'{id_bare}'", OUT),
    Case("{id} " + "c" * 9000, IN),
    stricter("{id} " + "c" * 20000, IN, "a line of 16384 characters is the longest"),
    Case("# " + "c" * 70000 + "\n{id}", IN),
    Case("ssh-ed25519", OUT),
    Case("SSH-ED25519 {id_base64}", OUT),
    Case("ssh-rsa {id_base64}", OUT),
    Case("ssh-ed25519{id_base64}", OUT),
    Case("ssh-ed25519 {id_base64}#", OUT),
    Case("ssh-ed25519 {id_base64}=", OUT),
    Case("ssh-ed25519 {id_base64}AAAA", OUT),
    Case("1024 35 123456", OUT),
    Case("@cert-authority * {id}", OUT),
    Case("-----BEGIN OPENSSH PRIVATE KEY-----\n{id}", IN),
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
    Case('from="127.0.0.1,!127.0.0.1" {id}', OUT),
    Case('from="127.0.0.1/32" {id}', IN),
    Case('from="127.0.0.1/0" {id}', OUT),
    Case('from="127.0.0.1/08" {id}', OUT),
    Case('from="127.0.0.1/" {id}', OUT),
    Case('from="0.0.0.0/0,!127.0.0.0/8" {id}', OUT),
    Case('from="0.0.0.0/0,!10.0.0.0/8" {id}', IN),
    Case('from="::ffff:127.0.0.1" {id}', OUT),
    Case('from="?*" {id}', IN),
    Case('from="!*,127.0.0.1" {id}', OUT),
    Case('from="*,!" {id}', OUT),
    Case('from="127.0.0.1,10.0.0.1/8" {id}', OUT),
    Case('from="*,!127.0.0.1/8" {id}', OUT),
    Case('from="127.0.0.1\\"" {id}', OUT),
    Case('from="*\n" {id}', OUT),
    stricter('from="!!127.0.0.1,*" {id}', IN, SLOPPY),
    stricter('from="127.000.000.001" {id}', IN, SLOPPY),
    stricter('from="0x7f.0.0.1" {id}', IN, SLOPPY),
    stricter('from="2130706433" {id}', IN, SLOPPY),
    Case('from="10.0.0.1" {id}\n{id}', IN),
    Case('from="10.0.0.1",command="FORCED" {id}\nno-pty {id}', BARE),
    # command=
    Case('command="FORCED" {id}', COMMAND),
    Case('COMMAND="FORCED" {id}', COMMAND),
    Case('command="FORCED; echo \\"a\\\\b\\"" {id}', COMMAND),
    Case('command="FORCED",no-pty {id}', BARE_COMMAND),
    Case('command="FORCED",command="FORCED" {id}', OUT),
    Case('command="FORCED"\t{id}', COMMAND),
    Case('command="FORCED, \tx # é" {id}', COMMAND),
    Case('command="FORCED\\" {id}', OUT),
    Case('command="FORCED \\\\" {id}', OUT),
    Case('command= "FORCED" {id}', OUT),
    Case("command='FORCED' {id}", OUT),
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
    Case('expiry-time="20500101Z" {id}', IN),
    Case('expiry-time="20500101utc" {id}', IN),
    Case('expiry-time="20200101Z" {id}', OUT),
    Case('expiry-time="2050010102Z" {id}', OUT),
    Case('expiry-time="20500101 " {id}', OUT),
    Case('expiry-time="205001012360" {id}', OUT),
    Case('expiry-time="19700101" {id}', OUT),
    Case('expiry-time="22000101" {id}', IN),
    Case('expiry-time="" {id}', OUT),
    Case("expiry-time=20500101 {id}", OUT),
    Case('Expiry-Time="20200101" {id}', OUT),
    stricter('expiry-time="20500230" {id}', IN, SLOPPY),
    stricter('expiry-time="20500101235960" {id}', IN, SLOPPY),
    # flags
    Case("restrict {id}", BARE),
    Case("RESTRICT {id}", BARE),
    Case("restrict,pty {id}", IN),
    Case("pty,restrict {id}", BARE),
    Case("no-pty {id}", BARE),
    Case("no-pty,pty {id}", IN),
    Case("no-pty,no-pty {id}", BARE),
    Case("restrict\t{id_bare}\r", BARE),
    Case("restrict\r {id}", OUT),
    Case("restrict\0 {id}", OUT),
    Case("restrict\u00a0{id}", OUT),
    Case("restrict restrict {id}", OUT),
    Case("restrict {id} restrict", BARE),
    Case('"restrict" {id}', OUT),
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
    Case(
        *('environment="A=b",no-pty {id}\n{id}', BARE),
        ours=IN,
        why="laxer: a line that is refused does not count at all, and the next one does",
    ),
    stricter('command="" {id}', COMMAND, SLOPPY),
    # authorities
    Case("cert-authority {id}", OUT),
    Case('principals="x" {id}', OUT),
    Case("{id_cert}", OUT, cert=("ca", "-n", USER)),
    Case("cert-authority {id_cert}", OUT, cert=("ca", "-n", USER)),
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
    stricter('cert-authority,principals="ops," {ca}', IN, SLOPPY, cert=("ca", "-n", "ops")),
    Case('cert-authority,principals=",ops" {ca}', OUT, cert=("ca", "-n", "ops")),
    Case('cert-authority,principals=" ops" {ca}', OUT, cert=("ca", "-n", "ops")),
    Case('cert-authority,principals="OPS" {ca}', OUT, cert=("ca", "-n", "ops")),
    Case('cert-authority,Principals="a b" {ca}', IN, cert=("ca", "-n", "a b")),
    Case('cert-authority,principals="ops" {ca}\ncert-authority {ca}', IN, cert=ME),
    Case("{id}\ncert-authority {ca}", IN, cert=("ca", "-n", "nobody")),
    Case(CA_LINE, OUT, cert=("ca", "-n", f"{USER} ")),
    Case(CA_LINE, IN, cert=("ca", "-n", ",".join([*map(str, range(255)), USER]))),
    Case(CA_LINE, IN, cert=(*ME, "-z", str(2**64 - 1), "-V", "always:forever")),
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
    Case(CA_LINE, OUT, cert=(*ME, "-O", "source-address=::/0")),
    Case(CA_LINE, OUT, cert=(*ME, "-O", "critical:source-address")),
    Case(CA_LINE, OUT, cert=(*ME, "-O", "critical:source-address=127.0.0.*")),
    Case(CA_LINE, OUT, cert=(*ME, "-O", "critical:source-address=127.0.0.1,")),
    Case(CA_LINE, OUT, cert=(*ME, "-O", "critical:source-address=!10.0.0.0/8,127.0.0.1")),
    Case(CA_LINE, OUT, cert=(*ME, "-O", "critical:force-command")),
    Case(CA_LINE, OUT, cert=(*ME, "-O", "critical:permit-pty")),
    Case(CA_LINE, OUT, cert=(*ME, "-O", "extension:permit-pty=x")),
    Case(CA_LINE, IN, cert=(*ME, "-O", "extension:force-command=FORCED")),
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
    Case("", IN, cert=ME, authorities="{ca_bare}\r"),
    Case("", OUT, cert=ME, authorities="\ufeff{ca}"),
    Case("", OUT, cert=ME, authorities='from="10.0.0.1" {ca}'),
    Case("", OUT, cert=ME, authorities='principals="x" {ca}'),
    Case(
        *("", OUT),
        cert=ME,
        authorities='command="FORCED",restrict {ca}',
        ours=BARE_COMMAND,
        why="laxer: options are enforced here, where sshd takes none",
    ),
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
    Case("{id}", OUT, revoked="{id_bare}\r"),
    Case("{id}", OUT, revoked="restrict {id}"),
    Case("{id}", OUT, revoked="\ufeff{other}"),
    Case("{id}", IN, revoked=""),
    Case("{id}", OUT, revoked="MISSING", ours=IN, why="laxer: there is no setting that names it"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="{id_cert}"),
    Case(
        *(CA_LINE, OUT),
        cert=NUMBERED,
        revoked="serial: 8",
        ours=IN,
        why="laxer: these lines are understood here, where sshd has to be given a KRL of them",
    ),
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
    Case("{id}", IN, revoked="KRL id: me"),
    Case("{id}", OUT, revoked="KRL hash: {id_fingerprint}"),
    Case("{id}", IN, cert=NUMBERED, revoked="KRL {id_cert}", why="the plain key opens it"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL {id_cert}"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL sha256: {ca}"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL sha1: {ca}"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked=f"KRL serial: 1-{2**64 - 1}"),
    Case(CA_LINE, OUT, cert=NUMBERED, revoked="KRL serial: 7\nserial: 100000\nserial: 9999999999"),
    Case(CA_LINE, IN, cert=NUMBERED, revoked="KRL id: ME"),
    Case(CA_LINE, IN, cert=NUMBERED, revoked="KRL "),
    Case(CA_LINE, IN, cert=NUMBERED, revoked="ELSE serial: 7"),
    Case(CA_LINE, IN, cert=NUMBERED, revoked="ELSE id: me"),
    Case("{id}", OUT, revoked="CUT {other}"),
    Case("{id}", OUT, revoked="LONG {other}"),
]
