"""Host keys that are read without a library: the result is the same as with one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.auth.keys.asyncssh_keys import import_private_key
from console.auth.keys.host_key import HostKey, import_host_keys, load_host_key, make_host_key
from console.auth.keys.openssh_key import read_ed25519
from console.errors import KeyFileError


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A file as we write it."""
    return make_host_key(tmp_path_factory.mktemp("keys") / "host_key").data


def test_ours_is_read(ours):
    """The key that we make is read without the library, which says the same of it."""
    assert read_ed25519(ours) == import_private_key(ours).public_data


@pytest.mark.parametrize("comment", ["", "a", "boss@web3", "ä" * 100])
def test_that_of_ssh_keygen_is_read(ssh_keygen, tmp_path, comment):
    """So is the one of ssh-keygen, whatever its comment: its length decides on the padding."""
    path = tmp_path / "key"
    ssh_keygen("-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path)
    assert read_ed25519(path.read_bytes()) == import_private_key(path.read_bytes()).public_data


@pytest.mark.parametrize("form", [(), ("-m", "PEM"), ("-m", "PKCS8")])
@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_each_kind_and_form_is_a_host_key(ssh_keygen, tmp_path, kind, form):
    """Keys of other kinds and forms are read by the library."""
    path = tmp_path / "key"
    ssh_keygen("-q", "-t", kind, *form, "-N", "", "-f", path)
    key = load_host_key(path)
    [imported] = import_host_keys([key])
    assert (key.kind, key.public_data) == (imported.get_algorithm(), imported.public_data)
    listed = base64.b64decode((tmp_path / "key.pub").read_text().split()[1])
    assert key.public_data == listed


def test_an_encrypted_one_is_left_to_the_library(ssh_keygen, tmp_path):
    """It has words for what is wrong with it."""
    path = tmp_path / "key"
    ssh_keygen("-q", "-t", "ed25519", "-N", "sekrit", "-f", path)
    assert read_ed25519(path.read_bytes()) is None


def blob_of(data):
    return bytearray(base64.b64decode(b"".join(data.split(b"\n")[1:-2])))


def file_of(blob):
    body = base64.encodebytes(bytes(blob))
    begin, end = (b"-----%s OPENSSH PRIVATE KEY-----\n" % word for word in (b"BEGIN", b"END"))
    return begin + body + end


def read_as_the_library_does(data):
    """Check that what is read here is read there; return whether it is."""
    public = read_ed25519(data)
    if public is None:
        return False
    try:
        [key] = import_host_keys([HostKey("here", "ssh-ed25519", public, data)])
    except KeyFileError as error:  # its two halves do not fit
        assert "public key" in error.problem
    else:
        assert key.public_data == public
    return True


@given(at=st.integers(0, 500), byte=st.integers(0, 255))
def test_what_is_damaged(ours, at, byte):
    """Of a file with one byte changed nothing is taken that the library refuses."""
    blob = blob_of(ours)
    blob[at % len(blob)] = byte
    read_as_the_library_does(file_of(blob))


@given(text=st.binary(max_size=400), at=st.integers(0, 500), drop=st.integers(0, 100))
def test_what_is_cut_and_filled(ours, text, at, drop):
    """Nor of a file from which something was cut out, or into which something was put."""
    at %= len(ours)
    read_as_the_library_does(ours[:at] + text + ours[at + drop :])


def test_a_public_key_of_another(ours, tmp_path):
    """A file whose public key is not that of its private key is refused when it is computed with.

    No client then sees a host key that cannot be proved.
    """
    blob = blob_of(ours)
    blob[blob.rindex(b"ssh-ed25519") + 11 + 4 + 32 + 4] ^= 1  # in the private key
    path = tmp_path / "host_key"
    path.touch(0o600)
    path.write_bytes(file_of(blob))
    assert read_as_the_library_does(path.read_bytes())
    with pytest.raises(KeyFileError, match="not that of its private key"):
        import_host_keys([load_host_key(path)])


def test_a_weak_one_is_refused_when_it_is_read(ours, tmp_path):
    """A point of small order, for which signatures can be forged, stops a start."""
    blob = blob_of(ours)
    point = bytes(blob)[blob.index(b"ssh-ed25519") + 11 + 4 :][:32]
    weak = bytes(blob).replace(point, bytes(32))
    path = tmp_path / "host_key"
    path.touch(0o600)
    path.write_bytes(file_of(weak))
    with pytest.raises(KeyFileError) as caught:
        load_host_key(path)
    assert caught.value.remedy.startswith("move it away")
