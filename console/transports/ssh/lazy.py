"""The SSH listener before its first connection, which loads asyncssh."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from console.auth.keys.asyncssh_import import import_asyncssh
from console.auth.keys.host_key import HostKey, import_host_keys, load_host_keys, make_host_key
from console.auth.keys.public_keys import fingerprint
from console.config.settings import SshSettings
from console.lazy_imports import load
from console.transports.context import TransportContext
from console.transports.lazy_listener import LazyListener, MakeContext, in_pool

if TYPE_CHECKING:  # loaded at the first connection
    from console.transports.ssh.listener import SshListener


class LazySshListener(LazyListener["SshListener"]):
    """Waits for the first SSH connection."""

    def __init__(
        self,
        settings: SshSettings,
        assemble: MakeContext,
        directory: Path,
    ) -> None:
        super().__init__(settings, assemble)
        self._named = settings.host_key
        self._directory = directory
        self._keys: list[HostKey] = []

    async def prepare(self) -> None:
        async with self._changing:
            keys = await in_pool(self._read)
            if self._transport is not None:
                self._transport.use_host_keys(await in_pool(import_host_keys, keys))
            self._keys, self.fingerprint = keys, fingerprint(keys[0].public_data)

    def describe(self) -> str:
        return f"ssh: host key {self.fingerprint}"

    def _read(self) -> list[HostKey]:
        """Read the host keys; make the one in the keys directory on first use."""
        path = self._directory / "host_key"
        if self._named is not None:
            path = Path(self._named)
        elif not path.exists():
            make_host_key(path)
        return load_host_keys(path)

    async def _make(self, shared: TransportContext) -> SshListener:
        await load("console.transports.ssh.listener", import_asyncssh)
        # Loaded on another thread by now.
        from console.auth.keys.asyncssh_keys import read_offer  # noqa: PLC0415
        from console.transports.ssh.listener import SshListener  # noqa: PLC0415

        listener = SshListener(
            authenticator=shared.authenticator,
            read_offer=read_offer,
            admit=shared.admit,
            unauthenticated=shared.unauthenticated,
            drops=shared.drops,
            grace_seconds=shared.grace_seconds,
            too_many=shared.too_many,
            keepalive_seconds=shared.keepalive_seconds,
        )
        listener.use_host_keys(await in_pool(import_host_keys, self._keys))
        return listener
