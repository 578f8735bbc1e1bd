"""``console check``: reports faults and weak spots of a configuration and its keys."""

from __future__ import annotations

import os

import click

from console.cli.common import examples

CONFIGURATION = "console.toml"
"""The file if none is named: what ``console init`` writes without --name."""


@click.command(epilog=examples("console check", "console check telnet.toml && echo fine"))
@click.argument("file", default=CONFIGURATION)
@click.pass_context
def check(context: click.Context, file: str) -> None:
    """Read a configuration and its keys, and say what is wrong or weak.

    Without FILE it is console.toml. The status is 2 if there is an error, 0 if there is none or
    warnings only. Nothing is opened and nothing changed.
    """
    from console.cli.findings import examine_all  # noqa: PLC0415 - heavy, and --help saves it

    findings = examine_all(file, os.environ)
    for finding in findings:
        click.echo(finding)
    faults = sum(finding.is_fault for finding in findings)
    click.echo(f"{file}: {_count(faults, 'error')}, {_count(len(findings) - faults, 'warning')}")
    context.exit(2 if faults else 0)


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"
