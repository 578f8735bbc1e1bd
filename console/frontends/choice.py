"""Which frontend suits a terminal."""

from __future__ import annotations

from console.frontends.line import LineFrontend
from console.frontends.once import OnceFrontend
from console.interfaces import Frontend, FrontendHost


def choose_frontend(host: FrontendHost) -> Frontend:
    """Return a command's frontend, the full-screen one, or lines where the screen is no screen."""
    terminal = host.terminal
    if terminal.command is not None:
        return OnceFrontend(host, terminal.command)
    if terminal.kind.capable:
        from console.frontends.fullscreen import FullscreenFrontend  # noqa: PLC0415 - heavy

        return FullscreenFrontend(host)
    return LineFrontend(host)
