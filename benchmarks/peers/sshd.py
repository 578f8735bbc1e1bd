"""A temporary OpenSSH sshd, with its own port, configuration and keys."""

from __future__ import annotations

import getpass
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.common import SshPeer
from benchmarks.processes import Server, Unavailable, free_port, make_key
from benchmarks.terminals import Terminal, open_ssh

_CONFIGURATION = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {directory}/host_key
AuthorizedKeysFile {directory}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
MaxStartups 200
MaxSessions 100
PrintMotd no
PrintLastLog no
UseDNS no
SetEnv HOME={directory}/home LANG=C.UTF-8
{force}
"""


async def start_sshd(directory: Path, command: str = "") -> Server:
    """Start sshd; with ``command`` as ForceCommand if given."""
    program = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise Unavailable("sshd is not installed (apt-get install openssh-server)")
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it separates privileges
    public = make_key(directory / "id")
    make_key(directory / "host_key")
    (directory / "home").mkdir(exist_ok=True)
    (directory / "authorized_keys").write_text(public + "\n")
    port = free_port()
    force = f"ForceCommand {command}" if command else ""
    configuration = directory / "sshd_config"
    configuration.write_text(_CONFIGURATION.format(port=port, directory=directory, force=force))
    server = Server([program, "-D", "-e", "-f", str(configuration)], directory / "host")
    server.wait_for_port(port)
    server.facts = {"ssh": port, "user": getpass.getuser()}
    return server


@dataclass
class SshdPeer(SshPeer):
    """A program that sshd starts at each login."""

    program: str = ""

    async def start(self, directory: Path) -> Server:
        return await start_sshd(directory, self.program)

    async def connect(self, server: Server, *, screen: bool = True) -> Terminal:
        terminal = await open_ssh(
            server.facts["ssh"],
            key=str(server.directory.parent / "id"),
            user=server.facts["user"],
            screen=screen,
        )
        await self.at_prompt(terminal)
        return terminal
