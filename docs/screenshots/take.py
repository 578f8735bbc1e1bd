"""Takes the pictures: real clients at a terminal of a fixed size, on a real service.

    make screenshots                 # all of them, into docs/screenshots
    .venv/bin/python docs/screenshots/take.py ssh nc

The terminal's screen at the end of a scene is drawn cell by cell (draw.py). Nothing is edited:
dates, process numbers and addresses are real.
"""

from __future__ import annotations

import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent.parent / "tests"))

from draw import svg  # noqa: E402 - beside this file

from console import FileCredentials  # noqa: E402
from support.clients import SSH_OPTIONS, Client  # noqa: E402 - of the tests
from support.servers import Process, make_key  # noqa: E402 - of the tests

MACHINE = "web3"
TELNET, SSH = 8007, 8022
SHELL = f"{MACHINE}:~$"


@dataclass(frozen=True)
class Scene:
    """A picture: the scene that is played, and the texts that must be on its screen."""

    name: str
    title: str
    play: Callable[[Stage, Client], None]
    shows: tuple[str, ...]
    columns: int = 96
    rows: int = 60


class Stage(Process):
    """The service, and a shell whose ssh finds a key and trusts the host."""

    def __init__(self, directory: Path, telnet: int = TELNET, ssh: int = SSH) -> None:
        self.directory = directory
        keys = directory / "keys"
        super().__init__(
            [sys.executable, "shop.py", MACHINE, str(keys), str(telnet), str(ssh)],
            directory,
            cwd=Path(shutil.copy(HERE / "shop.py", directory)).parent,
        )
        try:
            found = self.wait_for_stdout(r"(\d+) (\d+)\n")
            self.telnet_port, self.ssh_port = found[1], found[2]
            key = make_key(directory / "id")
            FileCredentials(keys).grant_key("boss", Path(f"{key}.pub").read_text("utf-8"))
            self._make_shell(key)
        except BaseException:
            self.close()
            raise

    def _make_shell(self, key: Path) -> None:
        place = self.directory / "bin"
        place.mkdir()
        line = shlex.join([str(shutil.which("ssh")), *SSH_OPTIONS, "-i", str(key)])
        alias = f"-o HostKeyAlias={MACHINE} -p {self.ssh_port} boss@127.0.0.1"
        (place / "ssh").write_text(
            f"""#!/bin/sh
case $1 in shop) shift; exec {line} {alias} "$@";; *) exec {line} "$@";; esac
"""
        )
        (place / "ssh").chmod(0o755)
        (self.directory / "bashrc").write_text(
            f"cd {self.directory}; PATH={place}:$PATH; PS1='{SHELL} '\n"
        )

    def shell(self, scene: Scene) -> Client:
        """Start a shell at a terminal of the scene's size."""
        line = ["bash", "--noprofile", "--rcfile", str(self.directory / "bashrc"), "-i"]
        return Client(line, self.directory, rows=scene.rows, columns=scene.columns)

    def hold_loop(self) -> None:
        """Make the service block its loop for some seconds."""
        self.popen.stdin.write(b"hold\n")
        self.popen.stdin.flush()
        self.wait_for_stdout("sorting")

    def take(self, scene: Scene) -> str:
        """Play a scene and return its picture.

        Raises:
            AssertionError: If an expected text is not on the screen.
        """
        with self.shell(scene) as client:
            client.expect_prompt(SHELL)
            scene.play(self, client)
            for text in scene.shows:
                client.wait_for(text)
            return svg(client.screen_state, scene.title)


def command(client: Client, line: str) -> None:
    """Run a command in the shell, and wait for its end."""
    start(client, line)
    client.expect_prompt(SHELL)


def start(client: Client, line: str) -> None:
    """Start a command in the shell that keeps running."""
    client.expect_prompt(SHELL)
    client.type(line)
    client.wait_until(lambda: client.cursor_line == f"{SHELL} {line}", f"the echo of {line}")
    client.line()


def begin_block(client: Client, *lines: str) -> None:
    """Type the lines of a block, each at its prompt."""
    client.expect_prompt()
    for line in lines:
        client.type(line)
        client.wait_until(lambda: client.cursor_line.endswith(line), line)  # noqa: B023 - at once
        client.line()
        client.wait_until(lambda: client.cursor_line == "...", "...")


def log_in(client: Client) -> None:
    """Answer the questions of telnet's login."""
    client.wait_until(lambda: client.cursor_line == "username:", "username:")
    client.line("boss")
    client.wait_until(lambda: client.cursor_line == "password:", "password:")
    client.line("sekrit")
    client.expect_prompt()


# ---------------------------------------------------------------- the scenes


def by_ssh(stage: Stage, client: Client) -> None:
    """A table, and the menu of completions."""
    start(client, f"ssh -p {stage.ssh_port} boss@localhost")
    client.run("[order for order in shop.orders if order.state == 'returned'][:6]")
    client.run("sum(order.price for order in _)")
    client.run("await shop.ship(shop.orders[0], express=True)")
    client.expect_prompt()
    client.type("shop.r\t")


