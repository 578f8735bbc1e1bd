"""What Tab offers, found without running any code of the host.

Python's own completers evaluate: ``obj.`` calls ``__getattr__``, ``__dir__``, properties, lazy
proxies. Here names are only looked up where they are stored: in namespaces, in instance and class
dictionaries, in slots. A value behind a property is not completed further.
"""

from __future__ import annotations

import builtins
import heapq
import itertools
import keyword
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import (
    FunctionType,
    GetSetDescriptorType,
    MappingProxyType,
    MemberDescriptorType,
    ModuleType,
)
from typing import Any, Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

_LOOK_AT: Final = 50_000
"""Keys of a dict that are looked at: all of a large one would take the console's loop seconds."""

_LIMIT: Final = 500
"""More entries than this help nobody, and cost the client a screen of output each."""

_LOOK_BACK_CHARACTERS: Final = 512
"""How much of a line is looked at: searching for a pattern takes the square of it."""

_ABSENT: Final[Any] = object()

_DOTTED = re.compile(r"((?:[^\W\d]\w*\s*\.\s*)*)([^\W\d]\w*)?$")
_KEY = re.compile(r"((?:[^\W\d]\w*\.)*[^\W\d]\w*)\[(['\"])([^'\"\\]*)$")
_IMPORT = re.compile(r"^\s*(?:import|from)\s+(?:[\w.]+\s*,\s*)*([\w.]*)$")
_FROM = re.compile(r"^\s*from\s+([\w.]+)\s+import\s+\(?(?:\w+\s*,\s*)*(\w*)$")


class StaticCompleter(Completer):
    """Completes names, attributes, string keys of plain dicts, and loaded modules."""

    def __init__(
        self, namespace: dict[str, Any], private_names: Callable[[], Iterable[str]]
    ) -> None:
        self._namespace = namespace
        self._private_names = private_names

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,
    ) -> Iterator[Completion]:
        """Yield what fits the text before the cursor."""
        line = document.current_line_before_cursor[-_LOOK_BACK_CHARACTERS:]
        typed, entries = self._candidates(line)
        fitting = (
            name
            for name in entries
            if name.startswith(typed) and (typed or not name.startswith("_"))
        )
        for name in heapq.nsmallest(_LIMIT, fitting, key=_rank):
            yield Completion(name, start_position=-len(typed), display_meta=entries[name])

    def _candidates(self, line: str) -> tuple[str, dict[str, str]]:  # noqa: PLR0911 - a table
        if match := _FROM.match(line):
            module = sys.modules.get(match[1])
            return match[2], {} if module is None else attributes(module)
        if match := _IMPORT.match(line):
            return match[1], _modules(match[1])
        if match := _KEY.search(line):
            value = self._resolve(match[1].split("."))
            keys = value if type(value) is dict else {}
            looked_at = itertools.islice(list(keys), _LOOK_AT)
            return match[3], {key: "key" for key in looked_at if type(key) is str}
        match = _DOTTED.search(line)
        if match is None:
            return "", {}
        typed = match[2] or ""
        path = [part.strip() for part in match[1].split(".")[:-1]]
        if path:
            value = self._resolve(path)
            return typed, {} if value is _ABSENT else attributes(value)
        before = line[: match.start()].rstrip()
        if before.endswith((".", ")", "]", "'", '"')) or not typed:
            # An attribute of what only evaluation would tell, or nothing typed yet.
            return typed, {}
        return typed, self._names()

    def _names(self) -> dict[str, str]:
        entries = dict.fromkeys(keyword.kwlist, "keyword")
        entries |= {name: _meta(value) for name, value in list(vars(builtins).items())}
        entries |= dict.fromkeys(self._private_names(), "console")
        entries |= {
            name: _meta(value)
            # A subclass of dict may have methods of its own.
            for name, value in list(dict.items(self._namespace))
            if type(name) is str and name != "__builtins__"
        }
        return entries

    def _resolve(self, path: list[str]) -> Any:
        value = dict.get(self._namespace, path[0], _ABSENT)
        if value is _ABSENT:
            value = vars(builtins).get(path[0], _ABSENT)
        for name in path[1:]:
            if value is _ABSENT:
                break
            value = static_attribute(value, name)
        return value


def _rank(name: str) -> tuple[bool, bool, str]:
    return name.startswith("__"), name.startswith("_"), name


def _meta(value: Any) -> str:
    return _NAME.__get__(type(value))  # type: ignore[no-any-return]


def _modules(typed: str) -> dict[str, str]:
    """Modules that are loaded, and the standard library's: nothing is searched or imported."""
    depth = typed.count(".") + 1
    names = {name for name in list(sys.modules) if type(name) is str and name.startswith(typed)}
    names |= set(sys.stdlib_module_names)
    return {".".join(name.split(".")[:depth]): "module" for name in names}


def attributes(value: Any) -> dict[str, str]:
    """Return the names of a value's attributes, each with what kind of thing it is."""
    found: dict[str, str] = {}
    for namespace in _namespaces(value):
        for name, attribute in list(namespace.items()):
            if type(name) is str:
                found.setdefault(name, _meta(attribute))
    return found


def static_attribute(value: Any, name: str) -> Any:
    """Find an attribute where it is stored, without the descriptor protocol of user code."""
    for namespace in _namespaces(value):
        found = namespace.get(name, _ABSENT)
        if found is _ABSENT:
            continue
        if type(found) is MemberDescriptorType:  # a slot: reading it runs C code only
            try:
                return found.__get__(value)
            except (AttributeError, TypeError):
                return _ABSENT
        if type(found) in {staticmethod, classmethod}:
            return found.__func__
        if type(found) is FunctionType or not _is_descriptor(found):
            return found
        return _ABSENT
    return _ABSENT


def _is_descriptor(value: Any) -> bool:
    return any(
        "__get__" in _class_dict(base) for base in _mro(type(value))
    ) and not isinstance_static(value, type)


def _namespaces(value: Any) -> Iterator[Mapping[str, Any]]:
    """The dictionaries in which a value's attributes stand, nearest first."""
    own = _own_dict(value)
    if own is not None:
        yield own
    if isinstance_static(value, type):
        for base in _mro(value):
            yield _class_dict(base)
    for base in _mro(type(value)):
        yield _class_dict(base)


def isinstance_static(value: Any, kind: type) -> bool:
    """As ``isinstance``, but without asking the value (``__class__`` may be a property)."""
    return kind in _mro(type(value))


def _own_dict(value: Any) -> Mapping[str, Any] | None:
    if isinstance_static(value, ModuleType):
        return _MODULE_DICT.__get__(value)  # type: ignore[no-any-return]
    for base in _mro(type(value)):
        descriptor = _class_dict(base).get("__dict__")
        if descriptor is None:
            continue
        # Only the interpreter's own: a class may define a property of that name.
        if type(descriptor) is GetSetDescriptorType and base is not type:
            try:
                own = descriptor.__get__(value)
            except (AttributeError, TypeError):
                return None
            # A subclass may have methods of its own.
            return own if type(own) is dict else None
        return None
    return None


# As they stand in ``type`` itself: a metaclass may have a __getattribute__ of its own.
_NAME = vars(type)["__name__"]
_MRO = vars(type)["__mro__"]
_CLASS_DICT = vars(type)["__dict__"]
_MODULE_DICT = vars(ModuleType)["__dict__"]


def _mro(cls: type) -> tuple[type, ...]:
    return _MRO.__get__(cls)  # type: ignore[no-any-return]


def _class_dict(cls: type) -> MappingProxyType[str, Any]:
    return _CLASS_DICT.__get__(cls)  # type: ignore[no-any-return]
