"""The process's streams: output goes to the session whose code is running."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import contextvars
import gc
import getpass
import io
import logging
import multiprocessing.pool
import sys
import threading

import pytest

from console.context.scope import Scope, current_scope
from console.evaluation.hooks import hooks
from console.evaluation.streams import RoutedInput, RoutedOutput


class Stream(io.TextIOWrapper):
    """A host's stream, which claims to be a terminal."""

    def __init__(self, text=""):
        super().__init__(io.BytesIO(text.encode()), encoding="ascii", errors="strict")

    def isatty(self):
        return True

    def fileno(self):
        return 99

    @property
    def text(self):
        self.flush()
        return self.buffer.getvalue().decode()


class Sink:
    """A session's output."""

    def __init__(self, *, closed=False):
        self.got = []
        self.closed = closed

    def write(self, text, *, error=False):
        if not self.closed:
            self.got.append((text, error))
        return not self.closed

    @property
    def text(self):
        return "".join(text for text, _ in self.got)


class Source:
    """A session's input."""

    page_rows = page_columns = 0

    def __init__(self, *lines):
        self.rest = ""
        self.lines = list(lines)
        self.secrets = []

    def read_line(self, *, secret=False):
        self.secrets.append(secret)
        return self.lines.pop(0) if self.lines else ""


@contextlib.contextmanager
def routed_streams():
    """The host's streams, with hooks that route by context in front of them.

    No fixture: pytest puts its own streams in place between a fixture and its test.
    """
    before = sys.stdin, sys.stdout, sys.stderr
    host = {"stdin": Stream("host line\nmore\n"), "stdout": Stream(), "stderr": Stream()}
    sys.stdin, sys.stdout, sys.stderr = host.values()
    hooks.install()
    try:
        yield host
    finally:
        hooks.uninstall()
        after = sys.stdin, sys.stdout, sys.stderr
        sys.stdin, sys.stdout, sys.stderr = before
    assert after == tuple(host.values())


@pytest.fixture
def sink():
    return Sink()


def in_session(function, *arguments, sink, source=None):
    """Call a function as a session's code."""
    context = contextvars.copy_context()
    context.run(current_scope.set, Scope(1, sink, source, {}))
    return context.run(function, *arguments)


# ---- stdout and stderr


def test_print_goes_where_it_belongs(sink):
    """What a session prints reaches the session alone; what the host prints, the host alone."""
    with routed_streams() as host:
        print("host")
        in_session(print, "session", sink=sink)
        print("host again", file=sys.stderr)
        in_session(lambda: print("warned", file=sys.stderr), sink=sink)
        assert host["stdout"].text == "host\n"
        assert host["stderr"].text == "host again\n"
        assert sink.text == "session\nwarned\n"
        assert [error for text, error in sink.got if "warned" in text] == [True]
        assert [error for text, error in sink.got if "session" in text] == [False]


def test_two_sessions():
    """Each session gets what its own code prints."""
    with routed_streams():
        one, two = Sink(), Sink()
        in_session(print, "one", sink=one)
        in_session(print, "two", sink=two)
        assert (one.text, two.text) == ("one\n", "two\n")


def test_write_and_writelines(sink):
    """write() returns how much it took, writelines() writes each line, in a session as outside."""
    with routed_streams() as host:
        for write in (lambda f: in_session(f, sink=sink), lambda f: f()):
            assert write(lambda: sys.stdout.write("abc")) == 3
            write(lambda: sys.stdout.writelines(["d", "e\n"]))
        assert sink.text == "abcde\n"
        assert host["stdout"].text == "abcde\n"


def test_write_takes_text_only(sink):
    """Writing anything but text is a TypeError in a session, as on a real stream."""
    with routed_streams():
        for wrong in (b"bytes", 5, None):
            with pytest.raises(TypeError, match="must be str"):
                in_session(sys.stdout.write, wrong, sink=sink)
        assert sink.got == []


