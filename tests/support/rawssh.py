"""An SSH client that sends any bytes and packets, at any time.

It implements RFC 4253 up to the key exchange: curve25519-sha256 and aes128-gcm@openssh.com, over a
socket that is used only on request. The host key is not verified: this is an attacker's client.
"""

import contextlib
import hashlib
import os
import socket
import struct

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from support.servers import DEADLINE_SECONDS

DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO = range(1, 8)
KEXINIT, NEWKEYS, KEX_INIT, KEX_REPLY = 20, 21, 30, 31
USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS, USERAUTH_BANNER = range(50, 54)
INFO_REQUEST, INFO_RESPONSE = 60, 61
PK_OK = 60
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
CHANNEL_OPEN, CHANNEL_OPEN_CONFIRMATION, CHANNEL_OPEN_FAILURE = 90, 91, 92
CHANNEL_DATA, CHANNEL_EXTENDED_DATA, CHANNEL_CLOSE = 94, 95, 97
CHANNEL_REQUEST, CHANNEL_SUCCESS, CHANNEL_FAILURE = 98, 99, 100

STRICT = "kex-strict-c-v00@openssh.com"
_CHATTER = {IGNORE, DEBUG, EXT_INFO, USERAUTH_BANNER, GLOBAL_REQUEST, UNIMPLEMENTED}


class Gone(Exception):
    """The server has ended the connection; the text is its reason, if it gave one."""


def uint32(number):
    return struct.pack(">I", number)


def string(value):
    value = value.encode() if isinstance(value, str) else bytes(value)
    return uint32(len(value)) + value


def boolean(value):
    return bytes([bool(value)])


