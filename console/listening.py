"""Sockets to listen on, and the transports that listen there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import stat
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from console.auth.authenticator import Authenticator
from console.auth.public_keys import fingerprint
from console.config import ListenSettings, LoginSettings, SshSettings, TelnetsSettings
from console.errors import ConfigurationError, ListenError
from console.interfaces import Admission, Principal
from console.state import exposure, exposure_above
from console.transports.drops import Drops
from console.transports.strangers import Strangers

if TYPE_CHECKING:
    import ssl

    from console.auth.ssh_keys import SSHKey
    from console.transports.ssh import SshListener
    from console.transports.telnet_listener import TelnetListener

_NO_HOST = "console"
"""Stands where ssh wants the name of a host; known_hosts keeps the host key under it."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a transport really listens: the port is known even if the setting was 0.

    ``socket`` is the path of a Unix socket, which has no host and port; empty for TCP.
    """

    transport: str
    host: str = ""
    port: int = 0
    socket: str = ""

    def __str__(self) -> str:
        if self.socket:
            return f"{self.transport} on {self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport} on {host}:{self.port}"

    @property
    def command(self) -> str:
        """What to type to get there."""
        if self.transport == "ssh":
            if self.socket:
                return f"ssh -o ProxyCommand='nc -U {self.socket}' USER@{_NO_HOST}"
            return f"ssh -p {self.port} USER@{self.host}"
        if self.transport == "telnets":
            return f"openssl s_client -quiet -connect {self.host}:{self.port}"
        return f"nc -U {self.socket}" if self.socket else f"telnet {self.host} {self.port}"


class Transport(Protocol):
    """What all transports do."""

    @property
    def connections(self) -> Iterable[Any]:
        """The connections that are open, each with an ``abort()``."""

    async def listen(self, sock: socket.socket, backlog: int) -> None:
        """Accept connections on a bound socket."""

    def close(self) -> None:
        """Accept no more connections. Can be called twice."""

    async def wait_closed(self, seconds: float) -> None:
        """Wait until the last connection is gone, but no longer than this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the transports of a console have in common."""

    authenticator: Authenticator
    strangers: Strangers
    admit: Admission
    drops: Drops
    login: LoginSettings
    banner: str
    keys: Path
    too_many: Callable[[Principal, Sequence[Principal]], str]
    keepalive_seconds: float | None


class Door:
    """One transport, and how to read anew what it proves itself with."""

    def __init__(self, settings: ListenSettings, shared: Shared) -> None:
        self.settings = settings
        self.transport: Transport
        self.fingerprint: str | None = None
        self._shared = shared

    async def prepare(self) -> None:
        """Make the transport, which is not heard of until it is told to listen.

        Raises:
            KeyFileError: If the host key cannot be used.
            ConfigurationError: If the certificate cannot be used.
        """
        loop = asyncio.get_running_loop()
        shared, settings = self._shared, self.settings
        if isinstance(settings, SshSettings):
            keys = await loop.run_in_executor(None, _load_host_keys, settings, shared.keys)
            self.transport = self._ssh(keys)
        else:
            tls = None
            if isinstance(settings, TelnetsSettings):
                tls = await loop.run_in_executor(None, load_certificate, settings)
            self.transport = self._telnet(tls)

    async def reload(self) -> str:
        """Read keys and certificates anew; they count from the next connection on.

        Returns:
            A line that says what is used now; empty if there is nothing to read.

        Raises:
            KeyFileError: If the host key cannot be used. The old one goes on.
            ConfigurationError: If the certificate cannot be used. The old one goes on.
        """
        loop = asyncio.get_running_loop()
        settings, transport = self.settings, self.transport
        if isinstance(settings, SshSettings):
            keys = await loop.run_in_executor(None, _load_host_keys, settings, self._shared.keys)
            self._use_host_keys(transport, keys)  # type: ignore[arg-type]  # _ssh() made it
            return f"ssh: host key {self.fingerprint}"
        if isinstance(settings, TelnetsSettings):
            tls = await loop.run_in_executor(None, load_certificate, settings)
            transport.use_certificate(tls)  # type: ignore[attr-defined]  # _telnet() made it
            return f"telnets: certificate {settings.certificate}"
        return ""

    def _ssh(self, keys: list[SSHKey]) -> SshListener:
        from console.auth.ssh_keys import read_offer  # noqa: PLC0415 - heavy, and not everybody's
        from console.transports.ssh import SshListener  # noqa: PLC0415 - as above

        shared = self._shared
        listener = SshListener(
            authenticator=shared.authenticator,
            read_offer=read_offer,
            admit=shared.admit,
            strangers=shared.strangers,
            drops=shared.drops,
            grace_seconds=shared.login.grace_seconds,
            too_many=shared.too_many,
            keepalive_seconds=shared.keepalive_seconds,
        )
        self._use_host_keys(listener, keys)
        return listener

    def _use_host_keys(self, listener: SshListener, keys: list[SSHKey]) -> None:
        listener.use_host_keys(keys)
        self.fingerprint = fingerprint(keys[0].public_data)

    def _telnet(self, tls: ssl.SSLContext | None) -> TelnetListener:
        from console.transports.telnet_listener import TelnetListener  # noqa: PLC0415 - as above

        shared = self._shared
        return TelnetListener(
            transport=self.settings.name,
            banner=shared.banner,
            authenticator=shared.authenticator,
            admit=shared.admit,
            strangers=shared.strangers,
            drops=shared.drops,
            grace_seconds=shared.login.grace_seconds,
            keepalive_seconds=shared.keepalive_seconds,
            tls=tls,
        )


def _load_host_keys(settings: SshSettings, directory: Path) -> list[SSHKey]:
    """Load the host keys; make the one in the keys directory on first use. Blocks."""
    from console.auth import host_key  # noqa: PLC0415 - asyncssh is heavy, and not everybody's

    path = directory / "host_key"
    if settings.host_key is not None:
        path = Path(settings.host_key)
    elif not path.exists():
        host_key.make_host_key(path)
    return host_key.load_host_keys(path)


def load_certificate(settings: TelnetsSettings) -> ssl.SSLContext:
    """Load what telnet within TLS proves itself with. Blocks.

    Raises:
        ConfigurationError: If a file cannot be read, is open to others or does not fit.
    """
    from console.transports.telnet_listener import tls_context  # noqa: PLC0415 - as above

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
        return tls_context(str(settings.certificate), str(key))
    except OSError as error:  # SSLError too
        problem = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            "telnets.certificate",
            str(settings.certificate),
            f"cannot be used with the key {key}: {problem}",
        ) from error


# ---------------------------------------------------------------- sockets


def bind(settings: ListenSettings, on_close: Callable[..., Any]) -> tuple[socket.socket, Listener]:
    """Bind a socket that does not listen yet, or does for the kernel only.

    Args:
        settings: Where.
        on_close: Is given what closes it again.

    Raises:
        ListenError: If the system refuses, with what can be done about it.
    """
    try:
        if settings.socket is not None:
            sock = _bind_unix(Path(settings.socket), settings, on_close)
            listener = Listener(settings.name, socket=str(settings.socket))
        else:
            found = socket.getaddrinfo(
                settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )
            family, _, _, _, where = found[0]
            sock = socket.create_server(where[:2], family=family, backlog=settings.backlog)
            listener = Listener(settings.name, *sock.getsockname()[:2])
    except OSError as error:
        problem, remedy = _explain(error, settings)
        raise ListenError(settings.name, settings.address, problem, remedy) from error
    sock.setblocking(False)
    on_close(sock.close)
    return sock, listener


def _bind_unix(path: Path, settings: ListenSettings, on_close: Callable[..., Any]) -> socket.socket:
    """Bind a Unix socket that only we can connect to, in a directory that only we can change."""
    open_to_others = exposure(path.parent, path.parent.stat(), secret=False) or exposure_above(path)
    if open_to_others:
        raise ListenError(settings.name, str(path), open_to_others.problem, open_to_others.remedy)
    _remove_stale(path, settings)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        made = path.stat()
        on_close(_unlink, path, made.st_ino)
        # Nobody can connect before listen(): there is no moment in which it is open to others.
        path.chmod(0o600)
        sock.listen(settings.backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path, settings: ListenSettings) -> None:
    """Remove the socket of a process that is gone, and nothing else."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(
                settings.name, str(path), "there is a file that is no socket", "move it away"
            )
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise ListenError(
        settings.name, str(path), "another process listens there", "stop it, or use another path"
    )


def _unlink(path: Path, inode: int) -> None:
    with contextlib.suppress(OSError):
        if path.lstat().st_ino == inode:  # else it is somebody else's by now
            path.unlink()


def _explain(error: OSError, settings: ListenSettings) -> tuple[str, str]:
    """Say what is wrong with an address, and what to do."""
    if settings.socket is not None:
        return error.strerror or str(error), "name a path in a directory that only we can write"
    if isinstance(error, socket.gaierror):
        return "no such host", "name an address of this machine, 127.0.0.1 for loopback"
    if error.errno == errno.EADDRINUSE:
        return (
            "the address is in use",
            f"stop what listens there (ss -ltnp 'sport = :{settings.port}') or use another port",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "not permitted", "ports below 1024 need privileges; use a higher one"
    if error.errno == errno.EADDRNOTAVAIL:
        return "not an address of this machine", "use 127.0.0.1, or one that `ip addr` lists"
    return os.strerror(error.errno) if error.errno else str(error), "check the address"
