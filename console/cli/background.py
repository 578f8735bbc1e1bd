"""Runs the server in the background, and reports to the caller whether it has started.

The command forks, the child becomes a daemon (python-daemon, PEP 3143), and loads and starts the
application only then: threads and loops do not survive a fork. Meanwhile the command waits at a
pipe for one line: started, or why not.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable

import click

from console.cli.common import one_line
from console.cli.logs import log_to_stderr, open_log
from console.errors import ConsoleError

Serve = Callable[[Callable[[], None]], None]
"""Serves until the end, and calls its argument once all sockets listen."""


def run_in_background(serve: Serve, log_file: str) -> None:
    """Serve in a daemon. Returns when that has started; in the daemon, when it has ended.

    Raises:
        click.ClickException: If it could not be started.
    """
    _open_streams()
    log = open_log(log_file)
    answers, answer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(answers)
        _become_daemon(serve, log, log_file, answer)
        return
    os.close(answer)
    os.close(log)
    with os.fdopen(answers) as stream:
        line = stream.readline()  # not to the end: what the application forks has the pipe, too
    os.waitpid(child, 0)
    said = json.loads(line) if line else {}
    if "pid" not in said:
        reason = said.get("error") or f"ended before it had started; see {log_file}"
        raise click.ClickException(reason)
    click.echo(f"started in the background: process {said['pid']}, log {log_file}")


def _open_streams() -> None:
    """Open the standard streams that the caller has closed.

    Otherwise the log or the pipe would get their numbers, and python-daemon would fail.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the smallest number that is free
            setattr(sys, name, os.fdopen(nowhere, "w" if number else "r"))


def _become_daemon(serve: Serve, log: int, log_file: str, answer: int) -> None:
    import daemon  # type: ignore[import-untyped]  # noqa: PLC0415 - only here  # it has no types

    pipe = os.fdopen(answer, "w")

    def tell(key: str, value: object) -> None:
        # The command may have been interrupted while it waited; the service goes on.
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed already
            pipe.write(json.dumps({key: value}) + "\n")
            pipe.close()

    umask = os.umask(0o077)
    os.umask(umask)
    stream = os.fdopen(log, "a")
    with daemon.DaemonContext(
        working_directory=os.getcwd(),  # noqa: PTH109 - a plain string is what it takes
        umask=umask,
        detach_process=True,  # also under a supervisor that would do without
        stdout=stream,
        stderr=stream,
        files_preserve=[pipe],
        signal_map=dict.fromkeys((signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)),
    ):
        log_to_stderr()
        try:
            serve(lambda: tell("pid", os.getpid()))
        except ConsoleError as error:
            tell("error", one_line(error))
            raise
        except click.ClickException as error:
            tell("error", f"{one_line(error)} (see {log_file})")  # a traceback may stand there
            raise
        finally:
            sys.stdout.flush()
