"""The certificate and the key of telnet within TLS, checked before OpenSSL loads them.

OpenSSL's own errors (``[SSL] PEM lib``, ``KEY_VALUES_MISMATCH``) say neither which of the two files
is at fault nor what to do, so the usual mistakes are looked for first.
"""

from __future__ import annotations

import re
import shlex
import ssl

from console.config.settings import TelnetsSettings
from console.errors import ConfigurationError
from console.files.exposure import exposure_of, read_with_status

_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_KEY = re.compile(rb"-----BEGIN (?:(RSA|EC|DSA|ENCRYPTED|OPENSSH) )?PRIVATE KEY-----")
_ENCRYPTED = b"Proc-Type: 4,ENCRYPTED"  # of the older form (RFC 1421)

_MISMATCHES = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"})
"""OpenSSL's reasons for a key that belongs to another certificate; the last if it is of another
algorithm."""


def load_certificate(settings: TelnetsSettings) -> ssl.SSLContext:
    """Load the certificate and its key. Blocks.

    Raises:
        ConfigurationError: If a file cannot be read, is open to others or does not fit.
    """
    certificate, key = str(settings.certificate), str(settings.key or settings.certificate)
    _check_certificate(certificate)
    _check_key(key, is_certificate=settings.key is None)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # Or newer, as OpenSSL's defaults have it.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except OSError as error:  # SSLError too
        if getattr(error, "reason", "") in _MISMATCHES:
            raise ConfigurationError(
                "telnets.key",
                key,
                f"is not the key of the certificate {certificate}",
                "name the key that the certificate was made with",
            ) from None
        raise ConfigurationError(
            "telnets.certificate",
            certificate,
            f"cannot be used with the key {key}: {error.strerror or error}",
            "make both anew: openssl req -x509 -nodes -newkey rsa:3072 -keyout KEY -out CERT",
        ) from None
    return context


def _check_certificate(path: str) -> None:
    if _CERTIFICATE not in _read("telnets.certificate", path, secret=False):
        raise ConfigurationError(
            "telnets.certificate",
            path,
            "there is no certificate in PEM form in it",
            f"if it is in DER form: openssl x509 -inform der -in {shlex.quote(path)} -out NEW.pem",
        )


def _check_key(path: str, *, is_certificate: bool) -> None:
    # Asked before the permissions: those of a certificate without its key are no matter.
    if is_certificate and not _KEY.search(_read("telnets.certificate", path, secret=False)):
        raise ConfigurationError(
            "telnets.key", None, f"there is no key in {path}", "name the file of the private key"
        )
    data = _read("telnets.key", path, secret=True)
    found = _KEY.search(data)
    if found is None:
        raise ConfigurationError(
            "telnets.key",
            path,
            "there is no private key in PEM form in it",
            "name a file with a line that begins with -----BEGIN PRIVATE KEY",
        )
    if found[1] == b"OPENSSH":
        raise ConfigurationError(
            "telnets.key",
            path,
            "is a key in OpenSSH's own form",
            f"convert a copy of it: ssh-keygen -p -m PEM -f {shlex.quote(path)}",
        )
    if found[1] == b"ENCRYPTED" or _ENCRYPTED in data:
        raise ConfigurationError(
            "telnets.key",
            path,
            "is encrypted, and a service cannot ask for the passphrase",
            f"decrypt it: openssl pkey -in {shlex.quote(path)} -out NEW.key, and name that",
        )


def _read(setting: str, path: str, *, secret: bool) -> bytes:
    try:
        data, status = read_with_status(path)
        exposed = exposure_of(path, status, secret=secret)
    except OSError as error:
        raise ConfigurationError(
            setting,
            path,
            f"cannot be read: {error.strerror}",
            "name a file that the service's user can read",
        ) from None
    if exposed is not None:
        raise ConfigurationError(setting, path, exposed.problem, exposed.remedy)
    return data


def _no_passphrase() -> str:
    # Else OpenSSL asks for one on the server's terminal.
    raise ssl.SSLError("the key is encrypted")
