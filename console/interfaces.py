"""The seams between the parts, read first.

A connection arrives at a *transport* (``transports/``). Its credentials go to the *authenticator*
(``auth/``), which turns them into a `Principal`. The *session manager* (``sessions/``) opens a
session on the connection's `Terminal`. A `Frontend` that suits the terminal reads statements
(``frontends/``); an `Evaluator` runs them and yields an `Outcome` (``evaluation/``).

Parts of one layer do not import each other. They meet through what stands here, and
``console.py`` wires them together.

Threads: everything here lives on the console's own loop, except where a docstring says otherwise.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = [
    "EDITING",
    "THEMES",
    "Admission",
    "AuthorizedKey",
    "Certificate",
    "CredentialStore",
    "Evaluator",
    "Frontend",
    "FrontendHost",
    "Grant",
    "HistoryLog",
    "InputSource",
    "KeyOptions",
    "OfferedKey",
    "Outcome",
    "OutcomeKind",
    "OutputSink",
    "Peer",
    "Preferences",
    "Principal",
    "Role",
    "SessionChoices",
    "Size",
    "Terminal",
    "TerminalKind",
    "TerminalReceiver",
]


# ---------------------------------------------------------------- who: credentials and principals


class Role(enum.Enum):
    """What a user may do. A viewer looks, an operator evaluates, an admin also manages sessions.

    Whoever evaluates Python in the process can do all that the process can: between operator and
    admin stands convention, between viewer and operator a wall.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection.

    Attributes:
        host: Its IP address as text; empty for a Unix socket, which has none.
        port: Its port.
        uid: The system user at the other end of a Unix socket; None for TCP.
    """

    host: str
    port: int = 0
    uid: int | None = None

    def __str__(self) -> str:
        if not self.host:
            return "unix" if self.uid is None else f"unix:{self.uid}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class KeyOptions:
    """What stands before a key in an ``authorized_keys`` line (sshd(8)), all of it enforced.

    Attributes:
        sources: The patterns of ``from=``; empty for any address.
        command: The statement of ``command=``, which runs whatever the client asks for.
        expires_at: ``expiry-time=``, in seconds since the epoch; None for never.
        pty: Whether a terminal may be had: ``restrict`` and ``no-pty`` take it away.
        authority: ``cert-authority``: the key signs certificates and opens nothing itself.
        principals: ``principals=``: what a certificate of this authority has to name instead of
            the user; empty for the user's name.
    """

    sources: tuple[str, ...] = ()
    command: str | None = None
    expires_at: float | None = None
    pty: bool = True
    authority: bool = False
    principals: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AuthorizedKey:
    """One line of an ``authorized_keys`` file: a key that lets a user in, or an authority.

    ``blob`` is the key in the wire form of RFC 4253 section 6.6, which is what keys are compared
    by; ``place`` is the file and line that grants it.
    """

    algorithm: str
    blob: bytes
    fingerprint: str
    comment: str
    place: str
    options: KeyOptions = KeyOptions()


@dataclass(frozen=True, slots=True)
class Certificate:
    """What an OpenSSH certificate says (PROTOCOL.certkeys), its authority's signature verified.

    Attributes:
        authority: The key that signed it, in wire form.
        is_user: Whether it is for a user; else it is for a host.
        valid_after: In seconds since the epoch.
        valid_before: In seconds since the epoch; 2**64 - 1 for ever.
        critical: The critical options, name and data.
        extensions: The names of the extensions (``permit-pty``).
    """

    authority: bytes
    is_user: bool
    serial: int
    key_id: str
    principals: tuple[str, ...]
    valid_after: int
    valid_before: int
    critical: tuple[tuple[str, bytes], ...]
    extensions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfferedKey:
    """A public key that a peer shows, alone or in a certificate. It proves nothing yet."""

    algorithm: str
    blob: bytes
    certificate: Certificate | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """What lets a key in, and how far.

    Attributes:
        detail: Key and place for the log; for a certificate its key id and serial.
        command: Runs whatever the client asks for; None for what it asks for.
        pty: Whether a terminal may be had.
    """

    detail: str
    command: str | None = None
    pty: bool = True


class CredentialStore(Protocol):
    """Where users are kept. Implement this to let the users of your service in.

    The methods may block: they are called on the authenticator's own thread, never on a loop, and
    one at a time. An exception lets nobody in; it is logged.

    A store may have more methods, which are looked for by name:

    * ``role(name) -> Role``: without it everybody is an operator.
    * ``second_factor() -> bool``: whether any user has one, so that all are asked for a code.
    * ``has_second_factor(name) -> bool`` and ``use_code(name, code) -> bool``: the code of one
      user, which is good once.
    * ``is_revoked(key: OfferedKey) -> str``: why a key or certificate opens nothing any more;
      empty if it is not revoked.
    """

    def password_hash(self, name: str) -> str | None:
        """Return the user's argon2 hash in PHC form; None if no password lets this user in.

        The same one until the password changes: another one ends what the old one let in.
        """

    def authorized_keys(self, name: str) -> Sequence[AuthorizedKey]:
        """Return the public keys that open exactly this user's account."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who has proved who they are, the same for each transport.

    Attributes:
        user: The name in the store.
        transport: How they came.
        peer: The address of the other end, as text.
        method: ``password`` or ``publickey``.
        role: What they may do.
        command: A statement that runs whatever they ask for, as their key has it.
        pty: Whether they may have a terminal.
        proof: A digest of what their password was compared with, which another password changes;
            empty for a key.
    """

    user: str
    transport: str
    peer: str
    method: str
    role: Role = Role.OPERATOR
    command: str | None = None
    pty: bool = True
    proof: bytes = field(default=b"", repr=False, compare=False)


EDITING = ("emacs", "vi")
"""How the keys of the editor work."""

THEMES = ("terminal", "dark", "light", "plain")
"""Colours of the editor: the terminal's own sixteen, for a dark or a light ground, or none."""


