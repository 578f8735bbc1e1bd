"""Public key lines and the host key, against what the real ssh-keygen makes."""

from __future__ import annotations

import base64
import math
import os
import stat
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from console.auth.keys.authorized_keys import clean_line, parse_authorized_key, read_authorized_keys
from console.auth.keys.host_key import load_host_key, make_host_key
from console.auth.keys.public_keys import fingerprint
from console.errors import CredentialError, InvalidKey, KeyFileError, StartError


def wire(*parts):
    """Join strings as RFC 4251 section 5 does."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def line_of(kind, *parts, comment=""):
    """Write the line of a key with these parts."""
    return f"{kind} {base64.b64encode(wire(kind.encode(), *parts)).decode()} {comment}".rstrip()


def mpint(number):
    """Write a number with a leading zero bit."""
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def order_8():
    """Find y of the points whose double has order 4: there y is 0, so that x*x == -y*y."""
    # -x^2 + y^2 = 1 + d x^2 y^2 with x^2 = -y^2 gives d y^4 + 2 y^2 - 1 = 0, a quadratic in y^2.
    for root in square_roots(4 + 4 * D):
        yield from square_roots((root - 2) * pow(2 * D, -1, P))


def square_roots(number):
    """Find the square roots modulo P, if there are any."""
    number %= P
    candidate = pow(number, (P + 3) // 8, P)
    for factor in (1, pow(2, (P - 1) // 4, P)):
        root = candidate * factor % P
        if root * root % P == number:
            return root, P - root
    return ()


ORDER_8 = set(order_8())
POINT = b"\x04" + bytes(range(64))
ED25519 = line_of("ssh-ed25519", bytes(range(32)), comment="boss@laptop")


def modulus(bits, divisor=1):
    """Find a number of this length without small factors but this one: as a modulus looks."""
    start = 2 ** (bits - 1) // divisor
    odds = range(start | 1, start + 100_000, 2)
    small = math.prod(range(3, 168, 2))
    return divisor * next(n for n in odds if math.gcd(n, small) == 1)


MODULUS = mpint(modulus(2048))
RSA = (b"\x01\x00\x01", MODULUS)
GOOD = {
    "ssh-ed25519": (bytes(range(32)),),
    "ecdsa-sha2-nistp256": (b"nistp256", POINT),
    "ecdsa-sha2-nistp384": (b"nistp384", b"\x04" + bytes(96)),
    "ecdsa-sha2-nistp521": (b"nistp521", b"\x04" + bytes(132)),
    "ssh-rsa": RSA,
    "sk-ssh-ed25519@openssh.com": (bytes(range(32)), b"ssh:"),
    "sk-ecdsa-sha2-nistp256@openssh.com": (b"nistp256", POINT, b"ssh:"),
}


# ---------------------------------------------------------------- public keys


@pytest.mark.parametrize("kind", GOOD)
def test_each_kind_that_is_let_in_is_read(kind):
    """The parts of the line come back, with the place."""
    line = line_of(kind, *GOOD[kind], comment="two words")
    key = parse_authorized_key(f"  \t{line}\r\n", "file:7")
    assert (key.algorithm, key.comment, key.place) == (kind, "two words", "file:7")
    assert key.blob == wire(kind.encode(), *GOOD[kind])
    assert clean_line(f"  {line} ", "file:7") == line


@pytest.mark.parametrize(
    "arguments",
    ["-t ed25519", "-t ecdsa -b 256", "-t ecdsa -b 384", "-t ecdsa -b 521", "-t rsa -b 2048"],
)
def test_keys_of_ssh_keygen_are_read_with_its_fingerprint(tmp_path, ssh_keygen, arguments):
    """The fingerprint is the one that ssh-keygen -l prints, for both halves."""
    path = tmp_path / "key"
    ssh_keygen("-q", *arguments.split(), "-N", "", "-C", "boss", "-f", path)
    printed = ssh_keygen("-l", "-f", path).stdout.split()[1]
    key = parse_authorized_key((tmp_path / "key.pub").read_text(), "file:1")
    assert key.fingerprint == printed
    assert key.comment == "boss"
    assert fingerprint(load_host_key(path).public_data) == printed


@pytest.mark.parametrize("line", ["", "  \t", "\n", "# ssh-ed25519 AAAA", "  # comment"])
def test_blank_lines_and_comments_are_no_keys(line):
    """They are passed over, not refused."""
    assert parse_authorized_key(line, "file:1") is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("hunter2", "does not begin with an accepted kind of key"),
        ("1024 35 13390", "does not begin with an accepted kind of key"),
        (ED25519.split()[1], "does not begin with an accepted kind of key"),
        ("ssh-ed448 AAAA", "does not begin with an accepted kind of key"),
        ("SSH-ED25519 " + ED25519.split()[1], "does not begin with an accepted kind of key"),
        ('from="unfinished ' + ED25519, "the option 'from' has a quote that is not closed"),
        ('pty,from="10.0.0.0/8"', "no accepted kind of key"),
        ("command=sekrit hunter2", "no accepted kind of key"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "ssh-dss keys are not accepted"),
        ("ssh-ed25519-cert-v01@openssh.com AAAA", "cert-v01@openssh.com keys are not accepted"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "PEM file"),
        ("ssh-ed25519", "ends after the key's kind"),
        ("ssh-ed25519 AAA", "not base64"),
        ("ssh-ed25519 AAAA#AAA", "not base64"),
        ("ssh-ed25519 ÄÖÜ=", "not base64"),
        ("ssh-ed25519 AAAAC3NzaA===", "not base64"),
        ("ssh-ed25519 AAAAC3NzaB==", "not base64"),
        ("ssh-ed25519 AAAA", "cut short"),
        (f"ssh-ed25519 {ED25519.split()[1][:40]} boss", "cut short"),
        (f"ssh-rsa {ED25519.split()[1]}", "not the one before it"),
        (f"{ED25519}\n{ED25519}", "more than one line"),
        (f"{ED25519}\rboss", "more than one line"),
        ("ssh-ed25519 " + "A" * 20000, "longer than"),
        (line_of("ssh-ed25519", bytes(31)), "32 bytes"),
        (line_of("ssh-ed25519", bytes(range(32)), b""), "after the key's end"),
        (line_of("ssh-ed25519"), "cut short"),
        (line_of("ecdsa-sha2-nistp256", b"nistp384", b"\x04" + bytes(96)), "the curve"),
        (line_of("ecdsa-sha2-nistp256", b"nistp256", b"\x02" + bytes(32)), "the point"),
        (line_of("ecdsa-sha2-nistp256", b"nistp256", b"\x02" + bytes(64)), "the point"),
        (line_of("ecdsa-sha2-nistp256", b"nistp256", b""), "the point"),
        (line_of("sk-ssh-ed25519@openssh.com", bytes(range(32))), "cut short"),
        (line_of("ssh-rsa", b"\x01\x00\x01", mpint(2**1023 + 1)), "1024 bits is too weak"),
        (line_of("ssh-rsa", b"\x01\x00\x01", mpint(2**2046 + 1)), "2047 bits is too weak"),
        (line_of("ssh-rsa", b"\x01\x00\x01", b"\x80" + bytes(255)), "shortest form"),
        (line_of("ssh-rsa", b"\x00\x01\x00\x01", MODULUS), "shortest form"),
        (line_of("ssh-rsa", b"", MODULUS), "shortest form"),
        (line_of("ssh-rsa", b"\x01", MODULUS), "exponent"),
        (line_of("ssh-rsa", b"\x03", MODULUS), "exponent"),
        (line_of("ssh-rsa", b"\x01\x00\x00", MODULUS), "exponent"),
        (line_of("ssh-rsa", mpint(2**32 + 1), MODULUS), "exponent"),
        (line_of("ssh-rsa", RSA[0], mpint(modulus(2048, 2))), "a small factor"),
        (line_of("ssh-rsa", RSA[0], mpint(modulus(2048, 167))), "a small factor"),
        (line_of("ssh-rsa", RSA[0], mpint(pow(65537, 129))), "ROCA"),
    ],
)
def test_what_is_no_good_key_is_refused_with_the_reason(line, problem):
    """Each way of being wrong has its own words, in one line that quotes no secret."""
    with pytest.raises(InvalidKey) as caught:
        parse_authorized_key(line, "file:1")
    text = str(caught.value)
    assert problem in text
    assert "\n" not in text
    assert "hunter2" not in text


@pytest.mark.parametrize("kind", ["ssh-ed25519", "sk-ssh-ed25519@openssh.com"])
@pytest.mark.parametrize("sign", [0, 0x80])
@pytest.mark.parametrize("y", sorted({0, 1, P - 1, P, P + 1, *ORDER_8}))
def test_a_point_that_has_forgeable_signatures_is_no_key(kind, sign, y):
    """The points of small order, as computed from the curve, in each way to write them."""
    point = bytearray(y.to_bytes(32, "little"))
    point[31] |= sign
    line = line_of(kind, bytes(point), *GOOD[kind][1:])
    with pytest.raises(InvalidKey, match="small order"):
        parse_authorized_key(line, "file:1")


def test_a_comment_cannot_forge_a_log_line():
    """Control characters of a comment come out escaped."""
    key = parse_authorized_key(f"{ED25519} \x1b]0;owned\x07", "file:1")
    assert key.comment == "boss@laptop \\x1b]0;owned\\x07"


FRAGMENTS = st.sampled_from(
    [
        *GOOD,
        ED25519,
        "ssh-dss",
        "AAAA",
        "AAAAC3NzaC1lZDI1NTE5",
        "=",
        '"',
        "\\",
        ",",
        " ",
        "\t",
        "from=",
    ]
)


@given(st.text() | st.lists(FRAGMENTS | st.text(max_size=5)).map("".join))
@example('"' * 50 + "\\" * 50)
@example("ssh-ed25519 \udcff")
def test_no_line_raises_anything_else(line):
    """Any text is a key, no key, or refused as InvalidKey in one line."""
    try:
        key = parse_authorized_key(line, "file:1")
    except InvalidKey as error:
        assert "\n" not in str(error)
    else:
        assert key is None or parse_authorized_key(clean_line(line, "file:1"), "file:1") == key


@given(kind=st.sampled_from(list(GOOD)), at=st.integers(0, 400), byte=st.integers(0, 255))
def test_no_blob_raises_anything_else(kind, at, byte):
    """A key with one byte changed is read as it is, or refused as InvalidKey."""
    blob = bytearray(wire(kind.encode(), *GOOD[kind]))
    blob[at % len(blob)] = byte
    try:
        key = parse_authorized_key(f"{kind} {base64.b64encode(blob).decode()}", "file:1")
    except InvalidKey:
        pass
    else:
        assert key.blob == bytes(blob)


@given(
    seed=st.binary(min_size=32, max_size=32).filter(lambda seed: len(set(seed[1:31])) > 1),
    comment=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=50),
)
def test_a_valid_key_round_trips(seed, comment):
    """What is written of a key is read as the same key."""
    line = line_of("ssh-ed25519", seed, comment=comment)
    assert parse_authorized_key(line, "file:1").comment == comment
    assert clean_line(line, "file:1") == line


def test_one_bad_line_does_not_drop_the_file(tmp_path, caplog):
    """The keys beside it are read; it is logged with file and line."""
    path = tmp_path / "boss"
    path.write_bytes(f"tunnel {ED25519}\n\xff\xfe\n".encode("latin-1") + ED25519.encode())
    path.chmod(0o644)
    (key,) = read_authorized_keys(path)
    assert key.place == f"{path}:3"
    texts = [record.getMessage() for record in caplog.records]
    assert texts[0].startswith(f"{path}:1: the option 'tunnel'")
    assert texts[1].startswith(f"{path}:2: the line does not begin")
    assert len(texts) == 2


def test_a_missing_keys_file_has_no_keys(tmp_path):
    """Most users have none."""
    assert read_authorized_keys(tmp_path / "boss") == []


@pytest.mark.parametrize("which", ["file", "directory"])
def test_a_keys_file_that_others_can_change_is_refused(tmp_path, which):
    """As sshd's StrictModes, with the command that mends it."""
    path = tmp_path / "boss"
    path.write_text(ED25519)
    (path if which == "file" else tmp_path).chmod(0o772)
    with pytest.raises(CredentialError, match="chmod go-w"):
        read_authorized_keys(path)


