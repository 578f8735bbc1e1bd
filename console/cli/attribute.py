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

from console.cli.common import warn
from console.errors import ConsoleError
from console.files.exposure import Exposure, exposure_above, exposure_of


def load_attribute(target: str) -> Any:
    """Import what ``module:attribute`` or ``file.py:attribute`` names, as uvicorn takes it.

    The current directory is on ``sys.path`` afterwards, for a file its own directory too; but not
    one that other users can write: they could put a module there that we import later.

    Raises:
        click.ClickException: If there is no such thing, other users can change the file, or
            importing it fails. What user code raised has been shown on stderr by then.
    """
    module_name, _, attribute = target.rpartition(":")
    if not module_name or not all(part.isidentifier() for part in attribute.split(".")):
        raise click.ClickException(
            f"{target}: is not a target; write module:attribute or file.py:attribute"
        )
    here = Path.cwd()
    leave_exposed_directory()
    if "" not in sys.path and str(here) not in sys.path:
        _search(here)
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


def leave_exposed_directory() -> None:
    """Take the current directory off ``sys.path`` if other users can write to it.

    ``python -m console`` has put it there. Third-party modules are imported at the first login, and
    would be found there first.
    """
    here = Path.cwd()
    if search_exposure(here) is not None:
        sys.path[:] = [one for one in sys.path if one not in {"", str(here)}]


def search_exposure(directory: Path) -> Exposure | None:
    """Return how other users could put a module in a directory; None if they cannot."""
    try:
        # A sticky directory is not enough: a module that is missing matters, too.
        return exposure_above(directory / "module.py", own_group=True)
    except OSError as error:
        return Exposure(f"cannot be examined: {error.strerror}", "run it elsewhere")


def _search(directory: Path) -> None:
    """Put a directory first on ``sys.path``, unless other users could put modules there."""
    exposed = search_exposure(directory)
    if exposed is None:
        sys.path.insert(0, str(directory))
    else:
        warn(f"no modules are imported from {directory}: a module {exposed}")


def _load_module(target: str, name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Only if it is this one, not something that it imports.
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            exposed = search_exposure(Path.cwd())
            remedy = "run it from the module's directory, or set PYTHONPATH"
            if exposed is not None:
                remedy = f"nothing is imported from here: it {exposed}"
            raise click.ClickException(
                f"{target}: there is no module {error.name!r} here or on the path; {remedy}"
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
    exposed = exposure_of(path, path.stat(), secret=False, own_group=True, sticky=True)
    if exposed is not None:
        raise click.ClickException(f"{target}: {exposed}")
    # As for a script. Its classes are found again by saved state, too.
    _search(path.parent)
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
