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
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from console.introspect.describe import summary_of
from console.introspect.static import (
    ABSENT,
    isinstance_static,
    namespaces,
    static_attribute,
)

_LOOK_AT: Final = 50_000
"""Keys of a dict that are looked at: all of a large one would take the console's loop seconds."""

_LIMIT: Final = 500
"""More entries than this help nobody, and cost the client a screen of output each."""

_LOOK_BACK_CHARACTERS: Final = 512
"""How much of a line is looked at: searching for a pattern takes the square of it."""

Entry = str | tuple[Any, bool]
"""What is told of a name: a word, or the value and whether its first parameter is given."""

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
            # What it is, is looked up for those that are drawn.
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
            return typed, {} if value is ABSENT else attributes(value)
        before = line[: match.start()].rstrip()
        if before.endswith((".", ")", "]", "'", '"')) or not typed:
            # An attribute of what only evaluation would tell, or nothing typed yet.
            return typed, {}
        return typed, self._names()

    def _names(self) -> dict[str, Entry]:
        entries: dict[str, Entry] = dict.fromkeys(keyword.kwlist, "keyword")
        entries |= {name: (value, False) for name, value in list(vars(builtins).items())}
        entries |= dict.fromkeys(self._private_names(), "console")
        entries |= {
            name: (value, False)
            # A subclass of dict may have methods of its own.
            for name, value in list(dict.items(self._namespace))
            if type(name) is str
        }
        # Python puts it into whatever code has run in: the builtins too, in some processes.
        entries.pop("__builtins__", None)
        return entries

    def _resolve(self, path: list[str]) -> Any:
        value = dict.get(self._namespace, path[0], ABSENT)
        if value is ABSENT:
            value = vars(builtins).get(path[0], ABSENT)
        for name in path[1:]:
            if value is ABSENT:
                break
            value = static_attribute(value, name)
        return value


def _rank(name: str) -> tuple[bool, bool, str]:
    return name.startswith("__"), name.startswith("_"), name


def _modules(typed: str) -> dict[str, Entry]:
    """Modules that are loaded, and the standard library's: nothing is searched or imported."""
    depth = typed.count(".") + 1
    names = {name for name in list(sys.modules) if type(name) is str and name.startswith(typed)}
    names |= set(sys.stdlib_module_names)
    return {".".join(name.split(".")[:depth]): "module" for name in names}


def attributes(value: Any) -> dict[str, Entry]:
    """Return the names of a value's attributes, each with what is stored under it."""
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
    return entry if isinstance(entry, str) else summary_of(entry[0], bound=entry[1])