def test_buffer(sink):
    """Bytes written below the stream are shown in the session as UTF-8, broken ones escaped."""
    with routed_streams() as host:
        assert in_session(lambda: sys.stdout.buffer.write("é\n".encode()), sink=sink) == 3
        in_session(lambda: sys.stdout.buffer.write(b"\xff"), sink=sink)
        in_session(lambda: sys.stderr.buffer.flush(), sink=sink)
        assert sink.text == "é\n\\xff"
        sys.stdout.buffer.write(b"host")
        assert host["stdout"].text == "host"


def test_text_that_the_host_cannot_encode(sink):
    """A session shows every character, even where the host's own stdout is ASCII."""
    with routed_streams():
        in_session(print, "é日\udcff", sink=sink)
        assert sink.text == "é日\udcff\n"
        with pytest.raises(UnicodeEncodeError):
            print("é")


def test_a_closed_session():
    """What code of a session prints after the session's end is the host's."""
    with routed_streams() as host:
        in_session(print, "orphan", sink=Sink(closed=True))
        assert host["stdout"].text == "orphan\n"


def test_a_session_has_no_descriptor(sink):
    """In a session the streams have no descriptor and no terminal; outside nothing changes."""
    with routed_streams():
        for name in ("stdin", "stdout", "stderr"):
            stream = getattr(sys, name)
            with pytest.raises(io.UnsupportedOperation):
                in_session(stream.fileno, sink=sink)
            assert in_session(stream.isatty, sink=sink) is False
            assert stream.fileno() == 99
            assert stream.isatty() is True


def test_encoding(sink):
    """In a session the encoding is UTF-8 without errors; outside it is the host's."""
    with routed_streams():
        assert in_session(lambda: (sys.stdout.encoding, sys.stdout.errors), sink=sink) == (
            "utf-8",
            "backslashreplace",
        )
        assert (sys.stdout.encoding, sys.stdout.errors) == ("ascii", "strict")


def test_other_attributes_are_the_hosts():
    """What a text stream of the host has besides is found behind the proxy."""
    with routed_streams() as host:
        assert sys.stdout.line_buffering is False
        sys.stdout.reconfigure(encoding="utf-8")
        assert host["stdout"].encoding == "utf-8"
        with pytest.raises(AttributeError):
            _ = sys.stdout.no_such_attribute


def test_close_is_harmless(sink):
    """Closing the streams, in a session or outside, closes nothing of the host's."""
    with routed_streams() as host:
        for close in (sys.stdout.close, sys.stderr.close, sys.stdin.close):
            close()
            in_session(close, sink=sink)
        print("still here")
        assert host["stdout"].text == "still here\n"
        assert not sys.stdout.closed


def test_an_unreferenced_proxy_is_harmless():
    """Proxies that are collected leave the host's streams open."""
    stream, source = Stream(), Stream()
    proxies = [RoutedOutput(stream, error=False), RoutedInput(source)]
    proxies.clear()
    gc.collect()
    assert not stream.closed
    assert not source.closed


def test_a_host_without_streams(sink, monkeypatch):
    """A process without stdout and stdin (a daemon) gets a console that works."""
    output, source = RoutedOutput(None, error=False), RoutedInput(None)
    assert output.write("nowhere") == 7
    output.flush()
    assert output.isatty() is False
    assert source.isatty() is False
    with pytest.raises(io.UnsupportedOperation):
        output.fileno()
    with pytest.raises(io.UnsupportedOperation):
        source.readline()
    in_session(output.write, "session", sink=sink)
    assert sink.text == "session"


# ---- logging


def test_log_records_are_the_hosts(sink):
    """Records go to the host's stderr, even by a handler that a session's code has made."""
    with routed_streams() as host:
        logger = logging.getLogger("test_streams")
        logger.propagate = False
        handler = in_session(logging.StreamHandler, sink=sink)
        logger.addHandler(handler)
        logger.warning("from the host")
        in_session(logger.warning, "from the session", sink=sink)
        logger.removeHandler(handler)
        assert host["stderr"].text == "from the host\nfrom the session\n"
        assert sink.got == []


