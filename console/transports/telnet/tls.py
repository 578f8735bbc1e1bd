"""The certificate of telnet within TLS, and its key."""

from __future__ import annotations

import ssl
from typing import Final, NoReturn

from console.config.settings import TelnetsSettings
from console.errors import ConfigurationError
from console.files.exposure import exposure, exposure_above, read_with_status

# The ends of the first lines: each has more than one beginning, such as RSA PRIVATE KEY.
_CERTIFICATE: Final = b"CERTIFICATE-----"
_PRIVATE_KEY: Final = b"PRIVATE KEY-----"

_NOT_ITS_KEY: Final = frozenset(
    {"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"}
)
"""OpenSSL's reasons for a key of another certificate: of the same kind, or of another one."""


def load_certificate(settings: TelnetsSettings) -> ssl.SSLContext:
    """Load the certificate and its key. Blocks.

    Raises:
        ConfigurationError: If a file cannot be read, is open to others or does not fit.
    """
    certificate, key = str(settings.certificate), str(settings.key or settings.certificate)
    data = _read("telnets.certificate", certificate, secret=False)
    if _CERTIFICATE not in data:
        raise ConfigurationError(
            "telnets.certificate",
            certificate,
            "is not a certificate in PEM form; convert it: openssl x509 -inform der",
        )
    if settings.key is None and _PRIVATE_KEY not in data:
        raise ConfigurationError(
            "telnets.key", None, f"the key is not in {certificate}; name the file of the key"
        )
    if _PRIVATE_KEY not in _read("telnets.key", key, secret=True):
        raise ConfigurationError(
            "telnets.key", key, "is not a key in PEM form; convert it: openssl pkey -inform der"
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # As OpenSSL's defaults have it.
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_refuse_passphrase)
    except _EncryptedKeyError as error:
        raise ConfigurationError(
            "telnets.key",
            key,
            "is encrypted, and a service cannot be asked for the passphrase;"
            f" write it without: openssl pkey -in {key} -out {key}.plain",
        ) from error
    except ssl.SSLError as error:
        if error.reason in _NOT_ITS_KEY:
            problem = f"is not the key of {certificate}; name the one that it was made with"
            raise ConfigurationError("telnets.key", key, problem) from error
        raise ConfigurationError(
            "telnets.certificate", certificate, f"cannot be used with the key {key}: {error}"
        ) from error
    return context


def _read(setting: str, path: str, *, secret: bool) -> bytes:
    try:
        data, status = read_with_status(path)
        open_to_others = exposure(path, status, secret=secret) or exposure_above(path)
    except OSError as error:
        problem = f"cannot be read: {error.strerror or error}"
        raise ConfigurationError(setting, path, problem) from error
    if open_to_others:
        raise ConfigurationError(setting, path, str(open_to_others))
    return data


class _EncryptedKeyError(Exception):
    """OpenSSL has asked for a passphrase."""


def _refuse_passphrase() -> NoReturn:
    # Else OpenSSL asks for it on the server's terminal.
    raise _EncryptedKeyError
