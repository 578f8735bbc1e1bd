"""ptpython's own SSH server, as its examples have it."""

from __future__ import annotations

import asyncio

import asyncssh
from ptpython.contrib.asyncssh_repl import ReplSSHServerSession

from benchmarks.hosts import control

spec = control.arguments()


class Server(asyncssh.SSHServer):
    """Accepts one key."""

    def session_requested(self) -> ReplSSHServerSession:
        return ReplSSHServerSession(lambda: {"foo": 12})


async def main() -> None:
    """Serve until the harness has gone."""
    Server().session_requested()  # fails at once where it cannot work
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Server,
        server_host_keys=[spec["host_key"]],
        authorized_client_keys=asyncssh.import_authorized_keys(spec["public_key"]),
    )
    control.serve()
    control.reply(ssh=acceptor.get_port())
    await asyncio.Event().wait()


asyncio.run(main())
