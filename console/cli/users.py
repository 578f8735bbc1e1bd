"""``console user``: who may enter, by password."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from console.cli.common import examples, new_password, stdin_option, with_store
from console.errors import UnknownUser

if TYPE_CHECKING:
    from console.auth.store import FileCredentials


@click.group()
def user() -> None:
    """Users and their passwords. A running server sees changes at the next login."""


@user.command(
    epilog=examples(
        "console user add boss",
        "pass show boss | console user add boss --stdin --keys ./keys",
        "console user add ann --no-password --config telnet.toml",
    )
)
@click.argument("name")
@stdin_option
@click.option("--no-password", is_flag=True, help="The user gets in by key only.")
@with_store
def add(name: str, store: FileCredentials, *, from_stdin: bool, no_password: bool) -> None:
    """Add a user; the password is asked for."""
    from console.auth.users_file import check_user_name  # noqa: PLC0415 - --help saves it

    check_user_name(name, str(store.directory))  # before the question
    password = None if no_password else new_password(name, from_stdin=from_stdin)
    store.add(name, password)
    click.echo(f"added {name} to {store.directory}")
    if no_password:
        click.echo(f"let {name} in by key: console key add {name} FILE --keys {store.directory}")


@user.command(epilog=examples("console user passwd boss"))
@click.argument("name")
@stdin_option
@with_store
def passwd(name: str, store: FileCredentials, *, from_stdin: bool) -> None:
    """Give a user a new password."""
    if name not in store.users():  # a slip of the pen must not add a user
        raise UnknownUser(str(store.directory), name)
    store.set_password(name, new_password(name, from_stdin=from_stdin))
    click.echo(f"changed the password of {name}")


@user.command(epilog=examples("console user remove boss"))
@click.argument("name")
@with_store
def remove(name: str, store: FileCredentials) -> None:
    """Remove a user, keys included. Open sessions stay open."""
    store.remove(name)
    click.echo(f"removed {name}")


@user.command(name="list")
@with_store
def list_users(store: FileCredentials) -> None:
    """List the users, a line each."""
    for name in store.users():
        click.echo(name)