@dataclass(frozen=True, slots=True)
class Preferences:
    """What a user has chosen for their sessions; ``mode`` is empty if they leave it to us."""

    editing: str = "emacs"
    theme: str = "terminal"
    mode: str = ""


class SessionChoices(Protocol):
    """The preferences that hold in one session. Safe to use from any thread."""

    now: Preferences

    def choose(self, name: str, value: str, *, keep: bool = True) -> str:
        """Change one for this session, and for later ones of the user unless told not to.

        Returns:
            Why it holds for this session only; empty if nothing is wrong.

        Raises:
            ValueError: If there is no such choice.
        """


# ---------------------------------------------------------------- where: terminals


@dataclass(frozen=True, slots=True)
class Size:
    """A terminal's size in characters."""

    rows: int = 24
    columns: int = 80


# What terminfo(5) knows of no cursor (generic and paper terminals, Emacs), and the few that move it
# in other ways than ECMA-48 says, which is all that the editor speaks.
_INCAPABLE = frozenset(
    """
    dumb emacs unknown network net dialup switch patch plugboard bare lpr printer glasstty vanilla
    tty tty33 tty35 tty37 teletype vt52 adm3 adm3a
    """.split()  # noqa: SIM905 - one a line, or all in quotes, cannot be read
) | {""}


@dataclass(frozen=True, slots=True)
class TerminalKind:
    """What a terminal can do, as far as its client has said.

    Attributes:
        name: The terminal's type (``xterm-256color``), lower case; empty if unknown.
        interactive: Somebody types here: echo, prompts and CR LF are wanted. False for a pipe.
        server_echo: The client leaves the echo of what is typed to us.
        whole_lines: The client edits lines by itself, and sends each when it is done.
        environment: The few variables that describe the terminal (``COLORTERM``, ``LANG``) and
            what is wanted there (``CONSOLE_FRONTEND``). Never anything about who the user is.
        carriage_return: A new line has to be written as CR LF, where somebody types.
    """

    name: str = ""
    interactive: bool = True
    server_echo: bool = True
    environment: tuple[tuple[str, str], ...] = ()
    carriage_return: bool = True
    whole_lines: bool = False

    @property
    def capable(self) -> bool:
        """Whether a full-screen editor can work here."""
        return (
            self.interactive
            and self.server_echo
            and not self.whole_lines
            and self.name not in _INCAPABLE
            and not self.name.startswith("dumb-")
        )

    def variable(self, name: str) -> str:
        """Return a variable of the client's environment; empty if it has not sent it."""
        return dict(self.environment).get(name, "")


