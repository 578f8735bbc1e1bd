"""Settings, each declared once: name, type, default, unit, range, meaning.

The configuration file's keys, the environment's variables and docs/configuration.md are made of
these declarations (``file.py``).
"""

from __future__ import annotations

import ipaddress
import re
import typing
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from console.config.declaration import check, required, setting
from console.errors import ConfigurationError
from console.limits import PENDING_OUTPUT_CHARACTERS, RESULT_CHARACTERS, RESULT_LINES

MODES = ("thread", "loop")
"""Where a statement can run."""

FRONTENDS = ("auto", "line")
"""How statements can be read at a terminal whose client does not choose."""

AT_RESTART = ("keep", "undo")
"""What becomes of patches when a saved state is restored."""

DEFAULT_HOST = "127.0.0.1"

SECRETS = (
    # A literal that is assigned, passed or paired with a name of a secret; also what such a
    # function is called with. A text is searched on a loop: repetitions are bounded, and possessive
    # so that none is tried in more than one way. What follows each begins with another character;
    # where it may not (blanks are part of an annotation), the lookahead decides.
    r"(?i)(?:pass(?:word|wd|phrase)|secret|token|api_?key|access_?key|private_?key|credential)"
    r"\w{0,40}+"
    r"(?:['\"]?+\]?+(?:\s?+:(?:\s(?=[\w.\[\]| ]))?+[\w.\[\]| ]{1,60}+)?+\s{0,40}+=(?!=)[\s(]{0,40}+"
    r"|['\"]\s{0,40}+:\s{0,40}+"
    r"|\([^()\n'\"]{0,200}+)"
    r"[bfru]{0,2}+['\"]"
    # In a URL, in a header, in a file.
    r"|://[^\s/:@'\"]{1,200}+:[^\s/@'\"]{1,200}+@"
    r"|\bBearer\s[\w.~+/=-]{12}"
    r"|PRIVATE KEY-----"
)
"""What a statement with a secret in it looks like. One that only names it is none: get_token()."""


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where a transport listens: a TCP port, or a Unix socket."""

    port: int | None = setting(
        "TCP port; 0 lets the system choose one, which the start prints.",
        default=None,
        least=0,
        most=65535,
        default_words="none, it must be given, or `socket`",
    )
    host: str = setting(
        "Address or name of the interface; 127.0.0.1 is reached from this machine only.",
        default=DEFAULT_HOST,
    )
    backlog: int = setting(
        "How many the kernel holds before they are accepted.",
        default=100,
        unit="connections",
        least=1,
        most=65535,
    )
    socket: Path | str | None = setting(
        "Path of a Unix socket in place of port and host, for the service's user alone.",
        default=None,
        default_words="none",
    )

    name = "listen"

    def __post_init__(self) -> None:
        """Refuse what cannot work, so that start never half succeeds."""
        check(self, self.name)
        if (self.port is None) == (self.socket is None):
            given = "neither a port nor" if self.port is None else "both a port and"
            raise ConfigurationError(
                f"{self.name}.port", self.port, f"{given} a socket is given", "give one of them"
            )

    @property
    def address(self) -> str:
        """The address as an error or a log line shows it."""
        return str(self.socket) if self.socket is not None else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Whether it is known to be reached from this machine only."""
        return self.socket is not None or is_loopback(self.host)


