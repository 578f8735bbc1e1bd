"""A terminal program on an SSH library: ``library_client.py LIBRARY HOST PORT USER``.

It does what ssh does: asks for the password, makes its own terminal raw, asks for one at the other
end, of the same type and size, and carries bytes both ways. LIBRARY is paramiko or asyncssh.
"""

import asyncio
import contextlib
import getpass
import os
import select
import signal
import sys
import termios
import tty


@contextlib.contextmanager
def raw_terminal():
    """Switch the local terminal's echo off: the server echoes."""
    before = termios.tcgetattr(0)
    tty.setraw(0)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def by_paramiko(host, port, user, password):
    import paramiko

    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect(host, port, user, password, allow_agent=False, look_for_keys=False, timeout=20)
    columns, rows = os.get_terminal_size(0)
    channel = client.invoke_shell(os.environ["TERM"], columns, rows)

    def resize(*_):
        columns, rows = os.get_terminal_size(0)
        channel.resize_pty(columns, rows)

    signal.signal(signal.SIGWINCH, resize)
    with raw_terminal():
        while True:
            ready, _, _ = select.select([channel, 0], [], [])
            if channel in ready:
                data = channel.recv(65536)
                if not data:
                    break
                os.write(1, data)
            if 0 in ready:
                channel.sendall(os.read(0, 65536))
    status = channel.recv_exit_status()
    client.close()
    return status


async def by_asyncssh(host, port, user, password):
    import asyncssh

    async with asyncssh.connect(
        host,
        port,
        username=user,
        password=password,
        known_hosts=None,
        config=None,
        agent_path=None,
        client_keys=None,
    ) as connection:
        process = await connection.create_process(
            term_type=os.environ["TERM"], term_size=os.get_terminal_size(0), encoding=None
        )
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(
            signal.SIGWINCH, lambda: process.change_terminal_size(*os.get_terminal_size(0))
        )
        with raw_terminal():
            loop.add_reader(0, lambda: process.stdin.write(os.read(0, 65536)))
            while data := await process.stdout.read(65536):
                os.write(1, data)
            loop.remove_reader(0)
        await process.wait_closed()
        return process.exit_status


def main():
    library, host, port, user = sys.argv[1:]
    password = getpass.getpass("Password: ")
    if library == "paramiko":
        return by_paramiko(host, int(port), user, password)
    return asyncio.run(by_asyncssh(host, int(port), user, password))


sys.exit(main())
