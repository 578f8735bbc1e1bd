"""The signatures of functions and classes, without running their code.

``inspect.signature`` calls ``__signature__`` and the ``repr`` of defaults and annotations, which
are code of the service. Here code objects are read, and ``repr`` is called only for builtin types.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    FunctionType,
    GenericAlias,
    MethodDescriptorType,
    MethodType,
    MethodWrapperType,
    NoneType,
    UnionType,
    WrapperDescriptorType,
)
from typing import Any, Final

from console.introspect.static import (
    ABSENT,
    class_dict,
    class_name,
    isinstance_static,
    mro,
    own_dict,
    static_attribute,
    type_name,
)

BUILTIN_CALLABLES: Final = frozenset(
    {
        BuiltinFunctionType,
        ClassMethodDescriptorType,
        MethodDescriptorType,
        MethodWrapperType,
        WrapperDescriptorType,
    }
)

SIZED: Final = frozenset({dict, list, tuple, set, frozenset, str, bytes, bytearray})

PLAIN: Final = frozenset({NoneType, bool, int, float, complex, str, bytes})

_VALUE_CHARACTERS: Final = 60
"""Characters that are shown of a default or a plain value."""

_DEPTH: Final = 20
"""Decorators around a function, and types within a type, that are followed."""


def signature_of(value: Any, *, bound: bool = False) -> str | None:
    """Return a signature, as ``(a, b=1) -> int``; None if it is not known.

    Args:
        value: Any object.
        bound: Leave out the first parameter: ``self`` of a method.
    """
    value, bound = callee(value, bound=bound)
    kind = type(value)
    if kind is FunctionType:
        return _of_function(value, bound=bound)
    if kind in BUILTIN_CALLABLES:
        return _of_builtin(value.__text_signature__)
    if isinstance_static(value, type):
        return _of_class(value)
    call = _in_bases(mro(kind), "__call__")
    return signature_of(call, bound=True) if type(call) is FunctionType else None


def keywords_of(value: Any, *, bound: bool = False) -> tuple[str, ...]:
    """Return the names of the parameters that can be passed by name; empty if not known."""
    value, bound = callee(value, bound=bound)
    if isinstance_static(value, type):
        value, bound = callee(_in_bases(mro(value), "__init__"), bound=True)
    if type(value) is not FunctionType:
        return ()
    code = value.__code__
    first = max(code.co_posonlyargcount, 1 if bound and code.co_argcount else 0)
    return code.co_varnames[first : code.co_argcount + code.co_kwonlyargcount]


def callee(value: Any, *, bound: bool) -> tuple[Any, bool]:
    """Return the function that a bound method, a decorator or a ``partial`` calls."""
    for _ in range(_DEPTH):
        kind = type(value)
        if kind in {MethodType, classmethod}:
            value, bound = value.__func__, True
        elif kind is staticmethod:
            value = value.__func__
        elif kind is functools.partial:
            value = value.func
        else:
            # A wrapper of a function has ``__wrapped__``, as functools.cache() and our commands.
            inner = (own_dict(value) or {}).get("__wrapped__")
            if type(inner) not in {FunctionType, MethodType}:
                break
            value = inner
    return value, bound


def _of_class(cls: type) -> str | None:
    for name in ("__init__", "__new__"):
        found = _in_bases(mro(cls), name)
        function = found.__func__ if type(found) is staticmethod else found
        if type(function) is FunctionType:
            return _of_function(callee(function, bound=True)[0], bound=True)
    return _of_builtin(_TEXT_SIGNATURE.__get__(cls))


def _in_bases(bases: Iterable[type], name: str) -> Any:
    for base in bases:
        found = class_dict(base).get(name)
        if found is not None:
            return found
    return None


# The descriptor of ``type`` itself: a metaclass may have its own.
_TEXT_SIGNATURE = vars(type)["__text_signature__"]


def _of_builtin(text: str | None) -> str | None:
    """Remove the marked ``self`` from the signature of a callable written in C."""
    return None if text is None else re.sub(r"\$\w+(?:, /)?(?:, )?", "", text, count=1)


def _of_function(function: FunctionType, *, bound: bool) -> str:
    parameters = list(_parameters(function))
    if bound and parameters and not parameters[0].startswith("*"):
        del parameters[0]
        if parameters[:1] == ["/"]:
            del parameters[0]
    returns = _annotations(function).get("return", ABSENT)
    result = "" if returns is ABSENT else f" -> {_type_text(returns)}"
    return f"({', '.join(parameters)}){result}"


def _parameters(function: FunctionType) -> Iterator[str]:
    code = function.__code__
    annotations = _annotations(function)
    names = iter(code.co_varnames)
    defaults = function.__defaults__ or ()
    keyword_defaults = function.__kwdefaults__ or {}

    def shown(name: str, default: Any = ABSENT) -> str:
        annotation = annotations.get(name, ABSENT)
        text = name if annotation is ABSENT else f"{name}: {_type_text(annotation)}"
        if default is ABSENT:
            return text
        return f"{text}{'=' if annotation is ABSENT else ' = '}{_default_text(default)}"

    first_default = code.co_argcount - len(defaults)
    for number in range(code.co_argcount):
        default = defaults[number - first_default] if number >= first_default else ABSENT
        yield shown(next(names), default)
        if number + 1 == code.co_posonlyargcount:
            yield "/"
    keywords = [next(names) for _ in range(code.co_kwonlyargcount)]
    if code.co_flags & inspect.CO_VARARGS:
        yield "*" + shown(next(names))
    elif keywords:
        yield "*"
    for name in keywords:
        yield shown(name, keyword_defaults.get(name, ABSENT))
    if code.co_flags & inspect.CO_VARKEYWORDS:
        yield "**" + shown(next(names))


def _annotations(function: FunctionType) -> Mapping[str, Any]:
    # Python 3.14 computes annotations at the first access, by running their code.
    if getattr(function, "__annotate__", None) is not None:
        return {}
    found = function.__annotations__
    return found if type(found) is dict else {}


def _type_text(annotation: Any, depth: int = 0) -> str:
    """Write an annotation, without its ``repr``."""
    kind = type(annotation)
    if kind is str:
        return str(annotation)
    if annotation is None or annotation is Ellipsis:
        return "None" if annotation is None else "..."
    if isinstance_static(annotation, type) and not isinstance_static(annotation, GenericAlias):
        return "None" if annotation is NoneType else class_name(annotation)
    origin, inner = _parts(annotation)
    if origin is ABSENT:
        return f"<{type_name(annotation)}>"
    arguments = [_type_text(one, depth + 1) for one in inner] if depth < _DEPTH else ["..."]
    if origin is UnionType:
        return " | ".join(arguments)
    if origin == "Optional":
        arguments = arguments[:1]
    name = _type_text(origin, depth + 1)
    return f"{name}[{', '.join(arguments)}]" if inner else name


_ALIAS = ("__origin__", "__args__")


def _parts(annotation: Any) -> tuple[Any, tuple[Any, ...]]:
    """Split ``list[int]`` into ``list`` and ``int``; ABSENT if it is not a generic type."""
    kind = type(annotation)
    if kind is UnionType:
        return UnionType, annotation.__args__
    if isinstance_static(annotation, GenericAlias):
        # The descriptors of GenericAlias itself: other classes derive from it.
        origin, inner = (vars(GenericAlias)[one].__get__(annotation) for one in _ALIAS)
        return origin, inner
    if class_dict(kind).get("__module__") != "typing":
        return ABSENT, ()
    # Optional[int] and the like are instances of classes of typing, with plain dictionaries.
    origin = static_attribute(annotation, "_name")
    if type(origin) is not str:
        origin = static_attribute(annotation, "__origin__")
    inner = static_attribute(annotation, "__args__")
    return origin, inner if type(inner) is tuple else ()


def _default_text(value: Any) -> str:
    """Write a default, without calling a ``repr`` of the service."""
    if value is None:
        return "None"
    plain = plain_text(value)
    if plain:
        return plain
    kind = type(value)
    if kind in SIZED:
        empty: dict[type, str] = {dict: "{}", list: "[]", tuple: "()"}
        return "..." if len(value) else empty.get(kind, "...")
    if kind is FunctionType or kind is BuiltinFunctionType:
        return str(value.__name__)
    if isinstance_static(value, type):
        return class_name(value)
    name = type_name(value)
    return "<factory>" if name == "_HAS_DEFAULT_FACTORY_CLASS" else f"<{name}>"  # dataclasses'


def plain_text(value: Any) -> str:
    """Write a number or a text, whose ``repr`` is C code; empty for all other values."""
    kind = type(value)
    if kind is int and value.bit_length() > 4 * _VALUE_CHARACTERS:
        return ""  # converting it may take very long
    if kind in {str, bytes}:
        cut = value[:_VALUE_CHARACTERS]
        return repr(cut) + ("..." if len(cut) < len(value) else "")
    return repr(value) if kind in {bool, int, float, complex} else ""
