"""Attacks by another system user of the machine, by files in the place of the console's."""

import os

from attacks.harness import attack, read_until
from support.servers import wait_until

STRANGER = 65534


@attack("files: links in the place of a history and a login book", log_lines=4)
def replaced_by_links(site):
    """A directory that others can write: what their links name is neither changed nor read."""
    # Each of the two loggers tells of its first refusal only.
    target, user = site.target, site.target.fresh_user()
    victim = target.history.with_name("victim")
    victim.write_text("precious")
    victim.chmod(0o600)
    target.history.mkdir(exist_ok=True)
    mode = target.history.stat().st_mode & 0o7777
    target.history.chmod(0o1777 if os.geteuid() == 0 else 0o777)
    links = [target.history / user, target.history / f".{user}.login"]
    try:
        for link in links:
            link.symlink_to(victim)
            if os.geteuid() == 0:
                os.lchown(link, STRANGER, -1)
        client = site.telnet()
        client.sendall(f"{user}\n".encode())
        read_until(client, b"password: ")
        client.sendall(f"{user}\n".encode())
        seen = read_until(client, b">>> ")
        assert b"precious" not in seen
        client.sendall(b"print('al' + 'ive')\n")
        read_until(client, b"alive")
        # Both are told once in a process.
        wait_until(
            lambda: all(
                what in target.log_since(0) for what in ("console.history", "console.logins")
            ),
            "both files are refused",
        )
        assert victim.read_text() == "precious"
        assert all(link.is_symlink() for link in links)
    finally:
        for link in links:
            link.unlink(missing_ok=True)
        target.history.chmod(mode)
    return len(links)
