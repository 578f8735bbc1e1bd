"""What a peer shows: keys and certificates, from ssh-keygen and made wrong by hand."""

from __future__ import annotations

import base64
import dataclasses
import subprocess
import time

import asyncssh
import pytest
from asyncssh.packet import MPInt, String, UInt32, UInt64
from hypothesis import given, settings
from hypothesis import strategies as st

from console.auth.keys import asyncssh_keys as ssh_keys
from console.auth.keys.asyncssh_keys import read_offer
from console.auth.keys.authorized_keys import parse_authorized_key
from console.auth.keys.grants import Grant, grant
from console.interfaces.credentials import Certificate, OfferedKey, Peer
from support.clients import need

HERE = Peer("127.0.0.1", 40000)
UNIX = Peer("", uid=0)
NOW = 1_900_000_000.0
FOREVER = 2**64 - 1

USER = asyncssh.generate_private_key("ssh-ed25519")
CA = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ssh-ed25519")
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
ECDSA = asyncssh.generate_private_key("ecdsa-sha2-nistp384")


def options(**values):
    """Write critical options or extensions in wire form."""
    return b"".join(
        String(name.replace("_", "-")) + String(value) for name, value in values.items()
    )


PERMIT_PTY = options(permit_pty=b"")


def certify(
    key=USER,
    ca=CA,
    *,
    kind=None,
    purpose=1,
    serial=7,
    key_id=b"me",
    principals=(b"boss",),
    after=0,
    before=FOREVER,
    critical=b"",
    extensions=PERMIT_PTY,
    algorithm=None,
    authority=None,
    behind=b"",
    damage=False,
):
    """Make a certificate, in which each part can be wrong."""
    kind = kind or key.algorithm + b"-cert-v01@openssh.com"
    body = (
        String(kind)
        + String(bytes(32))
        + key.encode_ssh_public()
        + UInt64(serial)
        + UInt32(purpose)
        + String(key_id)
        + String(b"".join(String(principal) for principal in principals))
        + UInt64(after)
        + UInt64(before)
        + String(critical)
        + String(extensions)
        + String(b"")
        + String(ca.public_data if authority is None else authority)
    )
    signature = ca.sign(body, algorithm or ca.sig_algorithms[0])
    if damage:
        body = body.replace(b"boss", b"root")
    return body + String(signature) + behind


def line(key=CA, options="cert-authority", place="keys/boss:1"):
    """Make the entry of a key."""
    text = key.export_public_key("openssh").decode()
    return parse_authorized_key(f"{options} {text}", place)


def ask(blob, *lines, user="boss", peer=HERE, now=NOW):
    """Ask for the decision on what a peer shows, as the transport does."""
    offer = read_offer(blob)
    if offer is None:
        return "unreadable"
    return grant(user, offer[0], lines or (line(),), peer, now)


def allowed(answer):
    """Tell a grant from a reason."""
    assert isinstance(answer, Grant | str)
    return isinstance(answer, Grant)


# ---------------------------------------------------------------- keys


def test_a_plain_key_opens_the_account_whose_line_names_it():
    """With its fingerprint and line for the log; another key, or none, opens nothing."""
    entry = line(USER, "")
    answer = ask(USER.public_data, line(OTHER, ""), entry)
    assert answer == Grant(f"ssh-ed25519 {entry.fingerprint} (keys/boss:1)")
    assert ask(USER.public_data, line(OTHER, "")) == "no key of this user"
    assert grant("boss", OfferedKey("ssh-ed25519", USER.public_data), (), HERE, NOW) == (
        "no key of this user"
    )


def test_an_authority_opens_nothing_with_its_own_key():
    """Nor does a line without cert-authority let certificates in."""
    assert ask(CA.public_data, line(CA)) == "no key of this user"
    assert ask(certify(), line(CA, "")) == "no authority for this user"
    assert ask(certify(), line(USER, "")) == "no authority for this user"


def test_the_options_of_a_line_are_in_the_grant():
    """Command and terminal, as the line has them."""
    answer = ask(USER.public_data, line(USER, 'restrict,command="tasks()"'))
    assert (answer.command, answer.pty) == ("tasks()", False)
    answer = ask(USER.public_data, line(USER, ""))
    assert (answer.command, answer.pty) == (None, True)


