"""What a peer may send before it has logged in."""

import pytest

from console.limits import UNAUTHENTICATED_BYTES
from console.transports.screening import Screening


@pytest.mark.parametrize(
    ("data", "protocol"),
    [
        (b"GET / HTTP/1.1\r\n", "an HTTP request"),
        (b"OPTIONS * HTTP/1.1\r\n", "an HTTP request"),
        (b"PRI * HTTP/2.0\r\n", "an HTTP request"),
        (b"BREW /pot HTTP/1.1\r\n", "an HTTP request"),
        (b"X-Method /x HTTP/1.0\r\n", "an HTTP request"),
        (b"x\r\nhOST: localhost\r\n", "an HTTP request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", "a TLS handshake"),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_another_protocol_is_named(data, protocol, size):
    """However its first bytes are split, and with the words that fail2ban's filter looks for."""
    screening = Screening("SSH")
    found = [screening.take(data[at : at + size]) for at in range(0, len(data), size)]
    assert next(filter(None, found)) == f"{protocol}, not SSH"


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"boss\r\nGET / ",
        b"GETRUDE ",
        b"",
        b"boss\r\nsekrit\r\nhostname\r\n",
        b"SSH-2.0-x\r\n\0\nHost:",
    ],
)
def test_what_is_expected_is_taken(data):
    """Only the first bytes count, and only whole words of HTTP."""
    assert Screening("SSH").take(data) is None


def test_bytes_are_limited():
    """Those that are looked at and those that are only counted, together."""
    screening = Screening("a login")
    assert screening.take(b"x" * (UNAUTHENTICATED_BYTES - 1)) is None
    assert screening.count(1) is None
    assert screening.bytes == UNAUTHENTICATED_BYTES
    reason = f"more than {UNAUTHENTICATED_BYTES} bytes before login"
    assert screening.take(b"x") == reason
    assert screening.count(1) == reason