def by_telnet(stage: Stage, client: Client) -> None:
    """A question, an exception, an interrupt."""
    start(client, f"telnet localhost {stage.telnet_port}")
    log_in(client)
    client.run("shop.ship?")
    client.run("shop.refund(shop.orders[0])")
    client.expect_prompt()
    client.line("import time; print('asleep'); time.sleep(300)")
    client.wait_until(
        lambda: client.screen()[client.screen_state.cursor.y - 1] == "asleep", "sleep"
    )
    client.type("\x03")
    client.expect_prompt()


def by_nc(stage: Stage, client: Client) -> None:
    """Plain lines."""
    start(client, f"nc localhost {stage.telnet_port}")
    log_in(client)
    client.run("shop.orders[:3]")
    begin_block(client, "for order in shop.orders[:3]:", "    order.state = 'packed'")
    client.line()
    client.run("{order.state for order in shop.orders[:3]}")


def by_exec(_stage: Stage, client: Client) -> None:
    """Commands."""
    command(client, "ssh shop 'len(shop.orders)'")
    command(client, "ssh shop 'shop.refund(shop.orders[0])' 2>error; echo status $?")
    command(client, "tail -n 2 error")
    command(client, "ssh shop '%json shop.rates' | cut -d , -f -3")
    command(client, "echo 'print(max(order.price for order in shop.orders))' | ssh shop")
    command(client, "ssh shop '%timeout 0.5 await shop.carry()'; echo status $?")
    command(client, "ssh shop 'cd /tmp'")
    command(client, "ssh shop 'import sys; sys.exit(3)' || echo status $?")


def when_stuck(stage: Stage, client: Client) -> None:
    """The service's loop does not answer."""
    stage.hold_loop()
    start(client, f"ssh -p {stage.ssh_port} boss@localhost")
    client.run("stack()")
    client.expect_prompt()


def with_f1(stage: Stage, client: Client) -> None:
    """The documentation below the line."""
    start(client, f"ssh -p {stage.ssh_port} boss@localhost")
    client.expect_prompt()
    client.run("theme('dark')")
    begin_block(client, "async def ship_all(orders):", "for order in orders:")
    client.type("yield await shop.ship(order, \x1bOP")


def with_results(stage: Stage, client: Client) -> None:
    """A container, a dump, and a page."""
    start(client, f"ssh -p {stage.ssh_port} boss@localhost")
    client.run("import json, zlib")
    client.run("ids = [order.id for order in shop.orders[:24]]")
    client.run("{'rates': shop.rates, 'first': shop.orders[0], 'ids': ids}")
    client.run("zlib.compress(json.dumps(shop.rates, indent=4).encode() * 30)")
    client.expect_prompt()


SCENES = (
    Scene(
        "ssh",
        "ssh: a table of orders, the sum of their prices, and the menu of completions",
        by_ssh,
        ("(list of 6 Order)", "'1Z004711'", "refund", "method (order: Order, amount: float"),
    ),
    Scene(
        "telnet",
        "telnet: the login, a question, an exception with its number, Ctrl-C",
        by_telnet,
        ("password: ******", "Signature: ship(", "(error ", "asleep", "KeyboardInterrupt"),
    ),
    Scene(
        "nc",
        "nc: a table, and a block, line by line",
        by_nc,
        ("the password will show", "(list of 3 Order)", "...     order.state", "{'packed'}"),
    ),
    Scene(
        "exec",
        "ssh with a command: values, errors, statuses, JSON, a script, a time limit",
        by_exec,
        ("240", "status 1", "PaymentError: order", "89.89", "status 124", "status 3"),
    ),
    Scene(
        "results",
        "A nested container and a dump of bytes",
        with_results,
        ("'ids': [", "00000010  ", "(bytes of "),
    ),
    Scene(
        "explain",
        "F1 tells signature and documentation of the call that is being typed",
        with_f1,
        ("...         yield await", "Hand an order to the carrier.", "async method"),
    ),
    # The last one: it blocks the service's loop for some seconds.
    Scene(
        "stuck",
        "The greeting warns of a blocked loop, and stack() shows where it is",
        when_stuck,
        ("WARNING: the service's loop has been blocked", "frames of asyncio]", "shop.reindex(5)"),
    ),
)


def main(names: list[str]) -> None:
    """Take the pictures that are named, or all."""
    wanted = [scene for scene in SCENES if not names or scene.name in names]
    with tempfile.TemporaryDirectory(prefix="shop-") as directory, Stage(Path(directory)) as opened:
        for scene in wanted:
            (HERE / f"{scene.name}.svg").write_text(opened.take(scene), "utf-8")
            print(HERE / f"{scene.name}.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
