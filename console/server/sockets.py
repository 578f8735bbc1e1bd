"""Sockets to listen on."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import socket
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from console.config.settings import ListenSettings
from console.errors import ListenError
from console.files.exposure import exposure, exposure_above


@dataclass(frozen=True, slots=True)
class Listener:
    """The address at which a transport listens, with the actual port if the setting was 0.

    Attributes:
        transport: ``telnet``, ``telnets`` or ``ssh``.
        host: The address; empty for a Unix socket.
        port: The TCP port; 0 for a Unix socket.
        socket: The path of a Unix socket; empty for TCP.
        command: The command that connects to it.
    """

    transport: str
    host: str = ""
    port: int = 0
    socket: str = ""
    command: str = ""

    def __str__(self) -> str:
        if self.socket:
            return f"{self.transport} on {self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.transport} on {host}:{self.port}"


def bind(settings: ListenSettings, on_close: Callable[..., Any]) -> tuple[socket.socket, Listener]:
    """Bind a socket and put it in the listening state. Nothing accepts connections yet.

    Args:
        settings: The address.
        on_close: Called with each function, and its arguments, that undoes a step.

    Raises:
        ListenError: If the system refuses, with a remedy.
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
        # The line says all that the system's error does, so it stands alone in a traceback.
        raise ListenError(settings.name, settings.address, problem, remedy) from None
    sock.setblocking(False)
    on_close(sock.close)
    return sock, listener


def _bind_unix(path: Path, settings: ListenSettings, on_close: Callable[..., Any]) -> socket.socket:
    """Bind a Unix socket with mode 0600, in a directory that only the service's user can change."""
    open_to_others = exposure(path.parent, path.parent.stat(), secret=False) or exposure_above(path)
    if open_to_others:
        raise ListenError(settings.name, str(path), open_to_others.problem, open_to_others.remedy)
    _remove_stale(path, settings)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(str(path))
        made = path.stat()
        on_close(_unlink, path, made.st_ino)
        # No client can connect before listen(), so the mode is set in time.
        path.chmod(0o600)
        sock.listen(settings.backlog)
    except BaseException:
        sock.close()
        raise
    return sock


def _remove_stale(path: Path, settings: ListenSettings) -> None:
    """Remove the socket of a process that has ended; refuse any other file."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ListenError(
                settings.name, str(path), "there is a file that is not a socket", "move it away"
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
        if path.lstat().st_ino == inode:  # else another process has replaced it
            path.unlink()


def _explain(error: OSError, settings: ListenSettings) -> tuple[str, str]:
    if settings.socket is not None:
        return _explain_unix(error, Path(settings.socket))
    return explain_tcp(error, settings.port)


def explain_tcp(error: OSError, port: int | None) -> tuple[str, str]:
    """Return the problem of a TCP address, and a remedy."""
    if isinstance(error, socket.gaierror):
        return "no such host", "name an address of this machine, 127.0.0.1 for loopback"
    if error.errno == errno.EADDRINUSE:
        return (
            "the address is in use",
            f"stop the process that listens there (ss -ltnp 'sport = :{port}') or use another port",
        )
    if error.errno in {errno.EACCES, errno.EPERM}:
        return "not permitted", "ports below 1024 need privileges; use a higher one"
    if error.errno == errno.EADDRNOTAVAIL:
        return "not an address of this machine", "use 127.0.0.1, or one that `ip addr` lists"
    return os.strerror(error.errno) if error.errno else str(error), "check the address"


def _explain_unix(error: OSError, path: Path) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError):
        directory = shlex.quote(str(path.parent))
        return f"there is no directory {path.parent}", f"make it: mkdir -p -m 700 {directory}"
    if error.errno is None:  # "AF_UNIX path too long"
        return str(error), "name a shorter path: the system allows about 100 bytes"
    return os.strerror(error.errno), "name a path in a directory that only you can write"
