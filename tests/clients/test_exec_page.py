"""docs/exec.md: what its examples show is what happens, and its tables name what there is.

The word after the fences says what a block is. ``sh``: commands that end; the ``text`` block behind
it has all that they print. ``python FILE``: is written to that file. A ``text`` block that follows
neither shows command lines of other programs, which test_fleet.py runs.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

from support.clients import SSH_OPTIONS, need
from support.pages import blocks_of
from support.servers import ROOT, Host, clean_environment

PAGE = ROOT / "docs" / "exec.md"
SECONDS = 60

# Numbers of sessions and times differ from run to run; each side has to have some.
VARIABLE = (
    (r"<console-\d+\.\d+>", "<console-N>"),
    (r"\(error \d+\.\d+\)", "(error N)"),
    (r'"duration_seconds": \d+\.\d+', '"duration_seconds": SECONDS'),
    (r"(?m)^ *[~^]+\n", ""),  # which calls are marked differs between releases of Python
)


def normal(text):
    for pattern, name in VARIABLE:
        text = re.sub(pattern, name, text)
    return text.splitlines()


@pytest.fixture
def page():
    """The page's text."""
    if not PAGE.is_file():
        pytest.skip(f"{PAGE} is not here: the tests run without the documentation")
    return PAGE.read_text("utf-8")


@pytest.fixture
def play(tmp_path):
    """Run shell commands in a directory where ssh knows the host ``console``."""
    need("ssh")
    with Host(tmp_path / "host", guarded=False) as host:
        yield player(host, tmp_path)


def player(host, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    config = tmp_path / "config"
    config.write_text(
        f"Host console\nHostName 127.0.0.1\nPort {host.ssh_port}\nUser boss\n"
        f"IdentityFile {host.key_file}\nIdentitiesOnly yes\nBatchMode yes\n"
    )
    place = tmp_path / "bin"
    place.mkdir()
    # The careful options come first, of which the first counts; the last -F is the one.
    line = shlex.join([shutil.which("ssh"), *SSH_OPTIONS, "-F", str(config)])
    (place / "ssh").write_text(f'#!/bin/sh\nexec {line} "$@"\n')
    (place / "ssh").chmod(0o755)

    def play(script):
        done = subprocess.run(
            ["sh", "-e", "-c", script],
            cwd=here,
            env={
                **clean_environment(tmp_path),
                "PATH": os.pathsep.join([str(place), os.environ["PATH"]]),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    play.here = here
    return play


def test_the_examples(page, play):
    """Each example shows all that really appears."""
    appeared, examples = None, 0
    for info, lines, number in blocks_of(page):
        match info.split():
            case ["sh"]:
                appeared = normal(play("\n".join(lines)))
            case ["text"] if appeared is not None:
                assert appeared == normal("\n".join(lines)), f"line {number}"
                appeared = None
                examples += 1
            case ["python", name]:
                (play.here / name).write_text("\n".join([*lines, ""]))
            case ["text"]:
                pass
            case _:
                raise AssertionError(f"line {number}: {info!r} is of no kind that this test knows")
    assert appeared is None, "an example does not show what appears"
    assert examples >= 6


def rows(page, heading):
    """Return the first cells of the table behind a heading, as they stand there."""
    table = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return [
        re.findall("`([^`]*)`", line.split("|")[1])
        for line in table.splitlines()
        if line.startswith("| `")
    ]


def test_the_keys_of_the_object(page, play):
    """The table of keys has each key of the object, in its order."""
    named = [name for row in rows(page, "JSON") for name in row]
    assert list(json.loads(play("ssh console '%json foo'"))) == named


def test_the_options(page, play):
    """The table of options has each option that there is."""
    named = {name.split()[0] for row in rows(page, "Options") for name in row}
    known = play("ssh console '%what' || true").rpartition("there are ")[2].strip()
    assert named == set(known.split(", "))
