"""What ``name?`` and ``name??`` tell, without running any code of what is asked about."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import json
import linecache
import textwrap
from collections.abc import Callable
from typing import Optional, Union

import pytest

from console.introspect.describe import describe, find, summary_of
from console.introspect.signature import signature_of
from console.syntax.cells import answer_question, is_complete
from support.clients import WAYS, run_once


@dataclasses.dataclass
class Point:
    """A point of the plane."""

    x: int
    tags: list[str] = dataclasses.field(default_factory=list)

    @property
    def danger(self):
        """What must not run."""
        raise AssertionError("the property ran")

    def method(self, a, /, b=3, *rest, key: str | None = None, **others) -> bool:
        """Do something."""

    @classmethod
    def make(cls, count):
        """Make some."""

    @staticmethod
    def free(count):
        """Be free."""


class Hostile:
    """Fails the test when anything of it runs."""

    def __init__(self, value=None):
        object.__setattr__(self, "inner", Point(1))

    def _fail(self, *arguments):
        raise AssertionError("code of the value ran")

    __getattr__ = __getattribute__ = __repr__ = __str__ = __len__ = __dir__ = __eq__ = _fail
    __hash__ = __getitem__ = __bool__ = __call__ = _fail
    __class__ = property(_fail)
    __doc__ = property(_fail)
    __signature__ = property(_fail)


class Meta(type):
    def __getattribute__(cls, name):
        raise AssertionError("the metaclass ran")


class Metallic(metaclass=Meta):
    """Has a hostile metaclass."""


def decorated(function):
    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        return function(*arguments, **keywords)

    return wrapper


@decorated
async def fetch(url, *, wait=3.5, hostile=Hostile(), kind=Point):  # noqa: B008
    """Fetch a page."""


def annotated(
    a: int,
    b: Optional[int],  # noqa: UP045 - one of the forms there are
    c: Union[int, str, None],  # noqa: UP007 - another
    d: dict[str, Callable[..., int]],
    e: "Unknown",  # noqa: F821, UP037 - never evaluated
):
    pass


annotated.__annotations__ = {
    "a": int,
    "b": Optional[int],  # noqa: UP045 - as above
    "c": Union[int, str, None],  # noqa: UP007 - as above
    "d": dict[str, Callable[..., int]],
    "e": "Unknown",
    "return": None,
}

NAMES = {
    "point": Point(1, ["a"]),
    "Point": Point,
    "hostile": Hostile(),
    "Metallic": Metallic,
    "metallic": object.__new__(Metallic),
    "fetch": fetch,
    "points": [Point(7)],
    "by_name": {"k": Point(8)},
    "huge": 10**5000,
    "text": "x" * 100,
}


def ask(path, *, source=False):
    return describe(find(path, [NAMES, vars(builtins)]), source=source)


@pytest.mark.parametrize(
    ("path", "signature"),
    [
        ("point.method", "method(a, /, b=3, *rest, key: str | None = None, **others) -> bool"),
        (
            "Point.method",
            "method(self, a, /, b=3, *rest, key: str | None = None, **others) -> bool",
        ),
        ("Point.make", "make(count)"),
        ("Point.free", "free(count)"),
        ("fetch", "fetch(url, *, wait=3.5, hostile=<Hostile>, kind=Point)"),
        ("len", "len(obj, /)"),
        ("dict.get", "get(key, default=None, /)"),
    ],
)
def test_signatures(path, signature):
    """A signature is shown as written, without the parameter that is bound."""
    first = ask(path).split("\n")[0]
    # Annotations are text in this module, as `from __future__ import annotations` makes them.
    assert first == f"Signature: {signature}"


def test_annotations():
    """Annotations are written by their names, and never evaluated."""
    assert signature_of(annotated) == (
        "(a: int, b: Optional[int], c: Union[int, str, None],"
        " d: dict[str, Callable[..., int]], e: Unknown) -> None"
    )


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("point", "instance of tests.introspect.test_questions.Point"),
        ("point.method", "method"),
        ("point.danger", "property"),
        ("Point", "class"),
        ("fetch", "async function"),
        ("points", "list"),
        ("points[0].x", "int"),
        ("points[-1]", "instance of tests.introspect.test_questions.Point"),
        ("by_name['k'].x", "int"),
        ('by_name["k"].tags', "list"),
        ("huge", "int"),
        ("hostile", "instance of tests.introspect.test_questions.Hostile"),
        ("hostile.inner", "instance of tests.introspect.test_questions.Point"),
        ("Hostile", None),
        ("Metallic", "class"),
        ("metallic", "instance of tests.introspect.test_questions.Metallic"),
        ("len", "builtin"),
    ],
)
def test_kinds(path, kind):
    """The kind of a value is shown, of hostile ones too, and none of their code runs."""
    if kind is None:
        with pytest.raises(NameError):
            ask(path)
    else:
        assert f"Type:      {kind}" in ask(path).split("\n")
        ask(path, source=True)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("point", "A point of the plane."),
        ("point.danger", "What must not run."),
        ("fetch", "Fetch a page."),
        ("Metallic", "Has a hostile metaclass."),
    ],
)
def test_documentation(path, text):
    """The documentation of functions, classes, properties, and an instance's class is shown."""
    assert ask(path).endswith(f"Docstring:\n{text}")


