"""console's plain lines over TCP, as nc gets them: the client's terminal echoes."""

from typing import Any

from benchmarks.peers.common import SocketPeer


class _Nc(SocketPeer):
    def port(self, facts: dict[str, Any]) -> int:
        port: int = facts["telnet"]
        return port


PEER = _Nc(
    name="console, nc",
    host="console_host",
    package="admin-console",
    asks=("username: ", "password: "),
    echoes=False,
)
