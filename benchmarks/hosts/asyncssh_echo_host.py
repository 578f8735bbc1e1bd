"""The floor over SSH: an asyncssh echo server."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncssh

from benchmarks.hosts import control

spec = control.arguments()


class Echo(asyncssh.SSHServerSession):
    """A session that echoes."""

    def connection_made(self, chan: Any) -> None:
        self._channel = chan

    def pty_requested(self, *_: Any) -> bool:
        return True

    def shell_requested(self) -> bool:
        return True

    def exec_requested(self, command: str) -> bool:
        self._command = command
        return True

    def session_started(self) -> None:
        command = getattr(self, "_command", None)
        if command is not None:
            # The floor of output: that many bytes at once, then the exit status of a program.
            self._channel.write(b"x" * int(command))
            self._channel.exit(0)

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._channel.write(data)


class Server(asyncssh.SSHServer):
    """Accepts one key."""

    def connection_made(self, conn: Any) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:
        return True

    def session_requested(self) -> Any:
        return self._connection.create_server_channel(encoding=None), Echo()


async def main() -> None:
    """Serve until the harness has gone."""
    acceptor = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Server,
        server_host_keys=[spec["host_key"]],
        authorized_client_keys=asyncssh.import_authorized_keys(spec["public_key"]),
        compression_algs=["none"],
        agent_forwarding=False,
        gss_host=None,
        line_editor=False,
        encoding=None,
    )
    control.serve()
    control.reply(ssh=acceptor.get_port())
    await asyncio.Event().wait()


asyncio.run(main())
