"""SSH (RFC 4251 to 4254) by asyncssh, cut down to what a console is for.

A shell or a command, on a session channel, for somebody who has proved who they are. Everything
else that the protocol offers (forwarding of ports, sockets, agents and X11, subsystems such as
sftp) is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Sequence

import asyncssh

from console._version import __version__
from console.interfaces.credentials import Peer, Principal
from console.interfaces.terminals import Admission
from console.transports.drop_log import DropLog
from console.transports.keepalive import PROBES
from console.transports.ssh.connection import Authenticator, Connection, Login, ReadOffer
from console.transports.unauthenticated import UnauthenticatedConnections

# Modern and cheap: a finite-field exchange costs 16 ms of the loop for each stranger who knocks.
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
        authenticator: Who decides.
        read_offer: Parses what a client offers as its public key.
        admit: Called with each principal and terminal.
        strangers: Where connections are counted before login.
        drops: Who tells of connections that were ended.
        grace_seconds: From connection to login.
        too_many: Tells why a user may not have one more connection than so many, of so many in
            all; empty if they may.
        keepalive_seconds: How long a client may be silent until it is asked; None for ever.
    """

    def __init__(
        self,
        *,
        authenticator: Authenticator,
        read_offer: ReadOffer,
        admit: Admission,
        unauthenticated: UnauthenticatedConnections,
        drops: DropLog,
        grace_seconds: float,
        too_many: Callable[[Principal, Sequence[Principal]], str],
        keepalive_seconds: float | None,
    ) -> None:
        self._keepalive_seconds = keepalive_seconds
        self.too_many = too_many
        self.authenticator = authenticator
        self.read_offer = read_offer
        self.admit = admit
        self.unauthenticated = unauthenticated
        self.drops = drops
        self.grace_seconds = grace_seconds
        self.connections: set[Connection] = set()
        self._options: asyncssh.SSHServerConnectionOptions | None = None
        self._server: asyncio.Server | None = None
        self._idle = asyncio.Event()

    def use_host_keys(self, host_keys: Sequence[asyncssh.SSHKey]) -> None:
        """Prove ourselves with these from the next connection on.

        Of several keys of a kind the first is used, and the others are told to clients that have
        logged in, for the day when they replace it (OpenSSH: UpdateHostKeys).
        """
        self._options = asyncssh.SSHServerConnectionOptions(
            server_factory=lambda: Login(self),
            server_host_keys=list(host_keys),
            send_server_host_keys=True,
            kex_algs=KEY_EXCHANGES,
            encryption_algs=CIPHERS,
            mac_algs=MACS,
            compression_algs=("none",),
            server_version=f"console_{__version__}",
            login_timeout=self.grace_seconds,
            keepalive_interval=self._keepalive_seconds or 0,
            keepalive_count_max=PROBES,
            # On by default: it would open a socket in the file system for whoever asks.
            agent_forwarding=False,
            x11_forwarding=False,
            # On by default: it would look a name up while we start.
            gss_host=None,
            line_editor=False,
            encoding=None,
        )

    async def listen(self, sock: socket.socket, backlog: int) -> None:
        """Accept connections on a socket that is already bound. Call `use_host_keys` before."""
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

    def drop(self, peer: Peer, reason: str) -> None:
        """Tell that a connection is ended for breaking a rule."""
        self.drops.tell("ssh", peer, reason)

    def lost(self, connection: Connection) -> None:
        """Forget a connection that has ended."""
        self.connections.discard(connection)
        self.unauthenticated.remove(connection)
        if not self.connections:
            self._idle.set()