def mpint(value):
    number = int.from_bytes(value, "big")
    return string(number.to_bytes(number.bit_length() // 8 + 1, "big") if number else b"")


def kexinit(**lists):
    """Make a KEXINIT; each list of names may be replaced."""
    names = {
        "kex": "curve25519-sha256",
        "host_key": "ssh-ed25519",
        "cipher": "aes128-gcm@openssh.com",
        "mac": "hmac-sha2-256-etm@openssh.com",
        "compression": "none",
        **lists,
    }
    each = (names["kex"], names["host_key"])
    each += tuple(names[name] for name in ("cipher", "mac", "compression") for _ in range(2))
    lists = b"".join(string(name) for name in (*each, "", ""))
    return bytes([KEXINIT]) + os.urandom(16) + lists + boolean(False) + uint32(0)


def frame(payload, block=8, unencrypted=4):
    """Put a payload in a packet: length, payload and random padding (RFC 4253, 6)."""
    padding = block - (unencrypted + 1 + len(payload)) % block
    padding += block if padding < 4 else 0
    return uint32(1 + len(payload) + padding) + bytes([padding]) + payload + os.urandom(padding)


class _Gcm:
    """One direction's keys (RFC 5647 as OpenSSH has it)."""

    def __init__(self, key, nonce):
        self._cipher = AESGCM(key[:16])
        self._fixed, self._count = nonce[:4], int.from_bytes(nonce[4:12], "big")

    def nonce(self):
        count, self._count = self._count, (self._count + 1) % 2**64
        return self._fixed + struct.pack(">Q", count)

    def seal(self, packet):
        return packet[:4] + self._cipher.encrypt(self.nonce(), packet[4:], packet[:4])

    def open(self, length, sealed):
        return self._cipher.decrypt(self.nonce(), sealed, length)


class RawSsh:
    """A connection. It sends nothing by itself."""

    def __init__(self, port, *, source="127.0.0.1", version=b"SSH-2.0-attacker"):
        self.socket = socket.create_connection(
            ("127.0.0.1", port), DEADLINE_SECONDS, source_address=(source, 0)
        )
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.version = version
        self.server_version = b""
        self.session_id = b""
        self.sent_bytes = self.received_bytes = 0
        self._buffer = b""
        self._sealer = self._opener = None

    # ---- bytes

    def send_bytes(self, data):
        """Send bytes as they are."""
        try:
            self.socket.sendall(data)
        except OSError as error:
            raise Gone(str(error)) from None
        self.sent_bytes += len(data)

    def end_input(self):
        """Shut down the sending side."""
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def _take(self, count):
        while len(self._buffer) < count:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                raise AssertionError("the server neither answers nor ends the connection") from None
            except OSError as error:
                raise Gone(str(error)) from None
            if not data:
                raise Gone("closed")
            self.received_bytes += len(data)
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def read_version(self):
        """Read the server's version line."""
        while not self.server_version.endswith(b"\n"):
            self.server_version += self._take(1)
        self.server_version = self.server_version.rstrip(b"\r\n")

    # ---- packets

    def send(self, *parts):
        """Send a packet: in plain text before the key exchange, encrypted after it."""
        payload = b"".join(bytes([part]) if isinstance(part, int) else part for part in parts)
        self.send_bytes(self.seal(payload))

    def seal(self, payload):
        """Make the packet of a payload; it must be the next one sent."""
        if self._sealer is None:
            return frame(payload)
        return self._sealer.seal(frame(payload, 16, 0))

    def read(self):
        """Read the next packet's payload."""
        head = self._take(4)
        length = int.from_bytes(head, "big")
        if self._opener is None:
            packet = self._take(length)
        else:
            packet = self._opener.open(head, self._take(length + 16))
        return packet[1 : length - packet[0]]

    def expect(self, *kinds):
        """Read until a packet of one of these kinds; return it. Gone at the connection's end."""
        while (payload := self.read())[0] not in kinds:
            if payload[0] == DISCONNECT:
                size = int.from_bytes(payload[5:9], "big")
                raise Gone(payload[9 : 9 + size].decode("utf-8", "replace"))
            assert payload[0] in _CHATTER, f"message {payload[0]}, not one of {kinds}: {payload!r}"
        return payload

    def wait_gone(self, seconds=DEADLINE_SECONDS):
        """Wait for the end of the connection; return the server's reason."""
        with contextlib.suppress(OSError):
            self.socket.settimeout(seconds)
        try:
            while True:
                payload = self.expect(*range(2, 256))
                assert payload[0] not in {USERAUTH_SUCCESS, CHANNEL_OPEN_CONFIRMATION}
        except Gone as gone:
            return str(gone)

    # ---- the client's protocol

    def exchange_versions(self):
        self.send_bytes(self.version + b"\r\n")
        self.read_version()
        return self

    def exchange_keys(self, *, strict=False):
        """Go through the key exchange."""
        mine = kexinit(kex="curve25519-sha256," + STRICT) if strict else kexinit()
        self.send(mine)
        theirs = self.expect(KEXINIT)
        private = X25519PrivateKey.generate()
        public = private.public_key().public_bytes_raw()
        self.send(KEX_INIT, string(public))
        reply = self.expect(KEX_REPLY)
        host_key, rest = _string(reply[1:])
        point, _ = _string(rest)
        shared = mpint(private.exchange(X25519PublicKey.from_public_bytes(point)))
        hashed = b"".join(
            map(
                string,
                (self.version, self.server_version, mine, theirs, host_key, public, point),
            )
        )
        digest = hashlib.sha256(hashed + shared).digest()
        self.session_id = self.session_id or digest

        def derive(letter):
            return hashlib.sha256(shared + digest + letter + self.session_id).digest()

        self.send(NEWKEYS)
        self._sealer = _Gcm(derive(b"C"), derive(b"A"))
        self.expect(NEWKEYS)
        self._opener = _Gcm(derive(b"D"), derive(b"B"))
        return self

    def ask_for_login(self):
        """Request the user authentication service (RFC 4253, 10)."""
        self.send(SERVICE_REQUEST, string("ssh-userauth"))
        self.expect(SERVICE_ACCEPT)
        return self

    def handshake(self):
        """Do everything up to the start of user authentication (RFC 4252)."""
        return self.exchange_versions().exchange_keys().ask_for_login()

    def request(self, user, method, *fields):
        """Send a request for a login."""
        parts = (string(user), string("ssh-connection"), string(method), *fields)
        self.send(USERAUTH_REQUEST, *parts)

    def send_password(self, user, password):
        self.request(user, "password", boolean(False), string(password))

    def guess(self, user, password):
        """Try a password; return whether it was right."""
        self.send_password(user, password)
        return self.expect(USERAUTH_FAILURE, USERAUTH_SUCCESS)[0] == USERAUTH_SUCCESS

    def sign_request(self, user, key, *, blob=None):
        """Request a login by an Ed25519 key, or by ``blob`` with that key's signature."""
        blob = blob or ed25519_blob(key)
        fields = (boolean(True), string("ssh-ed25519"), string(blob))
        parts = (string(user), string("ssh-connection"), string("publickey"), *fields)
        signed = string(self.session_id) + bytes([USERAUTH_REQUEST]) + b"".join(parts)
        signature = string("ssh-ed25519") + string(key.sign(signed))
        self.request(user, "publickey", *fields, string(signature))

    def open_session(self, *, window=2**31 - 1, packet=32768):
        """Open a session channel; return the server's number for it."""
        self.send(CHANNEL_OPEN, string("session"), *map(uint32, (0, window, packet)))
        opened = self.expect(CHANNEL_OPEN_CONFIRMATION)
        return int.from_bytes(opened[5:9], "big")

    def ask_channel(self, channel, request, *fields, reply=True):
        """Make a request of a channel; return whether it was granted."""
        self.send(CHANNEL_REQUEST, uint32(channel), string(request), boolean(reply), *fields)
        if not reply:
            return None
        return self.expect(CHANNEL_SUCCESS, CHANNEL_FAILURE)[0] == CHANNEL_SUCCESS

    def close(self, *, reset=False):
        """Close; with ``reset`` by a reset in place of an orderly end."""
        if reset:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ed25519_blob(key):
    """Return a private key's public half in wire form."""
    return string("ssh-ed25519") + string(key.public_key().public_bytes_raw())


def make_ed25519():
    return Ed25519PrivateKey.generate()


def _string(data):
    size = int.from_bytes(data[:4], "big")
    return data[4 : 4 + size], data[4 + size :]
