"""Chooses the frontend for a terminal."""

from __future__ import annotations

from typing import Final

from console.frontends.line import LineFrontend
from console.frontends.once import OnceFrontend
from console.frontends.words import WordsFrontend
from console.interfaces.frontends import Frontend, FrontendHost
from console.interfaces.terminals import TerminalKind

VARIABLE: Final = "CONSOLE_FRONTEND"
"""The client's choice: ``ssh -o SetEnv=CONSOLE_FRONTEND=line``, telnet's ``environ``."""

_CHOICES = ("auto", "fullscreen", "line")


def frontend_name(kind: TerminalKind, *, has_command: bool, default: str = "auto") -> str:
    """Return the name of the frontend for a terminal.

    A command is run once, and so is a script in a pipe. For an interactive terminal the client's
    choice counts, then the console's, then the terminal's capabilities.

    Args:
        kind: The terminal.
        has_command: Whether the client sent a command.
        default: The console's choice: ``auto`` or ``line``.
    """
    if has_command:
        return "once"
    wanted = _wanted(kind)
    if not kind.interactive:
        # For programs that write a statement and read its output before they write the next one.
        return "line" if wanted == "line" else "once"
    wanted = wanted if wanted in _CHOICES else default
    if wanted == "auto":
        return "fullscreen" if kind.capable else "line"
    return wanted


def choose_frontend(
    host: FrontendHost, current: Frontend | None = None, default: str = "auto"
) -> Frontend:
    """Return the frontend that suits: ``current`` or a new one; see `frontend_name`."""
    terminal = host.terminal
    has_command = terminal.command is not None
    name = frontend_name(terminal.kind, has_command=has_command, default=default)
    if host.commands and not has_command:
        # A pipe of commands: each line is one. Where words are typed no editor is needed.
        name = {"once": "line", "fullscreen": "words"}.get(name, name)
    if current is not None and current.name == name:
        return current
    match name:
        case "once":
            return OnceFrontend(host, terminal.command)
        case "words":
            frontend: Frontend = WordsFrontend(host)
        case "fullscreen":
            from console.frontends.fullscreen.frontend import FullscreenFrontend  # noqa: PLC0415 - heavy

            frontend = FullscreenFrontend(host)
        case _:
            frontend = LineFrontend(host)
    wanted = _wanted(terminal.kind)
    if wanted and wanted not in _CHOICES and current is None:
        choices = ", ".join(_CHOICES)
        frontend.write(f"{VARIABLE}: {wanted!r} is not one of {choices}\n", error=True)
    return frontend


def _wanted(kind: TerminalKind) -> str:
    return kind.variable(VARIABLE).strip().lower()
