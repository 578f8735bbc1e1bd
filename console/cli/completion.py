"""``console completion``: the script that teaches a shell our commands."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from console.cli.common import examples


@click.command(
    epilog=examples(
        "console completion bash > ~/.local/share/bash-completion/completions/console",
        "console completion zsh > ~/.zfunc/_console",
        "console completion fish > ~/.config/fish/completions/console.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - click has these three since 8.0
    root = click.get_current_context().find_root()
    click.echo(kind(root.command, {}, "console", "_CONSOLE_COMPLETE").source())
