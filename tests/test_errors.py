"""The family of errors: one shape, one line."""

import copy
import importlib
import pickle
import pkgutil
import socket

import pytest

import console
from console import errors
from console.config.file import ConfigurationFileError
from console.errors import ConsoleError


def all_errors():
    """Return each class of the family, after every module has been imported."""
    for module in pkgutil.walk_packages(console.__path__, "console."):
        importlib.import_module(module.name)
    found, pending = [], [ConsoleError]
    while pending:
        kind = pending.pop()
        found.append(kind)
        pending += kind.__subclasses__()
    return [kind for kind in dict.fromkeys(found) if kind.__module__.startswith("console.")]


def test_the_shape_is_declared_once():
    """No error of ours writes its line itself: place, problem and remedy make it."""
    kinds = all_errors()
    assert len(kinds) > 12
    assert [kind for kind in kinds if kind is not ConsoleError and "__str__" in vars(kind)] == []


def test_the_tree_in_the_docstring_is_whole():
    """Each error of the family stands in the tree at the top of errors.py."""
    assert [kind.__name__ for kind in all_errors() if kind.__name__ not in errors.__doc__] == []


MADE = (
    (ConsoleError("here", "bad", "mend it"), "here: bad; mend it"),
    (ConsoleError("here", "bad"), "here: bad"),
    (
        errors.ConfigurationError("ssh.port", "x", "is not a port", "give one"),
        "setting ssh.port = 'x': is not a port; give one",
    ),
    (errors.ConfigurationError("ssh", None, "is missing"), "setting ssh: is missing"),
    (
        ConfigurationFileError("a.toml:3", "ssh.port", "x" * 90, "is not a port", "give one"),
        f'a.toml:3: ssh.port = "{"x" * 59}...: is not a port; give one',
    ),
    (ConfigurationFileError("a.toml", "", None, "is not UTF-8"), "a.toml: is not UTF-8"),
    (errors.ListenError("ssh", "1.2.3.4:5", "in use", "wait"), "ssh on 1.2.3.4:5: in use; wait"),
    (errors.NoSuchSession(3, "is not open", "see who()"), "session 3: is not open; see who()"),
    (errors.NotPermitted("kick()", "viewer", "admin"), "kick(): your role is viewer; ask an admin"),
    (errors.UnknownUser("users", "ann", "add her"), "users: no user 'ann'; add her"),
    (
        errors.AlreadyRunning(),
        "this console is already running; stop() it, or make another",
    ),
)


@pytest.mark.parametrize(("error", "line"), MADE)
def test_the_line(error, line):
    """Where, what, value and remedy stand in this order, and end with the remedy."""
    assert str(error) == line


@pytest.mark.parametrize("error", [error for error, _ in MADE])
def test_errors_can_be_copied(error):
    """A copy and one that has been pickled have the same line and the same parts."""
    for other in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(other) is type(error)
        assert str(other) == str(error)
        assert vars(other) == vars(error)


def test_an_error_of_the_start_stands_alone(tmp_path):
    """The frames of the console's thread and the system's own error are left out of it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        made = console.Console("demo", telnet=taken.getsockname()[1], keys=tmp_path / "keys")
        with pytest.raises(console.ListenError) as caught:
            made.start()
    assert caught.value.__cause__ is None
    assert [entry.name for entry in caught.traceback][1:] == ["start", "wait_for_start"]
