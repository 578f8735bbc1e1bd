"""``console key``: the public keys that let users in."""

from __future__ import annotations

import click

from console.cli.common import examples, named_store, naming_options
from console.cli.host_key import host
from console.errors import CredentialError
from console.text import escape_line

KEY_FILE_CHARACTERS = 1024 * 1024
"""A longer file is not one of public keys."""


@click.group()
def key() -> None:
    """Public keys that let users in over SSH."""


@key.command(
    epilog=examples(
        "console key add boss ~/.ssh/id_ed25519.pub",
        "curl -s https://github.com/boss.keys | console key add boss -",
    )
)
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True))
@naming_options
def add(name: str, file: str) -> None:
    """Let user NAME in by the public keys in FILE; - is stdin."""
    from console.auth.keys.authorized_keys import parse_authorized_key  # noqa: PLC0415 - --help saves it

    store = named_store()
    with click.open_file(file, encoding="utf-8", errors="replace") as stream:
        lines = stream.read(KEY_FILE_CHARACTERS).split("\n")
    place = "stdin" if file == "-" else file
    # All are read before the first is granted: a file is taken whole or not at all.
    keys = [parse_authorized_key(line, f"{place}:{at}") for at, line in enumerate(lines, 1)]
    granted = [line for line, one in zip(lines, keys, strict=True) if one is not None]
    if not granted:
        raise CredentialError(place, "there is no public key in it", "name a .pub file")
    for line in granted:
        click.echo(f"{store.grant_key(name, line)} lets {name} in")


@key.command(name="list")
@click.argument("name")
@naming_options
def list_keys(name: str) -> None:
    """List the keys of user NAME: fingerprint, kind, options as they are enforced, comment."""
    from console.auth.keys.options import options_text  # noqa: PLC0415 - as above

    for one in named_store(must_exist=True).keys(name):
        parts = (one.fingerprint, one.algorithm, options_text(one.options), one.comment)
        click.echo(escape_line(" ".join(filter(None, parts)), KEY_FILE_CHARACTERS))


@key.command(
    epilog=examples("console key remove boss SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU")
)
@click.argument("name")
@click.argument("fingerprint")
@naming_options
def remove(name: str, fingerprint: str) -> None:
    """Take a key from user NAME. Sessions opened with it end within 30 seconds."""
    named_store().revoke_key(name, fingerprint)
    click.echo(f"{fingerprint} no longer lets {name} in")


key.add_command(host)
