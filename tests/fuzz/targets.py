"""The targets: the parsers of unauthenticated input, and of files that others write.

A target takes bytes and raises AssertionError if a property does not hold. ``run.py`` also checks
that each takes time and memory linear in the input. A new one is a function with the decorator
`target`; its corpus is in ``corpus/<its name>/``.
"""

import asyncio
import random
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from console import limits
from console.auth.keys.authorized_keys import clean_line, parse_authorized_key
from console.auth.keys.certificates import parse_certificate
from console.auth.keys.public_keys import WireError
from console.auth.keys.revocation import parse_revocations
from console.errors import InvalidKey
from console.line_discipline import EndOfFile, Line, LineDiscipline
from console.text import escape_controls
from console.transports.telnet.codec import ENVIRONMENT_CHARACTERS, Codec, Decoder, Signal
from console.transports.telnet.login_dialogue import Attempt, Ended, LoginDialogue


@dataclass(frozen=True)
class Target:
    """A check, and the tokens for inputs that reach deep into it."""

    name: str
    check: Callable[[bytes], None]
    tokens: tuple[bytes, ...]


TARGETS: dict[str, Target] = {}


def target(name, *tokens):
    """Register a function as a target."""

    def register(check):
        TARGETS[name] = Target(name, check, tokens)
        return check

    return register


def split(data):
    """Split data somewhere, always at the same places for the same data."""
    rng = random.Random(zlib.crc32(data))
    pieces, position = [], 0
    while position < len(data):
        size = rng.choice((1, 1, 1, 2, 3, 10, 100, 4096))
        pieces.append(data[position : position + size])
        position += size
    return pieces


# ---- telnet

TELNET_AMPLIFICATION = 8
"""An option that is turned on and off is queried each time, 37 bytes for six; AYT is answered with
nine bytes for two."""

TELNET_QUESTION = 64
"""The longest answer to a single command."""

_IAC = b"\xff"
_TELNET = (
    *(_IAC + bytes([code]) for code in range(236, 256)),
    *(bytes([option]) for option in (0, 1, 3, 5, 6, 24, 31, 34, 39, 69, 70, 86, 87, 201, 255)),
    *(b"\xff\xfa\x1f\x00\x50\x00\x18\xff\xf0", b"\xff\xfa\x18\x00xterm\xff\xf0"),
    *(b"\xff\xfa\x27\x00\x00LANG\x01C\xff\xf0", b"\xff\xfa\x45\x01a\x02\x03x\xff\xf0"),
    *(b"\xff\xfb\x18", b"\xff\xfb\x1f", b"\xff\xfb\x27", b"\xff\xfd\x01", b"\xff\xfd\x03"),
    *(b"\r\n", b"\r\0", b"\r", b"\n", b"\0", "é漢👩".encode(), b"\xc3", b"\xf0\x9f", b"\x1b["),
)


class Sink(asyncio.Transport):
    """Takes sent data."""

    def __init__(self):
        super().__init__()
        self.sent = bytearray()

    def write(self, data):
        self.sent += data

    def is_closing(self):
        return False

    def get_write_buffer_size(self):
        return 0


def _telnet(pieces):
    """Feed pieces; return everything decoded."""
    sink = Sink()
    codec, decoder = Codec(sink), Decoder()
    codec.negotiate()
    offered = len(sink.sent)
    received = []
    for piece in pieces:
        for item in codec.feed(piece):
            if isinstance(item, bytearray):
                text = decoder.decode(item)
                if received and isinstance(received[-1], str):
                    received[-1] += text
                elif text:
                    received.append(text)
            # The codec merges the AYTs of one piece, as one answer is enough.
            elif item is not Signal.ASKED or received[-1:] != [item]:
                received.append(item)
        assert len(codec._sb_buffer) <= limits.SUBNEGOTIATION_BYTES
    said = (codec.size, codec.terminal_type, codec.environment, codec.will_echo, codec.answered)
    return received, bytes(sink.sent[offered:]), said


