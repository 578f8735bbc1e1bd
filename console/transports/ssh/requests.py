"""Channel requests (RFC 4254, 6) that asyncssh handles otherwise: commands, and the environment."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import asyncssh

from console.text import escape_line

_ENVIRONMENT = (
    *("COLORTERM", "LANG", "NO_COLOR", "TERM_PROGRAM"),
    *("CONSOLE_FORMAT", "CONSOLE_FRONTEND", "CONSOLE_TIMEOUT"),
)


_VALUE_BYTES = 64
"""Kept of each variable."""


def take_any_command(channel: asyncssh.SSHServerChannel[bytes]) -> None:
    """Let a command that is not UTF-8 through, with the bytes recognisable, to be told why.

    asyncssh refuses its channel request without a word, and ssh says "exec request failed" then.
    Requests are found by name on the channel, where this comes before the method of its class.
    """
    weakly = weakref.ref(channel)  # or each channel would live until it is found by the collector

    def process(packet: Any) -> bool:
        command = packet.get_string().decode("utf-8", "surrogateescape")
        packet.check_end()
        requested = weakly()
        return requested is not None and requested._start_session(command=command)  # noqa: SLF001

    channel._process_exec_request = process  # type: ignore[method-assign]  # noqa: SLF001


def take_few_variables(channel: asyncssh.SSHServerChannel[bytes]) -> None:
    """Keep of the client's environment what we ask for, and nothing long.

    asyncssh keeps all that is sent, as often and as long as it comes.
    """
    weakly = weakref.ref(channel)  # see take_any_command()

    def process(packet: Any) -> bool:
        name, value = packet.get_string(), packet.get_string()
        packet.check_end()
        requested = weakly()
        if requested is None or name.decode("utf-8", "replace") not in _ENVIRONMENT:
            return False
        requested._env[name] = value[:_VALUE_BYTES]  # noqa: SLF001 - in the place of asyncssh's
        return True

    channel._process_env_request = process  # type: ignore[method-assign]  # noqa: SLF001


def environment(channel: asyncssh.SSHServerChannel[bytes]) -> Iterator[tuple[str, str]]:
    """Yield the few variables of the client's that describe its terminal, name and value."""
    sent = channel.get_environment_bytes()
    for name in _ENVIRONMENT:
        value = sent.get(name.encode())
        if value is not None:
            yield name, escape_line(value[:_VALUE_BYTES].decode("utf-8", "replace"), _VALUE_BYTES)
