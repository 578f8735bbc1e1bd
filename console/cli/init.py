"""``console init``: a configuration file, and the keys directory beside it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from console.cli.common import examples, new_password, stdin_option, warn
from console.interfaces.credentials import Role

if TYPE_CHECKING:
    from console.auth.stores.directory import FileCredentials

TELNET_PORT = 4040
"""The howto's."""

SSH_PORT = 8022

KEYS = "keys"
"""The keys directory's name. It stays on the machine, so it has a .gitignore in it."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_PORT = click.IntRange(0, 65535)


@click.command(
    epilog=examples(
        "console init --name telnet -p 4040 -u admin -w admin",
        "console init --name demo -p 8007 --ssh-port 8022 -u boss",
        "pass show boss | console init -u boss --stdin",
    )
)
@click.option("--name", default="console", show_default=True, help="Writes NAME.toml.")
@click.option(
    "-p",
    "--port",
    type=_PORT,
    help=f"Telnet port; without -p and --ssh-port: {TELNET_PORT}, and SSH on {SSH_PORT}.",
)
@click.option("--ssh-port", type=_PORT, help="SSH port.")
@click.option("-u", "--user", help="The first user; admin if only a password is given.")
@click.option("-w", "--password", help="The user's password; best left out, to be asked for it.")
@stdin_option
def init(
    name: str,
    *,
    port: int | None,
    ssh_port: int | None,
    user: str | None,
    password: str | None,
    from_stdin: bool,
) -> None:
    """Write NAME.toml here, and a directory of keys beside it.

    Without -u, -w and --stdin no user is written: then admin may enter with the password admin,
    from this machine only.
    """
    if not _NAME.fullmatch(name):
        raise click.BadParameter("1 to 64 of a-z A-Z 0-9 _ . -, not beginning with . or -")
    if password is not None and from_stdin:
        raise click.UsageError("give -w or --stdin, not both")
    if password is not None:
        warn(
            "a password on the command line shows in the process list and in the shell's history;"
            " leave -w out to be asked for it"
        )
    path = Path(f"{name}.toml")
    if path.exists() or path.is_symlink():
        raise click.ClickException(f"{path}: exists already; remove it, or give another --name")
    if port is None and ssh_port is None:
        port, ssh_port = TELNET_PORT, SSH_PORT

    from console.auth.stores.directory import FileCredentials  # noqa: PLC0415 - --help saves it

    store = FileCredentials(KEYS)
    said = _write_keys(store, user, password, from_stdin=from_stdin)
    _write(path, _toml(path, port, ssh_port, users=store.users()))
    for line in (f"wrote {path}", *said, f"start it with: console run {path}"):
        click.echo(line)


def _write_keys(
    store: FileCredentials, user: str | None, password: str | None, *, from_stdin: bool
) -> list[str]:
    """Make the host key and the user; return what to say of it."""
    from console.auth.keys.host_key import make_host_key  # noqa: PLC0415 - --help saves it
    from console.auth.keys.public_keys import fingerprint  # noqa: PLC0415 - as above
    from console.auth.passwords import LEAST_CHARACTERS, check_password  # noqa: PLC0415 - as above
    from console.auth.stores.users_file import check_user_name  # noqa: PLC0415 - as above

    wanted = user is not None or password is not None or from_stdin
    name = "admin" if user is None else user
    check_user_name(name, "-u")
    if wanted and name in store.users():  # before the question, and before anything is written
        raise click.ClickException(
            f"{store.directory}: there is a user {name!r} already; change the password with:"
            f" console user passwd {name} --keys {store.directory}, and leave -u out"
        )
    if wanted and password is None:
        password = new_password(name, from_stdin=from_stdin)
    if password is not None:
        check_password(password)
        if len(password) < LEAST_CHARACTERS:
            warn(
                f"the password of {name} has fewer than {LEAST_CHARACTERS} characters; set another"
                f" with: console user passwd {name} --keys {store.directory}"
            )
    said = []
    fresh = not store.directory.exists()
    host_key = store.directory / "host_key"
    had_key = host_key.exists()
    shown = fingerprint(make_host_key(host_key).public_data)
    said.append(f"{'kept' if had_key else 'wrote'} {host_key} ({shown})")
    if fresh:
        _write(store.directory / ".gitignore", "# Keys stay on the machine that made them.\n*\n")
    if password is not None:
        store.add(name, password, role=Role.ADMIN)
        said.append(f"added {name} to {store.directory}")
    elif not store.users():
        said.append("no user written: admin may enter with the password admin, from here only")
    return said


def _toml(path: Path, port: int | None, ssh_port: int | None, *, users: list[str]) -> str:
    file = shlex.quote(str(path))
    parts = [f'name = "{path.stem}"\nkeys = "{KEYS}"\n']
    if not users:
        parts.append(
            "# No user has been written: user admin, password admin, loopback only.\n"
            f"# Add one with: console user add NAME --config {file}\n"
            "# From the next start on this counts no longer.\n"
            "default_user = true\n"
        )
    if port is not None:
        parts.append(f"[telnet]\n# Loopback only: telnet is plain text.\nport = {port}\n")
    if ssh_port is not None:
        parts.append(f"[ssh]\nport = {ssh_port}\n")
    return "\n".join(parts)


def _write(path: Path, text: str) -> None:
    from console.files.atomic import write_atomically  # noqa: PLC0415 - --help saves it

    try:
        write_atomically(path, text.encode(), mode=0o644, replace=False)
    except OSError as error:
        raise click.ClickException(
            f"{path}: cannot be written: {error.strerror}; change to a directory of yours"
        ) from None
