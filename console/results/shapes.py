"""What the repr of a value is made of, found without running more code than ``repr`` would.

A value is taken apart only if its ``__repr__`` is known: that of a builtin container, or one that
``dataclass``, ``namedtuple`` or attrs has generated. Which one it is, is looked up where classes
keep it, and the parts are read with the builtin's own methods, so that a subclass which overrides
``items`` or ``__iter__`` runs nothing. Every other value is shown by its own ``__repr__``.

The parts are a copy of as much as is going to be shown: what another thread changes meanwhile is
not our problem, and the first ten of ten million elements cost the same as ten.
"""

from __future__ import annotations

import collections
import dataclasses
import gc
import heapq
import operator
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from types import FunctionType, MappingProxyType, SimpleNamespace
from typing import Any, Final

_TRIES: Final = 3
"""A dict that another thread changes is copied anew so often."""

# As they stand in ``type`` itself: a metaclass may have a __getattribute__ of its own.
_MRO = vars(type)["__mro__"]
_CLASS_DICT = vars(type)["__dict__"]
_NAME = vars(type)["__name__"]
_QUALNAME = vars(type)["__qualname__"]


@dataclass(slots=True)
class Shape:
    """A value, taken apart.

    Attributes:
        begin: What its repr begins with.
        end: What it ends with.
        parts: The first of its items: (label, value). A label is text, empty for a sequence.
        total: How many items there are.
        keyed: Whether the labels are the keys of a dict, and to be shown by their repr.
        comma: Whether a comma follows a single item.
        again: What repr shows in its place inside of itself.
        record: What it is a record of, if its labels are the names of its fields.
    """

    begin: str
    end: str
    parts: list[tuple[Any, Any]]
    total: int
    keyed: bool = False
    comma: bool = False
    again: str = "..."
    record: str = ""


Maker = Callable[[Any, int], Shape | None]


def shape_of(value: Any, most: int) -> Shape | None:
    """Take a value apart.

    Args:
        value: Any value.
        most: How many of its items are wanted.

    Returns:
        None if only its own ``__repr__`` can show it, or if it is empty.
    """
    maker = _maker(type(value))
    shape = None if maker is None else maker(value, most)
    return shape if shape is not None and shape.total else None


def is_compound(value: Any) -> bool:
    """Whether `shape_of` takes values of this type apart."""
    return _maker(type(value)) is not None


def is_shown_by(value: Any, builtin: type) -> bool:
    """Whether the ``__repr__`` of a builtin type shows the value."""
    return issubclass_static(type(value), builtin) and _repr_of(type(value))[1] is vars(
        builtin
    ).get("__repr__")


def issubclass_static(kind: type, base: type) -> bool:
    """As ``issubclass``, but without asking the classes."""
    return base in _MRO.__get__(kind)


def has_static(value: Any, name: str) -> bool:
    """Whether the type of a value defines an attribute. A class that is a value does not count."""
    mro = _MRO.__get__(type(value))
    return type not in mro and any(name in _CLASS_DICT.__get__(base) for base in mro)


def _maker(kind: type) -> Maker | None:
    owner, function = _repr_of(kind)
    if type(function) is FunctionType:
        return _MAKERS.get(function) or _generated(owner, function)
    # Others may be any object at all, whose hash would be user code.
    return _MAKERS.get(function) if type(function) is _SLOT_WRAPPER else None


def _repr_of(kind: type) -> tuple[type, Any]:
    for base in _MRO.__get__(kind):
        function = _CLASS_DICT.__get__(base).get("__repr__")
        if function is not None:
            return base, function
    return object, object.__repr__


# ---------------------------------------------------------------- sequences and sets


def _list(value: Any, most: int) -> Shape:
    parts = list.__getitem__(value, slice(0, most))
    return _sequence("[", "]", parts, list.__len__(value), again="[...]")


