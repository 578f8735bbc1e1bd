"""Settings, each declared once: name, type, default, unit, range, meaning.

The configuration file's keys, the environment's variables and docs/configuration.md are made of
these declarations (``config_file.py``).
"""

from __future__ import annotations

import ipaddress
import typing
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from console.errors import ConfigurationError
from console.limits import PENDING_OUTPUT_CHARACTERS, RESULT_CHARACTERS

MODES = ("thread", "loop")
"""Where a statement can run."""

AT_RESTART = ("keep", "undo")
"""What becomes of patches when a saved state is restored."""

DEFAULT_HOST = "127.0.0.1"

_NUMBERS = 1_000_000_000
"""Numbers are smaller: a timer takes no more than a few hundred years, a list no more items."""


# ---------------------------------------------------------------- declarations


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a declaration says beside name, type and default."""

    meaning: str
    unit: str
    least: int | None
    most: int | None
    positive: bool
    choices: tuple[str, ...]
    none_word: str
    default_words: str


def _setting(
    meaning: str,
    *,
    default: Any = MISSING,
    unit: str = "",
    least: int | None = None,
    most: int | None = None,
    positive: bool = False,
    choices: tuple[str, ...] = (),
    none_word: str = "",
    default_words: str = "",
) -> Any:
    """Declare a setting.

    Args:
        meaning: A line for people.
        default: Nothing if it must be given.
        unit: What a number counts; empty where it counts nothing.
        least: The smallest number, itself allowed.
        most: The largest number, itself allowed.
        positive: Whether a number has to be more than 0.
        choices: All the values there are; empty for any.
        none_word: What a file says for None, which TOML does not have. Empty if None is said by
            leaving the key out.
        default_words: The default for people, where the value itself says nothing.
    """
    facts = _Facts(meaning, unit, least, most, positive, choices, none_word, default_words)
    return field(default=default, metadata={"facts": facts})


@dataclass(frozen=True, slots=True)
class Declaration:
    """A setting as it was declared: `declarations` finds it."""

    name: str
    kind: type
    default: Any
    facts: _Facts
    optional: bool

    @property
    def required(self) -> bool:
        """Whether it must be given."""
        return self.default is MISSING

    def expected(self, none: str = "None") -> str:
        """Say what a value has to be, for an error.

        Args:
            none: How None is written.
        """
        facts = self.facts
        text = {
            bool: "true or false",
            int: "a whole number",
            float: "a number",
            str: "a text on one line",
            Path: "a path",
        }[self.kind]
        if facts.choices:
            text = " or ".join(facts.choices)
        if facts.unit:
            text += f" of {facts.unit}"
        if facts.positive:
            text += ", more than 0"
        if facts.least is not None:
            text += (
                f", {facts.least} to {facts.most}" if facts.most else f", at least {facts.least}"
            )
        return f"{text}, or {none}" if facts.none_word else text

    def accepts(self, value: object) -> bool:
        """Whether a value has the type and is in the range."""
        facts = self.facts
        if value is None:
            return self.optional
        if isinstance(value, bool) or self.kind is bool:  # a bool is an int to isinstance()
            return isinstance(value, bool) and self.kind is bool
        if isinstance(value, str) or (isinstance(value, Path) and self.kind is Path):
            text = str(value)
            # It ends on terminals and in logs, so without control characters.
            is_line = bool(text) and text.isprintable()
            return self.kind in {str, Path} and is_line and text in (facts.choices or (text,))
        kinds = {int: (int,), float: (int, float)}.get(self.kind, ())
        return isinstance(value, kinds) and self._is_in_range(value)

    def _is_in_range(self, value: float) -> bool:
        facts = self.facts
        return (
            abs(value) < _NUMBERS  # not true of nan either
            and (not facts.positive or value > 0)
            and (facts.least is None or value >= facts.least)
            and (facts.most is None or value <= facts.most)
        )


def declarations(owner: type) -> tuple[Declaration, ...]:
    """Return the settings that a class declares, in their order."""
    hints, found = typing.get_type_hints(owner), []
    for one in fields(owner):
        if "facts" in one.metadata:
            kinds = list(typing.get_args(hints[one.name]) or (hints[one.name],))
            optional = type(None) in kinds
            kind = Path if Path in kinds else kinds[0]  # the first is the one; others are for code
            found.append(
                Declaration(one.name, kind, one.default, one.metadata["facts"], optional=optional)
            )
    return tuple(found)


def _check(settings: Any, table: str) -> None:
    """Refuse a value that its declaration does not allow.

    Raises:
        ConfigurationError: Names the setting as the file does.
    """
    for one in declarations(type(settings)):
        value = getattr(settings, one.name)
        if not one.accepts(value):
            name = f"{table}.{one.name}" if table else one.name
            raise ConfigurationError(name, value, f"must be {one.expected()}")


# ---------------------------------------------------------------- the settings


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where a transport listens."""

    port: int = _setting(
        "TCP port; 0 lets the system choose one, which is told at the start.", least=0, most=65535
    )
    host: str = _setting(
        "Address or name of the interface; 127.0.0.1 is reached from this machine only.",
        default=DEFAULT_HOST,
    )
    backlog: int = _setting(
        "How many the kernel holds before they are accepted.",
        default=100,
        unit="connections",
        least=1,
        most=65535,
    )

    name = "listen"

    def __post_init__(self) -> None:
        """Refuse what cannot work, so that start never half succeeds."""
        _check(self, self.name)


