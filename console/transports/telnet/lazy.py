"""The telnet listeners before their first connection, which loads telnetlib3."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from console.config.settings import TelnetSettings, TelnetsSettings
from console.interfaces.transports import TransportContext
from console.lazy_imports import load
from console.transports.lazy_listener import LazyListener, MakeContext, in_pool
from console.transports.telnet.tls import load_certificate

if TYPE_CHECKING:  # loaded at the first connection
    import ssl

    from console.transports.telnet.listener import TelnetListener


class LazyTelnetListener(LazyListener[TelnetSettings, "TelnetListener"]):
    """Waits for the first telnet connection in plain text."""

    command = "telnet {host} {port}"

    async def _make(self, context: TransportContext) -> TelnetListener:
        return await _make_listener(self.settings.name, context, None)


class LazyTelnetsListener(LazyListener[TelnetsSettings, "TelnetListener"]):
    """Waits for the first telnet connection within TLS."""

    command = "openssl s_client -quiet -connect {address}"
    socket_command = "openssl s_client -quiet -unix {socket}"

    def __init__(self, settings: TelnetsSettings, make_context: MakeContext, keys: Path) -> None:
        super().__init__(settings, make_context, keys)
        self._tls: ssl.SSLContext | None = None

    async def prepare(self) -> None:
        async with self._changing:
            self._tls = await in_pool(load_certificate, self.settings)
            if self._transport is not None:
                self._transport.use_certificate(self._tls)

    def describe(self) -> str:
        return f"telnets: certificate {self.settings.certificate}"

    async def _make(self, context: TransportContext) -> TelnetListener:
        return await _make_listener(self.settings.name, context, self._tls)


async def _make_listener(
    name: str, context: TransportContext, tls: ssl.SSLContext | None
) -> TelnetListener:
    await load("console.transports.telnet.listener")
    from console.transports.telnet.listener import TelnetListener  # noqa: PLC0415 - loaded by now

    return TelnetListener(name, context, tls)
