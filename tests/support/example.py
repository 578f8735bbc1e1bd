"""The examples as processes, on free ports, with keys of their own."""

import shutil
import socket
import sys

from support.servers import EXAMPLES, Process

QUOTE = "An apple a day keeps the doctor away.\r\n"


class Example(Process):
    """A copy of an example, so that its keys directory is the test's own."""

    password = "sekrit"

    def __init__(self, name, directory):
        place = directory / "examples"
        place.mkdir(exist_ok=True)
        shutil.copy(EXAMPLES / name, place)
        self.keys = directory / "keys"
        ports = {"QOTD_PORT": "0", "TELNET_PORT": "0", "SSH_PORT": "0"}
        super().__init__(
            [sys.executable, "-W", "error", str(place / name)], directory / "run", env=ports
        )
        try:
            self.qotd_port = self._port(r"quotes on 127\.0\.0\.1:(\d+)")
            if name == "manhole2.py":
                self.telnet_port = self._port(r"telnet on 127\.0\.0\.1:(\d+)")
                self.ssh_port = self._port(r"ssh on 127\.0\.0\.1:(\d+)")
                self.fingerprint = self.wait_for_stdout(r"host key (SHA256:\S+)")[1]
                self.wait_for_stdout(r"see what you changed:\n.*\n")
        except BaseException:
            self.close()
            raise

    def _port(self, pattern):
        return int(self.wait_for_stdout(pattern)[1])

    def log_in(self, client, way):
        """Log in as boss with a new client."""
        if way in {"telnet", "nc"}:
            client.wait_for("username:")
            client.line("boss")
        client.wait_until(lambda: client.cursor_line.endswith("assword:"), "password:")
        client.line(self.password)
        client.expect_prompt()


def ask_quote(port):
    """Connect to the service; return what it sends."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
        return b"".join(iter(lambda: sock.recv(4096), b"")).decode()
