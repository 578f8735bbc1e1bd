"""Recognises a shell's command line, to refuse ``ssh host 'ls -la'`` with a plain line.

Valid Python is never taken for a shell's, with one harmless exception: ``ls -la`` and
``cat /etc/hosts`` are expressions, but without a name ``ls`` or ``cat`` they can only raise
NameError before they do anything else.

No I/O, and nothing is run: the caller looks names up.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Final

from console.syntax.cells import answer_question
from console.syntax.parsing import parse
from console.text import escape_line

__all__ = ["shell_idiom"]

_SOURCE_CHARACTERS: Final = 10_000
"""A longer source is not examined: it was not typed, and parsing it would take long."""

_WORDS = frozenset(
    """
    . : [ [[ alias apt apt-get awk base64 bash bg cat cd chmod chown clear command cp crontab csh
    curl cut dash date dd df diff dig dmesg dnf docker doas du echo emacs env eval exit export false
    fg file find fish free git grep groups gzip head hostname hostnamectl htop id ifconfig ip
    journalctl kill killall ksh kubectl last ldd less ln ls lsof make man md5sum mkdir mktemp more
    mount mv nano nc netstat nice nohup nproc pgrep ping pip pkill podman printenv printf ps pwd
    python python3 read readlink readonly reboot renice rm rmdir rpm rsync scp sed service set
    setsid sh sha256sum shift shutdown sleep sort source ss ssh stat strace su sudo systemctl tail
    tar tee test time timeout top touch tr trap true ulimit umask umount uname uniq unset unzip
    uptime vi vim vmstat w wc wget which who whoami xargs yum zcat zsh
    """.split()  # noqa: SIM905 - one a line, or all in quotes, cannot be read
)
"""The first words of users', scripts' and fleet tools' command lines. Words that also begin a
Python statement (if, for, while, import, exec) are missing: Python's error is better there."""

_BARE_WORDS = frozenset(
    """
    date df dmesg du env free hostname ifconfig ls lsof netstat ps pwd ss top uname uptime vmstat
    whoami
    """.split()  # noqa: SIM905 - as above
)
"""Words that are also refused without arguments. Any other may be a name that the user forgot to
import, and NameError says that best."""

_SHEBANG = re.compile(r"#![^\n]*?\b((?:ba|da|z|k|c|tc|fi)?sh)\b")
_WRAPPING = re.compile(r"[({!\s]+")
_ASSIGNMENTS = re.compile(r"(?:[A-Za-z_]\w*=(?:'[^']*'|\"[^\"]*\"|[^\s'\"]*)[ \t]+)+")
_PATH = re.compile(r"(?:~|\.\.?|\$\{?\w+\}?)?/[\w.~+@$-]")
_WORD = re.compile(r"[^\s;|&<>()'\"]+")
_ARGUMENT = re.compile(r"\s+(-{1,2}\w|[/~]\w)")
_ALONE = re.compile(r"\s*($|[;|>\n])")


def shell_idiom(source: str, is_defined: Callable[[str], bool]) -> str:
    """Return the beginning of a shell's command line; empty if the source may be Python.

    Args:
        source: A command or a script.
        is_defined: Whether a name is defined. Called for one name at most.
    """
    if len(source) > _SOURCE_CHARACTERS or not source.strip():
        return ""
    shebang = _SHEBANG.match(source)
    word = shebang[1] if shebang else _first_word(source)
    if not word:
        return ""
    try:
        tree = parse(answer_question(source), "<command>", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        return _shown(source)
    except (ValueError, OverflowError, MemoryError, RecursionError):
        return ""  # running it shows the error
    name = _first_name(tree)
    looks_so = name in _WORDS and (
        _ARGUMENT.match(source, len(name))
        or (name in _BARE_WORDS and _ALONE.match(source, len(name)))
    )
    return _shown(source) if looks_so and source.startswith(name) and not is_defined(name) else ""


def _first_word(source: str) -> str:
    """Return the program that a shell would run first; empty if the first word is not one."""
    text = source.lstrip()
    bare = _WRAPPING.sub("", text, count=1) if text[:1] in "({!" else text
    rest = _ASSIGNMENTS.sub("", bare, count=1)
    if rest.startswith("$") or _PATH.match(rest):
        return rest[:1]
    word = _WORD.match(rest)
    if word is not None and word[0] in _WORDS:
        return word[0]
    return text[:1] if text.startswith("!") else ""


def _first_name(tree: ast.Module) -> str:
    """Return the name that Python looks up before anything else; empty if it is not a name."""
    node = tree.body[0] if tree.body else None
    if not isinstance(node, ast.Expr):
        return ""
    first: ast.expr = node.value
    while isinstance(first, ast.BinOp | ast.Compare):
        first = first.left
    return first.id if isinstance(first, ast.Name) else ""


def _shown(source: str) -> str:
    return escape_line(source.strip(), 60)
