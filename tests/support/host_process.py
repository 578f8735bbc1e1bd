"""A service with a console in it, as a process of its own: ``host_process.py SPEC``.

``SPEC`` is a JSON object: ``kind`` (asyncio, uvloop, threaded), ``keys``, ``history``, ``names``
and ``reply``, the number of an inherited descriptor; ``roles``, by user, for users of these roles
(password: their name), ``sessions`` for `SessionSettings`, ``watched`` for a service that records
all operations on its names. When the console listens, one JSON line with the ports is written to
``reply``. Commands are JSON lines on stdin, and are answered there. The process ends with stdin, or
after its lifetime.

More keys, for services under attack: ``heartbeat``, the seconds between two measurements of the
loop's lag; ``users`` and their passwords; ``log_level``, for a service that logs to stderr itself;
``login_grace``, in seconds, and ``login`` for the other `LoginSettings`. ``gate`` names modules
whose import waits until a command opens the gate. ``commands`` is a directory with more modules of
commands.
"""

import asyncio
import contextlib
import gc
import json
import logging
import os
import sys
import threading
import time

from gate import Gate

from console import Console, FileCredentials, LoginSettings, SessionSettings
from console.interfaces.credentials import Role

LIFETIME_SECONDS = 3600

spec = json.loads(sys.argv[1])
names = dict(spec["names"])
ended = threading.Event()
watched = {"host_lag": 0.0}
heartbeat = spec.get("heartbeat", 0.01)
gate = Gate(spec.get("gate", ()))


touched, compiled = [], []


def make_canary():
    """Make an object that records all operations on it."""

    def note(name):
        def method(self, *arguments, **keywords):
            touched.append(name)
            raise AssertionError(name)

        return method

    special = {name for kind in (object, int, str, dict, list, type(len)) for name in dir(kind)}
    special |= {"__getattr__", "__await__", "__enter__", "__exit__", "__wrapped__", "__pt_repr__"}
    # What the interpreter itself needs to make it.
    special -= {"__new__", "__init__", "__class__", "__doc__", "__qualname__", "__init_subclass__"}
    members = {name: note(name) for name in special if name.startswith("__")}
    members["__class__"] = property(note("__class__"))
    return type("Canary", (), members)()


def listen_for_code(event, arguments):
    """Record compiled sources, as an audit hook."""
    if event == "compile" and isinstance(arguments[0], str | bytes):
        source = arguments[0]
        compiled.append(source if isinstance(source, str) else source.decode("utf-8", "replace"))


def seen(marker):
    """Return the operations on the canary, and the compiled sources with the marker."""
    return {
        "touched": list(touched),
        "compiled": [source for source in compiled if marker in source],
        "names": sorted(str(name) for name in names),
    }


async def wait_for_ever():
    await asyncio.Event().wait()


class Guarded:
    """Has a property that must not run for a completion."""

    runs = 0

    @property
    def danger(self):
        Guarded.runs += 1
        return self

    def harmless(self):
        return 1


class RoleCredentials(FileCredentials):
    """A store with roles."""

    def role(self, name):
        return Role(spec["roles"].get(name, "operator"))


def make_credentials():
    users = {"boss": "sekrit", "deputy": "sekrit2", **spec.get("users", {})}
    if "roles" not in spec:
        return FileCredentials(spec["keys"], initial=users)
    return RoleCredentials(spec["keys"], initial={**users, **{u: u for u in spec["roles"]}})


def make_console():
    return Console(
        "tested service",
        namespace=names,
        credentials=make_credentials(),
        sessions=SessionSettings(**spec.get("sessions", {})),
        login=LoginSettings(grace_seconds=spec.get("login_grace", 30.0), **spec.get("login", {})),
        telnet=0,
        ssh=0,
        keys=spec["keys"],
        history=spec["history"],
    )


def reply(value):
    os.write(spec["reply"], json.dumps(value).encode() + b"\n")


def announce(console):
    reply(
        {
            "telnet": console.telnet_port,
            "ssh": console.ssh_port,
            "fingerprint": console.host_key_fingerprint,
        }
    )


def statistics():
    gc.collect()
    tasks = [
        task for task in gc.get_objects() if isinstance(task, asyncio.Task) and not task.done()
    ]
    return {
        "tasks": sorted(task.get_name().rstrip("-0123456789") for task in tasks),
        "threads": sorted(thread.name for thread in threading.enumerate()),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "rss": rss(),
    }