@pytest.mark.parametrize(("now", "expected"), [(NOW - 1, True), (NOW, True), (NOW + 1, False)])
def test_a_line_expires(now, expected):
    """The last second counts, as in sshd."""
    moment = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(NOW))
    answer = ask(USER.public_data, line(USER, f'expiry-time="{moment}"'), now=now)
    assert allowed(answer) is expected
    assert expected or "the line has expired" in answer


@pytest.mark.parametrize(
    ("peer", "expected"),
    [(Peer("10.1.2.3"), True), (Peer("10.9.2.3"), False), (HERE, False), (UNIX, False)],
)
def test_a_line_is_for_addresses(peer, expected):
    """Those that its from= matches."""
    answer = ask(USER.public_data, line(USER, 'from="10.0.0.0/8,!10.9.*"'), peer=peer)
    assert allowed(answer) is expected
    assert expected or "not for this address" in answer


def test_the_first_line_that_lets_in_counts():
    """As in sshd: one that refuses does not stand in the way of the next."""
    elsewhere = line(USER, 'from="10.0.0.0/8",command="a"', "f:1")
    here, later = line(USER, 'command="b"', "f:2"), line(USER, 'command="c"', "f:3")
    assert ask(USER.public_data, elsewhere, here, later).command == "b"
    assert "f:1" in ask(USER.public_data, elsewhere)


# ---------------------------------------------------------------- what can be read


@pytest.mark.parametrize("ca", [CA, RSA, ECDSA], ids=["ed25519", "rsa", "ecdsa"])
@pytest.mark.parametrize("key", [USER, RSA, ECDSA], ids=["ed25519", "rsa", "ecdsa"])
def test_what_is_offered_comes_back_with_its_verifier(key, ca):
    """Alone or in a certificate, with the object that verifies the peer's signature."""
    algorithm = b"rsa-sha2-512" if ca is RSA else None
    offered, verifier = read_offer(certify(key, ca, algorithm=algorithm))
    assert offered == OfferedKey(
        key.get_algorithm(),
        key.public_data,
        Certificate(
            authority=ca.public_data,
            is_user=True,
            serial=7,
            key_id="me",
            principals=("boss",),
            valid_after=0,
            valid_before=FOREVER,
            critical=(),
            extensions=("permit-pty",),
        ),
    )
    plain, alone = read_offer(key.public_data)
    assert plain == dataclasses.replace(offered, certificate=None)
    signature = key.sign(b"data", key.sig_algorithms[0])
    for one in (verifier, alone):
        assert one.verify(b"data", signature)
        assert not one.verify(b"date", signature)


def test_a_signature_by_way_of_sha1_is_no_signature():
    """Neither of a peer nor of an authority; and only on our objects, not for the whole process."""
    _, verifier = read_offer(RSA.public_data)
    assert not verifier.verify(b"data", RSA.sign(b"data", b"ssh-rsa"))
    assert RSA.convert_to_public().verify(b"data", RSA.sign(b"data", b"ssh-rsa"))
    assert read_offer(certify(ca=RSA, algorithm=b"ssh-rsa")) is None
    assert read_offer(certify(ca=RSA, algorithm=b"rsa-sha2-256")) is not None


def test_a_security_key_has_to_be_touched():
    """Asyncssh does not ask for it by itself; sshd does."""
    blob = String("sk-ssh-ed25519@openssh.com") + USER.encode_ssh_public() + String("ssh:")
    _, verifier = read_offer(blob)
    assert verifier._touch_required


