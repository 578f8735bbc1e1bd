"""A saved application: taken apart into records, and put together again.

A record each for a port, an attribute of its factory, a name of a namespace, a service, a patch.
One pickler writes them all, so that what they share stays shared. A record that cannot be pickled
is left out, and named.

A half-written record would spoil those after it, since they refer to what it was to bring. So one
that fails makes the pass a search for others that do, and the next pass leaves them all out.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import linecache
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from console.application.ports import Entry
from console.application.saved import file as tap_file
from console.application.saved.file import Header
from console.application.saved.pickling import (
    NotRestored,
    StatePickler,
    StateUnpickler,
    is_importable,
    type_name,
)
from console.context.namespace import Namespace
from console.errors import StateError
from console.patches.journal import SavedPatch
from console.patches.targets import UNKNOWN
from console.text import escape_line

_PASSES: Final = 4
"""Before what changes all the time while it is read is given up."""

_CALM_SECONDS: Final = 0.5
"""How long other threads wait at most, each time, for us to read a state that holds still."""


@dataclass(slots=True)
class Contents:
    """An application split into records, to be saved or restored.

    Attributes:
        owner: The application itself, which is not saved as an object.
        attributes: The application's attributes.
        shells: The shells among the factories of the ports.
        not_saved: What is left out from the beginning, a line each.
        losses: What could not be restored.
    """

    owner: Any
    name: str
    attributes: dict[str, Any] = field(default_factory=dict)
    services: dict[Any, Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    shells: list[Any] = field(default_factory=list)
    patches: list[tuple[Any, SavedPatch]] = field(default_factory=list)
    not_saved: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)

    def undo_patches(self) -> None:
        """Put back what was there before the patches, and forget them."""
        for _, saved in reversed(self.patches):
            # A module or a class has been imported anew, and has its own value.
            if saved.in_place and not is_importable(saved.target.owner):
                try:
                    saved.target.write(saved.old)
                except Exception as error:  # noqa: BLE001 - the service's own code
                    self.losses.append(
                        f"what was there before patch {saved.number}, {_place(saved)}"
                        f" ({type(error).__name__}: {escape_line(str(error))})"
                    )
        self.patches.clear()


@dataclass(slots=True)
class _Record:
    """The unit of saving: saved whole or not at all.

    Attributes:
        label: How a loss is named.
        kind: What `_put` does with it.
        parts: What it holds.
        value: The one of the parts that may fail.
        owner: The factory that it is about.
    """

    label: str
    kind: str
    parts: tuple[Any, ...]
    value: Any
    owner: Any = None

    @property
    def is_port(self) -> bool:
        return self.kind == "port"


# ---------------------------------------------------------------- saving


def save(path: Path, contents: Contents) -> list[str]:
    """Write a file: the whole state, or what was there before stays. Blocks; any thread.

    Other threads are held off while the state is read, so that it is that of one moment; but for
    no longer than half a second each time. If it takes longer, what they change then is read again.

    Returns:
        What could not be saved, a line each: name, type, reason.

    Raises:
        StateError: If the file cannot be written.
    """
    now = time.localtime()
    dropped = list(contents.not_saved)
    records, known, skeletons = _records(contents, dropped)
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", now)
    payload, failed, has_code = _dump(
        records, lambda file: StatePickler(file, known, skeletons, stamp)
    )
    header = Header(
        name=contents.name,
        saved_at=time.strftime("%Y-%m-%dT%H:%M:%S%z", now),
        python=platform.python_version(),
        bytecode=(sys.implementation.cache_tag or "unknown") if has_code else "",
        not_saved=(*dropped, *failed),
    )
    tap_file.write(path, header, payload)
    return list(header.not_saved)


def _records(
    contents: Contents, dropped: list[str]
) -> tuple[list[_Record], dict[int, Any], dict[int, Any]]:
    """Take the application apart. Returns records, what is known by id, and skeletons by id."""
    known: dict[int, Any] = {
        id(contents.owner): ("application",),
        id(contents.services): ("services",),
    }
    skeletons: dict[int, Any] = {id(shell): shell for shell in contents.shells}
    namespaces: dict[int, dict[Any, Any]] = {}
    for shell in contents.shells:
        known.setdefault(id(shell.namespace), ("namespace", len(namespaces)))
        namespaces.setdefault(id(shell.namespace), shell.namespace)
    records = _port_records(contents, skeletons)
    for name, value in contents.attributes.items():
        label = f"attribute {name!r} of the application"
        records.append(_Record(label, "attribute", (contents.owner, name, value), value))
    for number, namespace in enumerate(namespaces.values(), 1):
        where = f" of shell {number}" if len(namespaces) > 1 else ""
        for name, value in dict(namespace).items():
            if name != "__builtins__":
                label = f"namespace name {_shown(name)}{where}"
                records.append(_Record(label, "name", (namespace, name, value), value))
    for name, value in dict(contents.services).items():
        records.append(_Record(f"service {_shown(name)}", "service", (name, value), value))
    records += _patch_records(contents, dropped)
    return records, known, skeletons


def _port_records(contents: Contents, skeletons: dict[int, Any]) -> list[_Record]:
    """Take ports and factories apart: first what they are, then each of their attributes."""
    ports: list[_Record] = []
    parts: list[_Record] = []
    places: dict[int, str] = {}
    for entry in contents.entries:
        factory, place = entry.factory, str(entry)
        ports.append(_Record(place, "port", (entry.settings, factory), factory, factory))
        if id(factory) in places:
            continue
        places[id(factory)] = place
        is_shell = id(factory) in skeletons
        state = factory.__getstate__() if is_shell else _plain_state(factory)
        if state is None:
            continue
        skeletons[id(factory)] = factory
        for name, value in state.items():
            label = f"attribute {name!r} of the factory on {place}"
            if is_shell and name == "credentials":
                label = f"credentials on {place}, so that no user can log in there"
            parts.append(_Record(label, "attribute", (factory, name, value), value, factory))
    return ports + parts


def _plain_state(factory: Any) -> dict[str, Any] | None:
    """Return the attributes of a factory that is pickled in the default way; None for others."""
    kind = type(factory)
    # One with a hash of its own may be the key of a dict, where it is needed whole at once.
    own_hash: Any = kind.__hash__
    if hasattr(kind, "__setstate__") or own_hash not in {object.__hash__, None}:
        return None
    try:
        make, arguments, state, *more = factory.__reduce_ex__(4)
        plain = make.__name__ == "__newobj__" and arguments == (kind,) and more == [None, None]
        return dict(state) if plain and isinstance(state, dict) else None
    except Exception:  # noqa: BLE001 - the service's own code; it will fail again and be named
        return None


def _patch_records(contents: Contents, dropped: list[str]) -> Iterator[_Record]:
    lowest: list[SavedPatch] = []
    for shell, made in contents.patches:
        saved = made
        label = f"patch {made.number}, {_place(made)}"
        if is_importable(made.target.owner):
            if not made.in_place:
                dropped.append(f"{label} (it was changed since)")
                continue
            if not any(one.target.same(made.target) for one in lowest):
                # The restarted process has its own; the one we have would come back as a copy.
                lowest.append(made)
                saved = dataclasses.replace(made, old=UNKNOWN)
        yield _Record(label, "patch", (shell, saved), made.new)


def _dump(
    records: list[_Record], make_pickler: Callable[[io.BytesIO], StatePickler]
) -> tuple[bytes, list[str], bool]:
    """Pickle what can be pickled. Returns the bytes, what failed, and whether code is in them."""
    failures: dict[int, str] = {}
    passes = 0
    while True:
        passes += 1
        output = io.BytesIO()
        pickler = make_pickler(output)
        with _undisturbed():
            failed, disturbed = _pass(
                records, failures, pickler, lambda: make_pickler(io.BytesIO())
            )
        if not failed and not disturbed:
            pickler.dump(("sources", "sources", (pickler.sources,)))
            pickler.dump(("the end", "end", ()))
            return output.getvalue(), [failures[one] for one in sorted(failures)], pickler.has_code
        if disturbed and passes < _PASSES:
            failures.update({one: text for one, text in failed.items() if one not in disturbed})
        else:
            failures.update(failed)


def _pass(
    records: list[_Record],
    failures: dict[int, str],
    pickler: StatePickler,
    another: Callable[[], StatePickler],
) -> tuple[dict[int, str], set[int]]:
    """Pickle all records but those that have failed.

    Returns:
        Those that fail now, and which of these another thread may have disturbed.
    """
    failed: dict[int, str] = {}
    disturbed: set[int] = set()
    for number, record in enumerate(records):
        if number in failures:
            continue
        if not record.is_port and any(
            records[one].is_port and records[one].owner is record.owner
            for one in (*failures, *failed)
        ):
            continue  # a part of a factory that is not saved
        try:
            pickler.dump((record.label, record.kind, record.parts))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - the service's own code
            # What has failed is half in the pickler's memory: it is of no use any more.
            pickler = another()
            failed[number] = _failure(record, error)
            if type(error) is RuntimeError:  # "dictionary changed size during iteration"
                disturbed.add(number)
    return failed, disturbed


_switch_interval_lock = threading.RLock()  # a __reduce__ of the service may save in its turn


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep the other threads of the interpreter waiting.

    A dict that changes while it is pickled is not always noticed: only its size is looked at.
    """
    with _switch_interval_lock:
        before = sys.getswitchinterval()
        try:
            sys.setswitchinterval(_CALM_SECONDS)
            # Threads that wait already do so by the old interval: they have their turn now.
            begun = time.perf_counter()
            while threading.active_count() > 1 and time.perf_counter() < begun + 1.5 * before:
                pass
            yield
        finally:
            sys.setswitchinterval(before)


