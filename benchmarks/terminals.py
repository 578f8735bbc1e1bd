"""The client's side: an emulated terminal with a keyboard and a screen.

One process drives every peer with the same code, so that the client's own time is the same in all
figures. Screens are pyte's. Queries to the terminal (the cursor's position) are answered as by a
real one.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import asyncssh
import pyte

from benchmarks.measure import now

ROWS, COLUMNS = 24, 80
DEADLINE_SECONDS = 20.0

IAC, DONT, DO, WONT, WILL, SB, SE = 255, 254, 253, 252, 251, 250, 240
ECHO, SGA, TTYPE, NAWS = 1, 3, 24, 31


class _Screen(pyte.Screen):
    """pyte's screen, without sequences that it does not handle."""

    def select_graphic_rendition(self, *attributes: int, private: bool = False) -> None:
        if not private:  # CSI > 4 m: the format of keys, nothing visible
            super().select_graphic_rendition(*attributes)

    def report_device_status(self, mode: int, private: bool = False) -> None:
        if not private:
            super().report_device_status(mode)


class Terminal:
    """A terminal: the server's output on a screen, and a keyboard.

    While ``counting`` is a byte, the output is not drawn: only these bytes are ``counted``.
    """

    def __init__(self, *, screen: bool = True) -> None:
        self._screen = _Screen(COLUMNS, ROWS) if screen else None
        self._stream = pyte.ByteStream(self._screen) if screen else None
        if self._screen is not None:
            self._screen.write_process_input = self.type
        self.received_bytes = 0
        self.counted = 0
        self.counting = b""
        self.tail = b""
        self.ended = False
        self._wanted: tuple[Callable[[], bool], asyncio.Future[float]] | None = None

    # ---- the transport's side

    def send(self, data: bytes) -> None:
        """Send bytes. Implemented by each transport."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection. Implemented by each transport."""
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        """Take received data."""
        self.received_bytes += len(data)
        if self.counting:
            self.counted += data.count(self.counting)
        elif self._stream is not None:
            self._stream.feed(data)
        else:
            self.tail = (self.tail + data)[-200:]
        if self._wanted is not None and self._wanted[0]() and not self._wanted[1].done():
            self._wanted[1].set_result(now())

    def lost(self) -> None:
        """Note that the connection has ended."""
        self.ended = True
        if self._wanted is not None and not self._wanted[1].done():
            self._wanted[1].set_exception(ConnectionError(f"the connection ended\n{self.text}"))

    # ---- the user's side

    def type(self, text: str) -> None:
        """Type keys."""
        self.send(text.encode())

    @property
    def line(self) -> str:
        """The line the cursor is on, up to the cursor."""
        if self._screen is None:
            return self.tail.rpartition(b"\n")[2].decode("utf-8", "replace")
        row = self._screen.buffer[self._screen.cursor.y]
        return "".join(row[x].data for x in range(self._screen.cursor.x))

    @property
    def text(self) -> str:
        """The screen's lines."""
        if self._screen is None:
            return self.tail.decode("utf-8", "replace")
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    def above(self, distance: int = 1) -> str:
        """Return a line above the one the cursor is on."""
        if self._screen is None:
            lines = self.tail.decode("utf-8", "replace").splitlines()
            return lines[-1 - distance] if len(lines) > distance else ""
        row = self._screen.buffer[max(0, self._screen.cursor.y - distance)]
        return "".join(row[x].data for x in range(COLUMNS)).rstrip()

    async def wait(
        self, condition: Callable[[], bool], what: str = "", seconds: float = DEADLINE_SECONDS
    ) -> float:
        """Wait until a condition holds; return the time of the output that made it hold."""
        if condition():
            return now()
        if self.ended:
            raise ConnectionError(f"the connection has ended\n{self.text}")
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._wanted = (condition, future)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            message = f"not within {seconds} s: {what or condition}; the screen:\n{self.text}"
            raise TimeoutError(message) from None
        finally:
            self._wanted = None


# ---------------------------------------------------------------- ssh


class _SshSession(asyncssh.SSHClientSession):
    def __init__(self, terminal: SshTerminal) -> None:
        self._terminal = terminal

    def data_received(self, data: bytes, datatype: Any) -> None:
        self._terminal.received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._terminal.lost()


class SshTerminal(Terminal):
    """A shell or a command on a connection of its own or a shared one."""

    connection: asyncssh.SSHClientConnection
    channel: Any

    def send(self, data: bytes) -> None:
        with contextlib.suppress(OSError):
            self.channel.write(data)

    async def closed(self) -> None:
        """Wait until the server has closed the session."""
        await self.channel.wait_closed()

    def close(self) -> None:
        self.connection.abort()


