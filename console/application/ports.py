"""The ports of an application: settings and factory of each, and the tuples that sessions see."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from console.application.shell import ShellFactory
from console.config.settings import ListenSettings, SshSettings
from console.errors import ConfigurationError

Port = tuple[int, Any, int, str]
"""A listening port, as the howto shows it: port, factory, backlog, interface."""

_PORT_MOST = 65535


@dataclass(frozen=True, slots=True)
class TcpSettings:
    """Where a protocol factory listens; an empty host means all interfaces, as in asyncio."""

    port: int
    host: str
    backlog: int

    name = "tcp"

    def __post_init__(self) -> None:
        """Refuse a port that no address can have."""
        if self.port not in range(_PORT_MOST + 1):
            raise ConfigurationError("port", self.port, f"must be a number from 0 to {_PORT_MOST}")


class Entry(NamedTuple):
    """What listens on one port: its settings, whole, and what serves its connections."""

    settings: ListenSettings | TcpSettings
    factory: Any

    @property
    def is_ssh(self) -> bool:
        """Whether it belongs to the SSH ports; all others are TCP ports."""
        return isinstance(self.settings, SshSettings)

    @property
    def interface(self) -> str:
        """The host, or the path of the Unix socket."""
        settings = self.settings
        if isinstance(settings, ListenSettings) and settings.socket is not None:
            return str(settings.socket)
        return settings.host

    def as_port(self) -> Port:
        """Return the tuple that the howto shows."""
        settings = self.settings
        return (settings.port or 0, self.factory, settings.backlog, self.interface)

    def __str__(self) -> str:
        """Name the port, for what is said of a saved state."""
        kind = "ssh" if self.is_ssh else "tcp"
        if self.interface.startswith("/"):
            return f"{kind} socket {self.interface}"
        return f"{kind} port {self.settings.port}"


@dataclass(frozen=True, slots=True)
class ShellPorts:
    """The ports of a shell that one console serves: at most one of each transport."""

    shell: ShellFactory
    listeners: list[ListenSettings]


def by_console(entries: Iterable[Entry]) -> list[ShellPorts]:
    """Give the ports of each shell to consoles: one serves one port of each transport."""
    found: list[ShellPorts] = []
    for settings, factory in entries:
        if not isinstance(factory, ShellFactory) or not isinstance(settings, ListenSettings):
            continue
        for one in found:
            if one.shell is factory and type(settings) not in map(type, one.listeners):
                one.listeners.append(settings)
                break
        else:
            found.append(ShellPorts(factory, [settings]))
    return found
