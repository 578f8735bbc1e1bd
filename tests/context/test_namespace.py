"""One namespace for all sessions, with names that each has for itself."""

from __future__ import annotations

import builtins
import contextvars

import pytest

from console.context.namespace import PRIVATE_NAMES, Namespace
from console.context.scope import Scope, current_scope


@pytest.fixture
def names():
    """A host's dict that is lent to sessions."""
    names = {"foo": 12}
    namespace = Namespace(names)
    namespace.install()
    yield names
    namespace.uninstall()
    assert "__builtins__" not in names


class Session:
    """As much of a session as names need: a context with a scope of its own."""

    def __init__(self, number, **private):
        self.private = private
        self.context = contextvars.Context()
        self.context.run(current_scope.set, Scope(number, None, None, private))

    def run(self, source, names):
        """Evaluate an expression, as this session's code."""
        return self.context.run(eval, compile(source, "<test>", "eval"), names)

    def execute(self, source, names):
        """Execute statements, as this session's code."""
        self.context.run(exec, compile(source, "<test>", "exec"), names)


def test_each_session_has_its_own(names):
    """The same private name is another value in each session."""
    one, two = Session(1, _=1), Session(2, _=2)
    assert (one.run("_", names), two.run("_", names)) == (1, 2)
    one.private["_"] = 3
    assert (one.run("_", names), two.run("_", names)) == (3, 2)


def test_functions_follow_their_caller(names):
    """A function defined in one session sees the private names of the session that calls it."""
    one, two = Session(1, _=1), Session(2, _=2)
    one.execute("def last(): return _", names)
    assert two.run("last()", names) == 2


def test_private_names_are_not_in_the_namespace(names):
    """Private names show neither in dir() nor in the host's dict."""
    session = Session(1, _=1, exit=2)
    assert session.run("sorted(dir())", names) == ["__builtins__", "foo"]
    assert set(names) == {"__builtins__", "foo"}


def test_the_hosts_own_name_wins(names):
    """A name that the host or a session sets hides the private one."""
    session = Session(1, _=1)
    session.execute("_ = 'set'", names)
    assert session.run("_", names) == "set"
    session.execute("del _", names)
    assert session.run("_", names) == 1


@pytest.mark.parametrize("name", sorted(PRIVATE_NAMES - {"_"}))
def test_outside_of_sessions_builtins_are_real(names, name):
    """Code of the namespace that runs outside of sessions finds Python's own builtins."""
    if not hasattr(builtins, name):
        pytest.skip("the site module has not made it")
    assert eval(name, names) is getattr(builtins, name)


def test_an_unknown_name_is_a_name_error(names):
    """An undefined name is a NameError with Python's own text, in a session and outside."""
    for run in (Session(1).run, eval):
        with pytest.raises(NameError, match="^name 'no_such_name' is not defined$"):
            run("no_such_name", names)


def test_underscore_is_unknown_at_first(names):
    """A session without a last value has no underscore, even if another session has one."""
    Session(1, _=1)
    with pytest.raises(NameError):
        Session(2).run("_", names)


def test_builtins_of_later_are_found(names, monkeypatch):
    """A builtin that the host adds after the start is found."""
    monkeypatch.setattr(builtins, "added_later", 5, raising=False)
    assert Session(1).run("added_later", names) == 5


def test_builtins_are_complete(names):
    """Every builtin is there, in an expression and by the import statement's hook."""
    session = Session(1)
    assert session.run("len(sorted([3, 1, 2]))", names) == 3
    session.execute("import os.path as found", names)
    assert names["found"].sep == "/"


def test_classes_name_their_module(names):
    """A class defined in a session says so in its repr."""
    Session(1).execute("class A: pass", names)
    assert repr(names["A"]) == "<class '__console__.A'>"


def test_uninstall_puts_back_what_was_there():
    """The host's own ``__builtins__`` is back after a console has stopped."""
    mine = vars(builtins)
    names = {"__builtins__": mine}
    namespace = Namespace(names)
    namespace.install()
    assert names["__builtins__"] is not mine
    namespace.uninstall()
    assert names == {"__builtins__": mine}


def test_uninstall_leaves_later_changes():
    """A ``__builtins__`` that was replaced while the console ran stays."""
    names = {}
    namespace = Namespace(names)
    namespace.install()
    names["__builtins__"] = mine = {"len": len}
    namespace.uninstall()
    assert names["__builtins__"] is mine


def test_uninstall_twice_is_once():
    """A second uninstall does nothing."""
    names = {}
    namespace = Namespace(names)
    namespace.install()
    namespace.uninstall()
    namespace.uninstall()
    assert names == {}


def test_functions_outlive_the_console():
    """A function defined in a session still works after the console has stopped."""
    names = {}
    namespace = Namespace(names)
    namespace.install()
    Session(1).execute("def f(): return len('abc')", names)
    namespace.uninstall()
    assert names["f"]() == 3


def test_two_consoles_on_one_dict():
    """Two consoles that stop in the order of their start leave nothing of theirs behind."""
    names = {}
    first, second = Namespace(names), Namespace(names)
    first.install()
    second.install()
    first.uninstall()
    second.uninstall()
    assert names == {}
