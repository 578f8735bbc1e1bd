"""The features that each client is tested for: the columns of a matrix, each a check.

`IMPOSSIBLE` has the features that a client cannot have, with the reason.
"""

import re

from support.clients import LINE_CLIENTS, PROMPT, Session

IMPOSSIBLE = {
    ("Ctrl-C", "nc"): "Ctrl-C ends nc itself",
    ("Ctrl-C", "curl"): "Ctrl-C ends curl itself",
    ("Tab", "nc"): "its terminal keeps the line until Enter",
    ("Tab", "curl"): "its terminal keeps the line until Enter",
    ("resize", "nc"): "it speaks no telnet, and tells no size",
    ("resize", "curl"): "it tells a size once, of 0x0",
    ("resize", "busybox"): "it tells the size of its window once",
    ("Ctrl-D", "curl"): "it keeps the end of its input to itself; `exit()` ends it",
}


FEATURES = {}


def feature(name, group=None):
    """Make a column of the matrix; a group is what `IMPOSSIBLE` calls it."""

    def add(check):
        FEATURES[name] = (check, group or name)
        return check

    return add


class Seats:
    """One session of each client, which features share as long as it works."""

    def __init__(self, host):
        self.host = host
        self._sessions = {}

    def new(self, client, *arguments, **options):
        """Log in again; the test may end this session."""
        return Session(client, self.host, *arguments, **options).login()

    def get(self, client):
        """Return the client's session, at an empty prompt."""
        session = self._sessions.get(client)
        if session is None or session.ended:
            session = self._sessions[client] = self.new(client)
        session.expect_prompt()
        return session

    def drop(self, client):
        """Discard the client's session, whose state is unknown."""
        session = self._sessions.pop(client, None)
        if session is not None:
            session.close()

    def close(self):
        for client in tuple(self._sessions):
            self.drop(client)


@feature("login, prompt at once")
def login(seats, client):
    """After the password the greeting and a prompt come, before anything is typed."""
    seats.drop(client)
    session = seats.get(client)
    lines = [line for line in session.screen() if line]
    assert lines[-1] == PROMPT
    assert sum("console 0." in line for line in lines) == 1
    assert sum(line.startswith("you are boss (") for line in lines) == 1
    assert "sekrit" not in session.text or client in LINE_CLIENTS
    if client in LINE_CLIENTS:
        assert "the password will show on the screen" in session.text
        assert session.text.count("boss\n") == 1  # echoed by its terminal, not by the server


@feature("value, print")
def value(seats, client):
    """The value of an expression is shown, and so is printed output."""
    session = seats.get(client)
    assert session.run("foo") == ["12"]
    assert session.run("print('printed', end=' '); print(foo)") == ["printed 12"]


@feature("exception with its id")
def exception(seats, client):
    """An exception is shown with its source line and the id that the log has."""
    shown = seats.get(client).run("1 / 0")
    assert shown[0] == "Traceback (most recent call last):"
    assert "    1 / 0" in shown
    assert shown[-2] == "ZeroDivisionError: division by zero"
    error_id = re.fullmatch(r"\(error (\d+\.\d+)\)", shown[-1])[1]
    seats.host.wait_for_stderr(rf"error {re.escape(error_id)}: user=boss")


@feature("block of lines")
def block(seats, client):
    """A compound statement is typed over several lines, at the `...` prompt."""
    session = seats.get(client)
    session.enter_block("def twice(x):", "y = x", "return x + y")
    assert session.run("twice(21)") == ["42"]


@feature("input()")
def question(seats, client):
    """A statement reads a line that is typed."""
    session = seats.get(client)
    session.line("'got ' + input('who? ')")
    session.wait_until(lambda: session.cursor_line == "who?", "the question")
    session.line("nobody")
    session.wait_for("\n'got nobody'\n")


@feature("Unicode both ways")
def unicode(seats, client):
    """Input and output work outside of ASCII and of the BMP too."""
    session = seats.get(client)
    assert session.run("print('é 漢字 🙂')") == ["é 漢字 🙂"]
    assert session.run("[hex(ord(c)) for c in 'é漢🙂']") == ["['0xe9', '0x6f22', '0x1f642']"]


@feature("200 KB of output")
def output(seats, client):
    """Output of 200 KB arrives complete and unchanged."""
    session = seats.get(client)
    begins = len(session.received)
    with session.unseen():
        session.line(
            "print('', *(f'{n} ' + 94 * 'x' for n in range(2000)), 'all ' + 'there', sep='\\n')"
        )
        session.wait_until(lambda: b"\nall there" in session.received[begins:], "the last line")
    lines = re.findall(rb"(?m)^(\d+) (x+)\r*$", session.received[begins:])
    assert [(int(n), len(x)) for n, x in lines] == [(n, 94) for n in range(2000)]
    seats.drop(client)  # its screen has not been kept


