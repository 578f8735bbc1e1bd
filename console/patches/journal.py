"""The journal of hot patches: changes to the live service, their users, and how to undo them.

``patch(obj, "name", new)`` sets an attribute (or an item of a dict or list) and keeps the old
value. A patch is undone only while its target still has the patch's value: a later change by
another session or the service would be lost otherwise.

Patches of one target stack. Undoing the newest restores the one below. Undoing one that is below
another leaves the value as it is, and the one above then restores the value from before both.

The journal runs the target's ``__setattr__`` and the like, so it is called where statements run,
never on the console's thread. Its methods may be called from any thread.
"""

from __future__ import annotations

import enum
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from console.errors import ConsoleError
from console.patches.targets import ABSENT, UNKNOWN, Attribute, Item, Target, name_of
from console.text import escape_line


class PatchError(ConsoleError):
    """A patch cannot be made, undone or kept."""


_SECRET = re.compile("passw|secret|token|credential|private", re.IGNORECASE)
"""Names of attributes whose values must not stand in a log."""


class PatchState(enum.Enum):
    """The life of a patch."""

    APPLIED = "applied"
    UNDONE = "undone"


@dataclass(frozen=True, eq=False)
class SavedPatch:
    """A patch to be restored into another journal, of the next run or process.

    Attributes:
        old: `UNKNOWN` if it is the value that the restarted process has there by itself.
        seconds_left: Until it undoes itself; None if it stays.
        covered: Whether a newer patch has the same target.
        in_place: Whether the target still has the value of its newest patch.
    """

    number: int
    target: Target
    old: Any
    new: Any
    who: str
    made_at: float
    seconds_left: float | None
    covered: bool
    in_place: bool


@dataclass(eq=False)
class Patch:
    """One change, as the journal lists it. A context manager: leaving undoes it.

    Attributes:
        number: Its number for ``revert(n)`` and ``keep(n)``.
        old: The value before; `ABSENT` if there was none.
        new: The patch's value.
        who: User, transport and peer of the session that made it.
        made_at: When it was made (time.time).
        ends_at: When it undoes itself (time.time); None if it stays.
        state: Whether it is applied.
    """

    number: int
    old: Any
    new: Any
    who: str
    made_at: float
    ends_at: float | None
    target: Target = field(repr=False)
    journal: PatchJournal = field(repr=False)
    state: PatchState = PatchState.APPLIED
    reason: str = ""

    def __repr__(self) -> str:
        ends = ""
        if self.state is PatchState.APPLIED and self.ends_at is not None:
            ends = f", undoes itself in {max(0.0, self.ends_at - time.time()) / 60:.1f} min"
        if self.state is PatchState.UNDONE:
            ends = f", undone{self.reason}"
        return (
            f"<patch {self.number}: {self.target.describe()}"
            f" = {self.shown(self.new)}, was {self.shown(self.old)};"
            f" {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(self.made_at))}"
            f" by {self.who}{ends}>"
        )

    def shown(self, value: Any) -> str:
        """Return a value's repr, clipped; asterisks if the target's name suggests a secret."""
        if value is not ABSENT and _SECRET.search(self.target.describe()):
            return "********"
        return _short(value)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.state is PatchState.APPLIED:
            self.journal.revert(self.number)


Schedule = Callable[[float, Callable[[], None]], None]
"""Calls a function after some seconds, on a thread that may run code of the service."""


