"""``console key host``: shows and rotates the SSH host key."""

from __future__ import annotations

import os
from pathlib import Path

import click

from console.cli.common import examples, named_host_key, naming_options


@click.command(
    epilog=examples(
        "console key host",
        "console key host next --config telnet.toml",
        "console key host rotate --config telnet.toml",
    )
)
@click.argument("action", type=click.Choice(["show", "next", "rotate", "forget"]), default="show")
@naming_options
def host(action: str) -> None:
    """Show the server's host key, or change it without a warning for its clients.

    SHOW prints the host key and those that are announced beside it, as fingerprints.

    NEXT makes the key that will follow. OpenSSH's clients learn it at their next login.

    ROTATE makes it the host key. The former one stays announced, as the old one.

    FORGET removes the old one.

    A running server uses the change after a restart, or after reload() at its prompt.
    """
    from console.auth.keys import host_key  # noqa: PLC0415 - --help saves it

    path = named_host_key()
    if action == "next":
        host_key.make_next_host_key(path)
        click.echo(
            "announced from the next start or reload() on; rotate when your clients have learnt it"
        )
    elif action == "rotate":
        host_key.rotate(path)
        click.echo("used from the next start or reload() on; forget the old one when all is well")
    elif action == "forget":
        host_key.forget_old(path)
    _show(path)


def _show(path: Path) -> None:
    from console.auth.keys import host_key  # noqa: PLC0415 - as above
    from console.auth.keys.public_keys import fingerprint  # noqa: PLC0415 - as above

    for role, file in (
        ("current", path),
        ("next", host_key.next_path(path)),
        ("old", host_key.old_path(path)),
    ):
        if role == "current" or os.path.lexists(file):
            key = host_key.load_host_key(file)
            shown = fingerprint(key.public_data)
            click.echo(f"{role:7} {shown} {key.kind} {file}")
