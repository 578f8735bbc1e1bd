"""Small clients on plain sockets, for tests that need hundreds of them."""

import contextlib
import select
import socket
import struct

from support.servers import DEADLINE_SECONDS, wait_until

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
ECHO, SGA, TTYPE, NAWS = 1, 3, 24, 31


def reachable(port):
    """Whether a port of this machine accepts connections."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
        return True
    return False


def refused(port):
    """Wait until a port of this machine accepts no connections."""
    return wait_until(lambda: not reachable(port), f"nothing listens on {port}")


class Lines:
    """A line client, as nc is one."""

    def __init__(self, port, source="127.0.0.1"):
        self._sock = socket.create_connection(
            ("127.0.0.1", port), timeout=DEADLINE_SECONDS, source_address=(source, 0)
        )
        self.seen = ""
        self._used = 0

    def send(self, text):
        """Send text as it is."""
        self._sock.sendall(text.encode())

    def until(self, text):
        """Read until a text arrives; return the output before it since the last call."""
        while (at := self.seen.find(text, self._used)) < 0:
            self._receive(f"{text!r}")
        before = self.seen[self._used : at]
        self._used = at + len(text)
        return before

    def until_prompt(self):
        """Read until the next prompt; return the output before it, without the newline."""
        return self.until(">>> ").replace("\r\n", "\n").strip("\n")

    def run(self, statement):
        """Run a statement at the prompt; return its output."""
        self.send(statement + "\n")
        return self.until_prompt()

    def rest(self):
        """Read to the end of the connection."""
        with contextlib.suppress(ConnectionError):
            while data := self._sock.recv(65536):
                self.seen += self.decode(data)
        return self.seen

    def close(self, *, reset=False):
        """Close; with ``reset`` by a reset in place of an orderly end."""
        if reset:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def decode(self, data):
        """Turn received bytes into text."""
        return data.decode("utf-8", "replace")

    def _receive(self, what):
        ready, _, _ = select.select([self._sock], [], [], DEADLINE_SECONDS)
        data = self._sock.recv(65536) if ready else b""
        if not data:
            raise AssertionError(f"no {what} in {self.seen[self._used :]!r}")
        self.seen += self.decode(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Telnet(Lines):
    """A telnet client with a window: enough of RFC 854 to be given the full-screen editor."""

    def __init__(self, port):
        self._rest = b""
        super().__init__(port)

    def send(self, text):
        """Send text; Enter is CR NUL."""
        self._sock.sendall(text.replace("\n", "\r\0").encode())

    def decode(self, data):
        data, self._rest = self._rest + data, b""
        text = bytearray()
        while data:
            plain, iac, command = data.partition(bytes([IAC]))
            text += plain
            if not iac:
                break
            used = self._obey(command)
            if used is None:
                self._rest = iac + command
                break
            data = command[used:]
        return bytes(text).decode("utf-8", "replace")

    def _obey(self, command):
        """Answer a command; return its length, None if it is not whole yet."""
        if not command:
            return None
        if command[0] == SB:
            end = command.find(bytes([IAC, SE]))
            if end < 0:
                return None
            if command[1:3] == bytes([TTYPE, 1]):
                name = b"xterm-256color"
                self._sock.sendall(bytes([IAC, SB, TTYPE, 0]) + name + bytes([IAC, SE]))
            return end + 2
        if command[0] not in {DO, DONT, WILL, WONT}:
            return 1
        if len(command) < 2:
            return None
        option = command[1]
        if command[0] == DO:
            agreed = option in {TTYPE, NAWS}
            self._sock.sendall(bytes([IAC, WILL if agreed else WONT, option]))
            if option == NAWS:
                self._sock.sendall(bytes([IAC, SB, NAWS, 0, 80, 0, 24, IAC, SE]))
        elif command[0] == WILL:
            self._sock.sendall(bytes([IAC, DO if option in {ECHO, SGA} else DONT, option]))
        return 2


def line_login(port, user="boss", password="sekrit", kind=Lines):
    """Log in with a socket; return the client at its first prompt."""
    client = kind(port)
    try:
        client.until("username: ")
        client.send(user + "\n")
        client.until("password: ")
        client.send(password + "\n")
        client.until_prompt()
    except BaseException:
        client.close()
        raise
    return client