def _tuple(value: Any, most: int) -> Shape:
    parts = tuple.__getitem__(value, slice(0, most))
    return _sequence("(", ")", parts, tuple.__len__(value), again="(...)", comma=True)


def _set(value: Any, most: int) -> Shape | None:
    name = _name(value)
    begin, end = ("{", "}") if type(value) is set else (f"{name}({{", "})")
    parts = _first(lambda: set.__iter__(value), most)
    return None if parts is None else _sequence(begin, end, parts, set.__len__(value))


def _frozenset(value: Any, most: int) -> Shape:
    parts = list(islice(frozenset.__iter__(value), most))
    return _sequence(f"{_name(value)}({{", "})", parts, frozenset.__len__(value))


def _deque(value: Any, most: int) -> Shape | None:
    longest = _DEQUE_MAXLEN.__get__(value)
    end = "])" if longest is None else f"], maxlen={longest})"
    parts = _first(lambda: collections.deque.__iter__(value), most)
    if parts is None:
        return None
    total = collections.deque.__len__(value)
    return _sequence(f"{_name(value)}([", end, parts, total, again="[...]")


def _view(value: Any, most: int) -> Shape | None:
    parts = _first(lambda: iter(value), most)
    return None if parts is None else _sequence(f"{_name(value)}([", "])", parts, len(value))


def _sequence(
    begin: str,
    end: str,
    parts: Iterable[Any],
    total: int,
    *,
    again: str = "...",
    comma: bool = False,
) -> Shape:
    items = [("", one) for one in parts]
    # It may have grown or shrunk between the copy and the count.
    return Shape(begin, end, items, max(total, len(items)), comma=comma, again=again)


# ---------------------------------------------------------------- mappings


def _dict(value: Any, most: int) -> Shape | None:
    return _mapping("{", "}", value, most, again="{...}")


def _defaultdict(value: Any, most: int) -> Shape | None:
    factory = repr(_DEFAULT_FACTORY.__get__(value))
    return _mapping(f"{_name(value)}({factory}, {{", "})", value, most)


def _ordered_dict(value: Any, most: int) -> Shape | None:
    parts = _first(lambda: collections.OrderedDict.items(value), most)
    if parts is None:
        return None
    if sys.version_info >= (3, 12):
        return _keyed(f"{_name(value)}({{", "})", parts, dict.__len__(value))
    return _sequence(f"{_name(value)}([", "])", parts, dict.__len__(value))


def _counter(value: Any, most: int) -> Shape | None:
    """As Counter itself does it: the most common first, unless they cannot be compared."""
    entries = _first(lambda: dict.items(value), dict.__len__(value))
    if entries is None:
        return None
    try:
        parts = heapq.nlargest(most, entries, key=operator.itemgetter(1))
    except TypeError:
        parts = entries[:most]
    return _keyed(f"{_name(value)}({{", "})", parts, len(entries))


def _mapping_proxy(value: Any, most: int) -> Shape | None:
    below = gc.get_referents(value)  # the only way to it that is not the mapping's own code
    if len(below) != 1 or type(below[0]) is not dict:
        return None
    return _mapping("mappingproxy({", "})", below[0], most)


def _mapping(begin: str, end: str, value: Any, most: int, *, again: str = "...") -> Shape | None:
    parts = _first(lambda: dict.items(value), most)
    return None if parts is None else _keyed(begin, end, parts, dict.__len__(value), again=again)


def _keyed(
    begin: str, end: str, parts: list[tuple[Any, Any]], total: int, *, again: str = "..."
) -> Shape:
    named = begin == "{" and all(type(key) is str for key, _ in parts)
    total = max(total, len(parts))
    return Shape(begin, end, parts, total, keyed=True, again=again, record="dict" if named else "")


def _first(iterate: Callable[[], Iterable[Any]], most: int) -> list[Any] | None:
    """Copy the first items of what other threads may change; None if they do not let us."""
    for _ in range(_TRIES):
        try:
            return list(islice(iterate(), most))
        except RuntimeError:  # its size changed meanwhile
            continue
    return None