@dataclass(frozen=True, slots=True)
class TelnetSettings(ListenSettings):
    """The telnet listener. Everything on it, passwords too, can be read by the network."""

    allow_plain_text: bool = setting(
        "Accept a host other than loopback, where the network can read passwords.", default=False
    )

    name = "telnet"

    def __post_init__(self) -> None:
        """Refuse to send passwords over a network in plain text unless told to."""
        ListenSettings.__post_init__(self)
        if not self.allow_plain_text and not self.is_local:
            raise ConfigurationError(
                "telnet.host",
                self.host,
                "telnet shows passwords to the network",
                "listen on 127.0.0.1, use telnets or ssh, or set allow_plain_text",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class TelnetsSettings(ListenSettings):
    """Telnet within TLS, on a port of its own (992 is its own by IANA's list)."""

    certificate: Path | str = field(
        metadata=required(
            "File of the server's certificate and those that it is signed by, in PEM form."
        )
    )
    key: Path | str | None = setting(
        "File of the certificate's private key, in PEM form, without a passphrase.",
        default=None,
        default_words="the file of the certificate",
    )

    name = "telnets"


@dataclass(frozen=True, slots=True)
class SshSettings(ListenSettings):
    """The SSH listener."""

    host_key: Path | str | None = setting(
        "File of the private host key, never made if it is named here.",
        default=None,
        default_words="`host_key` in the keys directory, made on first use",
    )

    name = "ssh"


@dataclass(frozen=True, slots=True)
class LoginSettings:
    """What unauthenticated connections may cost, and how a wrong password is slowed down."""

    grace_seconds: float = setting(
        "From connection to login; traffic does not extend it.",
        default=30.0,
        unit="seconds",
        positive=True,
    )
    connections: int = setting(
        "Unauthenticated connections; beyond them the oldest of the largest source is evicted.",
        default=64,
        unit="connections",
        least=1,
    )
    connections_per_source: int = setting(
        "The same for one source: an address, an IPv6 network of 64 bits, a system user.",
        default=16,
        unit="connections",
        least=1,
    )
    failure_seconds: float = setting(
        "How long a wrong password takes to be answered, the first time; it doubles each time.",
        default=0.3,
        unit="seconds",
        positive=True,
    )
    failure_most_seconds: float = setting(
        "The longest that it takes.", default=10.0, unit="seconds", positive=True
    )
    throttle_loopback: bool = setting(
        "Whether peers on this machine wait longer with each wrong password.", default=True
    )
    throttle_unix: bool = setting(
        "Whether peers on a Unix socket wait longer with each wrong password.", default=True
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check(self, "login")


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How statements run."""

    mode: str = setting(
        "Where a statement runs: on a worker thread of its session, or on the service's loop.",
        default="thread",
        choices=MODES,
    )
    frontend: str = setting(
        "How statements are read: with an editor where the terminal is capable of one, or always"
        " line by line; a client that sends `CONSOLE_FRONTEND` chooses itself.",
        default="auto",
        choices=FRONTENDS,
    )
    report_seconds: float = setting(
        "A statement that holds the service's loop longer is reported with its stack.",
        default=0.25,
        unit="seconds",
        positive=True,
    )
    interrupt_seconds: float | None = setting(
        "A statement that holds the service's loop longer is interrupted.",
        default=2.0,
        unit="seconds",
        positive=True,
        none_word="never",
    )
    keep_running: bool = setting(
        "Let a statement go on when the connection of its session is lost.", default=False
    )
    pending_output_characters: int = setting(
        "Output of a session that waits for its client; beyond it a thread that prints waits, and"
        " on a loop what is printed is dropped and counted.",
        default=PENDING_OUTPUT_CHARACTERS,
        unit="characters",
        least=1024,
    )
    result_characters: int = setting(
        "The longest repr or traceback that is shown whole.",
        default=RESULT_CHARACTERS,
        unit="characters",
        least=1024,
    )
    result_lines: int = setting(
        "The most lines of a value at a terminal; `page(_)` shows the rest.",
        default=RESULT_LINES,
        unit="lines",
        least=10,
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check(self, "evaluation")


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """How many sessions may be open, what they begin with, and what is not kept of them."""

    most: int = setting(
        "Sessions of all users together; more are refused.",
        default=200,
        unit="sessions",
        least=1,
    )
    per_user: int = setting(
        "Sessions of one user; more are refused.", default=100, unit="sessions", least=1
    )
    reserved_for_admin: int = setting(
        "Of all, those that only an admin is given: others cannot lock the admins out.",
        default=1,
        unit="sessions",
        least=0,
    )
    idle_seconds: float | None = setting(
        "A session without input for so long is ended, after a notice; one whose statement runs"
        " is not.",
        default=None,
        unit="seconds",
        positive=True,
        none_word="never",
    )
    keepalive_seconds: float | None = setting(
        "A client that is silent for so long is asked whether it is there (TCP's keepalive, a"
        " message within SSH); after three questions in vain its sessions end.",
        default=60.0,
        unit="seconds",
        positive=True,
        none_word="never",
    )
    end_with_access: bool = setting(
        "End sessions within half a minute when their user is removed or gets a lesser role, the"
        " key is revoked or the password changed; without it only new sessions are refused.",
        default=True,
    )
    startup: Path | str | None = setting(
        "File of statements that run once, in the namespace, when the console starts.",
        default=None,
        default_words="none",
    )
    startup_for_commands: bool = setting(
        "Run a user's own startup file for commands and piped input too.", default=False
    )
    secrets: str | None = setting(
        "Regular expression: statements in which it is found are kept out of histories and logs.",
        default=SECRETS,
        default_words="literals given to names like `password`, `secret`, `token`, `api_key`",
        none_word="none",
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check(self, "sessions")
        if self.reserved_for_admin >= self.most:
            raise ConfigurationError(
                "sessions.reserved_for_admin",
                self.reserved_for_admin,
                f"must be less than sessions.most, which is {self.most}",
            )
        try:
            re.compile(self.secrets or "")
        except re.error as error:
            raise ConfigurationError(
                "sessions.secrets", self.secrets, f"is not a valid regular expression: {error}"
            ) from None


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """An application with a console, as a configuration file describes it."""

    name: str | None = setting(
        "What the banner and the saved state call the application.",
        default=None,
        default_words="the file's name",
    )
    keys: Path | str | None = setting(
        "Directory of the host key, the users and their public keys.",
        default=None,
        default_words="`console/keys` in the user's data directory",
    )
    history: Path | str | None = setting(
        "Directory of what users have typed and of what they prefer.",
        default=None,
        default_words="`console/history` in the user's state directory",
    )
    namespace: str | None = setting(
        "The dict of live names, as `module:attribute` or `file.py:attribute`.",
        default=None,
        default_words="an empty one",
    )
    default_user: bool = setting(
        "While there are no users, let admin in with the password admin; loopback only.",
        default=False,
    )
    patches_at_restart: str = setting(
        "Whether patches of a session are applied again when a saved state is restored.",
        default="keep",
        choices=AT_RESTART,
    )
    telnet: TelnetSettings | None = None
    telnets: TelnetsSettings | None = None
    ssh: SshSettings | None = None
    login: LoginSettings = field(default_factory=LoginSettings)
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)
    sessions: SessionSettings = field(default_factory=SessionSettings)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        check(self, "")


S = TypeVar("S", bound=ListenSettings)


def listen_settings(kind: type[S], value: S | int | str | None) -> S | None:
    """Make settings of what a caller may write: settings, a port, ``"host:port"``, a path, None.

    A path, which begins with a slash, is that of a Unix socket; None is for off.

    Raises:
        ConfigurationError: If it is none of these.
    """
    if value is None or isinstance(value, kind):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return kind(value)
    if isinstance(value, str) and value.startswith("/"):
        return kind(socket=value)
    if isinstance(value, str):
        host, _, port = value.rpartition(":")
        if port.isascii() and port.isdigit():
            return kind(int(port), host.strip("[]") or DEFAULT_HOST)
    raise ConfigurationError(
        kind.name,
        value,
        "does not name an address",
        f'write a port, "host:port", "/path/of.sock", {kind.__name__}(...), or None for off',
    )


def is_loopback(host: str) -> bool:
    """Whether ``host`` is known to be reachable from this machine only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        # Other names are not looked up: that blocks, and the answer may change after we asked.
        return host == "localhost"


@cache
def tables() -> dict[str, type]:
    """Return the file's tables and the settings in each. The empty name is the file's top."""
    hints = typing.get_type_hints(ServerSettings)
    found: dict[str, type] = {"": ServerSettings}
    for one in fields(ServerSettings):
        for kind in typing.get_args(hints[one.name]) or (hints[one.name],):
            if isinstance(kind, type) and is_dataclass(kind):
                found[one.name] = kind
    return found
