"""The telnet listener before its first connection, which loads telnetlib3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.config.settings import ListenSettings, TelnetsSettings
from console.lazy_imports import load
from console.transports.context import TransportContext
from console.transports.lazy_listener import LazyListener, MakeContext, in_pool
from console.transports.telnet.tls import load_certificate

if TYPE_CHECKING:  # loaded at the first connection
    import ssl

    from console.transports.telnet.listener import TelnetListener


class LazyTelnetListener(LazyListener["TelnetListener"]):
    """Waits for the first telnet connection, in plain text or within TLS."""

    def __init__(self, settings: ListenSettings, assemble: MakeContext) -> None:
        super().__init__(settings, assemble)
        self._within = settings if isinstance(settings, TelnetsSettings) else None
        self._tls: ssl.SSLContext | None = None

    async def prepare(self) -> None:
        if self._within is None:
            return
        async with self._changing:
            self._tls = await in_pool(load_certificate, self._within)
            if self._transport is not None:
                self._transport.use_certificate(self._tls)

    def describe(self) -> str:
        return "" if self._within is None else f"telnets: certificate {self._within.certificate}"

    async def _make(self, shared: TransportContext) -> TelnetListener:
        await load("console.transports.telnet.listener")
        from console.transports.telnet.listener import TelnetListener  # noqa: PLC0415 - as above

        return TelnetListener(
            transport=self.settings.name,
            banner=shared.banner,
            authenticator=shared.authenticator,
            admit=shared.admit,
            unauthenticated=shared.unauthenticated,
            drops=shared.drops,
            grace_seconds=shared.grace_seconds,
            keepalive_seconds=shared.keepalive_seconds,
            tls=self._tls,
        )