@target("telnet", *_TELNET)
def check_telnet(data):
    """Input is decoded alike at each split, answers are few, and a peer's facts small and clean."""
    received, answers, said = _telnet([data])
    assert _telnet(split(data)) == (received, answers, said), "the split changes the result"
    typed = sum(len(item) for item in received if isinstance(item, str))
    assert typed <= len(data), "more is typed than was sent"
    most = TELNET_AMPLIFICATION * len(data) + TELNET_QUESTION
    assert len(answers) <= most, f"{len(answers)} bytes are answered"
    size, terminal_type, environment, *_ = said
    assert 1 <= size.rows <= limits.TERMINAL_ROWS
    assert 1 <= size.columns <= limits.TERMINAL_COLUMNS
    assert terminal_type is None or re.fullmatch(r"[a-z0-9._+-]{0,40}", terminal_type)
    for value in environment.values():
        assert len(value) <= ENVIRONMENT_CHARACTERS
        assert value.isprintable()


# ---- typed text

ECHO_CHARACTERS = 18
"""The most bytes of output for a typed character: a tab is four blanks, and erasing it takes three
times as many; and some for the word or line that one key erases, whose characters were typed."""

_TYPED = (
    *(bytes([code]) for code in (0, 3, 4, 8, 9, 10, 13, 21, 23, 27, 127)),
    *(b"\r\n", b"\r\0", b"\x1b[A", b"\x1b[200~", b"\x1bO", b"\x1b[[", b"\x1b[1;5C", b" word "),
    *("漢".encode(), "e\u0301".encode(), "\u200d".encode(), "👩\u200d🔬".encode(), b"\xc2\x9b"),
)


@target("line discipline", *_TYPED)
def check_line_discipline(data):
    """Input is read alike at each split, lines are bounded, the echo has no control character."""
    options, data = data[:1], data[1:]
    echo, masked, eof = (bool(ord(options or b"\1") & bit) for bit in (1, 2, 4))

    def lines_of(texts):
        discipline = LineDiscipline(echo=echo, limit=100)
        discipline.mask = "*" if masked else None
        events, shown = [], ""
        for text in [*texts, None]:
            if text is not None:
                discipline.feed(text)
            elif eof:
                discipline.feed_eof()
            while (event := discipline.next()) is not None:
                events.append(event)
                assert len(discipline._line) <= 100
                if isinstance(event, EndOfFile) and text is None:
                    break
            shown += discipline.take_output()
        assert not discipline.take_pending()
        return events, shown

    text = data.decode("utf-8", "replace")
    events, shown = lines_of([text])
    assert lines_of(split_text(text)) == (events, shown), "the split changes the result"
    assert all(len(event.text) <= 100 for event in events if isinstance(event, Line))
    assert len(events) <= len(text) + 2
    assert len(shown) <= ECHO_CHARACTERS * len(text) + 2
    assert echo or not shown
    # The output may move the cursor back, and ring the bell.
    assert not re.search("[\x00-\x06\t\x0b\x0c\x0e-\x1f\x7f-\x9f]", shown)


def split_text(text):
    return [piece.decode("utf-32-le") for piece in _quads(text.encode("utf-32-le"))]


def _quads(data):
    rng = random.Random(zlib.crc32(data))
    position = 0
    while position < len(data):
        size = 4 * rng.choice((1, 1, 2, 3, 10, 100))
        yield data[position : position + size]
        position += size


@target("login", *_TYPED, b"boss\r", b"sekrit\r", b"ok\r", b"GET / HTTP/1.1\r\n", b"\r" * 10)
def check_login(data):
    """Input is read alike at each split, there are three tries, and the dialogue ends."""
    options, data = data[:1], data[1:]
    echo, telnet = (bool(ord(options or b"\1") & bit) for bit in (1, 2))

    def steps_of(pieces):
        decoder = Decoder()
        dialogue = LoginDialogue("banner", client_speaks_telnet=lambda: telnet, echo=echo)
        steps, shown, session = [], dialogue.take_output(), None
        greeting = len(shown)
        for piece in [*pieces, None]:
            text = "" if piece is None else decoder.decode(piece)
            if session is not None:
                session += text
                continue
            if piece is None:
                dialogue.feed_eof()
            dialogue.feed(text)
            while session is None and (step := dialogue.next()) is not None:
                shown += dialogue.take_output()
                steps.append(step)
                if isinstance(step, Ended):
                    session = ""
                elif step.password == "ok":
                    session = dialogue.accepted()
                elif (ended := dialogue.rejected()) is not None:
                    steps.append(ended)
                    session = ""
            shown += dialogue.take_output()
        return steps, shown[greeting:], session if isinstance(steps[-1], Attempt) else None

    steps, shown, session = steps_of([data])
    again, shown_again, session_again = steps_of(split(data))
    assert (again, shown_again) == (steps, shown), "the split changes the result"
    # An empty line right after the login may get lost at the split: its newline is taken for the
    # second half of the Enter before.
    assert (session_again or "").lstrip("\n\0") == (session or "").lstrip("\n\0")
    attempts = [step for step in steps if isinstance(step, Attempt)]
    assert len(attempts) <= limits.LOGIN_TRIES
    for attempt in attempts:
        assert len(attempt.user) <= limits.LOGIN_LINE_CHARACTERS
        assert len(attempt.password) <= limits.LOGIN_LINE_CHARACTERS
        assert repr(attempt) == repr(Attempt(attempt.user, "")), "the password is shown"
        assert attempt.user.strip()
    assert len(shown) <= ECHO_CHARACTERS * len(data) + 500