WEAK = asyncssh.generate_private_key("ssh-rsa", key_size=1024)
SMALL_E = asyncssh.generate_private_key("ssh-rsa", key_size=2048, exponent=3)
DSA = asyncssh.generate_private_key("ssh-dss")
ED448 = asyncssh.generate_private_key("ssh-ed448")
NESTED = certify()


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"\0",
        b"\0\0\0\x0bssh-ed25519",
        b"\xff" * 2000,
        bytes(100_000),
        String("ssh-ed25519") + String(bytes(32)),
        USER.public_data + b"\0",
        USER.public_data[:-1],
        WEAK.public_data,
        SMALL_E.public_data,
        DSA.public_data,
        ED448.public_data,
        String("ecdsa-sha2-nistp256") + String("nistp256") + String(b"\x04" + bytes(64)),
        String("ecdsa-sha2-nistp256") + String("nistp256") + String(b"\x04" + b"\1" * 64),
        String("ecdsa-sha2-1.3.132.0.10") + String("1.3.132.0.10") + String(b"\x04" + bytes(64)),
        String("ssh-rsa") + MPInt(65537) + MPInt(-(2**2047)),
        String("sk-ssh-ed25519@openssh.com") + USER.encode_ssh_public() + String(b"\xff"),
        String("x509v3-ssh-rsa") + String(b"x"),
        certify(damage=True),
        certify(behind=b"\0"),
        certify()[:-1],
        certify(purpose=0),
        certify(purpose=3),
        certify(kind=b"ssh-ed25519-cert-v00@openssh.com"),
        certify(kind=b"ssh-rsa-cert-v01@openssh.com"),
        certify(RSA, kind=b"rsa-sha2-512-cert-v01@openssh.com"),
        certify(WEAK),
        certify(SMALL_E),
        certify(DSA),
        certify(ED448),
        certify(ca=WEAK, algorithm=b"rsa-sha2-512"),
        certify(ca=SMALL_E, algorithm=b"rsa-sha2-512"),
        certify(ca=DSA),
        certify(ca=ED448),
        certify(authority=NESTED),
        certify(authority=OTHER.public_data),
        certify(authority=b""),
        certify(principals=(b"a",) * 257),
        certify(principals=(b"bo\0ss",)),
        certify(key_id=b"\0"),
        certify(critical=b"\0"),
        certify(critical=String("force-command")),
        certify(extensions=String("permit-pty")),
        certify(extensions=options(permit_pty=b"yes")),
    ],
    ids=lambda _: "blob",  # the keys are new ones each time
)
def test_what_is_malformed_weak_or_wrongly_signed_is_nothing(blob):
    """It never raises, whatever an unauthenticated client sends."""
    assert read_offer(blob) is None


def test_an_unknown_failure_of_a_library_authenticates_no_user(monkeypatch):
    """A kind that this machine's cryptography does not have is refused, without a crash."""

    class UnsupportedAlgorithm(Exception):
        pass

    def refuse(_blob):
        raise UnsupportedAlgorithm

    monkeypatch.setattr(ssh_keys, "_verifier", refuse)
    assert read_offer(USER.public_data) is None


GOOD = [certify(), certify(RSA, ECDSA), certify(critical=options(force_command=String("x")))]


@settings(max_examples=300)
@given(
    st.binary(max_size=300)
    | st.tuples(
        st.sampled_from([*GOOD, USER.public_data, RSA.public_data]),
        st.integers(0, 2000),
        st.binary(min_size=1, max_size=4),
    ).map(lambda it: it[0][: it[1] % len(it[0])] + it[2] + it[0][it[1] % len(it[0]) + 1 :])
    | st.builds(
        lambda parts: b"".join(String(part) for part in parts),
        st.lists(
            st.sampled_from([b"ssh-ed25519-cert-v01@openssh.com", b"ssh-rsa", b"\x01\0\1", b""])
            | st.binary(max_size=64)
        ),
    )
)
def test_nothing_that_is_shown_raises(blob):
    """Bytes, damaged certificates and odd pieces are an offer or nothing; a grant never crashes."""
    offer = read_offer(blob)
    if offer is not None:
        answer = grant("boss", offer[0], (line(), line(USER, "")), HERE, NOW)
        assert isinstance(answer, Grant | str)
        if offer[0].certificate is not None:
            assert blob in GOOD  # one changed byte, and the authority has not signed it


# ---------------------------------------------------------------- what a certificate opens


def test_a_certificate_opens_the_account_that_it_names():
    """With key id, serial and authority for the log."""
    answer = ask(certify(key_id=b"laptop\x1b[2J'\xff", serial=9))
    assert answer.detail == (
        f'ssh-ed25519 {USER.get_fingerprint()} certificate "laptop\\x1b[2J\'\\udcff" serial 9'
        f" by {CA.get_fingerprint()} (keys/boss:1)"
    )
    assert (answer.command, answer.pty) == (None, True)