def _failure(record: _Record, error: BaseException) -> str:
    name = type_name(record.value)
    try:
        reason = escape_line(str(error), 120)
    except Exception:  # noqa: BLE001 - the service's own code
        reason = type(error).__qualname__
    # "cannot pickle '_thread.lock' object" tells nothing new about a lock.
    if f"'{name}'" in reason or f"'{type(record.value).__name__}'" in reason:
        reason = ""
    return f"{record.label} ({name}{': ' if reason else ''}{reason})"


def _shown(name: object) -> str:
    try:
        return escape_line(repr(name), 60)
    except Exception:  # noqa: BLE001 - the service's own code
        return f"of type {type_name(name)}"


def _place(patch: SavedPatch) -> str:
    try:
        return patch.target.describe()
    except Exception:  # noqa: BLE001 - as above
        return type_name(patch.target.owner)


# ---------------------------------------------------------------- restoring


def load(path: Path, make_contents: Callable[[str], Contents]) -> Contents:
    """Restore an application. Runs what is in the file.

    Args:
        path: A file that `save` has written.
        make_contents: Called with the application's name, before anything of it is restored.

    Raises:
        StateError: As `console.application.saved.file.read`; or if the file is of another Python.
    """
    header, payload = tap_file.read(path)
    tag = sys.implementation.cache_tag
    if header.bytecode and header.bytecode != tag:
        raise StateError(
            str(path),
            f"holds functions of Python {header.python}, which this one ({tag}) cannot run",
            f"restore it with Python {header.python}",
        )
    contents = make_contents(header.name)
    names = _Names(contents)
    try:
        _restore(io.BytesIO(payload), contents, names)
    except Exception as error:
        raise StateError(
            str(path),
            f"cannot be restored: {type(error).__name__}: {escape_line(str(error))}",
            "restore it with the version of console that saved it",
        ) from error
    finally:
        names.close()
    return contents


