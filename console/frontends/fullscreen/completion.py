"""Completion (Tab), which runs no code of the host.

Python's own completers evaluate: ``obj.`` calls ``__getattr__``, ``__dir__``, properties, lazy
proxies. Here names are looked up only where they are stored: in namespaces, instance and class
dictionaries, and slots. The value of a property is not completed.
"""

from __future__ import annotations

import builtins
import heapq
import itertools
import keyword
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FunctionType
from typing import Any, Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from console.frontends.fullscreen.explanation import calls_around
from console.introspect.describe import Subject, find, summary_of
from console.introspect.signature import keywords_of, signature_of
from console.introspect.static import (
    ABSENT,
    class_dict,
    is_descriptor,
    isinstance_static,
    namespaces,
)
from console.syntax.parsing import ITEM, NAME

_LOOK_AT: Final = 50_000
"""Keys of a dict that are read: all keys of a large one would take the console's loop seconds."""

_LIMIT: Final = 500
"""Entries that are offered. More do not help the user, and each costs a screen of output."""

_LOOK_BACK_CHARACTERS: Final = 512
"""How much of a line is read: the time of the patterns grows with its square."""

Entry = str | tuple[Any, bool]
"""A name's description, or its value and whether its first parameter is bound."""

_PATH = rf"{NAME}(?:\s*\.\s*{NAME}|{ITEM})*"
_DOTTED = re.compile(rf"(?:({_PATH})\s*\.\s*)?({NAME})?$")
_KEY = re.compile(rf"({_PATH})\[(['\"])([^'\"\\]*)$")
_OPTION = re.compile(r"\s*(?:%\w+\s+(?:[\d.]+\s+)?)*%(\w*)$")
_PARAMETER = re.compile(r"(?:^|,)\s*\w*$")
_GIVEN = re.compile(r"(\w+)\s*=(?!=)")
_IMPORT = re.compile(r"^\s*(?:import|from)\s+(?:[\w.]+\s*,\s*)*([\w.]*)$")
_FROM = re.compile(r"^\s*from\s+([\w.]+)\s+import\s+\(?(?:\w+\s*,\s*)*(\w*)$")


_OPTIONS: Final[dict[str, Entry]] = {
    "json": "answers with one JSON object",
    "loop": "on the service's loop, between two callbacks",
    "thread": "on a thread of this session",
    "timeout": "seconds, after which the statement is given up",
}


class StaticCompleter(Completer):
    """Completes names, attributes, string keys of plain dicts, parameters, and loaded modules."""

    def __init__(
        self, namespace: dict[str, Any], private_names: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._namespace = namespace
        self._private_names = private_names

    def get_completions(
        self,
        document: Document,
        complete_event: CompleteEvent,
    ) -> Iterator[Completion]:
        """Yield the names that fit the text before the cursor."""
        line = document.current_line_before_cursor[-_LOOK_BACK_CHARACTERS:]
        if document.cursor_position_row == 0 and (match := _OPTION.match(line)):
            typed, entries = match[1], _OPTIONS
        else:
            typed, entries = self._candidates(line)
        fitting = (
            name
            for name in entries
            if name.startswith(typed) and (typed or not name.startswith("_"))
        )
        for name in heapq.nsmallest(_LIMIT, fitting, key=_rank):
            # The description is looked up only for entries that are drawn.
            yield Completion(
                name, start_position=-len(typed), display_meta=partial(_meta, entries[name])
            )

    def _candidates(self, line: str) -> tuple[str, dict[str, Entry]]:  # noqa: PLR0911 - a table
        if match := _FROM.match(line):
            module = sys.modules.get(match[1])
            return match[2], {} if module is None else attributes(module)
        if match := _IMPORT.match(line):
            return match[1], _modules(match[1])
        if match := _KEY.search(line):
            value = self._resolve(match[1])
            keys = value if type(value) is dict else {}
            looked_at = itertools.islice(list(keys), _LOOK_AT)
            return match[3], {key: "key" for key in looked_at if type(key) is str}
        match = _DOTTED.search(line)
        if match is None:
            return "", {}
        typed = match[2] or ""
        if match[1]:
            value = self._resolve(match[1])
            return typed, {} if value is ABSENT else attributes(value)
        before = line[: match.start()].rstrip()
        if before.endswith((".", ")", "]", "'", '"')):
            return typed, {}  # an attribute of an expression: its value is unknown
        parameters = self._parameters(line)
        return typed, {**self._names(), **parameters} if typed else parameters

    def _parameters(self, line: str) -> dict[str, Entry]:
        """Return the parameters of the call that is being typed, as ``name=``."""
        path, given = next(calls_around(line), ("", ""))
        subject = self._find(path) if path and _PARAMETER.search(given) else None
        if subject is None:
            return {}
        names = keywords_of(subject.value, bound=subject.bound)
        taken = set(_GIVEN.findall(given))
        return {f"{name}=": "parameter" for name in names if name not in taken}

    def _names(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = dict.fromkeys(keyword.kwlist, "keyword")
        entries |= {name: (value, False) for name, value in list(vars(builtins).items())}
        entries |= {name: (value, False) for name, value in self._private_names().items()}
        entries |= {
            name: (value, False)
            # A subclass of dict may have methods of its own.
            for name, value in list(dict.items(self._namespace))
            if type(name) is str
        }
        # exec() adds it to each namespace in which code runs, in some processes to the builtins.
        entries.pop("__builtins__", None)
        return entries

    def _resolve(self, path: str) -> Any:
        """Find a value where it is stored; ABSENT if only running code would return it."""
        subject = self._find(path)
        if subject is None:
            return ABSENT
        value = subject.value
        return ABSENT if type(value) is not FunctionType and is_descriptor(value) else value

    def _find(self, path: str) -> Subject | None:
        if "[" not in path:
            path = re.sub(r"\s+", "", path)
        name = re.match(NAME, path)
        first = name.group() if name else ""
        value = dict.get(self._namespace, first, ABSENT)
        if value is ABSENT:
            value = self._private_names().get(first, vars(builtins).get(first, ABSENT))
        if value is ABSENT:
            return None
        try:
            return find(path, [{first: value}])
        except (AttributeError, LookupError):
            return None


def _rank(name: str) -> tuple[bool, bool, bool, str]:
    if name.endswith("="):  # parameters are first, in their own order
        return False, False, False, ""
    return True, name.startswith("__"), name.startswith("_"), name


def _modules(typed: str) -> dict[str, Entry]:
    """Return loaded modules and the standard library's. Searches and imports nothing."""
    depth = typed.count(".") + 1
    names = {name for name in list(sys.modules) if type(name) is str and name.startswith(typed)}
    names |= set(sys.stdlib_module_names)
    return {".".join(name.split(".")[:depth]): "module" for name in names}


def attributes(value: Any) -> dict[str, Entry]:
    """Return the names of a value's attributes, with their stored values."""
    found: dict[str, Entry] = {}
    own = next(iter(namespaces(value)), None)
    is_class = isinstance_static(value, type)
    for namespace in namespaces(value):
        bound = namespace is not own and not is_class
        for name, attribute in list(namespace.items()):
            if type(name) is str:
                found.setdefault(name, (attribute, bound))
    return found


def _meta(entry: Entry) -> str:
    if isinstance(entry, str):
        return entry
    value, bound = entry
    if str(class_dict(type(value)).get("__module__")).startswith("console."):
        return f"console {signature_of(value) or ''}".rstrip()  # one of our commands
    return summary_of(value, bound=bound)
