"""Objects that the command line names: ``module:attribute`` and ``file.py:attribute``."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

import click

from console.errors import ConsoleError


def load_attribute(target: str) -> Any:
    """Import what ``module:attribute`` or ``file.py:attribute`` names, as uvicorn takes it.

    The current directory is on ``sys.path`` afterwards, for a file its own directory too.

    Raises:
        click.ClickException: If there is no such thing, or importing it fails. What user code
            raised has been shown on stderr by then.
    """
    module_name, _, attribute = target.rpartition(":")
    if not module_name or not all(part.isidentifier() for part in attribute.split(".")):
        raise click.ClickException(
            f"{target}: is not a target; write module:attribute or file.py:attribute"
        )
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    load = _load_file if module_name.endswith(".py") else _load_module
    value: Any = load(target, module_name)
    for name in attribute.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise click.ClickException(
                f"{target}: {module_name} has no attribute {attribute!r}; name one that it has"
            ) from None
    return value


def _load_module(target: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only if it is this one, not something that it imports.
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise click.ClickException(
                f"{target}: there is no module {error.name!r} here or on the path;"
                " run it from the module's directory, or set PYTHONPATH"
            ) from None
        raise _failed(target, "importing it", error) from error
    except Exception as error:
        raise _failed(target, "importing it", error) from error


def _load_file(target: str, file: str) -> ModuleType:
    path = Path(file).absolute()
    name = path.stem
    if not path.is_file():
        raise click.ClickException(f"{target}: there is no file {file}; name one that exists")
    if not name.isidentifier():
        raise click.ClickException(f"{target}: a module cannot be called {name!r}; rename the file")
    if name in sys.modules:
        raise click.ClickException(
            f"{target}: a module {name!r} is loaded already; rename the file"
        )
    # As for a script. Its classes are found again by saved state, too.
    sys.path.insert(0, str(path.parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise click.ClickException(f"{target}: {file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    call_user_code(target, "importing it", spec.loader.exec_module, module)
    return module


def call_user_code(target: str, doing: str, call: Any, *arguments: Any) -> Any:
    """Call user code; turn its exception into an error of one line, below the traceback.

    Raises:
        click.ClickException: If it raised. Errors of ours pass: they are a line already.
    """
    try:
        return call(*arguments)
    except (ConsoleError, click.ClickException):
        raise
    except Exception as error:
        raise _failed(target, doing, error) from error


def _failed(target: str, doing: str, error: Exception) -> click.ClickException:
    """Show where user code failed, and make the line that says so."""
    traceback.print_exception(error)
    return click.ClickException(f"{target}: {doing} raised {type(error).__name__}: {error}")
