"""Transports: speak a protocol, authenticate a peer, and yield its terminal."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any, Protocol


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
