"""The floor over TCP: an asyncio echo server."""

from __future__ import annotations

import asyncio

from benchmarks.hosts import control


class Echo(asyncio.Protocol):
    """A connection that echoes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._transport.write(data)  # type: ignore[attr-defined]


async def main() -> None:
    """Serve until the harness has gone."""
    loop = asyncio.get_running_loop()
    heartbeat = control.Heartbeat(loop)
    server = await loop.create_server(Echo, "127.0.0.1", 0)
    control.serve(heartbeat=heartbeat.start, gaps=heartbeat.stop)
    control.reply(tcp=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
