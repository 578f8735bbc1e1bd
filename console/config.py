"""Settings, each declared once: name, type, default, unit, meaning."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from console.errors import ConfigurationError
from console.limits import PENDING_OUTPUT_CHARACTERS, RESULT_CHARACTERS

MODES = ("thread", "loop")
"""Where a statement can run."""

DEFAULT_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where a transport listens.

    Attributes:
        port: TCP port, 0 to 65535; 0 lets the system choose one.
        host: Address or name of the interface. Loopback unless you say otherwise.
        backlog: Connections that the kernel holds before we accept them.
    """

    port: int
    host: str = DEFAULT_HOST
    backlog: int = 100

    name = "listen"

    def __post_init__(self) -> None:
        """Refuse what cannot work, so that start never half succeeds."""
        if type(self.port) is not int or not 0 <= self.port <= 65535:
            raise ConfigurationError(
                f"{self.name}.port", self.port, "a port is a whole number, 0 to 65535"
            )
        if type(self.host) is not str or not self.host:
            raise ConfigurationError(
                f"{self.name}.host", self.host, "name an address, 127.0.0.1 for this machine only"
            )
        if type(self.backlog) is not int or self.backlog < 1:
            raise ConfigurationError(f"{self.name}.backlog", self.backlog, "at least 1 connection")


@dataclass(frozen=True, slots=True)
class TelnetSettings(ListenSettings):
    """The telnet listener. Everything on it, passwords too, can be read by the network.

    Attributes:
        allow_plain_text: Accept an address other than loopback.
    """

    allow_plain_text: bool = False

    name = "telnet"

    def __post_init__(self) -> None:
        """Refuse to send passwords over a network in plain text unless told to."""
        ListenSettings.__post_init__(self)
        if not self.allow_plain_text and not is_loopback(self.host):
            raise ConfigurationError(
                "telnet.host",
                self.host,
                "telnet shows passwords to the network; listen on 127.0.0.1, use ssh,"
                " or set allow_plain_text",
            )


@dataclass(frozen=True, slots=True)
class SshSettings(ListenSettings):
    """The SSH listener.

    Attributes:
        host_key: File of the private host key; None for ``host_key`` in the keys directory,
            which is made on first use. A file named here is never made.
    """

    host_key: Path | str | None = None

    name = "ssh"


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How statements run.

    Attributes:
        mode: Where a statement runs by default: ``thread``, a worker thread of its session, or
            ``loop``, on the service's event loop between two callbacks.
        report_seconds: A statement that holds the service's loop longer is reported, with its
            stack, to its session and to the log.
        interrupt_seconds: One that holds it longer than this is interrupted. None for never.
        keep_running: Let a statement go on when its session's connection is lost.
        pending_output_characters: Output of a session that waits for its client. Beyond it, a
            thread that prints waits; on a loop, what is printed is dropped and counted.
        result_characters: The longest repr or traceback that is shown whole.
    """

    mode: str = "thread"
    report_seconds: float = 0.25
    interrupt_seconds: float | None = 2.0
    keep_running: bool = False
    pending_output_characters: int = PENDING_OUTPUT_CHARACTERS
    result_characters: int = RESULT_CHARACTERS

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        if self.mode not in MODES:
            raise ConfigurationError("evaluation.mode", self.mode, "thread or loop")
        for name in ("report_seconds", "interrupt_seconds"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise ConfigurationError(f"evaluation.{name}", value, "more than 0 seconds")
        for name in ("pending_output_characters", "result_characters"):
            value = getattr(self, name)
            if value < 1024:
                raise ConfigurationError(f"evaluation.{name}", value, "at least 1024 characters")


S = TypeVar("S", bound=ListenSettings)


def listen_settings(kind: type[S], value: S | int | str | None) -> S | None:
    """Make settings of what a caller may write: settings, a port, ``"host:port"``, None for off.

    Raises:
        ConfigurationError: If it is none of these.
    """
    if value is None or isinstance(value, kind):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return kind(value)
    if isinstance(value, str):
        host, _, port = value.rpartition(":")
        if port.isascii() and port.isdigit():
            return kind(int(port), host.strip("[]") or DEFAULT_HOST)
    raise ConfigurationError(
        kind.name, value, f'write a port, "host:port", {kind.__name__}(...), or None for off'
    )


def is_loopback(host: str) -> bool:
    """Whether ``host`` is known to be reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Other names are not looked up: that blocks, and the answer may change after we asked.
        return host == "localhost"
