"""The parts of a value's repr, found without running more code than ``repr`` would.

A value is divided only if its ``__repr__`` is known: that of a builtin container, or one generated
by ``dataclass``, ``namedtuple`` or attrs. The ``__repr__`` is looked up in the classes'
dictionaries, and the parts are read with the builtin's own methods, so a subclass that overrides
``items`` or ``__iter__`` runs no code. Every other value is shown by its own ``__repr__``.

The parts are a copy of only the items that will be shown: another thread may change the value
meanwhile, and the first ten of ten million items cost the same as ten.
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
"""How often the copy of a container is tried while another thread changes it."""

# The descriptors of ``type`` itself: a metaclass may have a __getattribute__ of its own.
_MRO = vars(type)["__mro__"]
_CLASS_DICT = vars(type)["__dict__"]
_NAME = vars(type)["__name__"]
_QUALNAME = vars(type)["__qualname__"]


@dataclass(slots=True)
class Shape:
    """The parts of a value's repr.

    Attributes:
        begin: The beginning of the repr.
        end: Its end.
        parts: The first items: (label, value). A label is text, empty for a sequence.
        total: The number of all items.
        keyed: Whether the labels are the keys of a dict, shown by their repr.
        comma: Whether a comma follows a single item.
        again: The text for the value within itself.
        record: The record's type name, if the labels are field names; else empty.
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
    """Divide a value into its parts.

    Args:
        value: Any value.
        most: The most items to copy.

    Returns:
        None if only its own ``__repr__`` can show it, or if it is empty.
    """
    maker = _maker(type(value))
    shape = None if maker is None else maker(value, most)
    return shape if shape is not None and shape.total else None


def is_compound(value: Any) -> bool:
    """Whether `shape_of` divides values of this type."""
    return _maker(type(value)) is not None


def is_shown_by(value: Any, builtin: type) -> bool:
    """Whether the ``__repr__`` of a builtin type shows the value."""
    return issubclass_static(type(value), builtin) and _repr_of(type(value))[1] is vars(
        builtin
    ).get("__repr__")


def issubclass_static(kind: type, base: type) -> bool:
    """As ``issubclass``, but without running code of the classes."""
    return base in _MRO.__get__(kind)


def has_static(value: Any, name: str) -> bool:
    """Whether the type of a value defines an attribute. A class that is a value does not count."""
    mro = _MRO.__get__(type(value))
    return type not in mro and any(name in _CLASS_DICT.__get__(base) for base in mro)


def _maker(kind: type) -> Maker | None:
    owner, function = _repr_of(kind)
    if type(function) is FunctionType:
        return _MAKERS.get(function) or _generated(owner, function)
    # Another type may be any object, whose hash would be user code.
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
    # The value may have changed between the copy and the count.
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
    """As Counter's own repr: the most common first, unless the counts cannot be compared."""
    entries = _first(lambda: dict.items(value), dict.__len__(value))
    if entries is None:
        return None
    try:
        parts = heapq.nlargest(most, entries, key=operator.itemgetter(1))
    except TypeError:
        parts = entries[:most]
    return _keyed(f"{_name(value)}({{", "})", parts, len(entries))


def _mapping_proxy(value: Any, most: int) -> Shape | None:
    below = gc.get_referents(value)  # the only access that runs no code of the mapping
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
    """Copy the first items; None if other threads change the container during each try."""
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
    """Return the `Maker` for records with a generated ``__repr__``.

    Returns:
        None if the function was not generated.
    """
    members = _CLASS_DICT.__get__(owner)
    if function.__code__ is _NAMEDTUPLE_REPR.__code__:
        return _record_maker(list(members.get("_fields", ())), _NAME.__get__)
    if function.__code__ is _DATACLASS_REPR.__code__:
        made, example = getattr(function, "__wrapped__", None), _DATACLASS_REPR.__wrapped__
        if type(made) is not FunctionType or _origin(made) != _origin(example):
            return None  # user code under recursive_repr(), which dataclasses use too
        fields = members.get("__dataclass_fields__", {})
        # Not fields(), which reads class attributes; as there, ClassVar and InitVar are left out.
        names = [one.name for one in fields.values() if one.repr and one._field_type is _FIELD]  # noqa: SLF001
        return _record_maker(names, _QUALNAME.__get__)
    if function.__code__.co_filename.startswith("<attrs generated "):
        attributes = members.get("__attrs_attrs__", ())
        # A field with a repr function of its own is not supported.
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
    """An example, to recognise the functions that ``dataclass`` generates."""


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
"""By the ``__repr__`` function: a subclass with its own ``__repr__`` is not divided."""
