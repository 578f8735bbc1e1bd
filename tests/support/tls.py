"""Certificates for the tests, made with openssl."""

import subprocess

from support.clients import need


def make_certificate(directory, name="server", kind="ec"):
    """Make a self-signed certificate; return its file and that of its key.

    The kind of the key is "ec" or "rsa".
    """
    need("openssl")
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    options = {"ec": ("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), "rsa": ("rsa:2048",)}[kind]
    openssl(
        *("req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=localhost", "-newkey", *options),
        *("-keyout", key, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"),
        *("-out", certificate),
    )
    key.chmod(0o600)
    return certificate, key


def openssl(*arguments):
    """Run openssl; it must succeed."""
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)
