"""``name?``: the signature, type, file, documentation and source of an object.

Everything is read where it is stored (``static.py``): no property, ``__getattr__``, ``__repr__`` or
``__signature__`` of the service runs. Facts that only running code would give are left out, and
the text says so.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import FunctionType, MethodType, ModuleType
from typing import Any

from console.introspect.signature import (
    BUILTIN_CALLABLES,
    PLAIN,
    SIZED,
    callee,
    plain_text,
    signature_of,
)
from console.introspect.source import place_of, source_of
from console.introspect.static import (
    ABSENT,
    class_dict,
    isinstance_static,
    namespaces,
    own_dict,
    static_attribute,
    type_name,
)
from console.syntax.parsing import NAME

_STEP = re.compile(rf"\.?({NAME})|\[(-?\d+)\]|\['([^']*)'\]|\[\"([^\"]*)\"\]")


@dataclass(frozen=True, slots=True)
class Subject:
    """An object to describe; ``bound`` if its first parameter is bound where it was found."""

    name: str
    value: Any
    bound: bool = False


def find(path: str, scopes: Iterable[Mapping[str, Any]]) -> Subject:
    """Find the object that a path names.

    Args:
        path: A path that matches `PATH`.
        scopes: The scopes in which the first name is looked up, in this order.

    Raises:
        NameError: If the first name is in none of the scopes.
        AttributeError: If an attribute is not stored anywhere.
        LookupError: If there is no such item, or only the value's own code could find it.
    """
    first, *steps = list(_STEP.finditer(path))
    value = next((scope[first[1]] for scope in scopes if first[1] in scope), ABSENT)
    if value is ABSENT:
        raise NameError(f"name {first[1]!r} is not defined", name=first[1])
    subject = Subject(first[1], value)
    for step in steps:
        done = path[: step.start()]
        if step[1] is not None:
            subject = _member(subject.value, step[1], done)
        else:
            key = step[3] if step[3] is not None else step[4]
            subject = _item(subject.value, int(step[2]) if key is None else key, done)
    return subject


def _member(value: Any, name: str, path: str) -> Subject:
    if type(value) is property:
        raise AttributeError(
            f"{path} is a property, and its code is not run here; run it with: value = {path}"
        )
    own = next(iter(namespaces(value)), {})
    for namespace in namespaces(value):
        found = namespace.get(name, ABSENT)
        if found is ABSENT:
            continue
        if type(found) is classmethod:
            return Subject(name, found.__func__, bound=True)
        if type(found) is FunctionType:
            in_class = namespace is not own and not isinstance_static(value, type)
            return Subject(name, found, bound=in_class)
        stored = static_attribute(value, name)
        return Subject(name, found if stored is ABSENT else stored)
    raise AttributeError(
        f"{path}.{name} is not stored anywhere; if code of {path} computes it,"
        f" run that with: value = {path}.{name}"
    )


def _item(value: Any, key: int | str, path: str) -> Subject:
    name = f"{path}[{key!r}]"
    if type(value) is dict:
        if key in value:
            return Subject(name, value[key])
    elif type(value) in {list, tuple} and isinstance(key, int):
        if -len(value) <= key < len(value):
            return Subject(name, value[key])
    else:
        raise LookupError(f"the items of a {type_name(value)} are found by its own code only")
    raise LookupError(f"{path} has no item {key!r}")


# ---------------------------------------------------------------- what is shown


def describe(subject: Subject, *, source: bool = False) -> str:
    """Describe an object, with its source instead of its documentation if ``source``.

    Reads files: never call it on a loop.
    """
    value = subject.value
    lines = []
    signature = signature_of(value, bound=subject.bound)
    if signature is not None:
        lines.append(f"Signature: {subject.name}{signature}")
    lines.append(f"Type:      {kind_of(value, bound=subject.bound)}")
    kind = type(value)
    if kind in SIZED:
        lines.append(f"Length:    {len(value)}")
    plain = plain_text(value)
    if plain:
        lines.append(f"Value:     {plain}")
    place = place_of(_code_owner(value))
    if place:
        lines.append(f"File:      {place}")
    text = source_of(_code_owner(value)) if source else None
    if text is not None:
        return "\n".join([*lines, "Source:", text])
    if source:
        lines.append("Source:    not available; it is written in C, or its file is missing")
    text = documentation_of(value)
    return "\n".join([*lines, "Docstring:", text] if text else lines)


def summary_of(value: Any, *, bound: bool = False) -> str:
    """Return a short description for a menu: the signature, or the type."""
    signature = signature_of(value, bound=bound)
    kind = _kind_word(value, bound=bound)
    return kind if signature is None else f"{kind} {signature}"


def kind_of(value: Any, *, bound: bool = False) -> str:
    """Return a value's kind: ``function``, ``class``, or ``instance of`` its class."""
    word = _kind_word(value, bound=bound)
    module = class_dict(type(value)).get("__module__")  # classes written in C have none there
    if word != type_name(value) or type(module) is not str:
        return word
    return f"instance of {module}.{word}"


def _kind_word(value: Any, *, bound: bool) -> str:
    inner, bound = callee(value, bound=bound)
    if type(inner) is FunctionType:
        flags = inner.__code__.co_flags
        prefix = "async " if flags & (inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR) else ""
        return prefix + ("method" if bound else "function")
    kind = type(value)
    if kind in BUILTIN_CALLABLES:
        return "builtin"
    if isinstance_static(value, type):
        return "class"
    return "module" if isinstance_static(value, ModuleType) else type_name(value)


def documentation_of(value: Any) -> str:
    """Return an object's documentation; an instance has that of its class."""
    kind = type(value)
    if kind is MethodType:
        return documentation_of(value.__func__)
    if kind is FunctionType or kind in BUILTIN_CALLABLES:
        text = value.__doc__  # C code for these types
    elif kind is property:
        text = property.__dict__["__doc__"].__get__(value)
    elif isinstance_static(value, type):
        text = class_dict(value).get("__doc__")
    elif isinstance_static(value, ModuleType):
        text = static_attribute(value, "__doc__")
    elif kind in SIZED or kind in PLAIN:
        text = None  # the documentation of ``list`` would not help
    else:
        text = (own_dict(value) or {}).get("__doc__")
        if type(text) is not str:
            text = class_dict(kind).get("__doc__")
    return inspect.cleandoc(text) if type(text) is str else ""


def _code_owner(value: Any) -> Any:
    """Return the function, class or module that defines an object."""
    kind = type(value)
    if kind is property:
        return value.fget
    inner = callee(value, bound=False)[0]
    if type(inner) is FunctionType:
        return inner
    if isinstance_static(value, type) or isinstance_static(value, ModuleType):
        return value
    return None if kind in BUILTIN_CALLABLES else kind