def test_a_keys_file_that_is_none_is_an_error(tmp_path):
    """A directory or a FIFO in its place does not hang and does not pass as empty."""
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo"):
        with pytest.raises(CredentialError, match="cannot be read"):
            read_authorized_keys(path)


# ---------------------------------------------------------------- the host key


def test_a_host_key_is_made_once_and_private(tmp_path, ssh_keygen):
    """The file has 0600 in a 0700 directory, ssh-keygen reads it, and the second call keeps it."""
    path = tmp_path / "keys" / "host_key"
    key = make_host_key(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert list(path.parent.iterdir()) == [path]
    assert ssh_keygen("-l", "-f", path).stdout.split()[1] == fingerprint(key.public_data)
    assert path.read_bytes().startswith(b"-----BEGIN OPENSSH PRIVATE KEY-----")
    assert make_host_key(path).public_data == key.public_data


def test_processes_that_make_the_host_key_at_once_agree(tmp_path):
    """The first wins, and every process has its key."""
    path = tmp_path / "keys" / "host_key"
    code = (
        "import sys, asyncssh; from console.auth.keys.host_key import *;"
        "print('ready', flush=True); sys.stdin.readline();"
        "print(make_host_key(sys.argv[1]).public_data)"
    )
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for maker in makers:
        assert maker.stdout.readline() == "ready\n"
    for maker in makers:
        maker.stdin.write("\n")
        maker.stdin.flush()
    printed = {maker.communicate()[0] for maker in makers}
    assert printed == {f"{load_host_key(path).public_data}\n"}
    assert list(path.parent.iterdir()) == [path]


def refused(path):
    """Return the error of a host key that cannot be used, after checking its parts."""
    with pytest.raises(KeyFileError) as caught:
        load_host_key(path)
    error = caught.value
    assert isinstance(error, StartError)
    assert error.place == str(path)
    assert str(error) == f"{error.place}: {error.problem}; {error.remedy}"
    assert "\n" not in str(error)
    return error


def test_a_missing_host_key_says_how_to_make_one(tmp_path, ssh_keygen):
    """The command of the remedy makes a key that loads."""
    path = tmp_path / "host key"
    error = refused(path)
    assert error.problem == "there is no such file"
    command = error.remedy.removeprefix("make one: ") + " -q"
    subprocess.run(command, shell=True, check=True)
    load_host_key(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_host_key_that_others_can_read_is_refused(tmp_path, mode):
    """The remedy is the chmod that mends it."""
    path = tmp_path / "host_key"
    make_host_key(path)
    path.chmod(mode)
    error = refused(path)
    assert error.remedy == f"chmod 600 {path}"
    subprocess.run(error.remedy, shell=True, check=True)
    load_host_key(path)


def test_a_host_key_that_others_can_replace_is_refused(tmp_path):
    """A user who may write to a directory above it can put another one there."""
    path = tmp_path / "above" / "keys" / "host_key"
    make_host_key(path)
    path.parent.parent.chmod(0o777)
    error = refused(path)
    subprocess.run(error.remedy, shell=True, check=True)
    load_host_key(path)


@pytest.mark.parametrize("arguments", ["-t ed25519", "-t rsa -m PEM", "-t rsa -m PKCS8"])
def test_an_encrypted_host_key_says_how_to_decrypt_it(tmp_path, ssh_keygen, arguments):
    """Each form of encryption is known for what it is."""
    path = tmp_path / "host_key"
    ssh_keygen("-q", *arguments.split(), "-N", "sekrit", "-f", path)
    error = refused(path)
    assert "is encrypted" in error.problem
    assert error.remedy == f"remove it: ssh-keygen -p -N '' -f {path}"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [("-t rsa -b 1024", "1024 bits is too weak"), ("-t dsa", "kind ssh-dss is not served")],
)
def test_a_weak_host_key_is_refused(tmp_path, ssh_keygen, arguments, problem):
    """DSA and short RSA keys prove nothing any more."""
    path = tmp_path / "host_key"
    made = ssh_keygen("-q", *arguments.split(), "-N", "", "-f", path, check=False)
    if made.returncode:
        pytest.skip(f"this ssh-keygen no longer makes such keys: {made.stderr.strip()}")
    assert problem in refused(path).problem


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hunter2\n",
        b"\xff" * 100,
        ED25519.encode(),
        b"-----BEGIN OPENSSH PRIVATE KEY-----\n",
        b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        b"-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n",
    ],
)
def test_what_is_no_private_key_is_refused(tmp_path, content):
    """Garbage, a public key and a key cut short are named for what they are not."""
    path = tmp_path / "host_key"
    path.write_bytes(content)
    path.chmod(0o600)
    error = refused(path)
    assert error.problem == "is not a private key"
    assert "hunter2" not in str(error)