def rss():
    """Return the memory in use, in bytes."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def peak_rss():
    """Return the most memory that was in use since `begin_measurement`, in bytes."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def begin_measurement():
    """Forget the longest lag and the peak of memory; return the memory in use."""
    gc.collect()
    # Where it cannot be forgotten, the peak is that of all times.
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    watched["host_lag"] = 0.0
    return rss()


def obey(command):
    """Run a test's command, as the service's own code would."""
    match command:
        case {"print": text}:
            print(text)
            sys.stderr.write(text + " (stderr)\n")
            sys.stdout.flush()
            return None
        case {"statistics": _}:
            return statistics()
        case {"get": name}:
            return repr(names.get(name))
        case {"lag": _}:
            lag, watched["host_lag"] = watched["host_lag"], 0.0
            return lag
        case {"measure": "begin"}:
            return begin_measurement()
        case {"measure": "end"}:
            # The lag first: what follows holds the loop up by itself.
            lag = watched["host_lag"]
            return {"lag": lag, "peak": peak_rss(), "rss": statistics()["rss"]}
        case {"property_runs": _}:
            return Guarded.runs
        case {"seen": marker}:
            return seen(marker)
        case {"block": _}:
            ready, release = threading.Event(), watched.setdefault("release", threading.Event())
            watched["loop"].call_soon_threadsafe(block, ready, release)
            return ready.wait(30)
        case {"release": _}:
            watched.pop("release").set()
            return None
        case {"gate": "reached"}:
            return gate.reached.wait(30)
        case {"gate": "open"}:
            return gate.open()
        case {"gate": "broken", "is": broken}:
            gate.broken = broken
            return None
    raise ValueError(command)


def block(ready, release):
    ready.set()
    release.wait(60)


def listen_to_commands(stdin, on_end):
    for line in stdin:
        reply(obey(json.loads(line)))
    on_end()


def begin_to_listen(on_end):
    # Not sys.stdin by name: a console stands in its place for code of its sessions.
    stdin = os.fdopen(0, closefd=False)
    threading.Thread(
        target=listen_to_commands, args=(stdin, on_end), name="commands", daemon=True
    ).start()


def seconds_without_core():
    """Return the seconds for which this thread could have run, but other processes did."""
    # Field 2, in nanoseconds: Documentation/scheduler/sched-stats.rst of Linux.
    with contextlib.suppress(OSError), open("/proc/thread-self/schedstat") as file:
        return int(file.read().split()[1]) / 1e9
    return 0.0


async def watch_lag():
    """Record the longest gap between two runs of this timer on the host's loop.

    Time in which other processes had the core does not count.
    """
    before, waited = time.monotonic(), seconds_without_core()
    while True:
        await asyncio.sleep(heartbeat)
        now, waiting = time.monotonic(), seconds_without_core()
        lag = now - before - heartbeat - (waiting - waited)
        watched["host_lag"] = max(watched["host_lag"], lag)
        before, waited = now, waiting


async def main():
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    watcher = asyncio.create_task(watch_lag(), name="watch_lag")
    watched["loop"] = loop
    hostile = spec.get("watched") and asyncio.create_task(
        wait_for_ever(), name="\x1b[2J\nhostile\u202e"
    )
    async with make_console() as console:
        begin_to_listen(lambda: loop.call_soon_threadsafe(stopping.set))
        announce(console)
        await stopping.wait()
    watcher.cancel()
    if hostile:
        hostile.cancel()


def main_without_loop():
    with make_console() as console:
        begin_to_listen(ended.set)
        announce(console)
        ended.wait()


sys.meta_path.insert(0, gate)
if "commands" in spec:
    from console import commands

    commands.__path__.append(spec["commands"])
if spec.get("watched"):
    sys.addaudithook(listen_for_code)
    names["canary"] = make_canary()
if spec.get("guarded"):
    names["guarded"] = Guarded()
deadline = threading.Timer(LIFETIME_SECONDS, os._exit, (3,))
deadline.daemon = True
deadline.start()
if "log_level" in spec:
    logging.basicConfig(
        level=spec["log_level"], format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
logging.getLogger("asyncio").setLevel(logging.WARNING)
match spec["kind"]:
    case "asyncio":
        asyncio.run(main())
    case "uvloop":
        import uvloop

        uvloop.run(main())
    case "threaded":
        main_without_loop()
print("ended in order", flush=True)
gate.open()  # the interpreter waits for threads that import
