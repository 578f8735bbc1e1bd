"""The tasks of an event loop, read from another thread while the loop runs or is blocked.

A task's facts are read with the methods of asyncio's own class: a service may have subclassed
`Task`, and a name, a coroutine or a future may be any object. None of their code runs, except what
asyncio itself calls to list tasks (``get_loop``, ``done``, ``__hash__`` of a task).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from dataclasses import dataclass
from types import AsyncGeneratorType, CoroutineType, GeneratorType
from typing import Any

from console.introspect.listing import Listing
from console.introspect.stacks import Place, place_of
from console.text import plain

_LOOK_AT = 1000
"""Tasks that are listed. A service may have 100,000, and it waits while we hold the GIL."""

_DEPTH = 100
"""Coroutines that are followed in a chain of awaits."""

_SHOWN_PLACES = 4
"""Of a longer chain the outermost and the innermost places are shown."""

_TRIES = 20
_WAIT_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """A task at one moment.

    Attributes:
        name: Its name.
        state: ``running``, ``waiting`` (for a future) or ``ready`` (to run next); with
            ``cancelling`` once it has been asked to end.
        places: Where it is suspended, outermost coroutine first.
    """

    name: str
    state: str
    places: tuple[Place, ...]

    @property
    def place(self) -> str:
        """Where it is suspended, in one line."""
        shown = [str(place) for place in self.places]
        if len(shown) > _SHOWN_PLACES:
            left_out = len(shown) - _SHOWN_PLACES
            shown[1 : 1 + left_out] = [f"({left_out} more)"]
        return " > ".join(shown) or "-"


def list_tasks(
    loop: asyncio.AbstractEventLoop | None, transparent: tuple[type, ...] = ()
) -> Listing[TaskFacts]:
    """List the tasks of a loop that have not ended. Safe to call from any thread.

    Args:
        loop: The loop; None for an empty list.
        transparent: Classes, besides Python's own, whose attributes ``cr_frame`` and ``cr_await``
            may be read.
    """
    tasks = set() if loop is None else _all_tasks(loop)
    current = None if loop is None else asyncio.current_task(loop)
    looked_at = itertools.islice(tasks, _LOOK_AT)
    rows = [_facts(task, task is current, transparent) for task in looked_at]
    rows.sort(key=lambda row: _natural(row.name))
    return Listing(
        rows,
        {
            "TASK": lambda row: row.name,
            "STATE": lambda row: row.state,
            "PLACE": lambda row: row.place,
        },
        "no tasks" if loop is not None else "the service has no event loop yet",
        total=len(tasks),
    )


def _all_tasks(loop: asyncio.AbstractEventLoop) -> set[Any]:
    """Return the tasks of a loop that another thread runs.

    asyncio keeps them in a WeakSet, which changes during the iteration. asyncio retries, but
    without a pause: a loop that makes tasks all the time needs one between tries.
    """
    for _ in range(_TRIES):
        try:
            return asyncio.all_tasks(loop)
        except RuntimeError:
            time.sleep(_WAIT_SECONDS)
    return set()


# asyncio's class, and its Python version, which is used without the C accelerator.
_KINDS: tuple[type[Any], ...] = (asyncio.Task, asyncio.tasks._PyTask)  # type: ignore[attr-defined]  # noqa: SLF001


def _facts(task: Any, is_current: bool, transparent: tuple[type, ...]) -> TaskFacts:
    # Not isinstance(), which reads __class__.
    kind = next((one for one in _KINDS if issubclass(type(task), one)), None)
    if kind is None:
        return TaskFacts("(not a task of asyncio)", "unknown", ())
    if is_current:
        state = "running"
    elif object.__getattribute__(task, "_fut_waiter") is not None:
        state = "waiting"
    else:
        state = "ready"
    if kind.cancelling(task):
        state += ", cancelling"
    return TaskFacts(
        plain(kind.get_name(task)), state, awaiting_places(kind.get_coro(task), transparent)
    )


def awaiting_places(coroutine: Any, transparent: tuple[type, ...]) -> tuple[Place, ...]:
    """Follow a chain of awaits, outermost first, through Python's own types.

    Args:
        coroutine: The coroutine of a task.
        transparent: See `list_tasks`.
    """
    places = []
    for _ in range(_DEPTH):
        kind = type(coroutine)
        if kind is CoroutineType or kind in transparent:
            frame, coroutine = coroutine.cr_frame, coroutine.cr_await
        elif kind is GeneratorType:
            frame, coroutine = coroutine.gi_frame, coroutine.gi_yieldfrom
        elif kind is AsyncGeneratorType:
            frame, coroutine = coroutine.ag_frame, coroutine.ag_await
        else:
            break
        if frame is not None:
            places.append(place_of(frame))
    # The console's own frames around a statement are left out.
    return tuple(place for place in places if not place.is_own) or tuple(places)


def _natural(name: str) -> tuple[str, int, str]:
    """Return a sort key that puts Task-9 before Task-10."""
    stem = name.rstrip("0123456789")
    digits = name[len(stem) :][:18]
    return stem, int(digits or 0), name