class TerminalReceiver(Protocol):
    """What a terminal tells its session. The calls come on the console's loop and never raise."""

    def data_received(self, text: str) -> None:
        r"""Text was typed or piped in. Enter is ``\r`` or ``\n``; Ctrl-C may be in it: ``\x03``."""

    def interrupt_received(self) -> None:
        """Ctrl-C by the protocol's own means: IAC IP and BRK, an SSH break or signal."""

    def eof_received(self) -> None:
        """No more input will come; output still can go."""

    def resized(self) -> None:
        """The terminal's size changed."""

    def kind_changed(self) -> None:
        """The terminal is of another kind now: a telnet client sends lines, or keys again."""

    def asked(self) -> None:
        """Somebody asks whether we are still here (telnet's AYT)."""

    def writing_paused(self) -> None:
        """The client does not keep up: write nothing more until `writing_resumed`."""

    def writing_resumed(self) -> None:
        """The client caught up."""

    def connection_lost(self) -> None:
        """The terminal is gone; nothing can be written any more."""


class Terminal(Protocol):
    """A byte channel with a size and a kind: what a transport yields.

    A transport makes it before login; once the principal is known it hands it to the session
    manager, and the session attaches itself.
    """

    @property
    def kind(self) -> TerminalKind:
        """What the terminal can do now; `TerminalReceiver.kind_changed` tells of a change."""

    @property
    def size(self) -> Size:
        """The size now, clamped to sane values."""

    @property
    def command(self) -> str | None:
        """The command of an exec request; None for a shell."""

    def attach(self, receiver: TerminalReceiver) -> None:
        """Send what arrives to ``receiver`` from now on, beginning with what has waited."""

    def write(self, data: bytes, *, error: bool = False) -> None:
        """Write bytes, on the error stream where the transport has one. A no-op once it is lost."""

    def pause_reading(self) -> None:
        """Hold the peer back until `resume_reading`."""

    def resume_reading(self) -> None:
        """Let the peer send again."""

    def close(self, status: int = 0) -> None:
        """End orderly: what was written still arrives. Can be called twice."""

    def abort(self) -> None:
        """End now, whatever is still unsent. Can be called twice."""

    def disconnect(self) -> None:
        """End the whole connection, with whatever else is open on it. Can be called twice."""


Admission = Callable[[Principal, Terminal], None]
"""What a transport calls with an authenticated terminal: the session manager's ``admit``."""


# ---------------------------------------------------------------- what: statements and outcomes


class OutcomeKind(enum.Enum):
    """How a statement ended."""

    NOTHING = "nothing"
    VALUE = "value"
    EXCEPTION = "exception"
    INTERRUPTED = "interrupted"
    EXIT = "exit"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a statement. Its text is ready to be shown: no user code runs any more.

    Attributes:
        kind: How it ended.
        text: The value's repr or the traceback, clipped and escaped, without a final newline.
        status: The exit status that ``ssh host 'statement'`` reports.
        error_id: Names an exception in the session and in the log; empty if there was none.
        note: What the console has to say about it, below the text: a hint, what was left behind.
        document: All of it as one line of JSON, where that was asked for: shown instead.
        secret: Its text quotes a secret, which is not for the log.
    """

    kind: OutcomeKind
    text: str = ""
    status: int = 0
    error_id: str = ""
    note: str = ""
    document: str = ""
    secret: bool = False


class OutputSink(Protocol):
    """Where text printed by a statement goes. Safe to call from any thread."""

    def write(self, text: str, *, error: bool = False) -> bool:
        """Take text. False once the session is over: the text is then the host's own."""


