"""Pickling of the objects of a running application, and of its sessions' definitions.

cloudpickle saves functions and classes that no module has, by value. What is done here on top:

- A function whose globals are a live namespace gets the restored live namespace, so that it goes
  on seeing what is rebound there. cloudpickle would give it a private copy of the names it uses.
  One whose globals are an importable module's gets that module's.
- Two closures that share a variable go on sharing it: cells are saved as the objects they are.
- A class is made anew, though this process may have the one that was saved: cloudpickle would
  write the restored methods into the living class.
- Credential stores are saved without any password in plain text, and open files not at all
  (cloudpickle saves their content).
- What fails to be restored (its module is gone, its constructor raises) leaves a `NotRestored`
  in its place. That is why the unpickler is Python's own and not the C one, which is twenty times
  as fast and gives up at the first error.

Loading runs code. The caller of `StateUnpickler` has made sure that the file can be trusted.
"""

from __future__ import annotations

import builtins
import contextlib
import copyreg
import importlib
import io
import linecache
import pickle
import sys
import types
from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar

import cloudpickle  # type: ignore[import-untyped]  # it has no types

from console.auth.stores.directory import FileCredentials
from console.auth.stores.memory import MemoryCredentials
from console.context.namespace import SessionBuiltins
from console.interfaces.credentials import Role
from console.text import escape_line

_STREAMS = ("stdin", "stdout", "stderr")
_SOURCE_PREFIX = "<console-"
"""The prefix of the file names of statements, in tracebacks and in ``linecache``."""


def type_name(value: object) -> str:
    """Name a value's type without running its code."""
    kind = type(value)
    module = kind.__module__
    return kind.__qualname__ if module == "builtins" else f"{module}.{kind.__qualname__}"


def is_importable(thing: object) -> bool:
    """Whether a module or class is found by import in another process, and not saved by value."""
    if isinstance(thing, types.ModuleType):
        return sys.modules.get(thing.__name__) is thing
    if not isinstance(thing, type) or thing.__module__ == "__main__":
        return False
    found: Any = sys.modules.get(thing.__module__)
    for part in thing.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is thing


class StatePickler(cloudpickle.Pickler):  # type: ignore[misc]  # as above
    """Pickles one application. See the module's docstring.

    Args:
        file: Where to.
        known: By id, what is not saved itself but named: the application and its namespaces.
        skeletons: By id, objects whose attributes are saved one by one, apart from them.
        stamp: Makes the names of statements differ from those of the process that loads them.

    Attributes:
        sources: The lines of the statements that functions were defined in.
        has_code: Whether bytecode was saved, which only the same Python can run.
    """

    def __init__(
        self,
        file: io.BytesIO,
        known: Mapping[int, Hashable],
        skeletons: Mapping[int, object],
        stamp: str,
    ) -> None:
        super().__init__(file, protocol=5)
        self._known = {**known, id(vars(builtins)): ("builtins",)}
        self._skeletons = skeletons
        self._stamp = stamp
        self.sources: dict[str, list[str]] = {}
        self.has_code = False

    def persistent_id(self, obj: Any) -> Any:
        """Return the persistent id of a known object; None for others. Called for each object."""
        return self._known.get(id(obj))

    def reducer_override(self, obj: Any) -> Any:
        """Reduce the objects that need special handling; leave the rest to cloudpickle."""
        # The type is asked, not the object: its __class__ may be user code.
        kind = type(obj)
        if id(obj) in self._skeletons:
            return copyreg.__newobj__, (kind,)  # type: ignore[attr-defined]  # not in typeshed
        special = _REDUCERS.get(kind)
        if special is not None:
            return special(self, obj)
        for name in _STREAMS:
            if obj is getattr(sys, name) or obj is getattr(sys, f"__{name}__"):
                return getattr, (sys, name)
        if issubclass(kind, io.TextIOWrapper):
            message = "an open file"
            raise pickle.PicklingError(message)
        reduced = super().reducer_override(obj)
        if issubclass(kind, type) and len(reduced if type(reduced) is tuple else ()) == 6:
            # The last two arguments of cloudpickle's class makers: the id by which it finds the
            # class that this process has, and something unused.
            make, arguments, *rest = reduced
            return (make, (*arguments[:-2], None, arguments[-1]), *rest)
        return reduced

    def _reduce_function(self, function: types.FunctionType) -> Any:
        names = function.__globals__
        module = sys.modules.get(function.__module__ or "")
        if module is None or module.__name__ == "__main__" or vars(module) is not names:
            # Not asked for functions of a live namespace: where they have no module, cloudpickle
            # would look for them in all modules.
            if id(names) in self._known:
                return _by_value(function)
            reduced = super().reducer_override(function)
            if type(reduced) is not tuple:
                return reduced
            # The closure is the last argument, and is repeated in the second half of the state.
            make, arguments, (attributes, slots), *rest = reduced
            cells = (*arguments[:-1], function.__closure__)
            return (make, cells, (attributes, {**slots, "__closure__": None}), *rest)
        reduced = super().reducer_override(function)
        if type(reduced) is not tuple:
            return reduced  # it is what its module has under its name
        self._known.setdefault(id(names), ("module", module.__name__))
        return _by_value(function)

    def _reduce_code(self, code: types.CodeType) -> Any:
        self.has_code = True
        name = code.co_filename
        if name.startswith(_SOURCE_PREFIX):
            if not name.endswith(" saved>"):
                code = code.replace(co_filename=f"{name[:-1]} {self._stamp} saved>")
            lines = linecache.cache.get(name, ())
            if len(lines) == 4:
                self.sources[code.co_filename] = list(lines[2])
        # Beside it, since cloudpickle leaves the name of the file out from 3.1.3 on.
        make, arguments = self.dispatch_table[types.CodeType](code)
        return _code, (code.co_filename, make, arguments)

    def _reduce_module(self, module: types.ModuleType) -> Any:
        if not is_importable(module):
            return NotImplemented
        name = module.__name__
        # `import xml.dom.minidom` binds `xml` alone, and the rest hangs on that.
        inner = [
            one
            for one in list(sys.modules)
            if one.startswith(f"{name}.") and not one.endswith("__main__")
        ]
        return _import, (name, inner)


