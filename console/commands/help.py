"""``help``: what can be done at the prompt, made from the commands, and Python's own help."""

from __future__ import annotations

import pydoc
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from console.commands.context import LookingContext
from console.commands.names import SessionCommand
from console.interfaces.commands import Command, CommandRegistry, Section, command
from console.interfaces.credentials import Role
from console.text import escape_controls

# Not in typeshed, though documented by name in pydoc's own source.
_PLAIN_TEXT = pydoc.plaintext  # type: ignore[attr-defined]

_LEFT_COLUMNS: Final = 19
_COLUMNS: Final = 79


@dataclass(frozen=True, slots=True)
class Topic:
    """A line of help that is not a command: a key, an option, or a mark before or after a name."""

    section: Section
    left: str
    text: str


TOPICS: Final = (
    Topic(
        Section.RUNNING,
        "statement",
        "In a thread of your session: time.sleep(9) stops no other",
    ),
    Topic(
        Section.RUNNING,
        "await something",
        "On the service's event loop, the whole cell; also where it itself calls"
        " asyncio.create_task, all_tasks and the like",
    ),
    Topic(
        Section.RUNNING,
        "%loop statement",
        "On the service's loop between two callbacks: atomic for it, but it waits; what holds it"
        " too long is interrupted",
    ),
    Topic(Section.RUNNING, "%timeout 5 stmt", "Gives the statement up after 5 seconds"),
    Topic(Section.RUNNING, "%json statement", "Answers with JSON"),
    Topic(Section.RUNNING, "Ctrl-C", "Drops the line, or stops the statement"),
    Topic(Section.LOOKING, "Tab, F1", "Completes; shows signature and documentation"),
    Topic(
        Section.LOOKING,
        "name?, name??",
        "Tells of an object, or its source, without running its code",
    ),
    Topic(Section.LOOKING, "_", "Your last value"),
    Topic(
        Section.SESSION,
        "a leading space",
        "Keeps a statement out of history and log, as a secret",
    ),
)


@command(usage="help(object)", section=Section.RUNNING, role=Role.VIEWER, bare=True)
def help_(context: LookingContext, *objects: Any) -> None:
    """Show this help, or the one of an object."""
    if not objects:
        context.page(help_text(context.commands, context.principal.role))
    for thing in objects:
        if type(thing) is SessionCommand:
            context.page(thing.description)
        else:
            # Not pydoc's pager: it would use the server's terminal, for the whole process.
            # Names, docstrings and reprs in it may be what a peer has sent.
            context.page(escape_controls(pydoc.render_doc(thing, renderer=_PLAIN_TEXT)))


def help_text(commands: CommandRegistry, role: Role) -> str:
    """Return what ``help()`` shows to users of a role: what they may call, and the topics."""
    looks_only = role is Role.VIEWER
    lines = list(_introduction(commands, role))
    for section in Section:
        rows = [] if looks_only else [(one.left, one.text) for one in topics(section)]
        rows += [
            (_words(one) if looks_only else one.usage, one.help)
            for one in commands.permitted(role)
            if one.section is section
        ]
        if rows:
            lines += [section.value, *(line for row in rows for line in _lines(*row))]
    return "\n".join(lines)


def topics(section: Section) -> tuple[Topic, ...]:
    """Return the topics of a section."""
    return tuple(one for one in TOPICS if one.section is section)


def _introduction(commands: CommandRegistry, role: Role) -> Iterator[str]:
    if role is Role.VIEWER:
        yield "You may look at this service. These words work, alone or as calls: tasks()"
        yield ""
        return
    yield from textwrap.wrap(
        "This is a Python prompt in the running process: what you change here changes the service."
        f" These words need no (): {', '.join(sorted(commands.bare_words))}; where the service has"
        " such a name, its own is meant.",
        _COLUMNS,
    )
    yield ""


def _words(one: Command) -> str:
    return f"{one.name}, {one.name}({one.number})" if one.number else one.name


def _lines(left: str, text: str) -> Iterator[str]:
    """Lay one row out: a text below a left part that is too long for its column."""
    rows = textwrap.wrap(text, _COLUMNS - _LEFT_COLUMNS)
    head = f"  {left}"
    if len(head) + 1 > _LEFT_COLUMNS:
        yield head
    else:
        yield head.ljust(_LEFT_COLUMNS) + rows.pop(0)
    for row in rows:
        yield " " * _LEFT_COLUMNS + row