# ---- files of keys

_KIND = b"ssh-ed25519"
_POINT = b"AAAAC3NzaC1lZDI1NTE5AAAAIBEREREREREREREREREREREREREREREREREREREREREREREREREREREREREREQ"
_KEY = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfcMkQ1nMFcuSbjhxY5nYbOzBzXK2gPlhS8hoCXMCGz"
_KEYS = (
    *(_KIND, _KEY, _KEY + b" boss@desk\n", _POINT, b"ssh-rsa ", b"ecdsa-sha2-nistp256 AAAA"),
    *(b"sk-ssh-ed25519@openssh.com ", b"ssh-ed25519-cert-v01@openssh.com ", b"cert-authority "),
    *(b'command="', b'\\"', b'" ', b'from="10.0.0.0/8,!10.1.*,::1" ', b"restrict,pty ", b","),
    *(b'expiry-time="20300101" ', b'principals="boss,deputy" ', b"COMMAND=", b"no-pty ", b"=="),
    *(b"#", b"\r\n", b"\n", b"\t", b"-----BEGIN", b"\x1b]0;x\x07", "\u202e".encode(), b"\xff"),
)


@target("authorized keys", *_KEYS)
def check_authorized_keys(data):
    """A line is a key, nothing, or refused in one line; a written key is read back unchanged."""
    for line in data.decode("utf-8", "replace").split("\n")[:100]:
        try:
            key = parse_authorized_key(line, "here:1")
        except InvalidKey as error:
            told = str(error)
            assert told == escape_controls(told), "what is told has control characters"
            assert "\n" not in told
            assert len(told) < 500
            continue
        if key is not None:
            assert parse_authorized_key(clean_line(line, "here:1"), "here:1") == key, (
                "not read back as the same"
            )
            assert key.comment == escape_controls(key.comment)
            assert len(key.comment) <= 200


def check_refusal(parse, data):
    """Parse bytes; the error of refused ones is one short line."""
    try:
        parse(data)
    except WireError as error:
        told = str(error)
        assert told == escape_controls(told)
        assert "\n" not in told
        assert len(told) < 500


_WIRE = (
    *(bytes(4), b"\0\0\0\1", b"\xff\xff\xff\xff", b"\0\0\0\x20" + bytes(32), bytes(8), b"\x7f" * 8),
    *(b"\0\0\0\x0bssh-ed25519", b"\0\0\0\x20ssh-ed25519-cert-v01@openssh.com"),
    *(b"\0\0\0\x0eforce-command", b"\0\0\0\x0esource-address", b"\0\0\0\x0apermit-pty"),
)


@target("certificates", *_WIRE)
def check_certificates(data):
    """The bytes are a certificate, or are refused."""
    check_refusal(parse_certificate, data)


@target(
    "revocations",
    *(*_WIRE, b"SSHKRL\n\0\0\0\0\1", b"\1", b"\2", b"\x20", b"\x21", b"\x22", b"\x23"),
    *(b"serial: 1-5\n", b"id: boss\n", b"sha256: ", b"hash: SHA256:" + b"A" * 43, _KEY, b"\n"),
)
def check_revocations(data):
    """The bytes are a revocation file, text or KRL, or are refused."""
    check_refusal(parse_revocations, data)
