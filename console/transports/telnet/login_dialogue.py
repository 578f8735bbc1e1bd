"""The dialogue that asks for a user name, a password and a code, as rules without I/O.

Text goes in with `LoginDialogue.feed`, what to do comes out of `LoginDialogue.next`, what to send
is collected for `LoginDialogue.take_output`::

    dialogue = LoginDialogue(banner, client_speaks_telnet=lambda: False)
    send(dialogue.take_output())
    dialogue.feed(text)
    match dialogue.next():  # again after each answer, until it is None
        case Attempt(user, password, code): ...  # then dialogue.rejected() or .accepted()
        case Ended(reason): ...

Text that arrives while an attempt is being verified waits: `next` returns None until the verdict.

Where any user has a second factor, each is asked for a code before anything is verified: the
question tells neither which users have one nor that a password was right.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from console import limits
from console.line_discipline import EndOfFile, Interrupt, Line, LineDiscipline

__all__ = ["Attempt", "Ended", "LoginDialogue"]

USER_PROMPT: Final = "username: "
PASSWORD_PROMPT: Final = "password: "  # noqa: S105 - the words, not a password
CODE_PROMPT: Final = "code (Enter if you have none): "

EMPTY_USER_NAMES: Final = 10
"""Enter at the user prompt costs no try; a client that sends nothing else is ended after these."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Credentials to be checked. Answer with `rejected` or `accepted`."""

    user: str
    password: str = field(repr=False)
    code: str = field(repr=False, default="")


@dataclass(frozen=True, slots=True)
class Ended:
    """The dialogue is over without a login.

    ``broken_rule`` tells a peer that was turned away from one that left.
    """

    reason: str
    broken_rule: bool = False


class _State(enum.Enum):
    USER = enum.auto()
    PASSWORD = enum.auto()
    CODE = enum.auto()
    VERIFYING = enum.auto()
    OVER = enum.auto()


class LoginDialogue:
    """See the module's docstring.

    Args:
        banner: What stands above the first prompt; may have several lines, or none.
        client_speaks_telnet: Whether the peer has answered any telnet negotiation so far. Asked
            before each password prompt.
        tries: Wrong attempts after which the dialogue ends.
        echo: Whether the client leaves the echo to us; see the attribute of the same name.
        ask_code: Whether each user is asked for a code; see the attribute of the same name.

    Attributes:
        ask_code: Counts when a password has been typed, and can be set until then.
    """

    def __init__(
        self,
        banner: str,
        *,
        client_speaks_telnet: Callable[[], bool],
        tries: int = limits.LOGIN_TRIES,
        echo: bool = False,
        ask_code: bool = False,
    ) -> None:
        self.ask_code = ask_code
        self._client_speaks_telnet = client_speaks_telnet
        self._tries_left = tries
        self._empty_left = EMPTY_USER_NAMES
        self._lines = LineDiscipline(echo=echo, limit=limits.LOGIN_LINE_CHARACTERS)
        self._state = _State.USER
        self._user = ""
        self._password = ""
        self._warned = False
        # The empty line first: a client that speaks no telnet shows our negotiation as garbage.
        self._output = ["\r\n", *(line + "\r\n" for line in banner.splitlines()), USER_PROMPT]

    @property
    def echo(self) -> bool:
        """Whether the client leaves the echo to us. Set it as soon as the client has said so."""
        return self._lines.echo

    @echo.setter
    def echo(self, echo: bool) -> None:
        self._lines.echo = echo

    def feed(self, text: str) -> None:
        """Take typed text."""
        self._lines.feed(text)

    def feed_eof(self) -> None:
        """No more text will come: the dialogue ends once what it has is used up."""
        self._lines.feed_eof()

    def next(self) -> Attempt | Ended | None:
        """Go on as far as the text allows; None if more is needed, text or a verdict."""
        while self._state in {_State.USER, _State.PASSWORD, _State.CODE}:
            event = self._lines.next()
            self._output.append(self._lines.take_output())
            match event:
                case None:
                    return None
                case Interrupt():
                    return self._end("interrupted")
                case EndOfFile():
                    self._say("")  # the prompt's line has no end yet
                    return self._end("end of input")
                case Line(text) if self._state is _State.USER:
                    ended = self._user_given(text)
                    if ended is not None:
                        return ended
                case Line(text) if self._state is _State.PASSWORD and self.ask_code:
                    self._password = text
                    self._output.append(CODE_PROMPT)  # the code is masked as the password was
                    self._state = _State.CODE
                case Line(text):
                    return self._attempt(text)
        return None

    def rejected(self) -> Ended | None:
        """The attempt was wrong: ask again, or end after the last try."""
        self._say("login incorrect")
        self._tries_left -= 1
        if self._tries_left <= 0:
            self._say("too many tries, goodbye")
            return self._end("too many login tries", broken_rule=True)
        self._ask_user()
        return None

    def accepted(self) -> str:
        """The attempt was right. Returns the text typed behind it, for the session."""
        self._state = _State.OVER
        return self._lines.take_pending()

    def take_output(self) -> str:
        """Give back what to send since the last call."""
        output = "".join(self._output)
        self._output.clear()
        return output

    def _user_given(self, name: str) -> Ended | None:
        if not name.strip():
            self._empty_left -= 1
            if self._empty_left <= 0:
                self._say("no user name, goodbye")
                return self._end("no user name", broken_rule=True)
            self._ask_user()
            return None
        self._user = name
        if not self._warned:
            self._warn()
        self._lines.mask = "*"
        self._output.append(PASSWORD_PROMPT)
        self._state = _State.PASSWORD
        return None

    def _attempt(self, last: str) -> Attempt:
        """Make an attempt of what has been typed, ``last`` being the last line, and forget it."""
        if self._state is _State.CODE:
            attempt = Attempt(self._user, self._password, last)
        else:
            attempt = Attempt(self._user, last)
        self._password = ""
        self._lines.mask = None
        self._state = _State.VERIFYING
        return attempt

    def _warn(self) -> None:
        """Say once that the password cannot be hidden, if so."""
        if not self._client_speaks_telnet():
            self._say("(this client is no telnet client: the password will show on the screen)")
        elif not self.echo:
            self._say("(this client shows what is typed: the password will show on the screen)")
        else:
            return
        self._warned = True

    def _ask_user(self) -> None:
        self._output.append(USER_PROMPT)
        self._state = _State.USER

    def _say(self, line: str) -> None:
        self._output.append(line + "\r\n")

    def _end(self, reason: str, *, broken_rule: bool = False) -> Ended:
        self._password = ""
        self._state = _State.OVER
        return Ended(reason, broken_rule)
