"""What several commands share: options, the question for a password, errors in one line."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.errors import ConsoleError, CredentialError

if TYPE_CHECKING:
    from console.auth.stores.directory import FileCredentials


def examples(*lines: str) -> str:
    """Write the end of a help text; the backspace keeps click from filling the lines."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def one_line(error: ConsoleError | click.ClickException) -> str:
    """Say what went wrong in one line; for a wrong use, also where the right one stands."""
    if not isinstance(error, click.ClickException):
        return str(error)
    text = " ".join(error.format_message().split())
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx is not None else "console"
        text = f"{text[:1].lower()}{text[1:].removesuffix('.')} (see: {command} --help)"
    return text


def warn(text: str) -> None:
    """Say a warning on stderr."""
    click.echo(f"console: warning: {text}", err=True)


def with_store(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command on users and keys the options that name the store, and the store."""

    @_naming_options
    @functools.wraps(command)
    def wrapped(*arguments: Any, keys: str | None, config: str | None, **options: Any) -> None:
        if config is not None:
            keys = _keys_of(config)
        command(*arguments, store=_store(keys), **options)

    return wrapped


def with_host_key(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command on the host key the same options, and the path of the key."""

    @_naming_options
    @functools.wraps(command)
    def wrapped(*arguments: Any, keys: str | None, config: str | None, **options: Any) -> None:
        named = None
        if config is not None:
            keys, named = _keys_of(config), _host_key_of(config)
        path = _store(keys).directory / "host_key" if named is None else Path(named)
        command(*arguments, path=path, **options)

    return wrapped


def _naming_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add --keys and --config, of which only one may be given."""

    @click.option(
        "--keys",
        metavar="DIRECTORY",
        envvar="CONSOLE_KEYS",
        show_envvar=True,
        show_default="the user's data directory",
        help="Where users and keys are kept.",
    )
    @click.option(
        "--config",
        metavar="FILE.toml",
        help="The configuration file that names the directory, instead of --keys.",
    )
    @functools.wraps(command)
    def wrapped(*arguments: Any, **options: Any) -> None:
        if options["config"] is not None:
            # An environment variable is no second answer: it wins over the file there as well.
            source = click.get_current_context().get_parameter_source("keys")
            if source is click.core.ParameterSource.COMMANDLINE:
                raise click.UsageError("give --keys or --config, not both")
        command(*arguments, **options)

    return wrapped


def _keys_of(config: str) -> str | None:
    from console.config.file import read_settings  # noqa: PLC0415 - only where it is asked for

    keys = read_settings(config).keys
    return None if keys is None else str(keys)


def _host_key_of(config: str) -> str | None:
    from console.config.file import read_settings  # noqa: PLC0415 - only where it is asked for

    ssh = read_settings(config).ssh
    return None if ssh is None or ssh.host_key is None else str(ssh.host_key)


def _store(keys: str | None) -> FileCredentials:
    from console.auth.stores.directory import FileCredentials, default_keys_directory  # noqa: PLC0415 - 30 ms that --help saves

    return FileCredentials(default_keys_directory() if keys is None else Path(keys))


def new_password(name: str, *, from_stdin: bool) -> str:
    """Ask for a new password twice, hidden; or take the first line of stdin, without its end."""
    if from_stdin:
        try:
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise CredentialError("password", "is not UTF-8") from error
    return str(
        click.prompt(f"new password for {name}", hide_input=True, confirmation_prompt="again")
    )


stdin_option = click.option(
    "--stdin",
    "from_stdin",
    is_flag=True,
    help="Take the first line of stdin as the password.",
)
