"""``console user totp``: a second factor, shown once as text and as a QR code."""

from __future__ import annotations

import sys
from itertools import zip_longest
from typing import TYPE_CHECKING

import click

from console.cli.common import examples, named_store, naming_options, warn

if TYPE_CHECKING:
    from console.auth.second_factor import Enrolment
    from console.auth.stores.directory import FileCredentials

TRIES = 3
"""Codes that may be mistyped before all of it has to be done again."""

# Black on white, whatever the terminal's own colours: some apps cannot read the negative. The
# colours are of the 256-colour cube, because themes redefine the first sixteen.
_BLACK_ON_WHITE, _RESET = "\x1b[38;5;16;48;5;231m", "\x1b[0m"
_BLOCKS = {(0, 0): " ", (0, 1): "▄", (1, 0): "▀", (1, 1): "█"}


@click.command(
    epilog=examples("console user totp boss", "console user totp boss --remove"),
)
@click.argument("name")
@click.option("--remove", is_flag=True, help="Let NAME in by the password alone again.")
@click.option(
    "--issuer",
    show_default="console, and this machine's name",
    help="What the app shows beside the name.",
)
@click.option(
    "--stdin",
    "from_stdin",
    is_flag=True,
    help="Take the first line of stdin as the code, once the URI is printed.",
)
@naming_options
def totp(name: str, *, remove: bool, issuer: str | None, from_stdin: bool) -> None:
    """Give user NAME a second factor: codes of an authenticator app.

    It is in force once a code has shown that the app works. The secret is shown this once.
    """
    store = named_store()
    if remove:
        if issuer is not None or from_stdin:
            raise click.UsageError("--remove goes with no other option of this command")
        store.remove_second_factor(name)
        click.echo(f"removed the second factor of {name}")
        return
    enrolment = store.enrol(name, issuer=issuer or f"console {_host_name()}")
    is_first = not store.second_factor()
    _show(enrolment)
    _confirm(enrolment, store, from_stdin=from_stdin)
    click.echo(f"the password of {name} needs a code beside it from now on")
    if is_first:
        click.echo("all users are asked for a code from now on; one without a code presses Enter")
    if store.password_hash(name) is None:
        warn(f"{name} has no password, so no code is used; set one: console user passwd {name}")
    if store.authorized_keys(name):
        warn(f"the keys of {name} let in without a code; list them: console key list {name}")


def _confirm(enrolment: Enrolment, store: FileCredentials, *, from_stdin: bool) -> None:
    """Take codes until one is right.

    Raises:
        click.ClickException: If none is; nothing has changed then.
    """
    for _ in range(1 if from_stdin else TRIES):
        if from_stdin:
            code = sys.stdin.buffer.readline().decode("ascii", "replace")
        else:
            code = str(click.prompt("code that the app shows"))
        if store.activate(enrolment, code):
            return
        if not from_stdin:
            click.echo("that is not one of its codes")
    raise click.ClickException(
        f"no code was right, so nothing has changed for {enrolment.name};"
        " set the clocks of the telephone and of this machine, and try again"
    )


def _show(enrolment: Enrolment) -> None:
    click.echo(enrolment.uri)
    if sys.stdout.isatty():
        picture = _qr_code(enrolment.uri)
        if picture is not None:
            click.echo(picture)
        secret = enrolment.secret
        groups = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
        click.echo(f"Scan it with an authenticator app, or type in:\n  {groups}")
        click.echo("It is not shown again; clear the screen afterwards.")
    sys.stdout.flush()  # the program that answers on stdin has to read it first


def _qr_code(text: str) -> str | None:
    """Draw a QR code in half blocks; None where that cannot be done."""
    try:
        import segno  # noqa: PLC0415 - an extra
    except ImportError:
        return None  # the text is enough
    try:
        "".join(_BLOCKS.values()).encode(sys.stdout.encoding)
    except UnicodeEncodeError:
        return None
    rows = [list(row) for row in segno.make(text, error="l", micro=False).matrix_iter(border=2)]
    light = [0] * len(rows[0])
    return "\n".join(
        _BLACK_ON_WHITE + "".join(_BLOCKS[pair] for pair in zip(above, below, strict=True)) + _RESET
        for above, below in zip_longest(rows[::2], rows[1::2], fillvalue=light)
    )


def _host_name() -> str:
    import socket  # noqa: PLC0415 - --help saves it

    return socket.gethostname()