class InputSource(Protocol):
    """Where ``input()`` of a statement reads: the session's terminal. Safe from any thread."""

    def read_line(self, *, secret: bool = False) -> str:
        """Wait for a line and return it with its newline; empty at the end of input.

        Raises:
            io.UnsupportedOperation: On a thread that runs an event loop, which must not wait.
        """

    rest: str
    """What a read has left of a line, for the next read."""

    @property
    def page_rows(self) -> int:
        """Lines that fit the screen; 0 where nobody turns pages, as with a pipe."""

    @property
    def page_columns(self) -> int:
        """Columns of the screen; 0 where a program reads, which wants plain results."""


class Evaluator(Protocol):
    """Runs the statements of one session, one at a time."""

    async def evaluate(self, source: str, *, secret: bool = False) -> Outcome:
        """Run a statement and return what came of it. Never raises what user code raises.

        Args:
            source: The statement.
            secret: Show it to nobody else: neither in the log nor in the list of statements.
        """

    async def run_file(
        self, source: str, file: str, *, private: bool, secret: bool = False
    ) -> Outcome:
        """Run the statements of a startup file, of which no value is shown.

        Args:
            source: What the file holds.
            file: Its name, for tracebacks.
            private: Whether the names that it binds are the session's own.
            secret: What comes of it is not for the log.
        """

    def interrupt(self) -> bool:
        """Ask the running statement to stop. True if there is one."""

    def close(self) -> None:
        """Release the session's worker and names. Can be called twice, and at any time."""


# ---------------------------------------------------------------- how: frontends


class HistoryLog(Protocol):
    """The statements that one user has typed, over all sessions and transports."""

    def entries(self) -> Sequence[str]:
        """Return the entries, oldest first."""

    def append(self, entry: str) -> None:
        """Keep an entry, in memory and on disk. A disk that fails is logged once, never raised."""

    def is_secret(self, entry: str) -> bool:
        """Whether an entry is not to be kept, or shown to anybody else, in a log for one."""


class FrontendHost(Protocol):
    """What a frontend may use of its session."""

    @property
    def terminal(self) -> Terminal:
        """Where the frontend draws."""

    @property
    def history(self) -> HistoryLog:
        """The user's history."""

    @property
    def namespace(self) -> dict[str, Any]:
        """The live names, for completion. Never written."""

    @property
    def preferences(self) -> Preferences:
        """What the user prefers, as it is now: looked at before each prompt."""

    def names(self) -> Mapping[str, Any]:
        """Return what the session adds to the builtins, by name; for completion."""

    @property
    def commands(self) -> Sequence[str]:
        """The words that are understood, where each line is one of them: a viewer's session.

        Empty where statements are Python. If not, nothing typed may be compiled or evaluated by
        the frontend either, and only these words are completed.
        """


class Frontend(Protocol):
    """Reads statements from a terminal and shows what came of them.

    The session calls `read` and then, for the statement it returned, `render`; text that arrives
    in between is kept by the session and fed when the next `read` begins.
    """

    name: str

    async def read(self) -> str | Outcome | None:
        """Return the next statement, never a blank one; None when the input has ended.

        An `Outcome` instead of a statement is of one that will not be run; it is shown, and its
        status ends the session.
        """

    def feed(self, text: str) -> None:
        """Take typed text. Called while `read` waits, and just before it does."""

    def feed_eof(self) -> None:
        """No more input comes: `read` returns None after what it still has."""

    def interrupt(self) -> None:
        """Ctrl-C at the prompt: drop what has been typed."""

    def take_typeahead(self) -> str:
        """Give back text that was fed but not used by the statement just read."""

    def render(self, outcome: Outcome) -> Iterable[tuple[bool, str]]:
        """Return (is error, text) pairs that show an outcome, in order."""

    def write(self, text: str, *, error: bool = False) -> None:
        """Write text of the session's code to the terminal; above an intact prompt if one is up."""

    def resized(self) -> None:
        """The terminal's size changed."""

    def close(self) -> None:
        """End a pending `read` with None and release everything. Can be called twice."""
