"""A service on asyncio with a console in it; user boss, by key or with the password sekrit."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from concurrent.futures import Future
from typing import Any

from benchmarks.hosts import control

spec = control.arguments()
_calls: dict[int, int] = {}
_counting = threading.Event()


def _count(_frame: object, event: str, _argument: object) -> None:
    if _counting.is_set() and event in {"call", "c_call"}:
        thread = threading.get_ident()
        _calls[thread] = _calls.get(thread, 0) + 1


def make_console() -> Any:
    """Make the console; imported here, so that its cost can be measured."""
    from console import Console, FileCredentials, LoginSettings, SessionSettings

    credentials = FileCredentials(spec["keys"], initial={"boss": "sekrit"})
    if spec["public_key"] not in str(list(credentials.authorized_keys("boss"))):
        credentials.grant_key("boss", spec["public_key"])
    return Console(
        "benchmark",
        namespace={"foo": 12},
        credentials=credentials,
        ssh=0,
        telnet=0,
        keys=spec["keys"],
        history=spec["history"],
        # By default a console has fewer, and slows down who logs in by password again and again.
        sessions=SessionSettings(most=2000, per_user=1500),
        login=LoginSettings(connections=2000, connections_per_source=1500, throttle_loopback=False),
    )


async def main() -> None:
    """Serve until the harness has gone."""
    loop = asyncio.get_running_loop()
    heartbeat = control.Heartbeat(loop)

    made: list[Any] = []

    def imported() -> dict[str, Any]:
        """Import the console with the name Console: the package itself is lazy."""
        began = time.perf_counter()
        from console import Console, LoginSettings, SessionSettings  # noqa: F401 - it is imported, and that is all

        return {"seconds": time.perf_counter() - began}

    def make() -> dict[str, Any]:
        made.append(make_console())
        return {}

    async def begin() -> dict[str, Any]:
        began = time.perf_counter()
        await made[0].start()
        seconds = time.perf_counter() - began
        return {"seconds": seconds, "ssh": made[0].ssh_port, "telnet": made[0].telnet_port}

    def start() -> dict[str, Any]:
        future: Future[dict[str, Any]] = asyncio.run_coroutine_threadsafe(begin(), loop)
        return future.result()

    def count(*, on: bool) -> dict[str, Any]:
        """Start to count function calls, or return the counts by thread."""
        if on:
            _calls.clear()
            _counting.set()
            return {}
        _counting.clear()
        names = {thread.ident: thread.name for thread in threading.enumerate()}
        return {names.get(ident, "ended"): number for ident, number in _calls.items()}

    def modules() -> dict[str, Any]:
        return {"modules": len(sys.modules)}

    control.serve(
        heartbeat=heartbeat.start,
        gaps=heartbeat.stop,
        imported=imported,
        make=make,
        start=start,
        count=count,
        modules=modules,
    )
    if spec.get("count_calls"):
        sys.setprofile(_count)
        threading.setprofile(_count)  # of threads that start from now on: the console's
    if spec.get("later"):  # each step when it is asked for
        control.reply()
    else:
        make()
        control.reply(**await begin())
    await asyncio.Event().wait()


asyncio.run(main())
