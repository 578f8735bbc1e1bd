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

Each error carries its parts as attributes; ``str()`` gives one line that says where, what and,
if known, the remedy. Errors of the operator's statements are values, never raised into the host.
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
    """The family: catch this to catch each error that console raises."""


class ConfigurationError(ConsoleError):
    """A setting has a value that cannot work."""

    def __init__(self, setting: str, value: object, problem: str) -> None:
        super().__init__(setting, value, problem)
        self.setting = setting
        self.value = value
        self.problem = problem

    def __str__(self) -> str:
        return f"setting {self.setting}: {self.problem}: {self.value!r}"


class StartError(ConsoleError):
    """A console could not start. Whatever had been opened is closed again."""


class ListenError(StartError):
    """An address could not be listened on."""

    def __init__(self, transport: str, address: str, problem: str, remedy: str) -> None:
        super().__init__(transport, address, problem, remedy)
        self.transport = transport
        self.address = address
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.transport} on {self.address}: {self.problem}; {self.remedy}"


class AlreadyRunning(StartError):
    """``start()`` was called on a console that is starting or running."""

    def __str__(self) -> str:
        return "this console is already running; stop() it first, or make another Console"


class NotPermitted(ConsoleError):
    """A command was called that the user's role does not include."""

    def __init__(self, command: str, role: str, needed: str) -> None:
        super().__init__(command, role, needed)
        self.command = command
        self.role = role
        self.needed = needed

    def __str__(self) -> str:
        return f"{self.command}: your role is {self.role}; ask an {self.needed}"


class NoSuchSession(ConsoleError):
    """A session that is to be ended cannot be."""

    def __init__(self, session: object, problem: str) -> None:
        super().__init__(session, problem)
        self.session = session
        self.problem = problem

    def __str__(self) -> str:
        return f"session {self.session!r}: {self.problem}"


class StateError(ConsoleError):
    """A saved application cannot be written, or a file of one must not or cannot be restored."""

    def __init__(self, path: str, problem: str, remedy: str) -> None:
        super().__init__(path, problem, remedy)
        self.path = path
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}; {self.remedy}"


class CredentialError(ConsoleError):
    """Users, passwords or keys cannot be read or written."""

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(place, problem)
        self.place = place
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}"


class KeyFileError(CredentialError, StartError):
    """A private key is missing, unreadable, of a refused kind, or readable by others."""

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(place, problem)
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.problem}; {self.remedy}"


class UnknownUser(CredentialError):
    """The store holds no such user."""

    def __init__(self, place: str, name: str) -> None:
        super().__init__(place, f"no user {name!r}")
        self.name = name


class InvalidUserName(CredentialError):
    """A user's name has characters that a users file or a log cannot hold safely."""

    def __init__(self, place: str, name: str) -> None:
        super().__init__(
            place,
            f"{name!r} is no user name: 1 to 32 of a-z A-Z 0-9 _ . -, beginning with a letter or _",
        )
        self.name = name


class InvalidKey(CredentialError):
    """A line of an ``authorized_keys`` file cannot be parsed, or asks for what is not enforced."""
