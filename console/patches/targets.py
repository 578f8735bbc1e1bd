"""What can be patched: an attribute, or an item of a dict or a list."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType, NoneType
from typing import Any, Protocol

from console.text import escape_line, plain


class Mark:
    """A marker in place of a value."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def __reduce__(self) -> str:
        return self._name  # a saved state restores the module's own object, not a copy


ABSENT = Mark("ABSENT", "nothing")
"""There was no value: undoing deletes."""

UNKNOWN = Mark("UNKNOWN", "what is there after the restart")
"""For the old value of a `SavedPatch`."""


class Target(Protocol):
    """The attribute or item that a patch changes."""

    @property
    def owner(self) -> Any:
        """The object that has the attribute or item."""

    def describe(self) -> str:
        """Name it as a user would type it."""

    def read(self) -> Any:
        """Return the owner's own value, not an inherited one; `ABSENT` if it has none."""

    def write(self, value: Any) -> None:
        """Set the value; `ABSENT` deletes it."""

    def same(self, other: object) -> bool:
        """Whether another target is the same attribute or item."""

    def label(self, *, keys: bool = True) -> str:
        """Name it without running any code of the owner or the key.

        Args:
            keys: Whether to show the key: a typed key may be a secret.
        """


@dataclass(frozen=True, eq=False)
class Attribute:
    """An attribute of an object, a class or a module."""

    owner: Any
    name: str

    def describe(self) -> str:
        return f"{name_of(self.owner)}.{self.name}"

    def read(self) -> Any:
        # The raw entry: a staticmethod or a property must come back as itself, and an attribute
        # that was only inherited must be deleted again.
        for cls in type(self.owner).__mro__:
            found = vars(cls).get(self.name)
            if found is not None:
                if hasattr(type(found), "__set__") and not isinstance(self.owner, type):
                    return getattr(self.owner, self.name, ABSENT)  # a slot or a property
                break
        try:
            return vars(self.owner).get(self.name, ABSENT)
        except TypeError:  # no __dict__
            return getattr(self.owner, self.name, ABSENT)

    def write(self, value: Any) -> None:
        if value is ABSENT:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, value)

    def same(self, other: object) -> bool:
        return (
            isinstance(other, Attribute) and other.owner is self.owner and other.name == self.name
        )

    def label(self, *, keys: bool = True) -> str:
        return f"{label_of(self.owner)}.{plain(self.name)}"


@dataclass(frozen=True, eq=False)
class Item:
    """An item of a mapping or a sequence."""

    owner: Any
    key: Any

    def describe(self) -> str:
        return f"{name_of(self.owner)}[{escape_line(repr(self.key), 60)}]"

    def read(self) -> Any:
        try:
            return self.owner[self.key]
        except KeyError:
            return ABSENT

    def write(self, value: Any) -> None:
        if value is ABSENT:
            del self.owner[self.key]
        else:
            self.owner[self.key] = value

    def same(self, other: object) -> bool:
        return isinstance(other, Item) and other.owner is self.owner and other.key == self.key

    def label(self, *, keys: bool = True) -> str:
        if not keys:
            return f"{label_of(self.owner)}[...]"
        try:
            shown = repr(self.key) if type(self.key) in _PLAIN_KEYS else label_of(self.key)
        except ValueError:  # an int of more than 4,300 digits
            shown = "<int>"
        return f"{label_of(self.owner)}[{escape_line(shown, 60)}]"


def name_of(owner: Any) -> str:
    """Name an object without running its code."""
    if isinstance(owner, type):
        return owner.__qualname__
    name = getattr(owner, "__name__", None) if type(owner).__module__ == "builtins" else None
    return name if isinstance(name, str) else f"<{type(owner).__qualname__}>"


# The descriptors of ``type`` and ModuleType: a metaclass or a subclass may have its own.
_QUALNAME = vars(type)["__qualname__"]


_MODULE_DICT = vars(ModuleType)["__dict__"]


_PLAIN_KEYS = frozenset({str, bytes, int, float, bool, NoneType})


def label_of(owner: Any) -> str:
    """As `name_of`, but runs no code of the owner, its class or its metaclass."""
    kind = type(owner)
    if issubclass(kind, type):
        return plain(_QUALNAME.__get__(owner))
    if kind is ModuleType:
        name = _MODULE_DICT.__get__(owner).get("__name__")
        return name if type(name) is str else "<module>"
    return f"<{plain(_QUALNAME.__get__(kind))}>"