def _code(file_name: str, make: Any, arguments: tuple[Any, ...]) -> types.CodeType:
    code: types.CodeType = make(*arguments)
    return code.replace(co_filename=file_name)


def _reduce_cell(_pickler: StatePickler, cell: types.CellType) -> Any:
    try:
        content: tuple[Any, ...] = (cell.cell_contents,)
    except ValueError:  # empty
        content = ()
    return types.CellType, (), content, None, None, _fill_cell


def _reduce_memory_credentials(_pickler: StatePickler, store: MemoryCredentials) -> Any:
    names = store.users()
    hashes = {name: store.password_hash(name) for name in names}
    keys = {name: tuple(store.authorized_keys(name)) for name in names}
    roles = {name: store.role(name) for name in names}
    return _memory_credentials, (hashes, keys, roles)


_REDUCERS: dict[type, Callable[[StatePickler, Any], Any]] = {
    types.FunctionType: StatePickler._reduce_function,  # noqa: SLF001 - its own inner half
    types.CodeType: StatePickler._reduce_code,  # noqa: SLF001 - as above
    types.ModuleType: StatePickler._reduce_module,  # noqa: SLF001 - as above
    types.CellType: _reduce_cell,
    SessionBuiltins: lambda _pickler, _value: (vars, (builtins,)),
    FileCredentials: lambda _pickler, store: (FileCredentials, (store.directory,)),
    MemoryCredentials: _reduce_memory_credentials,
}

_FUNCTION_ATTRIBUTES = (
    "__name__",
    "__qualname__",
    "__module__",
    "__doc__",
    "__defaults__",
    "__kwdefaults__",
    "__annotations__",
    "__type_params__",  # from 3.12 on
)


def _by_value(function: types.FunctionType) -> Any:
    slots = {
        name: getattr(function, name) for name in _FUNCTION_ATTRIBUTES if hasattr(function, name)
    }
    arguments = (function.__code__, function.__globals__, function.__closure__)
    # What may lead back to the function is its state: by then the function exists.
    return _make_function, arguments, (vars(function), slots), None, None, _fill_function


# ---- what a saved state calls


def _make_function(
    code: types.CodeType, names: dict[str, Any], cells: tuple[types.CellType, ...] | None
) -> types.FunctionType:
    return types.FunctionType(code, names, None, None, cells)


