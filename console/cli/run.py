"""``console run``: serve an application until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

import click

from console.cli.common import examples

if TYPE_CHECKING:
    from console.application.application import Application

PID_FILE = "console.pid"
LOG_FILE = "console.log"

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


@click.command(
    epilog=examples(
        "console run telnet.toml",
        "console run telnet-shutdown.tap",
        "console run service:application",
        "console run service.py:make_application --daemon --log-file service.log",
        "kill $(cat console.pid)",
    )
)
@click.argument("target")
@click.option("--daemon", is_flag=True, help="Run in the background, once everything listens.")
@click.option(
    "--log-file",
    metavar="FILE",
    help=f"Append the log to FILE. In the background that is {LOG_FILE} if nothing is said, and"
    " what is printed goes there as well.",
)
@click.option(
    "--pid-file",
    metavar="FILE",
    default=PID_FILE,
    show_default=True,
    help="Holds the process number; of two runs with one file the second is refused.",
)
@click.option("--no-save", is_flag=True, help="Do not write NAME-shutdown.tap at the end.")
def run(target: str, *, daemon: bool, log_file: str | None, pid_file: str, no_save: bool) -> None:
    """Serve until SIGINT (Ctrl-C) or SIGTERM (kill).

    TARGET is a configuration file (.toml), saved state (.tap), or an Application, or a callable
    that returns one, as module:attribute or file.py:attribute. Modules are looked for in the
    current directory first. At the end its state is saved to NAME-shutdown.tap.
    """

    def serve(started: Callable[[], None] | None = None) -> None:
        _serve(target, pid_file, started, save=not no_save)

    if daemon:
        from console.cli.background import run_in_background  # noqa: PLC0415 - seldom needed

        run_in_background(serve, log_file or LOG_FILE)
    else:
        if log_file is not None:
            _log_to(log_file)
        serve()


def _serve(target: str, pid_file: str, started: Callable[[], None] | None, *, save: bool) -> None:
    """Serve with a pid file, which is there before anything is opened, and gone at the end."""
    from console.cli.target import load_application  # noqa: PLC0415 - heavy, and --help saves it
    from console.files.pid import PidFile  # noqa: PLC0415 - as above

    # Until the application handles it itself: the pid file is removed in any case.
    signal.signal(signal.SIGTERM, _terminate)
    with PidFile(pid_file):
        application = load_application(target)
        with contextlib.nullcontext() if started is None else _tell(application, started):
            application.run(save_at_shutdown=save)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)


@contextlib.contextmanager
def _tell(application: Application, started: Callable[[], None]) -> Iterator[None]:
    """Call ``started`` on a thread of its own as soon as the application listens."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            if application._run is not None:  # noqa: SLF001 - set once every port is open
                started()
                return

    watcher = threading.Thread(target=watch, name="console-started", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _log_to(file: str) -> None:
    """Log to a file; what is a warning or worse stays on stderr as well."""
    handlers: list[logging.Handler] = [logging.StreamHandler()]
    handlers[0].setLevel(logging.WARNING)
    try:
        os.close(open_log(file))  # makes it private
        handlers.append(logging.FileHandler(file, encoding="utf-8"))
    except OSError as error:
        raise log_error(file, error) from error
    _configure(handlers)


def log_to_stderr() -> None:
    """Log all to stderr: in the background it is the log file."""
    _configure([logging.StreamHandler()])


def _configure(handlers: list[logging.Handler]) -> None:
    logging.basicConfig(level=logging.INFO, format=_FORMAT, handlers=handlers)
    # It tells each channel; who came and went is told by our audit log.
    logging.getLogger("asyncssh").setLevel(logging.WARNING)


def open_log(file: str) -> int:
    """Open a log file to append to; a new one is for its owner alone. Return the descriptor."""
    return os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)


def log_error(file: str, error: OSError) -> click.ClickException:
    """Make the line that says why a log cannot be written."""
    return click.ClickException(
        f"{file}: the log cannot be written: {error.strerror}; name another: --log-file FILE"
    )
