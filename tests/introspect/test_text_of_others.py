"""What another user typed, or a peer sent, reaches a terminal and a log only escaped."""

from __future__ import annotations

import linecache
import re
import threading

import pytest

from console.introspect.stacks import (
    describe_place,
    describe_thread,
    thread_places,
    thread_stack,
)
from console.introspect.threads import describe_thread_places

EVIL = "\x1b]0;owned\x07\x9b2J\u202e\u200b"
UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e\u200b]")


@pytest.fixture
def ident():
    """Run a statement of another user, whose source and thread name have control characters."""
    source = f"def statement():\n    begun.set(); done.wait(); '{EVIL}'\nstatement()\n"
    file = f"<console-9{EVIL}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    begun, done = threading.Event(), threading.Event()
    code = compile(source, file, "exec")
    thread = threading.Thread(
        target=exec, args=(code, {"begun": begun, "done": done}), name=f"worker{EVIL}\nforged"
    )
    thread.start()
    begun.wait()
    yield thread.ident
    done.set()
    thread.join()
    del linecache.cache[file]


def test_a_stack_is_escaped(ident):
    """With its sources, and for viewers without."""
    told = describe_thread(ident)
    assert "begun.set(); done.wait(); '\\x1b]0;owned" in told
    assert not UNSAFE.search(told)
    told = describe_thread_places(ident)
    assert not UNSAFE.search(told)
    assert "\nforged" not in told
    assert thread_places(ident)


def test_a_place_is_one_escaped_line(ident):
    """As ``statements()`` and the log show it."""
    stack = thread_stack(ident)
    del stack[next(n for n, one in enumerate(stack) if one.name == "statement") + 1 :]
    told = describe_place(stack)
    assert "done.wait()" in told
    assert "\n" not in told
    assert not UNSAFE.search(told)