@pytest.mark.parametrize(
    ("principals", "entry", "user", "expected"),
    [
        ((b"boss",), "cert-authority", "boss", True),
        ((b"a", b"boss"), "cert-authority", "boss", True),
        ((b"boss",), "cert-authority", "ann", False),
        ((b"Boss",), "cert-authority", "boss", False),
        ((b"*",), "cert-authority", "boss", False),
        ((b"bo*",), "cert-authority", "boss", False),
        ((b"boss,ann",), "cert-authority", "boss", False),
        ((b"",), "cert-authority", "", True),
        ((), "cert-authority", "boss", False),
        ((), 'cert-authority,principals="ops"', "boss", False),
        ((b"ops",), 'cert-authority,principals="ops"', "boss", True),
        ((b"ops",), 'cert-authority,principals="dba,ops"', "boss", True),
        ((b"boss",), 'cert-authority,principals="ops"', "boss", False),
        ((b"dba,ops",), 'cert-authority,principals="dba,ops"', "boss", False),
        ((b"\xff",), 'cert-authority,principals="ops"', "boss", False),
    ],
)
def test_a_certificate_is_bound_to_a_name(principals, entry, user, expected):
    """The user's, or one of principals= instead; none at all opens nothing."""
    answer = ask(certify(principals=principals), line(options=entry), user=user)
    assert allowed(answer) is expected


@pytest.mark.parametrize(
    ("after", "before", "problem"),
    [
        (0, FOREVER, None),
        (NOW, NOW + 1, None),
        (NOW + 1, FOREVER, "not valid yet"),
        (0, NOW, "has expired"),
        (NOW + 1, NOW - 1, "not valid yet"),
        (FOREVER, FOREVER, "not valid yet"),
        (0, 0, "has expired"),
    ],
)
def test_a_certificate_is_valid_for_a_time(after, before, problem):
    """From its first second up to, and not including, the last."""
    answer = ask(certify(after=int(after), before=int(before)))
    assert allowed(answer) is (problem is None)
    assert problem is None or problem in answer


def test_a_certificate_for_a_host_is_none_for_a_user():
    """An authority may sign both."""
    assert "it is for a host" in ask(certify(purpose=2))


@pytest.mark.parametrize(
    ("extensions", "entry", "pty"),
    [
        (PERMIT_PTY, "cert-authority", True),
        (b"", "cert-authority", False),
        (options(permit_X11_forwarding=b""), "cert-authority", False),
        (PERMIT_PTY, "cert-authority,no-pty", False),
        (PERMIT_PTY + options(**{"strange@example": b"\1"}), "cert-authority", True),
        (PERMIT_PTY + options(no_touch_required=b""), "cert-authority", True),
    ],
)
def test_a_terminal_needs_both_to_permit_it(extensions, entry, pty):
    """The certificate by its extension, and the line; extensions not known are passed over."""
    assert ask(certify(extensions=extensions), line(options=entry)).pty is pty


@pytest.mark.parametrize(
    ("critical", "entry", "command"),
    [
        (b"", 'cert-authority,command="a"', "a"),
        (options(force_command=String("b é")), "cert-authority", "b é"),
        (options(force_command=String("a")), 'cert-authority,command="a"', "a"),
    ],
)
def test_a_command_is_forced_by_line_or_certificate(critical, entry, command):
    """Whichever has one."""
    assert ask(certify(critical=critical), line(options=entry)).command == command


@pytest.mark.parametrize(
    ("networks", "peer", "expected"),
    [
        ("127.0.0.0/8", HERE, True),
        ("10.0.0.0/8,127.0.0.1", HERE, True),
        ("10.0.0.0/8", HERE, False),
        ("127.0.0.1", UNIX, True),
        ("::1", UNIX, True),
        ("10.0.0.0/8", UNIX, False),
        ("0.0.0.0/0", Peer("strange"), False),
    ],
)
def test_a_certificate_is_for_addresses(networks, peer, expected):
    """On a Unix socket it has to permit loopback."""
    blob = certify(critical=options(source_address=String(networks)))
    answer = ask(blob, peer=peer)
    assert allowed(answer) is expected
    assert expected or "not for this address" in answer


