"""Helpers of several commands: options, the prompt for a password, errors in one line."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from console.errors import ConsoleError, CredentialError

if TYPE_CHECKING:
    from console.auth.stores.directory import FileCredentials
    from console.config.settings import ServerSettings

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = "console.cli.common"
"""Where the context keeps the values of --keys and --config."""


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


def naming_options(command: F) -> F:
    """Add --keys and --config, of which only one may be given.

    The command asks `named_store` or `named_host_key` for what they name.
    """
    keys = click.option(
        "--keys",
        metavar="DIRECTORY",
        envvar="CONSOLE_KEYS",
        show_envvar=True,
        show_default="the user's data directory",
        expose_value=False,
        callback=_remember,
        help="Where users and keys are kept.",
    )
    config = click.option(
        "--config",
        metavar="FILE.toml",
        expose_value=False,
        callback=_remember,
        help="The configuration file that names the directory, instead of --keys.",
    )
    return keys(config(command))


def _remember(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    given = context.get_parameter_source(str(parameter.name))
    context.meta[f"{_OPTIONS}.{parameter.name}"] = (value, given)


def named_store(*, must_exist: bool = False) -> FileCredentials:
    """Return the store that --keys or --config names.

    Args:
        must_exist: Refuse a directory that does not exist: a command that reads finds a slip of
            the pen so, where one that writes makes the directory.

    Raises:
        CredentialError: If the directory does not exist and must.
    """
    from console.auth.stores.directory import FileCredentials  # noqa: PLC0415 - 30 ms that --help saves
    from console.auth.stores.location import default_keys_directory  # noqa: PLC0415 - as above

    keys, config = _named()
    if config is not None:
        keys = _settings(config).keys
    store = FileCredentials(default_keys_directory() if keys is None else Path(keys))
    if must_exist and not store.directory.is_dir():
        raise CredentialError(
            str(store.directory),
            "there is no such directory",
            "name another with --keys or --config, or add a user: console user add NAME",
        )
    return store


def named_host_key() -> Path:
    """Return the path of the host key that --keys or --config names."""
    _, config = _named()
    ssh = None if config is None else _settings(config).ssh
    if ssh is not None and ssh.host_key is not None:
        return Path(ssh.host_key)
    return named_store().directory / "host_key"


def _named() -> tuple[Path | str | None, str | None]:
    """Return the values of --keys and --config.

    Raises:
        click.UsageError: If both are given. An environment variable is no second answer: it wins
            over the file there as well.
    """
    context = click.get_current_context()
    keys, source = context.meta[f"{_OPTIONS}.keys"]
    config, _ = context.meta[f"{_OPTIONS}.config"]
    if config is not None and source is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("give --keys or --config, not both")
    return keys, config


def _settings(config: str) -> ServerSettings:
    from console.config.file import read_settings  # noqa: PLC0415 - only where it is asked for

    return read_settings(config)


def new_password(name: str, *, from_stdin: bool) -> str:
    """Ask for a new password twice, hidden; or take the first line of stdin, without its end."""
    if from_stdin:
        try:
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError:
            raise CredentialError("password", "is not UTF-8", "give it in UTF-8") from None
    return str(
        click.prompt(f"new password for {name}", hide_input=True, confirmation_prompt="again")
    )


def long_password(name: str, *, from_stdin: bool) -> str:
    """Ask for a new password as `new_password` does.

    Raises:
        CredentialError: If it is so short that it can be found by trying.
    """
    from console.auth.passwords import LEAST_CHARACTERS  # noqa: PLC0415 - --help saves it

    password = new_password(name, from_stdin=from_stdin)
    if 0 < len(password) < LEAST_CHARACTERS:  # an empty one has an error of its own
        raise CredentialError(
            "password",
            f"has fewer than {LEAST_CHARACTERS} characters",
            "choose a longer one; length is what counts",
        )
    return password


stdin_option = click.option(
    "--stdin",
    "from_stdin",
    is_flag=True,
    help="Take the first line of stdin as the password.",
)
