"""Many clients that guess passwords: ``guessers.py SPEC``, a JSON object.

``telnet`` and ``ssh`` are ports, ``sources`` the source addresses, ``guessers`` the number of
clients, half of each transport, ``seconds`` the duration. Prints ``begun`` at the first answer, and
the counts as JSON at the end.
"""

import json
import socket
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # a process of its own finds the helpers

from support.rawclients import Lines
from support.rawssh import RawSsh

spec = json.loads(sys.argv[1])
deadline = time.monotonic() + spec["seconds"]
lock = threading.Lock()
counts = {"guesses": 0, "let in": 0, "turned away": 0}
begun = threading.Event()


def count(name):
    with lock:
        counts[name] += 1
    begun.set()


def leave_by_reset(sock):
    """Let close() reset the connection: after an orderly end the server would finish the login."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def guess_by_telnet(source):
    with Lines(spec["telnet"], source) as client:
        leave_by_reset(client._sock)
        while time.monotonic() < deadline:
            client.until("username: ")
            client.send("boss\n")
            client.until("password: ")
            client.send("wrong\n")
            client.until("login incorrect")
            count("guesses")


def guess_by_ssh(source):
    with RawSsh(spec["ssh"], source=source) as client:
        leave_by_reset(client.socket)
        client.handshake()
        while time.monotonic() < deadline:
            count("let in" if client.guess("boss", "wrong") else "guesses")


def go_on(guess, source):
    while time.monotonic() < deadline:
        try:
            guess(source)
        except Exception:
            count("turned away")
            time.sleep(0.2)


for number in range(spec["guessers"]):
    arguments = (
        guess_by_ssh if number % 2 else guess_by_telnet,
        spec["sources"][number % len(spec["sources"])],
    )
    threading.Thread(target=go_on, args=arguments, daemon=True).start()
begun.wait(10)
print("begun", flush=True)
# Clients that wait for an answer are abandoned, as an attacker does.
time.sleep(max(0, deadline - time.monotonic()))
with lock:
    print(json.dumps(counts), flush=True)
