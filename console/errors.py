"""Every error that console raises.

The tree::

    ConsoleError
    ├── ConfigurationError      a setting has a value that cannot work
    │   └── ConfigurationFileError  the same in a file, with its line (config/file.py)
    ├── StartError              a console could not start; nothing of it is left
    │   ├── ListenError         an address could not be listened on
    │   ├── PidFileError        another process owns the pid file (files/pid.py)
    │   ├── StartupFileError    a startup file cannot be used (sessions/startup.py)
    │   └── AlreadyRunning      start() on a console that runs
    ├── PatchError              a hot patch cannot be made or undone (patches/journal.py)
    ├── NotPermitted            a command that the user's role does not include
    ├── DeclarationError        a command is declared wrong (interfaces/commands.py)
    ├── NoSuchSession           a session that is to be ended is not open
    ├── StateError              a saved application cannot be written or restored
    └── CredentialError         users, passwords, keys
        ├── KeyFileError        a private key is missing, unreadable or open to others
        ├── UnknownUser
        ├── InvalidUserName
        └── InvalidKey          a public key line that is refused

Each error has a place, a problem and a remedy; ``str()`` makes one line of them:
``place: problem; remedy``. Errors of the operator's statements are values, never raised into the
host.
"""

from __future__ import annotations

__all__ = [
    "AlreadyRunning",
    "ConfigurationError",
    "ConsoleError",
    "CredentialError",
    "InvalidKey",
    "InvalidUserName",
    "KeyFileError",
    "ListenError",
    "NoSuchSession",
    "NotPermitted",
    "StartError",
    "StateError",
    "UnknownUser",
]


class ConsoleError(Exception):
    """The base class: catch it to catch every error that the console raises.

    Attributes:
        place: Where: a file and its line, a setting, an address, an object.
        problem: What is wrong there.
        remedy: What the reader can do about it; empty if that is not known.
    """

    def __init__(self, place: str, problem: str, remedy: str = "") -> None:
        # `args` keeps the arguments of the subclass's call, as copying the error calls it again.
        self.place = place
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        said = ": ".join(part for part in (self.place, self.problem) if part)
        return f"{said}; {self.remedy}" if self.remedy else said


class ConfigurationError(ConsoleError):
    """A setting has a value that cannot work.

    Attributes:
        setting: Its name, as the configuration file has it.
        value: What was given; None if nothing was.
    """

    def __init__(self, setting: str, value: object, problem: str, remedy: str = "") -> None:
        given = "" if value is None else f" = {value!r}"
        super().__init__(f"setting {setting}{given}", problem, remedy)
        self.setting = setting
        self.value = value


class StartError(ConsoleError):
    """A console could not start. Whatever had been opened is closed again."""


class ListenError(StartError):
    """An address could not be listened on."""

    def __init__(self, transport: str, address: str, problem: str, remedy: str) -> None:
        super().__init__(f"{transport} on {address}", problem, remedy)
        self.transport = transport
        self.address = address


class AlreadyRunning(StartError):
    """``start()`` was called on a console that is starting or running."""

    def __init__(self) -> None:
        super().__init__("", "this console is already running", "stop() it, or make another")


class NotPermitted(ConsoleError):
    """A command was called that the user's role does not include."""

    def __init__(self, command: str, role: str, needed: str) -> None:
        super().__init__(command, f"your role is {role}", f"ask an {needed}")
        self.command = command
        self.role = role
        self.needed = needed


class NoSuchSession(ConsoleError):
    """The session that an admin wants to end is not open, or is the admin's own."""

    def __init__(self, session: object, problem: str, remedy: str) -> None:
        super().__init__(f"session {session!r}", problem, remedy)
        self.session = session


class StateError(ConsoleError):
    """A saved application cannot be written, or a file of one must not or cannot be restored."""

    @property
    def path(self) -> str:
        """The file."""
        return self.place


class CredentialError(ConsoleError):
    """Users, passwords or keys cannot be read or written."""


class KeyFileError(CredentialError, StartError):
    """A private key is missing, unreadable, of a refused kind, or readable by others."""


class UnknownUser(CredentialError):
    """The store holds no such user."""

    def __init__(self, place: str, name: str, remedy: str = "") -> None:
        super().__init__(place, f"no user {name!r}", remedy)
        self.name = name


class InvalidUserName(CredentialError):
    """A user's name has characters that a users file or a log cannot hold safely."""

    def __init__(self, place: str, name: str) -> None:
        super().__init__(
            place,
            f"{name!r} is not a user name",
            "use 1 to 32 of a-z A-Z 0-9 _ . -, beginning with a letter or _",
        )
        self.name = name


class InvalidKey(CredentialError):
    """A line of an ``authorized_keys`` file cannot be parsed, or asks for what is not enforced."""