class PatchJournal:
    """The patches of one console, in the order they were made."""

    def __init__(self, schedule: Schedule, report: Callable[[str], None]) -> None:
        self._schedule = schedule
        self._report = report
        # Re-entrant: a property setter of the service may patch in its turn.
        self._lock = threading.RLock()
        self._patches: list[Patch] = []
        self._count = 0

    def patches(self) -> list[Patch]:
        """Return the patches that are applied, oldest first."""
        with self._lock:
            return [one for one in self._patches if one.state is PatchState.APPLIED]

    def glance(self) -> tuple[Patch, ...]:
        """As `patches`, but without waiting for a patch in progress.

        A setter of the service may run in that patch, for any time.
        """
        return tuple(one for one in tuple(self._patches) if one.state is PatchState.APPLIED)

    def patch(
        self, owner: Any, name: Any, new: Any, *, minutes: float | None = None, who: str = ""
    ) -> Patch:
        """Change an attribute or an item, so that it can be undone.

        Args:
            owner: A dict or a list is changed by key or index, any other object by attribute.
            name: The attribute's name, the key, or the index.
            new: The new value.
            minutes: After this time the patch undoes itself, unless `keep` is called. None for
                never.
            who: The user who makes it, for the journal.

        Raises:
            PatchError: If the target does not take the value. It is then unchanged.
        """
        target: Target
        if isinstance(owner, Mapping | Sequence) and not isinstance(owner, str | bytes | type):
            target = Item(owner, name)
        elif isinstance(name, str):
            target = Attribute(owner, name)
        else:
            raise PatchError(
                f"{name_of(owner)}, {_short(name)}",
                "an attribute's name is a string",
                "write patch(obj, 'name', value)",
            )
        if minutes is not None and not minutes > 0:
            raise PatchError(target.describe(), "minutes must be more than 0", "leave it out")
        now = time.time()
        with self._lock:
            try:
                old = target.read()
                target.write(new)
            except Exception as error:
                raise PatchError(
                    target.describe(),
                    f"it cannot be set ({type(error).__name__}: {escape_line(str(error))})",
                    "nothing was changed",
                ) from error
            self._count += 1
            made = Patch(
                number=self._count,
                old=old,
                new=new,
                who=who,
                made_at=now,
                ends_at=None if minutes is None else now + minutes * 60,
                target=target,
                journal=self,
            )
            self._patches.append(made)
        if minutes is not None:
            self._schedule(minutes * 60, lambda: self._end(made))
        return made

    def revert(self, number: int | None = None) -> list[Patch]:
        """Undo one patch, or all of them, newest first. Returns those that were undone.

        Raises:
            PatchError: If there is no such patch, or its target was changed since. With None,
                every patch that can be undone is undone before it is raised.
        """
        with self._lock:
            if number is not None:
                made = self._find(number)
                self._undo(made)
                return [made]
            undone: list[Patch] = []
            refused: list[PatchError] = []
            for made in reversed(self.patches()):
                try:
                    self._undo(made)
                    undone.append(made)
                except PatchError as error:
                    refused.append(error)
            if refused:
                raise refused[0]
            return undone

    def keep(self, number: int) -> Patch:
        """Remove a patch's time limit.

        Raises:
            PatchError: If there is no such patch.
        """
        with self._lock:
            made = self._find(number)
            made.ends_at = None
            return made

    def saved(self) -> list[SavedPatch]:
        """Return the patches that are applied, oldest first, for another journal's `restore`."""
        with self._lock:
            applied = self.patches()
            return [self._saved(one, applied) for one in applied]

    def _saved(self, made: Patch, applied: list[Patch]) -> SavedPatch:
        newest = [one for one in applied if one.target.same(made.target)][-1]
        return SavedPatch(
            number=made.number,
            target=made.target,
            old=made.old,
            new=made.new,
            who=made.who,
            made_at=made.made_at,
            seconds_left=None if made.ends_at is None else max(0.0, made.ends_at - time.time()),
            covered=newest is not made,
            in_place=_stands(newest),
        )

    def restore(self, saved: SavedPatch) -> Patch:
        """Take over a patch: set its value again if the target does not have it, and list it.

        Raises:
            PatchError: If the target does not take the value.
        """
        target, old, new = saved.target, saved.old, saved.new
        with self._lock:
            try:
                now = target.read()
                # A value that was saved with its owner is there already. A module's attribute is
                # not: the module was imported anew, and its value now is the one to restore.
                if old is UNKNOWN:
                    old = now
                if not saved.covered and saved.in_place:
                    if _is_same(now, new):
                        new = now
                    else:
                        target.write(new)
            except Exception as error:
                raise PatchError(
                    target.describe(),
                    f"it cannot be set again ({type(error).__name__}: {escape_line(str(error))})",
                    "the patch is dropped",
                ) from error
            self._count = max(self._count + 1, saved.number)
            seconds = saved.seconds_left
            made = Patch(
                number=self._count,
                old=old,
                new=new,
                who=saved.who,
                made_at=saved.made_at,
                ends_at=None if seconds is None else time.time() + seconds,
                target=target,
                journal=self,
            )
            self._patches.append(made)
        if seconds is not None:
            self._schedule(seconds, lambda: self._end(made))
        return made

    def _find(self, number: int) -> Patch:
        for made in self.patches():
            if made.number == number:
                return made
        raise PatchError(f"patch {number}", "not applied", "patches() lists those that are")

    def _undo(self, made: Patch, reason: str = "") -> None:
        above = next(
            (
                one
                for one in self.patches()
                if one.number > made.number and one.target.same(made.target)
            ),
            None,
        )
        if above is not None:
            # The value stays that of the patch above, which then restores the one before both.
            above.old = made.old
        else:
            now = made.target.read()
            if now is not made.new:
                raise PatchError(
                    f"patch {made.number}, {made.target.describe()}",
                    f"it was changed since, to {made.shown(now)}",
                    f"set it by hand; it was {made.shown(made.old)} before",
                )
            made.target.write(made.old)
        made.state = PatchState.UNDONE
        made.reason = reason
        # An undone patch keeps no object of the service alive.
        self._patches.remove(made)

    def _end(self, made: Patch) -> None:
        """Undo a patch whose time limit is reached."""
        with self._lock:
            if made.state is not PatchState.APPLIED or made.ends_at is None:
                return
            try:
                self._undo(made, ": its time was over")
            except Exception as error:  # noqa: BLE001 - the service's own code may run
                made.ends_at = None
                self._report(f"a patch was not undone when its time was over: {error}")
            else:
                self._report(f"undone, since it was not kept: {made!r}")


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are identical. A saved number is restored as another object."""
    kind = type(one)
    return one is other or (kind is type(other) and kind in {int, float} and one == other)


def _stands(made: Patch) -> bool:
    try:
        return _is_same(made.target.read(), made.new)
    except Exception:  # noqa: BLE001 - the service's own code; undoing it would fail as well
        return False


def _short(value: Any) -> str:
    if value is ABSENT:
        return "nothing"
    try:
        return escape_line(repr(value), 60)
    except Exception as error:  # noqa: BLE001 - the service's own code
        return f"<{type(value).__qualname__}, whose repr fails with {type(error).__name__}>"
