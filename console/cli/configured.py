"""The application that a configuration file describes, and the users who may enter it."""

from __future__ import annotations

from pathlib import Path

from console.application.application import Application
from console.application.shell import DEFAULT_PASSWORD, DEFAULT_USER, ShellFactory
from console.auth.passwords import verify
from console.auth.stores.directory import FileCredentials
from console.auth.stores.location import default_keys_directory
from console.cli.attribute import load_attribute
from console.cli.common import warn
from console.config.declaration import with_absolute_paths
from console.config.file import ConfigurationFileError, place, read_settings
from console.config.settings import (
    ListenSettings,
    ServerSettings,
)
from console.errors import ConfigurationError


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
    shell = ShellFactory(
        credentials=None if uses_default_user(settings, store) else store,
        password_remedy=(
            f"add a user with: console user add NAME --config {file};"
            f" then start again with: console run {file}"
        ),
    )
    if settings.namespace is not None:
        shell.namespace = _namespace(file, settings.namespace)
    application = Application(
        settings.name or Path(file).stem,
        keys=str(store.directory),
        history=None if settings.history is None else str(Path(settings.history).absolute()),
        evaluation=settings.evaluation,
        login=settings.login,
        sessions=with_absolute_paths(settings.sessions),
        patches_at_restart=settings.patches_at_restart,
    )
    for one in listeners(settings):
        application.listen(one, shell)
    return application


def listeners(settings: ServerSettings) -> list[ListenSettings]:
    """Return the settings of the listeners that are configured."""
    wanted = (settings.telnet, settings.telnets, settings.ssh)
    return [one for one in wanted if one is not None]


def keys_directory(settings: ServerSettings) -> Path:
    """Return the keys directory."""
    return Path(settings.keys or default_keys_directory())


def uses_default_user(settings: ServerSettings, store: FileCredentials) -> bool:
    """Whether the howto's user and password count: in no directory that ever had another user.

    Raises:
        CredentialError: If the users file cannot be read.
    """
    return settings.default_user and not store.had_user()


def default_password_remedy(
    file: str, settings: ServerSettings, store: FileCredentials
) -> str | None:
    """Return the command that replaces the howto's user and password.

    Returns:
        None if these let no user in.
    """
    if uses_default_user(settings, store):
        return f"console user add NAME --config {file}"
    phc = store.password_hash(DEFAULT_USER)
    if phc is not None and verify(phc, DEFAULT_PASSWORD):
        return f"console user passwd {DEFAULT_USER} --config {file}"
    return None


def warn_of_users(file: str, settings: ServerSettings, store: FileCredentials) -> None:
    """Warn of the default password. The store itself warns that there are no users.

    Raises:
        ConfigurationError: If the default password is set and other machines reach the server.
    """
    has_users = bool(store.users())  # first: it raises what is only logged below
    remedy = default_password_remedy(file, settings, store)
    if remedy is not None:
        refuse_default_password(file, settings, remedy)
        if has_users:  # else the application says so itself
            warn(f"{DEFAULT_USER} has the default password; set another with: {remedy}")


def refuse_default_password(file: str, settings: ServerSettings, remedy: str) -> None:
    """Refuse an address that other machines reach while the default password is set.

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
                "with the default password only this machine may connect",
                f"set another with: {remedy}",
            )


def refuse_without_listeners(file: str, settings: ServerSettings) -> None:
    """Refuse a server without a listener.

    Raises:
        ConfigurationError: Says what to add.
    """
    if not listeners(settings):
        raise ConfigurationFileError(
            file, "telnet, ssh", None, "nothing listens", "add [telnet] or [ssh] with a port"
        )


def error_in_file(file: str, error: ConfigurationError) -> ConfigurationFileError:
    """Return the error of a setting with the place where the file gives it."""
    return ConfigurationFileError(
        place(file, error.setting), error.setting, error.value, error.problem, error.remedy
    )


def _namespace(file: str, target: str) -> dict[str, object]:
    namespace = load_attribute(target)
    if not isinstance(namespace, dict):
        raise ConfigurationFileError(
            place(file, "namespace"),
            "namespace",
            target,
            f"is of type {type(namespace).__name__}",
            "name a dict",
        )
    return namespace
