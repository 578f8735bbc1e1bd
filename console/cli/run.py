"""``console run``: serve an application until it is told to stop."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

import click

from console.cli.common import examples
from console.cli.logs import LOG_FILE, log_to_file

PID_FILE = "console.pid"


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
    current directory first, unless other users can write to it. At the end its state is saved to
    NAME-shutdown.tap.
    """

    def serve(started: Callable[[], None] | None = None) -> None:
        _serve(target, pid_file, started, save=not no_save)

    if daemon:
        from console.cli.background import run_in_background  # noqa: PLC0415 - seldom needed

        run_in_background(serve, log_file or LOG_FILE)
    else:
        if log_file is not None:
            log_to_file(log_file)
        serve()


def _serve(target: str, pid_file: str, started: Callable[[], None] | None, *, save: bool) -> None:
    """Serve with a pid file, which is there before anything is opened, and gone at the end."""
    from console.cli.target import load_application  # noqa: PLC0415 - heavy, and --help saves it
    from console.files.pid import PidFile  # noqa: PLC0415 - as above

    # Until the application handles it itself: the pid file is removed in any case.
    signal.signal(signal.SIGTERM, _terminate)
    with PidFile(pid_file):
        load_application(target).run(save_at_shutdown=save, on_started=started)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)