# ---- threads and tasks


def test_threads_started_in_a_session(sink):
    """Threads, subclasses and timers that a session's code starts print to the session."""
    with routed_streams() as host:

        class Mine(threading.Thread):
            def run(self):
                print("subclass")

        def start():
            threads = [
                threading.Thread(target=print, args=("target",)),
                Mine(),
                threading.Timer(0, print, ("timer",)),
            ]
            for thread in threads:
                thread.start()
            return threads

        for thread in in_session(start, sink=sink):
            thread.join()
        assert sorted(sink.text.split()) == ["subclass", "target", "timer"]
        assert host["stdout"].text == ""


def test_threads_of_threads(sink):
    """A thread started by a session's thread prints to the session too."""
    with routed_streams():

        def outer():
            inner = threading.Thread(target=print, args=("inner",))
            inner.start()
            inner.join()

        def start():
            thread = threading.Thread(target=outer)
            thread.start()
            thread.join()

        in_session(start, sink=sink)
        assert sink.text == "inner\n"


def test_threads_of_the_host(sink):
    """A thread that the host starts prints to the host, even if a session made it."""
    with routed_streams() as host:
        thread = in_session(lambda: threading.Thread(target=print, args=("host",)), sink=sink)
        thread.start()
        thread.join()
        assert host["stdout"].text == "host\n"


def test_pool_threads_are_the_hosts(sink):
    """A pool's threads that a session happens to start work for the host."""
    with routed_streams() as host:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            in_session(lambda: pool.submit(print, "executor").result(), sink=sink)
            pool.submit(print, "later").result()
        with multiprocessing.pool.ThreadPool(1) as pool:
            in_session(lambda: pool.apply(print, ("pool",)), sink=sink)
            pool.close()
            pool.join()
        assert host["stdout"].text == "executor\nlater\npool\n"
        assert sink.got == []


def test_tasks_and_to_thread(sink):
    """Tasks, and to_thread(), of a session's code print to the session, others to the host."""
    with routed_streams() as host:

        async def work(name):
            print(name)
            await asyncio.to_thread(print, name, "thread")

        async def main():
            mine = in_session(lambda: asyncio.create_task(work("session")), sink=sink)
            theirs = asyncio.create_task(work("host"))
            await mine
            await theirs

        asyncio.run(main())
        assert sink.text == "session\nsession thread\n"
        assert host["stdout"].text == "host\nhost thread\n"


# ---- stdin


def test_stdin_of_the_host():
    """Outside of sessions stdin is the host's own."""
    with routed_streams():
        assert sys.stdin.readline() == "host line\n"
        assert sys.stdin.read() == "more\n"


@pytest.mark.parametrize(
    ("read", "expected"),
    [
        (lambda: sys.stdin.readline(), "one\n"),
        (lambda: sys.stdin.read(), "one\ntwo\n"),
        (lambda: sys.stdin.read(None), "one\ntwo\n"),
        (lambda: list(sys.stdin), ["one\n", "two\n"]),
        (lambda: sys.stdin.readlines(), ["one\n", "two\n"]),
        (lambda: input("name? "), "one"),
    ],
)
def test_stdin_of_a_session(sink, read, expected):
    """Each way to read stdin reads the session's terminal, and leaves the host's input alone."""
    with routed_streams():
        assert in_session(read, sink=sink, source=Source("one\n", "two\n")) == expected
        assert sys.stdin.read() == "host line\nmore\n"


def test_input_prompts_in_the_session(sink):
    """input() shows its prompt in the session; at the end of input it raises EOFError."""
    with routed_streams() as host:
        with pytest.raises(EOFError):
            in_session(input, "name? ", sink=sink, source=Source())
        assert sink.text == "name? "
        assert host["stdout"].text == ""


def test_stdin_of_a_session_without_input(sink):
    """Where a session has no input, reading is refused rather than done from the host."""
    with routed_streams():
        with pytest.raises(io.UnsupportedOperation):
            in_session(sys.stdin.readline, sink=sink)
        for attribute in ("buffer", "encoding_errors"):
            assert not in_session(hasattr, sys.stdin, attribute, sink=sink)


