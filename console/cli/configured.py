"""The application that a configuration file describes, and who may enter it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from console.application.application import Application
from console.application.shell import DEFAULT_PASSWORD, DEFAULT_USER, ShellFactory
from console.auth.passwords import verify
from console.auth.stores.directory import FileCredentials, default_keys_directory
from console.cli.attribute import load_attribute
from console.cli.common import warn
from console.config.file import ConfigurationFileError, place, read_settings
from console.config.settings import (
    ListenSettings,
    ServerSettings,
    SessionSettings,
    SshSettings,
    TelnetsSettings,
)


def configured_application(file: str) -> Application:
    """Make the application that a file describes. Warnings go to stderr.

    Raises:
        ConsoleError: If a setting or the keys directory is at fault.
        click.ClickException: If the namespace cannot be imported.
    """
    settings = read_settings(file)
    refuse_without_listeners(file, settings)
    # Absolute paths, because saved state may be restored from another directory.
    store = FileCredentials(keys_directory(settings).absolute())
    warn_of_users(file, settings, store)
    shell = ShellFactory(credentials=None if uses_default_user(settings, store) else store)
    if settings.namespace is not None:
        shell.namespace = _namespace(file, settings.namespace)
    application = Application(
        settings.name or Path(file).stem,
        keys=store.directory,
        history=None if settings.history is None else Path(settings.history).absolute(),
        evaluation=settings.evaluation,
        login=settings.login,
        sessions=_sessions(settings.sessions),
        patches_at_restart=settings.patches_at_restart,
        host_key=_host_key(settings),
        allow_plain_text=settings.telnet is not None and settings.telnet.allow_plain_text,
    )
    for one in listeners(settings):
        port = one.port or 0
        interface = one.host if one.socket is None else str(Path(one.socket).absolute())
        where: dict[str, Any] = {"backlog": one.backlog, "interface": interface}
        if isinstance(one, TelnetsSettings):
            application.listen_telnets(port, shell, one.certificate, one.key, **where)
        elif isinstance(one, SshSettings):
            application.listen_ssh(port, shell, **where)
        else:
            application.listen_tcp(port, shell, **where)
    return application


def listeners(settings: ServerSettings) -> list[ListenSettings]:
    """Return where the server listens."""
    wanted = (settings.telnet, settings.telnets, settings.ssh)
    return [one for one in wanted if one is not None]


def _sessions(settings: SessionSettings) -> SessionSettings:
    if settings.startup is None:
        return settings
    return replace(settings, startup=Path(settings.startup).absolute())


def keys_directory(settings: ServerSettings) -> Path:
    """Return the keys directory."""
    return Path(settings.keys or default_keys_directory())


def uses_default_user(settings: ServerSettings, store: FileCredentials) -> bool:
    """Whether the howto's user and password count, because nobody else may enter.

    Raises:
        CredentialError: If the users file cannot be read.
    """
    return settings.default_user and not store.users()


def default_password_remedy(
    file: str, settings: ServerSettings, store: FileCredentials
) -> str | None:
    """Return the command to type where the howto's user and password open the server.

    Returns:
        None if they do not.
    """
    if uses_default_user(settings, store):
        return f"console user add NAME --config {file}"
    phc = store.password_hash(DEFAULT_USER)
    if phc is not None and verify(phc, DEFAULT_PASSWORD):
        return f"console user passwd {DEFAULT_USER} --config {file}"
    return None


def warn_of_users(file: str, settings: ServerSettings, store: FileCredentials) -> None:
    """Say who could enter that should not, or that nobody can.

    Raises:
        ConfigurationError: If everybody who can reach the server knows the password.
    """
    remedy = default_password_remedy(file, settings, store)
    if remedy is not None:
        refuse_default_password(file, settings, remedy)
        if store.users():  # else the application says so itself
            warn(f"{DEFAULT_USER} has the default password; set another with: {remedy}")
    elif not store.users():
        warn(
            f"{store.directory}: has no users, so nobody can log in;"
            f" add one with: console user add NAME --config {file}"
        )


def refuse_default_password(file: str, settings: ServerSettings, remedy: str) -> None:
    """Refuse an address that other machines reach, where everybody knows the password.

    Raises:
        ConfigurationError: Names the setting, and the command that sets a password.
    """
    for one in listeners(settings):
        if not one.is_local:
            setting = f"{one.name}.host"
            raise ConfigurationFileError(
                place(file, setting),
                setting,
                one.host,
                "with the default password only this machine may connect;"
                f" set another with: {remedy}",
            )


def refuse_without_listeners(file: str, settings: ServerSettings) -> None:
    """Refuse a server that nobody could reach.

    Raises:
        ConfigurationError: Says what to add.
    """
    if not listeners(settings):
        raise ConfigurationFileError(
            file, "telnet, ssh", None, "nothing listens; add [telnet] or [ssh] with a port"
        )


def _host_key(settings: ServerSettings) -> Path | None:
    named = None if settings.ssh is None else settings.ssh.host_key
    return None if named is None else Path(named).absolute()


def _namespace(file: str, target: str) -> dict[str, object]:
    namespace = load_attribute(target)
    if not isinstance(namespace, dict):
        raise ConfigurationFileError(
            place(file, "namespace"),
            "namespace",
            target,
            f"is of type {type(namespace).__name__}; name a dict",
        )
    return namespace