@given(at=st.integers(0, 500), byte=st.integers(0, 255))
def test_no_damage_to_a_key_raises_anything_else(tmp_path_factory, at, byte):
    """One changed byte gives a key or a KeyFileError."""
    directory = tmp_path_factory.mktemp("keys")
    make_host_key(directory / "good")
    lines = (directory / "good").read_bytes().split(b"\n")
    blob = bytearray(base64.b64decode(b"".join(lines[1:-2])))
    blob[at % len(blob)] = byte
    path = directory / "damaged"
    path.touch(0o600)
    path.write_bytes(b"\n".join([lines[0], base64.b64encode(blob), *lines[-2:]]))
    try:
        load_host_key(path)
    except KeyFileError as error:
        assert "\n" not in str(error)


def test_what_is_no_file_is_refused(tmp_path):
    """A directory in the key's place is an error that says so."""
    assert refused(tmp_path).problem == "cannot be read: not a regular file"


def test_an_unreadable_host_key_is_refused(tmp_path):
    """The remedy is to own the file."""
    path = tmp_path / "host_key"
    make_host_key(path)
    path.chmod(0)
    us = os.geteuid()
    if us == 0:
        os.seteuid(65534)  # root reads every file
    try:
        assert refused(path).remedy == f"give it the file: chown {os.geteuid()} {path}"
    finally:
        os.seteuid(us)