# ---- getpass and breakpoint


def test_getpass(sink):
    """In a session getpass reads a secret line from the session's terminal."""
    with routed_streams():
        source = Source("sekrit\n")
        assert in_session(getpass.getpass, "secret? ", sink=sink, source=source) == "sekrit"
        assert source.secrets == [True]
        assert sink.text == "secret? "
        with pytest.raises(EOFError):
            in_session(getpass.getpass, sink=sink, source=source)


def test_getpass_of_the_host(monkeypatch):
    """Outside of sessions getpass is the host's own, and so it is after the console's end."""
    asked = []
    monkeypatch.setattr(getpass, "getpass", lambda *arguments: asked.append(arguments) or "host's")
    before = getpass.getpass
    hooks.install()
    try:
        assert getpass.getpass("? ") == "host's"
    finally:
        hooks.uninstall()
    assert asked == [("? ", None)]
    assert getpass.getpass is before


def test_breakpoint_of_the_host(monkeypatch):
    """Outside of sessions breakpoint() is the host's own, and so it is after the console's end."""
    called = []
    monkeypatch.setattr(sys, "breakpointhook", lambda *arguments, **_: called.append(arguments))
    before = sys.breakpointhook
    hooks.install()
    try:
        breakpoint()  # noqa: T100 - it is what is tested
    finally:
        hooks.uninstall()
    assert called == [()]
    assert sys.breakpointhook is before


def test_breakpoint_in_a_session(sink):
    """In a session breakpoint() debugs the calling frame on the session's terminal."""
    with routed_streams() as host:

        def look():
            answer = 41
            breakpoint()  # noqa: T100 - it is what is tested
            return answer

        def start():
            # On a thread of its own: a debugger switches tracing off, and coverage with it.
            thread = threading.Thread(target=lambda: results.append(look()))
            thread.start()
            thread.join()

        results = []
        source = Source("p answer + 1\n", "answer = 50\n", "c\n")
        in_session(start, sink=sink, source=source)
        assert "(Pdb) 42\n" in sink.text
        assert host["stdout"].text == ""
        assert source.lines == []
        assert len(results) == 1


def test_breakpoint_on_a_loop(sink):
    """On a thread that runs a loop breakpoint() is refused, since it would stop the service."""
    with routed_streams():

        async def main():
            with pytest.raises(io.UnsupportedOperation, match="event loop"):
                in_session(breakpoint, sink=sink, source=Source("c\n"))

        asyncio.run(main())


# ---- installing and undoing


def test_install_is_counted():
    """The changes stay until the last user of them is gone."""
    with routed_streams():
        proxy = sys.stdout
        hooks.install()
        assert sys.stdout is proxy
        hooks.uninstall()
        assert sys.stdout is proxy
        assert threading.Thread.start.__name__ == "start_in_context"


def test_later_replacements_stay(monkeypatch):
    """A stream that the host replaced while a console ran is left alone at its end."""
    before = sys.stdout, sys.stderr
    theirs = io.StringIO()
    hooks.install()
    ours = sys.stdout
    monkeypatch.setattr(sys, "stdout", theirs)
    hooks.uninstall()
    assert sys.stdout is theirs
    assert sys.stderr is before[1]
    monkeypatch.undo()
    assert sys.stdout is ours
    sys.stdout = before[0]


def test_forget_undoes_everything():
    """In a forked child everything is undone at once, however many consoles there were."""
    before = sys.stdout, sys.stderr, sys.stdin, sys.breakpointhook, getpass.getpass
    start = threading.Thread.start
    hooks.install()
    hooks.install()
    hooks.forget()
    assert (sys.stdout, sys.stderr, sys.stdin, sys.breakpointhook, getpass.getpass) == before
    assert threading.Thread.start is start
    hooks.install()
    hooks.uninstall()
    assert sys.stdout is before[0]
