"""Revoked keys: text, and the KRLs that the real ssh-keygen makes."""

from __future__ import annotations

import base64
import hashlib
import subprocess

import asyncssh
import pytest
from asyncssh.packet import Byte, MPInt, String, UInt32, UInt64
from hypothesis import given, settings
from hypothesis import strategies as st

from console.auth.keys.asyncssh_keys import read_offer
from console.auth.keys.public_keys import WireError, fingerprint
from console.auth.keys.revocation import parse_revocations
from console.auth.stores.directory import FileCredentials
from console.interfaces.credentials import Certificate, OfferedKey
from support.clients import need

MOST = 2**64 - 1
CA = asyncssh.generate_private_key("ssh-ed25519").public_data
OTHER_CA = asyncssh.generate_private_key("ssh-ed25519").public_data
KEY = asyncssh.generate_private_key("ssh-ed25519").public_data
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519").public_data
WEAK = asyncssh.generate_private_key("ssh-rsa", key_size=1024)
DSA = asyncssh.generate_private_key("ssh-dss")


def key(blob=KEY):
    """Offer a plain key."""
    return OfferedKey("ssh-ed25519", blob)


def certificate(serial=7, key_id="me", authority=CA, blob=KEY):
    """Offer a certificate."""
    said = Certificate(authority, True, serial, key_id, ("boss",), 0, MOST, (), ())
    return OfferedKey("ssh-ed25519", blob, said)


def text_of(blob, kind="ssh-ed25519"):
    """Write a key as in a .pub file."""
    return f"{kind} {base64.b64encode(blob).decode()}"


def krl(*sections, version=1, flags=0, magic=b"SSHKRL\n\0"):
    """Write a KRL of sections, each of a kind and its data."""
    header = magic + UInt32(version) + UInt64(3) + UInt64(0) + UInt64(flags)
    return header + String("") + String("comment") + joined(*sections)


def joined(*sections):
    return b"".join(Byte(kind) + String(data) for kind, data in sections)


def certificates(*sections, authority=CA):
    """Write a section on an authority's certificates."""
    return 1, String(authority) + String("") + joined(*sections)


def revoked(data, offered):
    """Tell whether a file revokes what is offered."""
    if isinstance(data, str):
        data = data.encode()
    problem = parse_revocations(data).problem(offered)
    assert "\n" not in problem
    return bool(problem)


# ---------------------------------------------------------------- text


@pytest.mark.parametrize(
    ("text", "offered", "expected"),
    [
        ("", key(), False),
        ("# nothing\n\n  \t\r\n", key(), False),
        (text_of(KEY), key(), True),
        (f"{text_of(KEY)} me@laptop # lost", key(), True),
        (f" \t{text_of(KEY)}\r\n", key(), True),
        (text_of(KEY), key(OTHER_KEY), False),
        (text_of(KEY), certificate(), True),
        (text_of(CA), certificate(), True),
        (text_of(OTHER_CA), certificate(), False),
        (f"key: {text_of(KEY)}", key(), True),
        (f"SHA1:{text_of(KEY)}", key(), True),
        (f"sha256: {text_of(KEY)} me", certificate(), True),
        (f"hash: {fingerprint(KEY)}", key(), True),
        (f"hash: {fingerprint(KEY).removeprefix('SHA256:')}", key(), True),
        (fingerprint(KEY), key(), True),
        (fingerprint(CA), certificate(), True),
        (f"hash: {fingerprint(OTHER_KEY)}", key(), False),
        ("serial: 7", certificate(), True),
        ("serial: 7", certificate(authority=OTHER_CA), True),
        ("serial: 7", certificate(8), False),
        ("serial: 7", key(), False),
        ("Serial:5-9 # last year's", certificate(), True),
        ("serial: 5 - 6", certificate(), False),
        ("serial: 0", certificate(0), True),
        (f"serial: 1-{MOST}", certificate(MOST), True),
        ("id: me", certificate(), True),
        ("id: me", certificate(authority=OTHER_CA), True),
        ("id: you", certificate(), False),
        ("id: me #2", certificate(), True),
        ("id: me #2", certificate(key_id="me #2"), True),
        ("id: two words", certificate(key_id="two words"), True),
        ("id: é", certificate(key_id="é"), True),
        (f"serial: 1\nid: you\n{text_of(OTHER_KEY)}\nserial: 7\n", certificate(), True),
    ],
)
def test_a_text_revokes_what_its_lines_say(text, offered, expected):
    """Keys alone and in certificates, authorities, serials and key ids of any authority."""
    assert revoked(text, offered) is expected


