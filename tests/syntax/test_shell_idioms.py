"""A shell's command line is recognised, and Python is never taken for one."""

from __future__ import annotations

import ast
import builtins
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.syntax.shell_idioms import _WORDS, shell_idiom

SHELL = [
    "cd /tmp",
    "cd x && ls",
    "ls",
    "ls -la",
    "ls -l /tmp",
    "ls; date",
    "ls > out",
    "df -h | head",
    "cat /etc/hosts",
    "cat ~/x",
    "date",
    "uptime",
    "ps aux | grep python",
    "export A=b",
    "export A=b && foo",
    "LANG=C ls -l",
    "A='x y' B=\"z\" sudo id",
    "sudo -S -p '[sudo] password: ' foo",
    "sudo -H -S -n -u root /bin/sh -c 'echo BECOME-SUCCESS-x ; foo'",
    "/bin/sh -c 'foo'",
    "/bin/sh -c 'echo ~boss && sleep 0'",
    "/usr/bin/python3 && sleep 0",
    "( umask 77 && mkdir -p x )",
    "{ ls; }",
    "./run.sh",
    "../run.sh x",
    "~/bin/run",
    "$HOME/bin/run",
    "$SHELL -c 'foo'",
    "!ls",
    "echo $?",
    'echo "hello"',
    "[ -f x ]",
    "test -f x && y",
    ". /etc/profile",
    "source ~/.profile",
    "set -euo pipefail; foo",
    "python3 -c 'print(1)'",
    "exit 3",
    "env A=b foo",
    "#!/bin/sh\nif true; then foo; fi",
    "#!/usr/bin/env bash\nfoo bar",
    "  ls -la  ",
    "\ncd x\nls",
]

PYTHON = [
    "",
    "foo",
    "1 / 0",
    "print('ls -la')",
    "cd",
    "time - start",
    "file",
    "w",
    "service.version",
    "date.today()",
    "ls()",
    "ls(x) - la",
    "ls = 5",
    "env['x']",
    "head, tail = x",
    "id",
    "set -{1}",
    "type(foo)",
    "print 'x'",
    "exec 'x'",
    "for x in y",
    "if a && b: pass",
    "retrun 5",
    "x = (1,",
    "/ 5",
    "import os; os.listdir('/')",
    "#!/usr/bin/env python3\nfoo bar",
    "# ls -la",
    "'''ls'''",
    "await x",
    "\x00",
    "(" * 5000,
    "ls -" + "-" * 9000 + "x",
]


def undefined(name):
    return hasattr(builtins, name)


@pytest.mark.parametrize("source", SHELL)
def test_shell(source):
    """A shell's command line is recognised, and shown on one line."""
    shown = shell_idiom(source, undefined)
    assert shown
    assert shown.isprintable()
    assert len(shown) < 80


@pytest.mark.parametrize("source", PYTHON)
def test_python(source):
    """Python, right or wrong, is left to Python."""
    assert shell_idiom(source, undefined) == ""


@pytest.mark.parametrize("source", ["ls -la", "cat /etc/hosts", "date", "df -h | head", "ls; x"])
def test_a_name_that_is_defined(source):
    """A name of the service is Python, whatever programs there are of that name."""
    assert shell_idiom(source, lambda _: True) == ""


def test_what_is_long_is_not_looked_at():
    """A long script is not parsed to find out what it is."""
    assert shell_idiom("ls -la\n" * 10, undefined)
    assert shell_idiom("ls -la\n" * 10_000, undefined) == ""


WORDS = st.sampled_from(sorted(_WORDS))
PIECES = st.lists(
    WORDS
    | st.sampled_from(
        [" ", " ", "-l", "-", "/", "|", ";", "&&", "=", "(", ")", "$", "'", "\n", "x", "."]
    )
    | st.text(max_size=3)
).map("".join)


@given(PIECES)
def test_valid_python_is_never_refused(source):
    """What is taken for a shell's does not compile, or raises NameError before anything happens."""
    if not shell_idiom(source, undefined):
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            code = compile(source, "<test>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        except SyntaxError:
            return
    touched = []

    class Names(dict):
        def __missing__(self, name):
            touched.append(name)
            raise KeyError(name)

    with pytest.raises(NameError):
        exec(code, {"__builtins__": {}}, Names())
    assert touched[0] in _WORDS
    assert len(touched) == 1
