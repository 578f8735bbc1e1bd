"""What a statement with a secret looks like: the pattern's meaning, and its cost."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from console.config.settings import SECRETS

# The same in plain terms, with every way to split a text tried: slow, and easy to compare with.
PLAIN = re.compile(
    r"(?i)(?:pass(?:word|wd|phrase)|secret|token|api_?key|access_?key|private_?key|credential)"
    r"\w{0,40}"
    r"(?:['\"]?\]?(?:\s?:\s?[\w.\[\]| ]{1,60})?\s{0,40}=(?!=)[\s(]{0,40}"
    r"|['\"]\s{0,40}:\s{0,40}"
    r"|\([^()\n]{0,200}?)"
    r"[bfru]{0,2}['\"]"
    r"|://[^\s/:@'\"]{1,200}:[^\s/@'\"]{1,200}@"
    r"|\bBearer\s[\w.~+/=-]{12}"
    r"|PRIVATE KEY-----"
)

PIECES = st.sampled_from(
    [
        *("password", "token", "api_key", "int", "x", "_", "b", "rb", "u"),
        *(" ", "  ", "\t", "\n", ":", "=", "==", "'", '"', "[", "]", "(", ")", ".", "|"),
        # At the ends of what is repeated.
        *("a" * count for count in (38, 39, 40, 58, 59, 60, 61, 198, 199, 200, 201, 202)),
        *(" " * count for count in (38, 39, 40, 41, 58, 60, 61, 100)),
        *("://", "@", "/", "Bearer ", "PRIVATE KEY-----"),
    ]
)


@settings(max_examples=1000)
@given(st.lists(PIECES | st.characters(), max_size=10).map("".join), st.booleans())
@example(": = 'x'", True)
@example(": \t= 'x'", True)
@example(":" + " " * 101 + "='x'", True)
@example(":" + " " * 102 + "='x'", True)
@example("(" + "a" * 200 + "rb'x'", True)
@example("(" + "a" * 201 + "rb'x'", True)
def test_a_secret_is_the_same_as_in_plain_terms(text, named):
    """Possessive repetitions find a secret exactly where the plain ones do."""
    text = "password" + text if named else text
    assert bool(re.search(SECRETS, text)) == bool(PLAIN.search(text))


ORDINARY = "x = f(y) + z\n"

HOSTILE = ("token", "tokentokenb", "password_", "password: " + " " * 50, "token=token_( ")


def seconds(pattern, unit):
    """Return the CPU time to search 64 KiB, the least of five."""
    text = (unit * (65536 // len(unit)))[:65536]
    found = []
    for _ in range(5):
        begun = time.thread_time()
        assert pattern.search(text) is None
        found.append(time.thread_time() - begun)
    return min(found)


@pytest.mark.parametrize("unit", HOSTILE)
def test_no_text_is_slow_to_search(unit):
    """A text made to be slow costs at most four times what an ordinary one of its length does."""
    pattern = re.compile(SECRETS)
    assert seconds(pattern, unit) < 4 * seconds(pattern, ORDINARY)


def test_the_measure_sees_what_it_looks_for():
    """The plain pattern is slow by this measure."""
    assert seconds(PLAIN, "tokentokenb") > 4 * seconds(PLAIN, ORDINARY)
