"""``console user``: the users who may enter, and what they may do."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from console.cli.common import (
    examples,
    long_password,
    named_store,
    naming_options,
    stdin_option,
    warn,
)
from console.cli.totp import totp
from console.errors import UnknownUser
from console.interfaces.credentials import Role

if TYPE_CHECKING:
    from console.auth.stores.directory import FileCredentials


_ROLE = click.Choice([role.value for role in Role])


@click.group()
def user() -> None:
    """Users, their roles and passwords. A running server sees changes at the next login."""


user.add_command(totp)


@user.command(
    epilog=examples(
        "console user add boss",
        "pass show boss | console user add boss --stdin --keys ./keys",
        "console user add ann --no-password --role viewer --config telnet.toml",
    )
)
@click.argument("name")
@stdin_option
@click.option("--no-password", is_flag=True, help="The user gets in by key only.")
@click.option(
    "--role",
    type=_ROLE,
    default=Role.OPERATOR.value,
    show_default=True,
    help="A viewer looks, an operator evaluates, an admin manages sessions too.",
)
@naming_options
def add(name: str, *, from_stdin: bool, no_password: bool, role: str) -> None:
    """Add a user; the password is asked for."""
    from console.auth.stores.users_file import check_user_name  # noqa: PLC0415 - --help saves it

    store = named_store()
    check_user_name(name, str(store.directory))  # before the question
    password = None if no_password else long_password(name, from_stdin=from_stdin)
    store.add(name, password, role=Role(role))
    click.echo(f"added {name} to {store.directory}")
    if no_password:
        click.echo(f"let {name} in by key: console key add {name} FILE --keys {store.directory}")


@user.command(epilog=examples("console user passwd boss"))
@click.argument("name")
@stdin_option
@naming_options
def passwd(name: str, *, from_stdin: bool) -> None:
    """Give a user a new password."""
    store = named_store()
    if name not in store.users():  # a slip of the pen must not add a user
        raise UnknownUser(str(store.directory), name, "list the users: console user list")
    store.set_password(name, long_password(name, from_stdin=from_stdin))
    click.echo(f"changed the password of {name}")


@user.command(epilog=examples("console user remove boss"))
@click.argument("name")
@naming_options
def remove(name: str) -> None:
    """Remove a user, keys and second factor included. Open sessions end within 30 seconds."""
    store = named_store()
    with _warning_of_no_admin(store):
        store.remove(name)
        click.echo(f"removed {name}")


@user.command(epilog=examples("console user role ann viewer"))
@click.argument("name")
@click.argument("role", type=_ROLE)
@naming_options
def role(name: str, role: str) -> None:
    """Make user NAME a viewer, an operator or an admin. Sessions of a user who is lowered end."""
    store = named_store()
    with _warning_of_no_admin(store):
        store.set_role(name, Role(role))
        click.echo(f"{name} is {role} from the next login on")


@user.command(name="list")
@naming_options
def list_users() -> None:
    """List the users, a line each: name, role, and what lets them in."""
    store = named_store(must_exist=True)
    names, roles = store.users(), store.roles()
    widths = max(map(len, names), default=0), max(len(role.value) for role in Role)
    for name in names:
        # A user who is refused altogether has no role; the store logs why.
        word = roles[name].value if name in roles else "-"
        ways = ", ".join(_ways_in(name, store)) or "no way in"
        click.echo(f"{name:{widths[0]}}  {word:{widths[1]}}  {ways}")


def _ways_in(name: str, store: FileCredentials) -> Iterator[str]:
    needs_code = store.has_second_factor(name)
    if store.password_hash(name) is not None:
        yield "password and code" if needs_code else "password"
    elif needs_code:
        yield "second factor, but no password"
    keys = len(store.authorized_keys(name))
    if keys:
        yield "1 key" if keys == 1 else f"{keys} keys"


@contextlib.contextmanager
def _warning_of_no_admin(store: FileCredentials) -> Iterator[None]:
    """Warn if a change takes the last admin away."""
    before = Role.ADMIN in store.roles().values()
    yield
    if before and Role.ADMIN not in store.roles().values():
        warn("no user is an admin any more; make one: console user role NAME admin")