def test_a_host_key_that_cannot_be_made_is_an_error(tmp_path):
    """A path that cannot be a file is an error with a remedy."""
    (tmp_path / "file").touch()
    with pytest.raises(KeyFileError, match="name a directory that can be written"):
        make_host_key(tmp_path / "file" / "host_key")


def test_a_block_in_authorized_keys_is_refused_once(tmp_path):
    """A key of many lines is refused with its first line, and the lines around it count."""
    path = tmp_path / "keys"
    blocks = (
        '---- BEGIN SSH2 PUBLIC KEY ----\nComment: "me"\nAAAA\nBBBB\n---- END SSH2 PUBLIC KEY ----',
        "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----",
    )
    good = [line_of("ssh-ed25519", bytes([seed]) * 32, comment=str(seed)) for seed in (1, 2)]
    lines = (good[0], blocks[0], good[1], blocks[1], "nonsense")
    path.write_text("\n".join(lines))
    refused = []
    keys = read_authorized_keys(path, refused=refused.append)
    assert [key.comment for key in keys] == ["1", "2"]
    assert [error.place for error in refused] == [f"{path}:{at}" for at in (2, 8, 11)]
    assert str(refused[0]) == (
        f"{path}:2: this is a key in the form of RFC 4716; convert it: ssh-keygen -i -f FILE"
    )