# ---------------------------------------------------------------- records


def _namespace(value: Any, most: int) -> Shape | None:
    if type(value) is not SimpleNamespace:
        return None
    fields = dict.items(vars(value))
    return Shape(
        "namespace(",
        ")",
        [(f"{name}=", one) for name, one in islice(fields, most)],
        len(fields),
        again="namespace(...)",
        record="namespace",
    )


def _record_maker(names: list[str], name_of: Callable[[type], str]) -> Maker:
    def record(value: Any, _most: int) -> Shape:
        if issubclass_static(type(value), tuple):
            values: Iterable[Any] = tuple.__iter__(value)
        else:
            values = [getattr(value, name) for name in names]  # as the generated repr does
        name = name_of(type(value))
        parts = [(f"{one}=", part) for one, part in zip(names, values, strict=False)]
        return Shape(f"{name}(", ")", parts, len(parts), record=name)

    return record


def _generated(owner: type, function: FunctionType) -> Maker | None:
    """Return what takes apart the records that a generated ``__repr__`` shows.

    Returns:
        None if the function is somebody's own.
    """
    members = _CLASS_DICT.__get__(owner)
    if function.__code__ is _NAMEDTUPLE_REPR.__code__:
        return _record_maker(list(members.get("_fields", ())), _NAME.__get__)
    if function.__code__ is _DATACLASS_REPR.__code__:
        made, example = getattr(function, "__wrapped__", None), _DATACLASS_REPR.__wrapped__
        if type(made) is not FunctionType or _origin(made) != _origin(example):
            return None  # somebody's own, under the decorator that dataclasses use as well
        fields = members.get("__dataclass_fields__", {})
        # Not fields(), which would ask the class: it leaves out ClassVar and InitVar.
        names = [one.name for one in fields.values() if one.repr and one._field_type is _FIELD]  # noqa: SLF001
        return _record_maker(names, _QUALNAME.__get__)
    if function.__code__.co_filename.startswith("<attrs generated "):
        attributes = members.get("__attrs_attrs__", ())
        # A field with a function of its own for its repr is too much for us.
        if all(type(one.repr) is bool for one in attributes):
            names = [one.name for one in attributes if one.repr]
            return _record_maker(names, lambda kind: _QUALNAME.__get__(kind).rsplit(">.", 1)[-1])
    return None


def _origin(function: FunctionType) -> tuple[str, str]:
    return function.__code__.co_filename, function.__qualname__


def _name(value: Any) -> str:
    return _NAME.__get__(type(value))  # type: ignore[no-any-return]


@dataclass
class _Example:
    """Shows which functions dataclasses generate."""


_DATACLASS_REPR: Any = _Example.__repr__
_NAMEDTUPLE_REPR: Any = collections.namedtuple("_Named", "field").__repr__  # noqa: PYI024 - the function counts
_FIELD: Any = dataclasses.field.__globals__["_FIELD"]
_SLOT_WRAPPER = type(object.__repr__)
_DEQUE_MAXLEN: Any = vars(collections.deque)["maxlen"]
_DEFAULT_FACTORY: Any = vars(collections.defaultdict)["default_factory"]

_MAKERS: Final[dict[Any, Maker]] = {
    list.__repr__: _list,
    tuple.__repr__: _tuple,
    set.__repr__: _set,
    frozenset.__repr__: _frozenset,
    dict.__repr__: _dict,
    collections.deque.__repr__: _deque,
    collections.defaultdict.__repr__: _defaultdict,
    collections.OrderedDict.__repr__: _ordered_dict,
    collections.Counter.__repr__: _counter,
    MappingProxyType.__repr__: _mapping_proxy,
    SimpleNamespace.__repr__: _namespace,
    type({}.keys()).__repr__: _view,
    type({}.values()).__repr__: _view,
    type({}.items()).__repr__: _view,
}
"""By the function that makes the repr, so that a subclass with one of its own is left alone."""
