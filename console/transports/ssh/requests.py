"""Channel requests (RFC 4254, 6) that asyncssh handles otherwise: commands, and the environment."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from typing import Any

import asyncssh

from console.text import escape_line

_ENVIRONMENT = (
    *("COLORTERM", "LANG", "NO_COLOR", "TERM_PROGRAM"),
    *("CONSOLE_FORMAT", "CONSOLE_FRONTEND", "CONSOLE_TIMEOUT"),
)


_VALUE_BYTES = 64
"""Kept of each variable."""


Begin = Callable[[Callable[[], None]], None]
"""Called with what grants the request, at once or later; or it drops that."""


def take_requests(channel: asyncssh.SSHServerChannel[bytes], begin: Begin) -> None:
    """Have shells and commands granted later, once the user has been looked up.

    asyncssh answers at once, and refuses a command that is not UTF-8 without a word; ssh says
    "exec request failed" then. Here its bytes stay recognisable, to be told why. Requests are found
    by name on the channel, where these come before the methods of its class; None tells asyncssh
    that the answer comes later, and further requests wait behind it.
    """
    weakly = weakref.ref(channel)  # or each channel would live until it is found by the collector

    def grant(command: str | None) -> None:
        requested = weakly()
        # The channel may be gone by now, and then its queue of requests is of no use.
        if requested is not None and requested._session is not None:  # noqa: SLF001
            requested._report_response(requested._start_session(command=command))  # noqa: SLF001

    def process_exec(packet: Any) -> None:
        command = packet.get_string().decode("utf-8", "surrogateescape")
        packet.check_end()
        begin(lambda: grant(command))

    def process_shell(packet: Any) -> None:
        packet.check_end()
        begin(lambda: grant(None))

    channel._process_exec_request = process_exec  # type: ignore[method-assign,assignment]  # noqa: SLF001
    channel._process_shell_request = process_shell  # type: ignore[method-assign,assignment]  # noqa: SLF001


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