def interrupt(seats, client, statement):
    session = seats.get(client)
    session.run("import asyncio, time")
    session.run("def running(): print('it ' + 'runs')")
    begun = session.text.count("\nit runs\n")
    session.line(f"running(); {statement}")
    session.wait_until(lambda: session.text.count("\nit runs\n") > begun, "it runs")
    session.type("\x03")
    session.expect_prompt()
    assert session.run("foo") == ["12"]


@feature("Ctrl-C on time.sleep", "Ctrl-C")
def interrupt_sleep(seats, client):
    """Ctrl-C ends a statement that sleeps."""
    interrupt(seats, client, "time.sleep(60)")


@feature("Ctrl-C on await", "Ctrl-C")
def interrupt_await(seats, client):
    """Ctrl-C ends a statement that awaits."""
    interrupt(seats, client, "await asyncio.sleep(60)")


@feature("Ctrl-C on a busy loop", "Ctrl-C")
def interrupt_loop(seats, client):
    """Ctrl-C ends a statement that computes."""
    seats.get(client).enter_block("def spin():", "while True: pass")
    interrupt(seats, client, "spin()")


@feature("Ctrl-C right behind Enter", "Ctrl-C")
def interrupt_at_once(seats, client):
    """Ctrl-C ends a statement that has just been submitted."""
    session = seats.get(client)
    session.run("import asyncio")
    session.type("await asyncio.sleep(60)")
    session.wait_until(lambda: session.cursor_line == ">>> await asyncio.sleep(60)", "the echo")
    session.type("\r")
    session.type("\x03")
    session.expect_prompt()


@feature("Ctrl-C at the prompt", "Ctrl-C")
def interrupt_typing(seats, client):
    """Ctrl-C drops the line that is being typed."""
    session = seats.get(client)
    session.type("dropped = 1")
    session.wait_until(lambda: session.cursor_line == ">>> dropped = 1", "the echo")
    session.type("\x03")
    session.wait_until(lambda: session.cursor_line == PROMPT, "an empty prompt")
    assert session.run("'dropped' in globals()") == ["False"]


@feature("Tab")
def completion(seats, client):
    """Tab completes a name of the namespace."""
    session = seats.get(client)
    session.type("guar\t")
    session.wait_until(lambda: session.cursor_line == ">>> guarded", "the whole name")
    session.type("\x03")
    session.expect_prompt()


@feature("resize")
def resize(seats, client):
    """The size of the window is known at the login, and when it has changed."""
    session = seats.new(client, columns=60)
    with session:
        session.type("'")
        session.wait_until(lambda: session.cursor_line.startswith(">>> '"), "the echo")
        session.resize(50, 140)
        session.type("x" * 100)
        long = ">>> '" + "x" * 100
        session.wait_until(lambda: session.cursor_line.startswith(long), "one long line")


@feature("plain lines, no escapes")
def plain(seats, client):
    """A client that is read line by line, as with TERM=dumb, gets no escape sequence."""
    dumb = {} if client in LINE_CLIENTS else {"env": {"TERM": "dumb"}}
    with seats.new(client, **dumb) as session:
        assert session.run("foo") == ["12"]
        session.enter_block("if foo:", "print('in a block')")
        session.wait_for("\nin a block\n")
        session.line("1 / 0")
        session.wait_for("(error ")
        assert b"\x1b" not in session.received


@feature("exit()")
def leave(seats, client):
    """`exit()` ends the session and the client, and prints nothing."""
    with seats.new(client) as session:
        session.line("exit()")
        session.expect_end()
        assert "Traceback" not in session.text


@feature("Ctrl-D")
def end_of_input(seats, client):
    """Ctrl-D at an empty prompt ends the session and the client."""
    # nc reports the end of its input with an option only.
    with seats.new(client, *(["-N"] if client == "nc" else [])) as session:
        session.type("\x04")
        session.expect_end()
        assert "Traceback" not in session.text


@feature("last words")
def last_words(seats, client):
    """A kicked user sees by whom and why, on a line of its own, with no prompt below."""
    with seats.new(client) as session, seats.new("nc") as admin:
        number = re.search(r"session (\d+) ", "".join(session.run("whoami()")))[1]
        session.type("half")
        session.wait_until(lambda: session.cursor_line == ">>> half", "the echo")
        admin.run(f"kick({number}, 'night shift')")
        session.wait_for("night shift")
        session.expect_end()
        shown = session.text[session.text.rindex(">>> half") :].split("\n")
        assert shown[:2] == [">>> half", "boss has ended this session: night shift"]
        assert PROMPT not in "".join(shown[1:])
