"""Many consoles in one process: ``fleet_process.py DIRECTORY COUNT``.

Each has a port and a namespace of its own, with ``number`` in it. The ports are printed as a line
of JSON; the process ends when its stdin does, or after its lifetime.
"""

import contextlib
import json
import os
import sys
import threading
from pathlib import Path

from console import Console, FileCredentials

LIFETIME_SECONDS = 3600

directory, count = Path(sys.argv[1]), int(sys.argv[2])
deadline = threading.Timer(LIFETIME_SECONDS, os._exit, (3,))
deadline.daemon = True
deadline.start()
store = FileCredentials(directory / "keys", initial={"boss": "sekrit"})
store.grant_key("boss", (directory / "id.pub").read_text())
with contextlib.ExitStack() as stack:
    consoles = [
        stack.enter_context(
            Console(
                f"service {number}",
                namespace={"number": number},
                credentials=store,
                ssh=0,
                keys=directory / "keys",
                history=directory / "history",
            )
        )
        for number in range(1, count + 1)
    ]
    print(json.dumps([console.ssh_port for console in consoles]), flush=True)
    os.read(0, 1)
