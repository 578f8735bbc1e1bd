"""The targets of ``console run``: a configuration file, saved state, an object of a module."""

from __future__ import annotations

import click

from console.application.application import Application
from console.cli.attribute import call_user_code, leave_exposed_directory, load_attribute
from console.cli.configured import configured_application


def load_application(target: str) -> Application:
    """Make the application that a target names.

    Raises:
        ConsoleError: If a file is at fault.
        click.ClickException: If there is no such target, or it is not an application.
    """
    leave_exposed_directory()
    if target.endswith(".toml"):
        return configured_application(target)
    if target.endswith(".tap"):
        return Application.load(target)
    if ":" not in target:
        raise click.ClickException(
            f"{target}: cannot be run; give NAME.toml, NAME.tap, module:attribute"
            " or file.py:attribute"
        )
    value = load_attribute(target)
    if callable(value):
        value = call_user_code(target, "calling it", value)
    if not isinstance(value, Application):
        raise click.ClickException(
            f"{target}: is of type {type(value).__name__}, not an Application;"
            " name one, or a callable that returns one"
        )
    return value