def test_plain_values():
    """Plain values are shown, or their length."""
    assert "Value:     1" in ask("point.x")
    assert "Length:    1" in ask("point.tags")
    assert "Value:     '" + "x" * 60 + "'..." in ask("text")
    assert "Value:" not in ask("huge")


@pytest.mark.parametrize(
    ("path", "error", "words"),
    [
        ("nowhere", NameError, "'nowhere' is not defined"),
        ("point.nowhere", AttributeError, "not stored anywhere"),
        ("point.danger.x", AttributeError, "point.danger is a property"),
        ("hostile[0]", LookupError, "its own code"),
        ("points[3]", LookupError, "no item 3"),
        ("by_name['x']", LookupError, "no item 'x'"),
    ],
)
def test_what_is_not_found(path, error, words):
    """What is not there, or only code would find, is an error that says so."""
    with pytest.raises(error, match=words):
        ask(path)


def test_source():
    """``??`` shows the source of functions, properties, classes, decorators included."""
    assert ask("fetch", source=True).split("Source:\n")[1].startswith("@decorated\nasync def fetch")
    assert ask("point.danger", source=True).endswith('raise AssertionError("the property ran")')
    shown = ask("Point", source=True).split("Source:\n")[1]
    assert shown.startswith("@dataclasses.dataclass\nclass Point:")
    assert shown.endswith('"""Be free."""')
    assert "Source:    not available" in ask("len", source=True)


def test_source_of_what_was_typed(monkeypatch):
    """Classes typed at a prompt have source too, and the last of a name is the one that counts."""
    text = textwrap.dedent("""\
        class Typed:
            def first(self): pass
        class Typed:
            def second(self): pass
    """)
    monkeypatch.setitem(
        linecache.cache, "<console-9.9>", (len(text), None, text.splitlines(True), "<console-9.9>")
    )
    names = {}
    exec(compile(text, "<console-9.9>", "exec"), {"__name__": "__console__"}, names)
    shown = describe(find("Typed", [names]), source=True)
    assert shown.endswith("Source:\nclass Typed:\n    def second(self): pass")


def test_summaries():
    """A menu says what a thing is in a few words."""
    assert summary_of(len) == "builtin (obj, /)"
    hostile = summary_of(NAMES["hostile"])  # apart: pytest looks at what an assertion mentions
    assert hostile == "Hostile (*arguments)"
    assert summary_of(Point.free) == "function (count)"
    assert summary_of(Point.free, bound=True) == "method ()"


