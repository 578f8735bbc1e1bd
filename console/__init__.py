"""An admin console for live Python services: a Python prompt in the running process.

Start with `Console`::

    from console import Console

    async with Console("demo", namespace={"service": service}, ssh=8022):
        await service.run()

`ConsoleError` is the base of each error raised. The settings of the listeners are
`TelnetSettings`, `TelnetsSettings` and `SshSettings`; users are kept by `FileCredentials` or
`MemoryCredentials`, or by a class of your own, derived from `CredentialStore`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from console._version import __version__

if TYPE_CHECKING:
    from console.application.application import Application, current
    from console.application.protocols import QOTD, Daytime, Factory
    from console.application.shell import ShellFactory
    from console.auth.stores.directory import FileCredentials
    from console.auth.stores.memory import MemoryCredentials
    from console.config.settings import (
        EvaluationSettings,
        LoginSettings,
        SessionSettings,
        SshSettings,
        TelnetSettings,
        TelnetsSettings,
    )
    from console.console import Console
    from console.errors import (
        AlreadyRunning,
        ConfigurationError,
        ConsoleError,
        CredentialError,
        InvalidKey,
        InvalidUserName,
        KeyFileError,
        ListenError,
        StartError,
        StateError,
        UnknownUser,
    )
    from console.interfaces.credentials import AuthorizedKey, CredentialStore, Principal, Role
    from console.server.sockets import Listener

# Where each public name lives. They are imported at first use: `import console` must cost a host
# next to nothing, and a process that only reads the version should not load asyncio.
_HOMES = {
    "QOTD": "application.protocols",
    "AlreadyRunning": "errors",
    "Application": "application.application",
    "AuthorizedKey": "interfaces.credentials",
    "ConfigurationError": "errors",
    "Console": "console",
    "ConsoleError": "errors",
    "CredentialError": "errors",
    "CredentialStore": "interfaces.credentials",
    "Daytime": "application.protocols",
    "EvaluationSettings": "config.settings",
    "Factory": "application.protocols",
    "FileCredentials": "auth.stores.directory",
    "InvalidKey": "errors",
    "InvalidUserName": "errors",
    "KeyFileError": "errors",
    "ListenError": "errors",
    "LoginSettings": "config.settings",
    "Listener": "server.sockets",
    "MemoryCredentials": "auth.stores.memory",
    "Role": "interfaces.credentials",
    "Principal": "interfaces.credentials",
    "ShellFactory": "application.shell",
    "SessionSettings": "config.settings",
    "SshSettings": "config.settings",
    "StartError": "errors",
    "StateError": "errors",
    "TelnetsSettings": "config.settings",
    "TelnetSettings": "config.settings",
    "UnknownUser": "errors",
    "current": "application.application",
}

__all__ = [
    "QOTD",
    "AlreadyRunning",
    "Application",
    "AuthorizedKey",
    "ConfigurationError",
    "Console",
    "ConsoleError",
    "CredentialError",
    "CredentialStore",
    "Daytime",
    "EvaluationSettings",
    "Factory",
    "FileCredentials",
    "InvalidKey",
    "InvalidUserName",
    "KeyFileError",
    "ListenError",
    "Listener",
    "LoginSettings",
    "MemoryCredentials",
    "Principal",
    "Role",
    "SessionSettings",
    "ShellFactory",
    "SshSettings",
    "StartError",
    "StateError",
    "TelnetSettings",
    "TelnetsSettings",
    "UnknownUser",
    "__version__",
    "current",
]


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562)."""
    home = _HOMES.get(name)
    if home is None:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value: object = getattr(import_module(f"console.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
