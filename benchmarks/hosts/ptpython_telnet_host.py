"""ptpython in prompt_toolkit's telnet server, as ptpython's examples have it; no login."""

from __future__ import annotations

import asyncio
import socket

from prompt_toolkit.contrib.telnet.server import TelnetServer
from ptpython.repl import embed

from benchmarks.hosts import control


async def interact(_connection: object) -> None:
    """Serve one connection."""
    await embed(globals={"foo": 12}, return_asyncio_coroutine=True)


async def main() -> None:
    """Serve until the harness has gone."""
    heartbeat = control.Heartbeat(asyncio.get_running_loop())
    with socket.socket() as free:  # this server cannot be asked which port it has taken
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = TelnetServer(interact=interact, host="127.0.0.1", port=port)
    ready = asyncio.Event()
    serving = asyncio.create_task(server.run(ready_cb=ready.set))
    await ready.wait()
    control.serve(heartbeat=heartbeat.start, gaps=heartbeat.stop)
    control.reply(telnet=port)
    await serving


asyncio.run(main())
