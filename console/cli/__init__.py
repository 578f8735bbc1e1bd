"""The command ``console``: users and keys from a shell.

Commands are built inside functions, and click is imported there: importing the package stays
cheap for a service that never runs a command.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console._version import __version__
from console.auth.keys import parse_authorized_key
from console.auth.store import FileCredentials, default_keys_directory
from console.auth.users_file import check_user_name
from console.errors import ConsoleError, CredentialError, UnknownUser

if TYPE_CHECKING:
    import click

KEY_FILE_CHARACTERS = 1024 * 1024
"""More than that is no file of public keys."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 if all went well, 2 with one line on stderr if not.

    Args:
        arguments: None for those of the process.
    """
    try:
        program()(arguments, prog_name="console")
    except ConsoleError as error:
        sys.stderr.write(f"console: {error}\n")
        sys.exit(2)


def program() -> click.Group:
    """Build the command."""
    import click  # noqa: PLC0415 - see above

    @click.group(
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=_examples("console user add boss", "console key add boss ~/.ssh/id_ed25519.pub"),
    )
    @click.version_option(__version__, prog_name="console", message="%(prog)s %(version)s")
    def console() -> None:
        """Admin console for live Python services."""

    console.add_command(_user_commands())
    console.add_command(_key_commands())
    return console


def _examples(*lines: str) -> str:
    """Write the end of a help text; the backspace keeps click from filling the lines."""
    return "\n".join(("\b", "Examples:", *(f"  {line}" for line in lines)))


def _keys_option() -> Callable[[Any], Any]:
    """Make the option that each command on users and keys has."""
    import click  # noqa: PLC0415 - see above

    return click.option(
        "--keys",
        "store",
        metavar="DIRECTORY",
        envvar="CONSOLE_KEYS",
        show_envvar=True,
        default=default_keys_directory,
        show_default="the user's data directory",
        callback=lambda _context, _option, value: FileCredentials(Path(value)),
        help="Where users and keys are kept.",
    )


def _new_password(name: str, *, from_stdin: bool) -> str:
    """Ask for a new password twice, hidden; or take the first line of stdin, without its end."""
    import click  # noqa: PLC0415 - see above

    if from_stdin:
        try:
            return sys.stdin.buffer.readline().decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise CredentialError("password", "is not UTF-8") from error
    return str(
        click.prompt(f"new password for {name}", hide_input=True, confirmation_prompt="again")
    )


def _user_commands() -> click.Group:
    import click  # noqa: PLC0415 - see above

    stdin_option = click.option(
        "--stdin",
        "from_stdin",
        is_flag=True,
        help="Take the first line of stdin as the password.",
    )

    @click.group()
    def user() -> None:
        """Users and their passwords. A running server sees changes at the next login."""

    @user.command(
        epilog=_examples(
            "console user add boss",
            "pass show boss | console user add boss --stdin --keys ./keys",
            "console user add ann --no-password",
        )
    )
    @click.argument("name")
    @stdin_option
    @click.option("--no-password", is_flag=True, help="The user gets in by key only.")
    @_keys_option()
    def add(name: str, store: FileCredentials, *, from_stdin: bool, no_password: bool) -> None:
        """Add a user; the password is asked for."""
        check_user_name(name, str(store.directory))  # before the question
        password = None if no_password else _new_password(name, from_stdin=from_stdin)
        store.add(name, password)
        click.echo(f"added {name} to {store.directory}")
        if no_password:
            click.echo(f"let {name} in by key: console key add {name} FILE")

    @user.command(epilog=_examples("console user passwd boss"))
    @click.argument("name")
    @stdin_option
    @_keys_option()
    def passwd(name: str, store: FileCredentials, *, from_stdin: bool) -> None:
        """Give a user a new password."""
        _require(store, name)
        store.set_password(name, _new_password(name, from_stdin=from_stdin))
        click.echo(f"changed the password of {name}")

    @user.command(epilog=_examples("console user remove boss"))
    @click.argument("name")
    @_keys_option()
    def remove(name: str, store: FileCredentials) -> None:
        """Remove a user, keys included. Open sessions stay open."""
        store.remove(name)
        click.echo(f"removed {name}")

    @user.command(name="list")
    @_keys_option()
    def list_users(store: FileCredentials) -> None:
        """List the users, a line each."""
        for name in store.users():
            click.echo(name)

    return user


def _key_commands() -> click.Group:
    import click  # noqa: PLC0415 - see above

    @click.group()
    def key() -> None:
        """Public keys that let users in over SSH."""

    @key.command(
        epilog=_examples(
            "console key add boss ~/.ssh/id_ed25519.pub",
            "curl -s https://github.com/boss.keys | console key add boss -",
        )
    )
    @click.argument("name")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
    @_keys_option()
    def add(name: str, file: str, store: FileCredentials) -> None:
        """Let user NAME in by the public keys in FILE; - is stdin."""
        with click.open_file(file, encoding="utf-8", errors="replace") as stream:
            lines = stream.read(KEY_FILE_CHARACTERS).split("\n")
        place = "stdin" if file == "-" else file
        # All are read before the first is granted: a file is taken whole or not at all.
        keys = [parse_authorized_key(line, f"{place}:{at}") for at, line in enumerate(lines, 1)]
        granted = [line for line, key in zip(lines, keys, strict=True) if key is not None]
        if not granted:
            raise CredentialError(place, "there is no public key in it")
        for line in granted:
            click.echo(f"{store.grant_key(name, line)} lets {name} in")

    @key.command(name="list")
    @click.argument("name")
    @_keys_option()
    def list_keys(name: str, store: FileCredentials) -> None:
        """List the keys of user NAME: fingerprint, kind, comment."""
        for one in store.keys(name):
            click.echo(f"{one.fingerprint} {one.algorithm} {one.comment}".rstrip())

    @key.command(
        epilog=_examples(
            "console key remove boss SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
        )
    )
    @click.argument("name")
    @click.argument("fingerprint")
    @_keys_option()
    def remove(name: str, fingerprint: str, store: FileCredentials) -> None:
        """Take a key from user NAME. Open sessions stay open."""
        store.revoke_key(name, fingerprint)
        click.echo(f"{fingerprint} no longer lets {name} in")

    return key


def _require(store: FileCredentials, name: str) -> None:
    """Refuse to add a user by a slip of the pen, before asking for a password."""
    if name not in store.users():
        raise UnknownUser(str(store.directory), name)