@pytest.mark.parametrize(
    ("source", "call"),
    [
        ("x?", "__look__('x', False)"),
        ("  x.y ?? ", "__look__('x.y', True)"),
        ("?x", "__look__('x', False)"),
        ("??x['k'][0].y", "__look__(\"x['k'][0].y\", True)"),
        ("?", "__look__('', False)"),
    ],
)
def test_questions(source, call):
    """A name with question marks, which is not Python, is a question."""
    assert answer_question(source) == call
    assert is_complete(source)


@pytest.mark.parametrize(
    "source",
    [
        "x = 'what?'",
        "# why?",
        "x",
        "f()?",
        "x?\ny?",
        "x???",
        "'a'?",
        "x.?",
        "1?",
        "x?y",
        "x[y]?",
        "?\nx",
        "x\n?",
    ],
)
def test_no_questions(source):
    """Everything else with a question mark is left to Python."""
    assert answer_question(source) == source


# ---- through the console


@pytest.mark.parametrize("way", WAYS)
def test_question_at_the_prompt(way, host, login):
    """A question is answered by every way in, and runs no property."""
    client = login(way, host)
    host.ask(property_runs=True)
    shown = client.run("guarded.danger?")
    assert shown[0].split() == ["Type:", "property"]
    assert client.run("guarded.harmless?")[0] == "Signature: harmless()"
    assert host.ask(property_runs=True) == 0
    assert "def harmless(self):" in client.run("guarded.harmless??")


def test_question_as_a_command(host):
    """``ssh host 'name?'`` answers on stdout; what is not there is an error with status 1."""
    done = run_once("ssh", host, "guarded.harmless??", key=host.key_file)
    assert done.returncode == 0
    assert b"def harmless(self):" in done.stdout
    done = run_once("ssh", host, "nowhere?", key=host.key_file)
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"NameError: name 'nowhere' is not defined" in done.stderr


@pytest.mark.parametrize("options", ["", " ", "%loop ", "%timeout 9 ", " %timeout 9 %thread "])
def test_question_behind_options(options, host):
    """A question may have options and a secret's space in front of it, as any statement."""
    done = run_once("ssh", host, "--", f"{options}guarded.harmless?", key=host.key_file)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"Signature: harmless()")


def test_question_answered_with_json(host, login):
    """The answer is in the document, as a command and at a prompt, where no page is waited for."""
    done = run_once("ssh", host, "%json guarded.harmless??", key=host.key_file)
    assert "def harmless(self):" in json.loads(done.stdout)["output"]
    client = login("ssh", host)
    assert '"output": "Signature: harmless()' in "".join(client.run("%json guarded.harmless?"))
    client.run("import textwrap")
    client.line("%json textwrap.TextWrapper??")  # longer than the screen
    client.wait_for("duration_seconds")
    client.expect_prompt()
    assert client.run("6 * 7") == ["42"]


def test_question_that_begins_like_a_command_line(host):
    """A question about a name that a shell has too is none of the shell's."""
    for question in ("who?", "who ?", "? who"):
        done = run_once("ssh", host, question, key=host.key_file)
        assert done.returncode == 0, done.stderr
        assert b"List the open sessions" in done.stdout, question


def test_question_about_what_was_typed(host, login):
    """The source of a function that was typed in one session is shown in another."""
    login("nc", host).enter_block("def typed_here(a, b=2):", "return a + b")
    shown = login("ssh", host).run("typed_here??")
    assert shown[0] == "Signature: typed_here(a, b=2)"
    assert shown[-2:] == ["def typed_here(a, b=2):", "    return a + b"]


def test_question_in_mode_loop(host, login):
    """A question works in mode loop as well, and the session's last value can be asked about."""
    client = login("ssh", host, rows=70)  # all of help() stays on it
    client.run("%loop")
    client.run("6 * 7")
    assert client.run("_?") == ["Type:      int", "Value:     42"]
    assert client.run("?")[0].startswith("This is a Python prompt")
