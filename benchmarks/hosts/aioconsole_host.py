"""aioconsole's interactive server in a service on asyncio; plain TCP, no login."""

from __future__ import annotations

import asyncio

from aioconsole import AsynchronousConsole, start_interactive_server

from benchmarks.hosts import control


async def main() -> None:
    """Serve until the harness has gone."""
    heartbeat = control.Heartbeat(asyncio.get_running_loop())
    server = await start_interactive_server(
        factory=lambda streams: AsynchronousConsole(streams, {"foo": 12}),
        host="127.0.0.1",
        port=0,
    )
    control.serve(heartbeat=heartbeat.start, gaps=heartbeat.stop)
    control.reply(tcp=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
