"""asyncssh is imported without what its import does to a process by itself."""

import os
import subprocess
import sys

# An audit hook sees each program that the process starts, whatever library does it.
SCRIPT = """
import os, sys
started = []
watched = ("subprocess.Popen", "os.exec", "os.fork", "os.posix_spawn", "os.system")
sys.addaudithook(lambda event, arguments: event in watched and started.append(event))
{}
print(started)
"""
OURS = """
from console.auth.keys.asyncssh_import import import_asyncssh
asyncssh = import_asyncssh()
from console.auth.keys.asyncssh_keys import make_private_key
make_private_key("ssh-ed25519")
assert "mlkem768x25519-sha256" in [str(one, "ascii") for one in asyncssh.kex.get_kex_algs()]
asyncssh.SSHServerConnectionOptions(server_host_keys=[])
"""


def run(code, **environment):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(code)],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **environment},
        check=False,
    )


def test_no_program_is_started(tmp_path):
    """Importing asyncssh as the console does starts no program; on its own it would."""
    done = run(OURS, HOME=str(tmp_path))
    assert (done.stdout, done.stderr) == ("[]\n", "")
    by_itself = run("import asyncssh", HOME=str(tmp_path))
    assert "subprocess.Popen" in by_itself.stdout


def test_no_directory_for_temporary_files_is_needed(tmp_path):
    """Where no temporary file can be made asyncssh is imported all the same."""
    hidden = "import tempfile\ndef nothing(*_): raise FileNotFoundError\n"
    hidden += "tempfile._get_default_tempdir = nothing\n"
    done = run(hidden + OURS, HOME=str(tmp_path))
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_no_home_is_needed():
    """A user with neither HOME nor an entry in passwd is let in by SSH too."""
    homeless = "import pwd\ndef nothing(_): raise KeyError\npwd.getpwuid = nothing\n"
    by_itself = run(homeless + "import asyncssh\nasyncssh.SSHServerConnectionOptions()")
    assert "Could not determine home directory" in by_itself.stderr
    done = run(homeless + OURS)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_what_is_imported_stays():
    """A service that has imported asyncssh itself goes on with that."""
    code = "import asyncssh\nbefore = dict(vars(asyncssh))\nstarted.clear()\n"
    done = run(code + OURS + "assert all(before[name] is vars(asyncssh)[name] for name in before)")
    assert (done.stdout, done.stderr) == ("[]\n", "")