@dataclass(frozen=True, slots=True)
class TelnetSettings(ListenSettings):
    """The telnet listener. Everything on it, passwords too, can be read by the network."""

    allow_plain_text: bool = _setting(
        "Accept a host other than loopback, where the network can read passwords.", default=False
    )

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
    """The SSH listener."""

    host_key: Path | str | None = _setting(  # noqa: RUF009 - it returns a field()
        "File of the private host key, never made if it is named here.",
        default=None,
        default_words="`host_key` in the keys directory, made on first use",
    )

    name = "ssh"


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """How statements run."""

    mode: str = _setting(
        "Where a statement runs: on a worker thread of its session, or on the service's loop.",
        default="thread",
        choices=MODES,
    )
    report_seconds: float = _setting(
        "A statement that holds the service's loop longer is reported with its stack.",
        default=0.25,
        unit="seconds",
        positive=True,
    )
    interrupt_seconds: float | None = _setting(
        "A statement that holds the service's loop longer is interrupted.",
        default=2.0,
        unit="seconds",
        positive=True,
        none_word="never",
    )
    keep_running: bool = _setting(
        "Let a statement go on when the connection of its session is lost.", default=False
    )
    pending_output_characters: int = _setting(
        "Output of a session that waits for its client; beyond it a thread that prints waits, and"
        " on a loop what is printed is dropped and counted.",
        default=PENDING_OUTPUT_CHARACTERS,
        unit="characters",
        least=1024,
    )
    result_characters: int = _setting(
        "The longest repr or traceback that is shown whole.",
        default=RESULT_CHARACTERS,
        unit="characters",
        least=1024,
    )

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _check(self, "evaluation")


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """An application with a console, as a configuration file describes it."""

    name: str | None = _setting(
        "What the banner and the saved state call the application.",
        default=None,
        default_words="the file's name",
    )
    keys: Path | str | None = _setting(  # noqa: RUF009 - as above
        "Directory of the host key, the users and their public keys.",
        default=None,
        default_words="`console/keys` in the user's data directory",
    )
    history: Path | str | None = _setting(  # noqa: RUF009 - as above
        "Directory of what users have typed and of what they prefer.",
        default=None,
        default_words="`console/history` in the user's state directory",
    )
    namespace: str | None = _setting(
        "The dict of live names, as `module:attribute` or `file.py:attribute`.",
        default=None,
        default_words="an empty one",
    )
    default_user: bool = _setting(
        "While there are no users, let admin in with the password admin; loopback only.",
        default=False,
    )
    patches_at_restart: str = _setting(
        "Whether patches of a session are applied again when a saved state is restored.",
        default="keep",
        choices=AT_RESTART,
    )
    telnet: TelnetSettings | None = None
    ssh: SshSettings | None = None
    evaluation: EvaluationSettings = field(default_factory=EvaluationSettings)

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        _check(self, "")


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
