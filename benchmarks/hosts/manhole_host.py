"""python-manhole (PyPI: manhole) in a service on asyncio: a Unix socket, no login."""

from __future__ import annotations

import asyncio

import manhole

from benchmarks.hosts import control

spec = control.arguments()


async def main() -> None:
    """Serve until the harness has gone."""
    heartbeat = control.Heartbeat(asyncio.get_running_loop())
    manhole.install(
        verbose=False, socket_path=spec["path"], locals={"foo": 12}, redirect_stderr=False
    )
    control.serve(heartbeat=heartbeat.start, gaps=heartbeat.stop)
    control.reply(path=spec["path"])
    await asyncio.Event().wait()


asyncio.run(main())
