"""A quote-of-the-day service. Run it, and try ``nc localhost 8123``; Ctrl-C ends it."""

import asyncio
import os
import signal
import time
from typing import Any


class QOTD(asyncio.Protocol):
    """Sends the quote of the day and closes."""

    def connection_made(self, transport: Any) -> None:
        transport.write(b"An apple a day keeps the doctor away.\r\n")
        transport.close()


class Daytime(asyncio.Protocol):
    """Sends the time and closes. Not used yet."""

    def connection_made(self, transport: Any) -> None:
        transport.write(time.ctime().encode() + b"\r\n")
        transport.close()


class Factory:
    """Makes a protocol for each connection."""

    protocol: type[asyncio.Protocol] = QOTD

    def __call__(self) -> asyncio.Protocol:
        """Return an instance of the current ``protocol``."""
        return self.protocol()


async def main() -> None:
    """Serve until Ctrl-C or SIGTERM."""
    f = Factory()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    server = await loop.create_server(f, "127.0.0.1", int(os.environ.get("QOTD_PORT", "8123")))
    qotd = server.sockets[0].getsockname()[1]
    print(f"quotes on 127.0.0.1:{qotd}", flush=True)
    async with server:
        await ended.wait()


asyncio.run(main())
