"""Attributes found where they are stored, without running any code of their owner.

``getattr`` calls ``__getattr__``, ``__getattribute__`` and properties; ``isinstance`` reads
``__class__``. For the values of a service each may run any code. Here instance dictionaries, class
dictionaries and slots are read by the interpreter's C code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import (
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any, Final

ABSENT: Final[Any] = object()
"""The result of a lookup that finds nothing."""


def static_attribute(value: Any, name: str) -> Any:
    """Find an attribute where it is stored, without the descriptor protocol of user code."""
    for namespace in namespaces(value):
        found = namespace.get(name, ABSENT)
        if found is ABSENT:
            continue
        if type(found) is MemberDescriptorType:  # a slot: reading it runs C code only
            try:
                return found.__get__(value)
            except (AttributeError, TypeError):
                return ABSENT
        if type(found) in {staticmethod, classmethod}:
            return found.__func__
        if type(found) is FunctionType or not is_descriptor(found):
            return found
        return ABSENT
    return ABSENT


def is_descriptor(value: Any) -> bool:
    """Whether a class attribute with this value is a descriptor: its code computes the result."""
    return any(
        "__get__" in class_dict(base) for base in mro(type(value))
    ) and not isinstance_static(value, type)


def namespaces(value: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the dictionaries of a value's attributes, nearest first."""
    own = own_dict(value)
    if own is not None:
        yield own
    if isinstance_static(value, type):
        for base in mro(value):
            yield class_dict(base)
    for base in mro(type(value)):
        yield class_dict(base)


def isinstance_static(value: Any, kind: type) -> bool:
    """As ``isinstance``, but without reading ``__class__``, which may be a property."""
    return kind in mro(type(value))


def own_dict(value: Any) -> Mapping[str, Any] | None:
    """Return the dictionary of an instance or a module; None if it has no plain one."""
    if isinstance_static(value, ModuleType):
        return _MODULE_DICT.__get__(value)  # type: ignore[no-any-return]
    for base in mro(type(value)):
        descriptor = class_dict(base).get("__dict__")
        if descriptor is None:
            continue
        # Only the interpreter's own descriptor: a class may define a property of that name.
        if type(descriptor) is GetSetDescriptorType and base is not type:
            try:
                own = descriptor.__get__(value)
            except (AttributeError, TypeError):
                return None
            # A subclass may have methods of its own.
            return own if type(own) is dict else None
        return None
    return None


# The descriptors of ``type`` itself: a metaclass may have a __getattribute__ of its own.
_NAME = vars(type)["__name__"]
_MRO = vars(type)["__mro__"]
_CLASS_DICT = vars(type)["__dict__"]
_MODULE_DICT = vars(ModuleType)["__dict__"]


def mro(cls: type) -> tuple[type, ...]:
    """Return a class's MRO, whatever its metaclass returns."""
    return _MRO.__get__(cls)  # type: ignore[no-any-return]


def class_dict(cls: type) -> MappingProxyType[str, Any]:
    """Return a class's dictionary, whatever its metaclass returns."""
    return _CLASS_DICT.__get__(cls)  # type: ignore[no-any-return]


def type_name(value: Any) -> str:
    """Return the name of a value's type."""
    return class_name(type(value))


def class_name(cls: type) -> str:
    """Return a class's name, whatever its metaclass returns."""
    return _NAME.__get__(cls)  # type: ignore[no-any-return]