@pytest.mark.parametrize(
    ("critical", "problem"),
    [
        (options(verify_required=b""), "'verify-required' is not enforced"),
        (options(**{"strange@example": b""}), "'strange@example' is not enforced"),
        (options(permit_pty=b""), "'permit-pty' is not enforced"),
        (options(Force_Command=String("a")), "'Force-Command' is not enforced"),
        (String(b"\x1b\xff") + String(b""), "\\x1b"),
        (options(force_command=String("a")) * 2, "twice"),
        (options(source_address=String("127.0.0.1")) * 2, "twice"),
        (options(force_command=b""), "'force-command' is malformed"),
        (options(force_command=b"a"), "'force-command' is malformed"),
        (options(force_command=String("a") + b"\0"), "'force-command' is malformed"),
        (options(force_command=String("")), "'force-command' is malformed"),
        (options(force_command=String(" ")), "'force-command' is malformed"),
        (options(force_command=String(b"\xff")), "'force-command' is malformed"),
        (options(force_command=String(b"a\0b")), "'force-command' is malformed"),
        (options(source_address=b""), "'source-address' is malformed"),
        (options(source_address=String("")), "'source-address' is malformed"),
        (options(source_address=String("*")), "'source-address' is malformed"),
        (options(source_address=String("!10.0.0.1,127.0.0.1")), "'source-address' is malformed"),
        (options(source_address=String("127.0.0.1/8")), "'source-address' is malformed"),
        (options(source_address=String("127.0.0.1,host")), "'source-address' is malformed"),
        (options(source_address=String(b"\xff")), "'source-address' is malformed"),
    ],
)
def test_a_critical_option_is_enforced_or_refuses(critical, problem):
    """The authority has signed it."""
    answer = ask(certify(critical=critical))
    assert problem in answer
    assert answer.isprintable()


def test_two_commands_have_to_be_the_same():
    """As in sshd: neither can be chosen over the other."""
    answer = ask(
        certify(critical=options(force_command=String("a"))),
        line(options='cert-authority,command="b"'),
    )
    assert "its command is not the one of the authority's line" in answer


def test_the_options_of_the_authoritys_line_hold_for_its_certificates():
    """From elsewhere, or too late, no certificate opens anything."""
    assert not allowed(ask(certify(), line(options='cert-authority,from="10.0.0.0/8"')))
    assert not allowed(ask(certify(), line(options='cert-authority,expiry-time="20200101Z"')))


# ---------------------------------------------------------------- ssh-keygen's


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
@pytest.mark.parametrize("ca_kind", ["ed25519", "ecdsa", "rsa"])
def test_certificates_of_ssh_keygen_are_read(tmp_path, kind, ca_kind):
    """All that it writes comes back."""
    need("ssh-keygen")

    def keygen(*arguments):
        subprocess.run(
            ["ssh-keygen", "-q", *arguments], check=True, cwd=tmp_path, capture_output=True
        )

    keygen("-t", ca_kind, "-N", "", "-f", "ca")
    keygen("-t", kind, "-N", "", "-f", "id")
    critical = ("-O", "force-command=tasks()", "-O", "source-address=127.0.0.0/8,::1/128")
    window = ("-V", "20200101000000Z:20300101000000Z")
    names = ("-s", "ca", "-I", "me", "-n", "boss,ops", "-z", "12")
    keygen(*names, *window, "-O", "no-pty", *critical, "id.pub")
    blob = base64.b64decode((tmp_path / "id-cert.pub").read_text().split()[1])
    offered, _ = read_offer(blob)
    certificate = offered.certificate
    assert certificate.principals == ("boss", "ops")
    assert (certificate.serial, certificate.key_id) == (12, "me")
    assert (certificate.valid_after, certificate.valid_before) == (1577836800, 1893456000)
    assert "permit-pty" not in certificate.extensions
    assert "permit-user-rc" in certificate.extensions
    authority = parse_authorized_key(f"cert-authority {(tmp_path / 'ca.pub').read_text()}", "f:1")
    answer = grant("boss", offered, [authority], HERE, 1_700_000_000)
    assert (answer.command, answer.pty) == ("tasks()", False)