def _fill_function(
    function: types.FunctionType, state: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    attributes, slots = state
    vars(function).update(attributes)
    for name, value in slots.items():
        setattr(function, name, value)


def _fill_cell(cell: types.CellType, content: tuple[Any, ...]) -> None:
    if content:
        cell.cell_contents = content[0]


def _import(name: str, inner: list[str]) -> types.ModuleType:
    module = importlib.import_module(name)
    for one in inner:
        # Another object referred to it, and fails with its own error if it needs it.
        with contextlib.suppress(Exception):
            importlib.import_module(one)
    return module


def _memory_credentials(
    hashes: dict[str, str | None],
    keys: dict[str, tuple[Any, ...]],
    roles: dict[str, Role] | None = None,  # states saved before there were roles have none
) -> MemoryCredentials:
    store = MemoryCredentials(roles=roles)
    # It takes passwords otherwise, and there are only hashes.
    store._hashes.update({name: phc for name, phc in hashes.items() if phc is not None})  # noqa: SLF001
    store._keys.update({name: some for name, some in keys.items() if some})  # noqa: SLF001
    return store


class NotRestored:
    """The placeholder of an object that could not be restored.

    Attributes:
        what: Its type, or what was to make it.
        why: The error.
    """

    def __init__(self, what: str, why: str) -> None:
        self.what = what
        self.why = why

    def __repr__(self) -> str:
        return f"<not restored: {self.what} ({self.why})>"


_Unpickler: Any = pickle._Unpickler  # noqa: SLF001 - in Python


class StateUnpickler(_Unpickler):  # type: ignore[misc]  # made Any for its inner parts
    """Restores what `StatePickler` has saved. See the module's docstring.

    Args:
        file: Where from.
        find: Returns what a persistent id names.

    Attributes:
        losses: What could not be restored since the list was last cleared.
    """

    def __init__(self, file: io.BytesIO, find: Callable[[Any], Any]) -> None:
        super().__init__(file)
        self._find = find
        self.losses: list[NotRestored] = []

    def persistent_load(self, pid: Any) -> Any:
        """Return the object of a persistent id."""
        try:
            match pid:
                case ("builtins",):
                    return vars(builtins)
                case ("module", name):
                    return vars(importlib.import_module(name))
            return self._find(pid)
        except Exception as error:  # noqa: BLE001 - an import runs the service's own code
            return self._lost(f"module {pid[-1]}", error)

    def find_class(self, module: str, name: str) -> Any:
        """Import a class or function."""
        try:
            return super().find_class(module, name)
        except Exception as error:  # noqa: BLE001 - as above
            return self._lost(f"{module}.{name}", error)

    def _lost(self, what: str, error: BaseException) -> NotRestored:
        lost = NotRestored(what, f"{type(error).__name__}: {escape_line(str(error))}")
        self.losses.append(lost)
        return lost

    def _call(self, function: Any, *arguments: Any, **keywords: Any) -> Any:
        if type(function) is NotRestored:
            return function
        try:
            return function(*arguments, **keywords)
        except Exception as error:  # noqa: BLE001 - constructors of the service
            return self._lost(getattr(function, "__qualname__", type_name(function)), error)

    # The operations of pickle that run the service's code: see Lib/pickle.py for each.

    def _load_reduce(self) -> None:
        arguments = self.stack.pop()
        self.stack[-1] = self._call(self.stack[-1], *arguments)

    def _load_newobj(self) -> None:
        arguments = self.stack.pop()
        kind = self.stack[-1]
        self.stack[-1] = self._make(kind, arguments, {})

    def _load_newobj_ex(self) -> None:
        keywords = self.stack.pop()
        arguments = self.stack.pop()
        self.stack[-1] = self._make(self.stack[-1], arguments, keywords)

    def _make(self, kind: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any:
        if type(kind) is NotRestored:
            return kind
        try:
            return kind.__new__(kind, *arguments, **keywords)
        except Exception as error:  # noqa: BLE001 - constructors of the service
            return self._lost(getattr(kind, "__qualname__", type_name(kind)), error)

    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(_Unpickler.dispatch)
    dispatch[pickle.REDUCE[0]] = _load_reduce
    dispatch[pickle.NEWOBJ[0]] = _load_newobj
    dispatch[pickle.NEWOBJ_EX[0]] = _load_newobj_ex


def _tolerant(original: Callable[[Any], None]) -> Callable[[StateUnpickler], None]:
    def load(self: StateUnpickler) -> None:
        # These take what is to be put in off the stack first, and leave the object on top.
        try:
            original(self)
        except Exception as error:  # noqa: BLE001 - __setstate__, append, __setitem__, add
            whole = self.stack[-1]
            if type(whole) is NotRestored:
                return
            # Half an object is worse than none. What has taken hold of it already keeps it.
            lost = self.stack[-1] = self._lost(type_name(whole), error)
            for number, one in self.memo.items():
                if one is whole:
                    self.memo[number] = lost

    return load


for _operation in (
    pickle.BUILD,
    pickle.APPEND,
    pickle.APPENDS,
    pickle.SETITEM,
    pickle.SETITEMS,
    pickle.ADDITEMS,
):
    StateUnpickler.dispatch[_operation[0]] = _tolerant(StateUnpickler.dispatch[_operation[0]])
