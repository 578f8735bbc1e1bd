"""SSH (RFC 4251 to 4254) by asyncssh, cut down to what a console is for.

A shell or a command, on a session channel, for an authenticated user. Everything else that the
protocol offers (forwarding of ports, sockets, agents and X11, subsystems such as sftp) is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Sequence

import asyncssh

from console._version import __version__
from console.interfaces.transports import TransportContext
from console.transports.keepalive import PROBES
from console.transports.ssh.connection import Callbacks, Connection

# Modern and cheap: a finite-field exchange costs 16 ms of the loop for each connection.
# The client's order decides (RFC 4253, 7.1), so that one that knows ML-KEM gets it. Ours matters
# to Dropbear alone: it sends a first packet for its favourite, curve25519, and loses count of the
# packets when that is not the first here.
KEY_EXCHANGES = ("curve25519-sha256", "curve25519-sha256@libssh.org", "mlkem768x25519-sha256")
CIPHERS = (
    "chacha20-poly1305@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-ctr",
    "aes128-ctr",
)
MACS = ("hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com")


class SshListener:
    """Accepts connections. Lives on the console's loop.

    Args:
        context: What all transports get.
        host_keys: See `use_host_keys`.
    """

    def __init__(self, context: TransportContext, host_keys: Sequence[asyncssh.SSHKey]) -> None:
        self.context = context
        self.connections: set[Connection] = set()
        self._server: asyncio.Server | None = None
        self._idle = asyncio.Event()
        self.use_host_keys(host_keys)

    def use_host_keys(self, host_keys: Sequence[asyncssh.SSHKey]) -> None:
        """Prove ourselves with these from the next connection on.

        Of several keys of a kind the first is used, and the others are told to clients that have
        logged in, for the day when they replace it (OpenSSH: UpdateHostKeys).
        """
        self._options = asyncssh.SSHServerConnectionOptions(
            server_factory=Callbacks,
            server_host_keys=list(host_keys),
            send_server_host_keys=True,
            kex_algs=KEY_EXCHANGES,
            encryption_algs=CIPHERS,
            mac_algs=MACS,
            compression_algs=("none",),
            server_version=f"console_{__version__}",
            login_timeout=self.context.grace_seconds,
            keepalive_interval=self.context.keepalive_seconds or 0,
            keepalive_count_max=PROBES,
            # On by default: it would open a socket in the file system for each client that asks.
            agent_forwarding=False,
            x11_forwarding=False,
            # On by default: it would look a name up while we start.
            gss_host=None,
            line_editor=False,
            encoding=None,
        )

    async def listen(self, sock: socket.socket, backlog: int) -> None:
        """Accept connections on a socket that is already bound."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self, self._options), sock=sock, backlog=backlog
        )

    def close(self) -> None:
        """Accept no more connections. Those that are open stay. Can be called twice."""
        if self._server is not None:
            self._server.close()

    async def wait_closed(self, seconds: float) -> None:
        """Wait until the last connection is gone, but no longer than this."""
        if self.connections:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), seconds)

    def connected(self, connection: Connection) -> None:
        """Know a new connection."""
        self.connections.add(connection)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        self.context.unauthenticated.remove(connection)
        if not self.connections:
            self._idle.set()
