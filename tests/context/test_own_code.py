"""Which code is the console's own, and which of its frames a session sees."""

from __future__ import annotations

from pathlib import Path

import pytest

import console
from console.context.own_code import (
    STATEMENT_FILES,
    is_hidden,
    is_own,
    statement_boundary,
)
from console.results.printer import drop_own_frames, format_exception

PACKAGE = Path(console.__file__).parent


def raised_in(*files):
    """Return an exception whose frames are in these files, outermost first."""
    function = None
    for file in reversed(files):
        names = {"below": function}
        body = "1 / 0" if function is None else "below()"
        exec(compile(f"def call():\n    {body}", str(file), "exec"), names)
        function = names["call"]
    try:
        function()
    except ZeroDivisionError as error:
        return error
    raise AssertionError("it has not raised")


@pytest.mark.parametrize(
    ("file", "own", "hidden"),
    [
        (PACKAGE / "commands" / "help.py", True, True),
        (PACKAGE / "a_new_folder" / "module.py", True, True),
        (PACKAGE / "a_new_module.py", True, True),
        (PACKAGE / "application" / "shell.py", True, False),
        (PACKAGE / "console.py", True, False),
        (PACKAGE / "applications" / "module.py", True, True),
        (PACKAGE.parent / "console_tools" / "module.py", False, False),
        (PACKAGE.parent / "consoles.py", False, False),
        ("<console-1.1>", False, False),
    ],
)
def test_what_is_own(file, own, hidden):
    """The package is the console's, its public part is shown, and its neighbours are others'."""
    assert (is_own(str(file)), is_hidden(str(file))) == (own, hidden)


def test_each_folder_is_hidden_or_public():
    """What a service calls by itself is shown, and no other folder."""
    folders = {one.parent.name for one in PACKAGE.glob("*/__init__.py")}
    shown = {one for one in folders if not is_hidden(str(PACKAGE / one / "module.py"))}
    assert shown == {"application", "auth", "config", "files", "server", "transports"}
    assert {"commands", "evaluation", "results", "sessions"} <= folders


def test_a_traceback_without_hidden_frames():
    """Frames of the console's machinery are left out wherever they stand, its API's are not."""
    error = raised_in(
        PACKAGE / "evaluation" / "x.py",
        "<console-1.1>",
        PACKAGE / "commands" / "x.py",
        PACKAGE / "application" / "x.py",
        PACKAGE.parent / "console_tools" / "x.py",
    )
    lines = format_exception(error).splitlines()
    files = [
        line.partition(",")[0] for line in lines if line.startswith("  File ") and "x.py" in line
    ]
    assert [file.rpartition("/console")[2] for file in files] == [
        '/application/x.py"',
        '_tools/x.py"',
    ]


def test_own_frames_at_the_beginning_are_dropped():
    """An exception that is kept begins in the statement."""
    error = raised_in(
        PACKAGE / "evaluation" / "x.py", "<console-1.1>", PACKAGE / "results" / "x.py"
    )
    drop_own_frames(error.with_traceback(error.__traceback__.tb_next))
    first = error.__traceback__.tb_frame
    assert first.f_code.co_filename == "<console-1.1>"


def test_a_boundary_is_known_by_its_code():
    """A marked function's file is told by its code object, whatever it is called."""
    names = {}
    exec(compile("def run():\n    pass", "/elsewhere/renamed.py", "exec"), names)
    assert statement_boundary(names["run"]) is names["run"]
    assert "/elsewhere/renamed.py" in STATEMENT_FILES
    STATEMENT_FILES.discard("/elsewhere/renamed.py")
