"""The command ``console``: users, keys and configuration, and a server to run them.

Importing this package does not import click: a service that never runs a command does not pay
for it. The modules of the commands do, and leave what is heavy to the functions that need it, so
that ``console --help`` and shell completion are quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from console._version import __version__
from console.errors import ConsoleError

if TYPE_CHECKING:
    import click


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit: 0 if all went well, 2 with one line on stderr if not.

    Args:
        arguments: None for those of the process.
    """
    import click  # noqa: PLC0415 - see above

    from console.cli.common import one_line  # noqa: PLC0415 - as above

    try:
        status = program().main(arguments, prog_name="console", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(2)
    except (ConsoleError, click.ClickException) as error:
        click.echo(f"console: {one_line(error)}", err=True)
        sys.exit(2)
    except click.Abort:
        click.echo("console: interrupted", err=True)
        sys.exit(130)  # as a shell reports SIGINT
    sys.exit(status if isinstance(status, int) else 0)


def program() -> click.Group:
    """Build the command."""
    import click  # noqa: PLC0415 - see above

    from console.cli import check, completion, init, keys, run, users  # noqa: PLC0415 - as above
    from console.cli.common import examples  # noqa: PLC0415 - as above

    class Program(click.Group):
        """The whole command, whose help names the directory of users and keys."""

        def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
            from console.auth.stores.location import default_keys_directory  # noqa: PLC0415 - 12 ms

            # Not wrapped, so that the path can be copied.
            formatter.write("\n  Users and keys are kept here, if no other directory is named:\n")
            formatter.write(f"    {default_keys_directory()}\n")
            super().format_epilog(ctx, formatter)

    @click.group(
        cls=Program,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog=examples(
            "console init --name telnet -p 4040 -u admin",
            "console run telnet.toml",
            "console user add boss --config telnet.toml",
            "console key add boss ~/.ssh/id_ed25519.pub --config telnet.toml",
        ),
    )
    @click.version_option(__version__, prog_name="console", message="%(prog)s %(version)s")
    def console() -> None:
        """Admin console for live Python services."""

    for command in (
        init.init,
        run.run,
        check.check,
        users.user,
        keys.key,
        completion.completion,
    ):
        console.add_command(command)
    return console
