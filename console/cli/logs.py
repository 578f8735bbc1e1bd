"""Where ``console run`` logs: to stderr, and to a file if one is named."""

from __future__ import annotations

import logging
import os

import click

from console.files.exposure import ExposedFileError, open_checked

LOG_FILE = "console.log"
"""The log of a server in the background, if no other is named."""

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def log_to_file(file: str) -> None:
    """Log to a file; what is a warning or worse stays on stderr as well.

    Raises:
        click.ClickException: If the file cannot be written.
    """
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(logging.WARNING)
    # The descriptor that was checked, not the name: that may have become another file's.
    handlers.append(logging.StreamHandler(os.fdopen(open_log(file), "a", encoding="utf-8")))
    _configure(handlers)


def log_to_stderr() -> None:
    """Log all to stderr: in the background it is the log file."""
    _configure([logging.StreamHandler()])


def open_log(file: str) -> int:
    """Open a log file to append to; a new one is for its owner alone. Return the descriptor.

    Raises:
        click.ClickException: If it cannot be written, or other users can change or replace it.
    """
    try:
        return open_checked(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, mode=0o600, secret=False)
    except ExposedFileError as error:
        raise click.ClickException(
            f"{file}: the log {error.exposure}; or name another: --log-file FILE"
        ) from None
    except OSError as error:
        raise click.ClickException(
            f"{file}: the log cannot be written: {error.strerror}; name another: --log-file FILE"
        ) from None


def _configure(handlers: list[logging.Handler]) -> None:
    logging.basicConfig(level=logging.INFO, format=_FORMAT, handlers=handlers)
    # It logs each channel; the sessions are in our audit log.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