def ssh_options(key: str | None, user: str, password: str | None = None) -> dict[str, Any]:
    """Return asyncssh's options: no configuration of the user's, one algorithm of each kind."""
    return {
        "username": user,
        "client_keys": [key] if key else None,
        "password": password,
        "known_hosts": None,
        "config": None,
        "agent_path": None,
        "kex_algs": ["curve25519-sha256"],
        "compression_algs": ["none"],
        "preferred_auth": "publickey" if key else "password",
    }


async def open_ssh(
    port: int,
    *,
    key: str | None = None,
    user: str,
    password: str | None = None,
    term: str | None = "xterm-256color",
    command: str | None = None,
    screen: bool = True,
) -> SshTerminal:
    """Connect and open a session; return its terminal before the first prompt."""
    connection = await asyncssh.connect("127.0.0.1", port, **ssh_options(key, user, password))
    terminal = SshTerminal(screen=screen)
    terminal.connection = connection
    try:
        terminal.channel, _ = await connection.create_session(
            lambda: _SshSession(terminal),
            command,
            term_type=term,
            term_size=(COLUMNS, ROWS),
            encoding=None,
        )
    except BaseException:
        connection.abort()
        raise
    return terminal


# ---------------------------------------------------------------- telnet, plain TCP, Unix sockets


class SocketTerminal(Terminal, asyncio.Protocol):
    """A socket; with ``telnet``, one that has a window and a terminal's name (RFC 854, 1091)."""

    def __init__(self, *, telnet: bool = False, screen: bool = True) -> None:
        Terminal.__init__(self, screen=screen)
        if self._screen is not None and not telnet:
            self._screen.set_mode(pyte.modes.LNM)  # as the client's tty does for nc
        self._telnet = telnet
        self._rest = b""
        self._options: dict[tuple[bool, int], bool] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost()

    def data_received(self, data: bytes) -> None:
        if self._telnet and (self._rest or IAC in data):
            data = self._decode(data)
        if data:
            self.received(data)

    def send(self, data: bytes) -> None:
        self.transport.write(data)

    def type(self, text: str) -> None:
        """Type keys; Enter over telnet is CR NUL."""
        self.send((text.replace("\r", "\r\0") if self._telnet else text).encode())

    def close(self) -> None:
        self.transport.abort()

    def _decode(self, data: bytes) -> bytes:
        """Remove and execute the telnet commands in received data."""
        data, self._rest = self._rest + data, b""
        plain = bytearray()
        while data:
            before, iac, command = data.partition(bytes([IAC]))
            plain += before
            if not iac:
                break
            used = self._obey(command)
            if used is None:
                self._rest = iac + command
                break
            data = command[used:]
        return bytes(plain)

    def _obey(self, command: bytes) -> int | None:
        """Answer a command; return its length, None if it is not complete yet."""
        if not command:
            return None
        if command[0] == SB:
            end = command.find(bytes([IAC, SE]))
            if end < 0:
                return None
            if command[1:3] == bytes([TTYPE, 1]):
                self.send(bytes([IAC, SB, TTYPE, 0]) + b"xterm-256color" + bytes([IAC, SE]))
            return end + 2
        if command[0] not in {DO, DONT, WILL, WONT}:
            return 1
        if len(command) < 2:
            return None
        self._negotiate(command[0], command[1])
        return 2

    def _negotiate(self, verb: int, option: int) -> None:
        mine, on = verb in {DO, DONT}, verb in {DO, WILL}
        if self._options.get((mine, option), False) == on:
            return  # only changes are answered, otherwise both ends would answer for ever
        known = option in ({TTYPE, NAWS, SGA} if mine else {ECHO, SGA})
        self._options[mine, option] = on and known
        if mine:
            self.send(bytes([IAC, WILL if on and known else WONT, option]))
            if on and option == NAWS:
                self.send(bytes([IAC, SB, NAWS, 0, COLUMNS, 0, ROWS, IAC, SE]))
        else:
            self.send(bytes([IAC, DO if on and known else DONT, option]))


async def open_socket(
    port: int | None = None,
    *,
    path: str | None = None,
    telnet: bool = False,
    screen: bool = True,
) -> SocketTerminal:
    """Connect to a port of this machine, or to a Unix socket."""
    loop = asyncio.get_running_loop()

    def make() -> SocketTerminal:
        return SocketTerminal(telnet=telnet, screen=screen)

    if path is not None:
        _, terminal = await loop.create_unix_connection(make, path)
    else:
        _, terminal = await loop.create_connection(make, "127.0.0.1", port)
    return terminal