@pytest.mark.parametrize("kind", [WEAK, DSA], ids=["rsa", "dsa"])
def test_a_key_that_would_not_be_let_in_can_be_revoked(kind):
    """The file may name a key of a kind that is not accepted."""
    text = kind.export_public_key("openssh").decode()
    assert revoked(text, key(kind.public_data))


@pytest.mark.parametrize(
    "line",
    [
        *("hunter2", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-ed25519 A*A", "serial:", "serial: x"),
        *("serial: -1", "serial: 9-5", "serial: ٣", f"serial: {MOST + 1}", "serial: 1,2", "id:"),
        *("hash:", "hash: MD5:00", "hash: SHA256:abc", "sha256: abc", "key: hunter2"),
        *("revoke: 7", text_of(KEY, "ssh-rsa"), f'from="*" {text_of(KEY)}', "\udcff"),
        text_of(b"", "ssh-ed25519-cert-v01@openssh.com"),
        "ssh-ed25519-cert-v01@openssh.com " + base64.b64encode(String("x")).decode(),
    ],
)
def test_a_line_that_cannot_be_read_is_an_error_with_its_number(line):
    """What it was meant to revoke is not known; what it says may be a secret."""
    data = f"# first\nserial: 1\n{line}\n".encode("utf-8", "surrogateescape")
    with pytest.raises(WireError, match="^line 3: ") as caught:
        parse_revocations(data)
    assert "hunter2" not in str(caught.value)


# ---------------------------------------------------------------- KRL


@pytest.mark.parametrize(
    ("sections", "offered", "expected"),
    [
        ((), certificate(), False),
        ([certificates((0x20, UInt64(1) + UInt64(7)))], certificate(), True),
        ([certificates((0x20, UInt64(1) + UInt64(7)))], certificate(8), False),
        ([certificates((0x20, UInt64(7)))], certificate(authority=OTHER_CA), False),
        ([certificates((0x20, UInt64(7)), authority=b"")], certificate(), True),
        ([certificates((0x21, UInt64(5) + UInt64(9)))], certificate(5), True),
        ([certificates((0x21, UInt64(5) + UInt64(9)))], certificate(9), True),
        ([certificates((0x21, UInt64(5) + UInt64(9)))], certificate(10), False),
        ([certificates((0x21, UInt64(5) + UInt64(MOST)))], certificate(MOST), True),
        ([certificates((0x22, UInt64(5) + MPInt(0b101)))], certificate(7), True),
        ([certificates((0x22, UInt64(5) + MPInt(0b101)))], certificate(6), False),
        ([certificates((0x22, UInt64(5) + MPInt(0b101)))], certificate(4), False),
        ([certificates((0x22, UInt64(5) + MPInt(0b101)))], certificate(MOST), False),
        ([certificates((0x22, UInt64(MOST) + MPInt(1)))], certificate(MOST), True),
        ([certificates((0x23, String("you") + String("me")))], certificate(), True),
        ([certificates((0x23, String("you")))], certificate(), False),
        ([certificates((0x23, String("me")), authority=b"")], certificate(), True),
        ([certificates((0x20, UInt64(1)), (0x21, UInt64(7) * 2))], certificate(), True),
        ([certificates((0x20, UInt64(1))), certificates((0x20, UInt64(7)))], certificate(), True),
        ([(2, String(OTHER_KEY) + String(KEY))], key(), True),
        ([(2, String(KEY))], certificate(), True),
        ([(2, String(CA))], certificate(), True),
        ([(2, String(OTHER_KEY))], certificate(), False),
        ([(3, String(hashlib.sha1(KEY).digest()))], key(), True),
        ([(3, String(hashlib.sha1(CA).digest()))], certificate(), True),
        ([(5, String(hashlib.sha256(KEY).digest()))], key(), True),
        ([(5, String(hashlib.sha256(OTHER_KEY).digest()))], key(), False),
        ([(255, String("x@y") + Byte(0) + String("z")), (2, String(KEY))], key(), True),
        ([certificates((0x39, String("x") + Byte(0) + String("")))], certificate(), False),
    ],
)
def test_a_krl_revokes_what_its_sections_say(sections, offered, expected):
    """Lists, ranges, bitmaps, key ids, keys and fingerprints; for one authority or for all."""
    assert revoked(krl(*sections), offered) is expected


@pytest.mark.parametrize(
    "data",
    [
        krl()[:-1],
        krl()[:20],
        krl(version=2),
        krl(flags=1),
        krl() + b"\x02",
        krl((2, String(KEY)))[:-1],
        krl((2, String(KEY) + b"\0")),
        krl((0, b"")),
        krl((4, String(CA)), (4, b"signature")),
        krl((6, b"")),
        krl((254, b"")),
        krl((3, String(bytes(19)))),
        krl((5, String(bytes(20)))),
        krl((255, String("x@y") + Byte(1) + String("z"))),
        krl((255, String("x@y") + Byte(0) + String("z") + b"\0")),
        krl((255, b"")),
        krl((1, b"")),
        krl((1, String(CA))),
        krl(certificates((0x20, UInt64(1) + b"\0"))),
        krl(certificates((0x21, UInt64(9) + UInt64(5)))),
        krl(certificates((0x21, UInt64(9) * 3))),
        krl(certificates((0x21, UInt64(9)))),
        krl(certificates((0x22, UInt64(MOST) + MPInt(2)))),
        krl(certificates((0x22, UInt64(1) + String(b"\x80")))),
        krl(certificates((0x22, UInt64(1) + MPInt(1) + b"\0"))),
        krl(certificates((0x23, b"\0"))),
        krl(certificates((0x24, b""))),
        krl(certificates((0x39, String("x") + Byte(1) + String("")))),
        b"SSHKRL\n",
        krl(magic=b"SSHKRL\n\1"),
    ],
)
def test_a_krl_that_cannot_be_read_wholly_is_an_error(data):
    """Cut short, of another version, signed, or with a section that is not known."""
    with pytest.raises(WireError):
        parse_revocations(data)


FULL = krl(
    certificates((0x20, UInt64(1) + UInt64(7)), (0x21, UInt64(20) + UInt64(30))),
    certificates((0x22, UInt64(40) + MPInt(0b1011)), (0x23, String("you")), authority=b""),
    (2, String(OTHER_KEY)),
    (3, String(hashlib.sha1(OTHER_KEY).digest())),
    (5, String(hashlib.sha256(OTHER_CA).digest())),
    (255, String("x@y") + Byte(0) + String("z")),
)
PIECES = st.sampled_from(
    [b"serial: 7\n", b"id: me\n", text_of(KEY).encode() + b"\n", b"hash: ", b"-", b"\n", b"\xff"]
)


@settings(max_examples=300)
@given(
    st.binary(max_size=200)
    | st.lists(PIECES | st.binary(max_size=5)).map(b"".join)
    | st.binary(max_size=100).map(lambda tail: krl() + tail)
    | st.tuples(st.integers(0, len(FULL) - 1), st.binary(max_size=3)).map(
        lambda it: FULL[: it[0]] + it[1] + FULL[it[0] + 1 :]
    )
)
def test_no_file_raises_anything_else(data):
    """Any bytes are revocations or a WireError in one line, and answer for any certificate."""
    try:
        revocations = parse_revocations(data)
    except WireError as error:
        assert "\n" not in str(error)
    else:
        for offered in (key(), certificate(), certificate(MOST), certificate(0, "\udcff")):
            assert isinstance(revocations.problem(offered), str)


@given(st.sets(st.integers(0, 300)), st.integers(0, 300))
def test_the_ways_to_write_serials_agree(serials, asked):
    """A list, ranges, a bitmap and text revoke the same certificates."""
    numbers = sorted(serials)
    ways = [
        krl(certificates((0x20, b"".join(UInt64(one) for one in numbers)))),
        krl(certificates(*((0x21, UInt64(one) * 2) for one in numbers))),
        krl(certificates((0x22, UInt64(0) + MPInt(sum(1 << one for one in numbers))))),
        "".join(f"serial: {one}\n" for one in numbers),
    ]
    answers = {revoked(data, certificate(asked)) for data in ways}
    assert answers == {asked in serials}


# ---------------------------------------------------------------- ssh-keygen's


@pytest.fixture
def keygen(tmp_path):
    """Run the real ssh-keygen in a directory with an authority and a user's key."""
    need("ssh-keygen")

    def run(*arguments, check=True):
        return subprocess.run(
            ["ssh-keygen", "-q", *arguments], check=check, cwd=tmp_path, capture_output=True
        )

    for name in ("ca", "other_ca", "id"):
        run("-t", "ed25519", "-N", "", "-f", name)
    return run


def signed(keygen, tmp_path, serial, key_id="me", ca="ca"):
    """Make a certificate and offer it."""
    keygen("-s", ca, "-I", key_id, "-n", "boss", "-z", str(serial), "id.pub")
    blob = base64.b64decode((tmp_path / "id-cert.pub").read_text().split()[1])
    return read_offer(blob)[0]


SPECIFICATIONS = {
    "list": "serial: 3\nserial: 7\nserial: 900\nserial: 90000\n",
    "range": "serial: 5-9\n",
    "far": "serial: 18446744073709551615\nserial: 6-7\n",
    "bitmap": "".join(f"serial: {n}\n" for n in range(1, 200, 3)),
    "id": "id: me\n",
    "other id": "id: you\n",
    "none": "serial: 8\n",
}


@pytest.mark.parametrize("text", SPECIFICATIONS.values(), ids=SPECIFICATIONS)
@pytest.mark.parametrize("scope", ["ca.pub", "other_ca.pub", "NONE"])
def test_a_krl_of_ssh_keygen_says_what_ssh_keygen_reads_in_it(tmp_path, keygen, text, scope):
    """For certificates of several numbers, of this authority and of another."""
    (tmp_path / "spec").write_text(text)
    keygen("-k", "-f", "krl", "-s", scope, "spec")
    data = (tmp_path / "krl").read_bytes()
    for serial in (1, 5, 7, 8, MOST):
        offered = signed(keygen, tmp_path, serial)
        theirs = keygen("-Q", "-f", "krl", "id-cert.pub", check=False).returncode != 0
        assert revoked(data, offered) is theirs
        if scope == "NONE":
            assert revoked(text, offered) is theirs


@pytest.mark.parametrize("what", ["id.pub", "ca.pub", "id-cert.pub", "spec"])
def test_keys_in_a_krl_of_ssh_keygen_are_revoked(tmp_path, keygen, what):
    """Given as a key, as a certificate or by a hash; the text says the same."""
    offered = signed(keygen, tmp_path, 7)
    key_line = (tmp_path / "id.pub").read_text()
    (tmp_path / "spec").write_text(f"sha1: {key_line}sha256: {key_line}")
    keygen("-k", "-f", "krl", what)
    assert revoked((tmp_path / "krl").read_bytes(), offered)
    assert revoked((tmp_path / what).read_bytes(), offered)
    other = signed(keygen, tmp_path, 8, "other", "other_ca")
    assert revoked((tmp_path / "krl").read_bytes(), other) is (what in {"id.pub", "spec"})


def test_a_certificate_in_text_revokes_its_serial_with_another_key_too(tmp_path, keygen):
    """As ssh-keygen does with it; and by its key id where it has no serial, which is 0."""
    for serial in (7, 0):
        signed(keygen, tmp_path, serial)
        text = (tmp_path / "id-cert.pub").read_text()
        ca = base64.b64decode((tmp_path / "ca.pub").read_text().split()[1])
        assert revoked(text, certificate(serial, "me", ca, OTHER_KEY))
        assert not revoked(text, certificate(9, "other", ca, OTHER_KEY))


# ---------------------------------------------------------------- the store


@pytest.fixture
def store(tmp_path):
    """Make a store with a user."""
    store = FileCredentials(tmp_path / "keys")
    store.add("boss")
    return store


def test_without_a_file_nothing_is_revoked(store, caplog):
    """And nothing is said."""
    assert store.is_revoked(key()) == ""
    assert not caplog.records


def test_a_change_of_the_file_counts_at_once(store):
    """No restart, no cache that could miss it."""
    path = store.directory / "revoked_keys"
    for text, expected in ((text_of(OTHER_KEY), ""), (text_of(KEY), "is revoked"), ("", "")):
        path.write_text(text)
        path.chmod(0o644)
        assert expected in store.is_revoked(key())
        assert bool(expected) is bool(store.is_revoked(key()))
    path.write_text(text_of(KEY))
    assert store.is_revoked(key())
    path.unlink()
    assert store.is_revoked(key()) == ""


@pytest.mark.parametrize("fault", ["garbage", "open", "directory", "dangling", "loop", "unknown"])
def test_a_file_that_cannot_be_trusted_revokes_everything(store, caplog, fault):
    """It is logged once for each change, and mended it counts at once."""
    path = store.directory / "revoked_keys"
    if fault == "directory":
        path.mkdir()
    elif fault == "dangling":
        path.symlink_to(store.directory / "nowhere")
    elif fault == "loop":
        path.symlink_to(path)
    else:
        path.write_bytes({"garbage": b"hunter2", "unknown": krl((9, b""))}.get(fault, b""))
        path.chmod(0o666 if fault == "open" else 0o600)
    for _ in range(3):
        assert store.is_revoked(key()) == "all keys are refused"
    (text,) = [record.getMessage() for record in caplog.records]
    assert text.startswith(f"{path}: ")
    assert "no key is accepted" in text
    assert "hunter2" not in text
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    assert store.is_revoked(key()) == ""


def test_the_authorities_file_counts_for_users_of_the_users_file(store, caplog):
    """Its keys are authorities whatever their options say; a bad line harms no other."""
    path = store.directory / "authorities"
    path.write_text(
        f'{text_of(CA)} all\nprincipals="ops",cert-authority {text_of(OTHER_CA)}\nhunter2\n'
        f"cert-authority,no-pty {text_of(OTHER_CA)}\n"
    )
    store.grant_key("boss", f'command="x" {text_of(KEY)}')
    lines = store.authorized_keys("boss")
    assert [(one.blob, one.options.authority, one.options.pty) for one in lines] == [
        (KEY, False, True),
        (CA, True, True),
        (OTHER_CA, True, False),
    ]
    assert lines[1].place == f"{path}:1"
    assert store.authorized_keys("nobody") == ()
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0].startswith(f"{path}:3: ")
    assert texts[1].startswith(f"{path}:2: the option 'principals' would accept it for every user")
    assert len(texts) == 2
