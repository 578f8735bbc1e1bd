"""What telnet within TLS proves itself with."""

from __future__ import annotations

import ssl
from pathlib import Path

from console.config.settings import TelnetsSettings
from console.errors import ConfigurationError
from console.files.exposure import exposure, exposure_above


def load_certificate(settings: TelnetsSettings) -> ssl.SSLContext:
    """Load the certificate and its key. Blocks.

    Raises:
        ConfigurationError: If a file cannot be read, is open to others or does not fit.
    """
    key = settings.key or settings.certificate
    try:
        open_to_others = (
            exposure(key, Path(key).stat(), secret=True)
            or exposure_above(key)
            or exposure(settings.certificate, Path(settings.certificate).stat(), secret=False)
            or exposure_above(settings.certificate)
        )
        if open_to_others:
            raise ConfigurationError("telnets.key", str(key), str(open_to_others))
        return _context(str(settings.certificate), str(key))
    except OSError as error:  # SSLError too
        problem = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            "telnets.certificate",
            str(settings.certificate),
            f"cannot be used with the key {key}: {problem}",
        ) from error


def _context(certificate: str, key: str) -> ssl.SSLContext:
    """Make a server's TLS context: TLS 1.2 or newer, as OpenSSL's defaults have it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key, password=_no_passphrase)
    return context


def _no_passphrase() -> str:
    # Else OpenSSL asks for it on the server's terminal.
    raise ssl.SSLError("the key is encrypted, and a service has nobody to ask for the passphrase")
