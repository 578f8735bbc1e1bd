"""The certificate and the key of telnet within TLS: what is refused, and what is said of it."""

import shutil

import pytest

from console import TelnetsSettings
from console.errors import ConfigurationError
from console.transports.telnet.tls import load_certificate
from support.tls import make_certificate, openssl


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A certificate with its key, another certificate, one of another algorithm, and its key."""
    directory = tmp_path_factory.mktemp("certificates")
    certificate, key = make_certificate(directory)
    other, _ = make_certificate(directory, "other")
    rsa, _ = make_certificate(directory, "rsa", "rsa")
    return certificate, key, other, rsa


@pytest.fixture
def place(tmp_path):
    path = tmp_path / "private"
    path.mkdir(mode=0o700)
    return path


def refused(certificate, key=None):
    """Return what is said of files that cannot be used: one line, with a remedy."""
    with pytest.raises(ConfigurationError) as caught:
        load_certificate(TelnetsSettings(0, certificate=certificate, key=key))
    error = caught.value
    assert error.remedy
    assert "\n" not in str(error)
    assert "SSL" not in str(error)
    # Nothing of OpenSSL's error adds to the line, so it stands alone in a traceback.
    assert error.__cause__ is None
    assert error.__context__ is None or error.__suppress_context__
    return str(error)


def test_files_that_fit(made, place):
    """A certificate and its key load, from two files and from one."""
    certificate, key, *_ = made
    load_certificate(TelnetsSettings(0, certificate=certificate, key=key))
    both = place / "both.pem"
    both.write_bytes(certificate.read_bytes() + key.read_bytes())
    both.chmod(0o600)
    load_certificate(TelnetsSettings(0, certificate=both))


@pytest.mark.parametrize("form", ["of today", "of old"])
def test_an_encrypted_key(form, made, place):
    """The error of an encrypted key names the command that decrypts it, which helps."""
    certificate, key, *_ = made
    encrypted = place / "encrypted.key"
    command = {"of today": "pkey", "of old": "ec"}[form]
    openssl(command, "-aes128", "-passout", "pass:sekrit", "-in", key, "-out", encrypted)
    encrypted.chmod(0o600)
    assert refused(certificate, encrypted) == (
        f"setting telnets.key = '{encrypted}': is encrypted, and a service cannot ask for the"
        f" passphrase; decrypt it: openssl pkey -in {encrypted} -out NEW.key, and name that"
    )
    decrypted = place / "NEW.key"
    openssl("pkey", "-in", encrypted, "-out", decrypted, "-passin", "pass:sekrit")
    load_certificate(TelnetsSettings(0, certificate=certificate, key=decrypted))


def test_the_key_of_another_certificate(made):
    """A key that belongs to another certificate is named, also where the algorithms differ."""
    _, key, other, rsa = made
    for certificate in (other, rsa):
        assert refused(certificate, key) == (
            f"setting telnets.key = '{key}': is not the key of the certificate {certificate};"
            " name the key that the certificate was made with"
        )


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_certificate_without_its_key(mode, made, place):
    """If the key is neither named nor in the file, the error asks for it, not for a chmod."""
    alone = place / "alone.pem"
    shutil.copy(made[0], alone)
    alone.chmod(mode)
    assert refused(alone) == (
        f"setting telnets.key: there is no key in {alone}; name the file of the private key"
    )


def test_files_of_another_kind(made, place):
    """A certificate in place of a key, a key in place of a certificate and DER are told apart."""
    certificate, key, *_ = made
    copy, der = place / "copy.pem", place / "server.der"
    shutil.copy(certificate, copy)
    copy.chmod(0o600)
    assert "there is no private key in PEM form in it; name a file" in refused(certificate, copy)
    assert "there is no certificate in PEM form in it" in refused(key, key)
    openssl("x509", "-outform", "der", "-in", certificate, "-out", der)
    assert f"openssl x509 -inform der -in {der} -out NEW.pem" in refused(der, key)
    ssh_key = place / "id"
    ssh_key.write_text("-----BEGIN OPENSSH PRIVATE KEY-----\n")
    ssh_key.chmod(0o600)
    assert f"ssh-keygen -p -m PEM -f {ssh_key}" in refused(certificate, ssh_key)


def test_files_that_cannot_be_read(made, place):
    """A missing file is named, with the setting that names it."""
    certificate, key, *_ = made
    missing = place / "missing"
    assert refused(missing, key).startswith(
        f"setting telnets.certificate = '{missing}': cannot be read: No such file or directory; "
    )
    assert refused(certificate, missing).startswith(f"setting telnets.key = '{missing}': cannot ")


def test_a_damaged_key(made, place):
    """A key that OpenSSL cannot read is an error that names both files and a remedy."""
    damaged = place / "damaged.key"
    damaged.write_text("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    damaged.chmod(0o600)
    with pytest.raises(ConfigurationError, match=f"with the key {damaged}: .*; make both anew"):
        load_certificate(TelnetsSettings(0, certificate=made[0], key=damaged))
