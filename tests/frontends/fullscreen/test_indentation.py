"""How far the next line is indented."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.frontends.fullscreen.indentation import next_indentation


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("x = 1", 0),
        ("def f():", 4),
        ("def f():  # why", 4),
        ("def f():\n    if x:", 8),
        ("def f():\n    x = 1", 4),
        ("def f():\n    return 1", 0),
        ("def f():\n    if x:\n        raise Error(1)", 4),
        ("for x in y:\n    if x: continue", 4),
        ("while x:\n    passed = 1", 4),
        ("return", 0),
        ("x = [", 4),
        ("x = [\n    1,", 4),
        ("x = [\n    1,\n    {", 8),
        ("x = call(1,", 0),
        ("def f():\n    return [", 8),
        ("def f():\n    return [\n        1,\n        ]", 0),
        ("def f():\n    x = [\n        1,\n        ]", 4),
        ("def f(\n    a,\n):", 4),
        ("def f(\n    a,\n    ):", 4),
        ("x = {'a':", 0),
        ("def f():\n    '''Begins", 4),
        ("def f():\n    x = ')('", 4),
        ("if x:\n\ty = 1", 1),
        ("def f():\n    x = 1\n    ", 4),
        ("%loop for x in y:", 4),
        ("x = $", 0),
    ],
)
def test_indentation(text, columns):
    """The next line stands where a person would begin it."""
    assert len(next_indentation(text)) == columns


@given(st.text("ab:#'\"()[]{}\\ \t\n=%$é", max_size=60))
def test_any_text(text):
    """Whatever has been typed, the next line begins with blanks and nothing else."""
    assert next_indentation(text).strip(" \t") == ""
