"""The SSH listener before its first connection, which loads asyncssh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from console.auth.keys.host_key import HostKey, import_host_keys, load_host_keys, make_host_key
from console.auth.keys.public_keys import fingerprint
from console.config.settings import SshSettings
from console.interfaces.transports import TransportContext
from console.lazy_imports import load
from console.transports.lazy_listener import LazyListener, MakeContext, in_pool

if TYPE_CHECKING:  # loaded at the first connection
    from console.transports.ssh.listener import SshListener


class LazySshListener(LazyListener[SshSettings, "SshListener"]):
    """Waits for the first SSH connection."""

    command = "ssh -p {port} USER@{host}"
    # The last word stands where ssh wants a host; known_hosts keeps the host key under it.
    socket_command = "ssh -o ProxyCommand='nc -U {socket}' USER@console"

    def __init__(self, settings: SshSettings, make_context: MakeContext, keys: Path) -> None:
        super().__init__(settings, make_context, keys)
        self._host_keys: list[HostKey] = []

    async def prepare(self) -> None:
        async with self._changing:
            keys = await in_pool(self._read)
            if self._transport is not None:
                self._transport.use_host_keys(await in_pool(import_host_keys, keys))
            self._host_keys, self.fingerprint = keys, fingerprint(keys[0].public_data)

    def describe(self) -> str:
        return f"ssh: host key {self.fingerprint}"

    def _read(self) -> list[HostKey]:
        """Read the host keys; make the one in the keys directory on first use."""
        path = self.keys / "host_key"
        if self.settings.host_key is not None:
            path = Path(self.settings.host_key)
        elif not path.exists():
            make_host_key(path)
        return load_host_keys(path)

    async def _make(self, context: TransportContext) -> SshListener:
        await load("console.transports.ssh.listener")
        from console.transports.ssh.listener import SshListener  # noqa: PLC0415 - loaded by now

        return SshListener(context, await in_pool(import_host_keys, self._host_keys))
