"""aiomonitor in a service on asyncio; no login. Its Python prompt is a port of its own."""

from __future__ import annotations

import asyncio

import aiomonitor

from benchmarks.hosts import control
from benchmarks.processes import free_port


async def main() -> None:
    """Serve until the harness has gone."""
    loop = asyncio.get_running_loop()
    heartbeat = control.Heartbeat(loop)
    port, web, python = free_port(), free_port(), free_port()
    with aiomonitor.start_monitor(
        loop,
        host="127.0.0.1",
        port=port,
        webui_port=web,
        console_port=python,
        locals={"foo": 12},
    ):
        control.serve(heartbeat=heartbeat.start, gaps=heartbeat.stop)
        control.reply(telnet=port, tcp=python)
        await asyncio.Event().wait()


asyncio.run(main())
