"""The transports of a console: which lazy listener serves which settings.

A transport is added by a line here. Nothing else enumerates them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from console.config.settings import ListenSettings, SshSettings, TelnetSettings, TelnetsSettings
from console.errors import ConfigurationError
from console.transports.lazy_listener import LazyListener, MakeContext
from console.transports.ssh.lazy import LazySshListener
from console.transports.telnet.lazy import LazyTelnetListener, LazyTelnetsListener

LAZY_LISTENERS: Final[dict[type[ListenSettings], type[LazyListener[Any, Any]]]] = {
    TelnetSettings: LazyTelnetListener,
    TelnetsSettings: LazyTelnetsListener,
    SshSettings: LazySshListener,
}


def make_lazy_listener(
    settings: ListenSettings, make_context: MakeContext, keys: Path
) -> LazyListener[Any, Any]:
    """Make the lazy listener that serves these settings, or settings derived from such.

    Args:
        settings: Where and how to listen.
        make_context: Makes what all transports of a console get, at the first connection.
        keys: The keys directory.

    Raises:
        ConfigurationError: If no transport has such settings.
    """
    for kind in type(settings).__mro__:
        if kind in LAZY_LISTENERS:
            return LAZY_LISTENERS[kind](settings, make_context, keys)
    raise ConfigurationError(
        settings.name,
        type(settings).__name__,
        "no transport has such settings",
        f"give one of {', '.join(kind.__name__ for kind in LAZY_LISTENERS)}",
    )
