"""Frames of running threads: read with the collector off, and not at all without the GIL."""

from __future__ import annotations

import gc
import sys
import threading

import pytest

from console.introspect import frames
from console.introspect.frames import UNREADABLE, current_frames
from console.introspect.stacks import describe_place, describe_thread, thread_stack
from console.introspect.threads import describe_thread_places, list_threads


@pytest.mark.parametrize("is_on", [True, False])
def test_the_collector_is_off_around_the_call(monkeypatch, is_on):
    """In older patch releases a collection there is a deadlock; afterwards it is as it was."""
    seen = []
    read = sys._current_frames

    def reading():
        seen.append(gc.isenabled())
        return read()

    monkeypatch.setattr(sys, "_current_frames", reading)
    was_on = gc.isenabled()
    (gc.enable if is_on else gc.disable)()
    try:
        assert threading.get_ident() in current_frames()
        assert seen == [False]
        assert gc.isenabled() is is_on
    finally:
        (gc.enable if was_on else gc.disable)()


def test_the_collector_is_on_after_an_error(monkeypatch):
    """An error of the call does not leave the service without a collector."""

    def failing():
        raise MemoryError

    monkeypatch.setattr(sys, "_current_frames", failing)
    with pytest.raises(MemoryError):
        current_frames()
    assert gc.isenabled()


def test_threads_at_once_leave_the_collector_on():
    """The second of two does not take it for off."""
    threads = [
        threading.Thread(target=lambda: [current_frames() for _ in range(300)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert gc.isenabled()


def test_only_one_module_asks_for_frames():
    """So that the rule holds everywhere."""
    root = __import__("pathlib").Path(frames.__file__).parent.parent
    asking = [path for path in root.rglob("*.py") if "sys._current_frames()" in path.read_text()]
    assert [path.name for path in asking] == ["frames.py"]


def test_a_free_threaded_build_is_refused_with_one_line(monkeypatch):
    """Running frames are not read there, and each word says why; threads are still listed."""
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    monkeypatch.setattr(sys, "_current_frames", None)
    me = threading.get_ident()
    assert current_frames() == {}
    assert describe_place(thread_stack(me)) == UNREADABLE
    for told in (describe_thread(me), describe_thread_places(me)):
        assert told.split("\n")[1:] == [f"  {UNREADABLE}"]
    assert {row.place for row in list_threads()} == {None}
