"""A telnet session without a client program: its socket reads only on request."""

import socket

from support.servers import DEADLINE_SECONDS


class Raw:
    """A line-by-line session, as nc has it, that is logged in."""

    def __init__(self, where, user="boss", password="sekrit"):
        """Log in, at a port or by a socket that is connected."""
        connected = isinstance(where, socket.socket)
        self.socket = (
            where if connected else socket.create_connection(("127.0.0.1", where), DEADLINE_SECONDS)
        )
        self.received = b""
        self.wait_for(b"username: ")
        self.send(f"{user}\n")
        self.wait_for(b"password: ")
        self.send(f"{password}\n")
        self.wait_for(b">>> ")

    def send(self, text):
        self.socket.sendall(text.encode())

    def wait_for(self, wanted):
        """Read until a text has arrived; return the output before it."""
        while wanted not in self.received:
            data = self.socket.recv(65536)
            assert data, f"the connection ended before {wanted!r}: {self.received[-500:]!r}"
            self.received += data
        before, _, self.received = self.received.partition(wanted)
        return before.decode(errors="replace")

    def run(self, statement):
        """Run a statement, and return its output."""
        self.send(statement + "\n")
        return self.wait_for(b">>> ").replace("\r\n", "\n")

    def close(self):
        self.socket.close()