class _Names:
    """The objects of the persistent ids, while a file is restored."""

    def __init__(self, contents: Contents) -> None:
        self._contents = contents
        self._namespaces: dict[int, Namespace] = {}

    def find(self, pid: Any) -> Any:
        match pid:
            case ("application",):
                return self._contents.owner
            case ("services",):
                return self._contents.services
            case ("namespace", number):
                if number not in self._namespaces:
                    # Functions take their builtins from their globals when they are made.
                    self._namespaces[number] = Namespace({})
                    self._namespaces[number].install()
                return self._namespaces[number].names
        raise ValueError(pid)

    def close(self) -> None:
        for one in self._namespaces.values():
            one.uninstall()


def _restore(file: io.BytesIO, contents: Contents, names: _Names) -> None:
    unpickler = StateUnpickler(file, names.find)
    while True:
        label, kind, parts = unpickler.load()
        if kind == "end":
            return
        if kind == "sources":
            for name, lines in parts[0].items():
                linecache.cache[name] = (sum(map(len, lines)), None, lines, name)
            continue
        is_whole = _put(contents, kind, parts)
        contents.losses += [f"{label} ({one.what}: {one.why})" for one in unpickler.losses]
        if not is_whole and not unpickler.losses:
            contents.losses.append(f"{label} (it needs what could not be restored)")
        unpickler.losses.clear()


def _put(contents: Contents, kind: str, parts: tuple[Any, ...]) -> bool:
    """Put what a record holds into its place. Returns False if it could not be restored."""
    if any(type(part) is NotRestored for part in parts):
        return False
    match kind, *parts:
        case "port", settings, factory:
            contents.entries.append(Entry(settings, factory))
        case "attribute", owner, name, value:
            vars(owner)[name] = value
        case "name", namespace, name, value:
            namespace[name] = value
        case "service", name, value:
            contents.services[name] = value
        case "patch", shell, saved:
            if any(
                type(part) is NotRestored
                for part in (saved.target, saved.target.owner, saved.old, saved.new)
            ):
                return False
            contents.patches.append((shell, saved))
    return True
