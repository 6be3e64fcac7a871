"""The `__main__` of a worker, and of the image it is forked from: a module like the program's, whose script never runs.

It holds what the program defines (`definitions`), each name as of the newest submission. `namespace` are the globals of
the program's functions here. An entry that would import a module is set up when `__main__` is first asked for a name.
"""

from __future__ import annotations

import importlib
import pickle
import sys
import types
from importlib.machinery import ModuleSpec
from io import BytesIO
from typing import Any, TypedDict

from millpond.wire import mainglobals
from millpond.wire.mainglobals import MISSING, Namespace

MODULE = b"m"  # begins the entry of a module; its name follows

_OURS = "millpond.wire."  # by which classes are made
_ATTRIBUTES = ("__package__", "__file__", "__doc__")


class MainFacts(TypedDict):
    """What a worker is told of the program and its `__main__`."""

    attributes: dict[str, str | None]
    spec: tuple[str, str | None] | None  # name and origin
    argv: list[str]
    entries: dict[str, bytes]


class MainModule(types.ModuleType):
    """The module, which looks for what waits to be set up when it is asked for a name."""

    def __getattribute__(self, name: str) -> Any:
        if _waiting and (name == "__dict__" or name in _names):
            _set_up_waiting()
        return super().__getattribute__(name)

    def __getattr__(self, name: str) -> Any:
        why = f": it could not be set up in this process ({_failed[name]!r})" if name in _failed else ""
        raise AttributeError(f"module '__main__' has no attribute {name!r}{why}", name=name, obj=self)


class _Waits(Exception):
    """An entry needs a module that is not imported here."""


class _LoadedOnly(pickle.Unpickler):
    """Imports nothing but what Python brings, and what reads classes and functions."""

    def find_class(self, module: str, name: str) -> Any:
        _check_loaded(module)
        found = super().find_class(module, name)
        return _loaded_module if name == "subimport" and module.startswith("cloudpickle") else found


_names: set[str] = set()  # that have an entry
_waiting: dict[str, bytes] = {}
_failed: dict[str, Exception] = {}


def namespace() -> dict[str, Any]:
    """The globals of the program's functions in this process: part of what is pickled, called while unpickling."""
    return vars(sys.modules["__main__"]) if mainglobals.here is None else mainglobals.here.names


def main_facts(entries: dict[str, bytes]) -> MainFacts:
    """In the program: what `install` needs."""
    scope = namespace()
    spec = scope.get("__spec__")
    attributes = {name: scope[name] for name in _ATTRIBUTES if isinstance(scope.get(name), str)}
    if attributes.get("__file__", "").startswith("<"):
        del attributes["__file__"]  # standard input: children of a worker would look for such a file, again and again
    return {
        "attributes": attributes,
        "spec": None if spec is None else (spec.name, spec.origin),
        "argv": [str(argument) for argument in getattr(sys, "argv", ())],
        "entries": entries,
    }


def install(facts: MainFacts) -> None:
    """Put the module in the place of this process's own `__main__`. Once."""
    module = MainModule("__main__")
    names = vars(module)
    names |= facts["attributes"]
    if facts["spec"] is not None:
        name, origin = facts["spec"]
        module.__spec__ = ModuleSpec(name, None, origin=origin)
    module.__builtins__ = sys.modules["builtins"]  # type: ignore[attr-defined]
    sys.modules["__main__"] = module
    if "__mp_main__" in sys.modules:  # what multiprocessing's children call it
        sys.modules["__mp_main__"] = module
    sys.argv = facts["argv"]
    mainglobals.share(Namespace(names))
    for name, entry in facts["entries"].items():
        define(name, entry)


def define(name: str, entry: bytes) -> None:
    """Let the module have a name as the program has it; empty: the program has it no more."""
    _waiting.pop(name, None)
    _failed.pop(name, None)
    if entry:
        _names.add(name)
        _set_up(name, entry, may_import=False)
    else:
        _names.discard(name)
        _set(name, MISSING)


def _set_up_waiting() -> None:
    # Where calls run in threads two may come here at once. Each entry is set up by one of them, which has taken it out;
    # the other may find the name not there yet, and raise. Waiting for it could be for ever: setting up imports
    # modules, and an import may wait for the thread that asks.
    while _waiting:
        name, entry = _waiting.popitem()  # first: setting it up may ask for it
        _set_up(name, entry, may_import=True)


def _set_up(name: str, entry: bytes, may_import: bool) -> None:
    value: Any = MISSING
    try:
        value = _loaded(entry, may_import)
    except _Waits:
        _waiting[name] = entry
    except Exception as error:
        _failed[name] = error
    _set(name, value)


def _set(name: str, value: Any) -> None:
    assert mainglobals.here is not None
    mainglobals.here.define(name, value)


def _loaded(entry: bytes, may_import: bool) -> Any:
    if entry.startswith(MODULE):
        name = entry.removeprefix(MODULE).decode()
        return importlib.import_module(name) if may_import else _loaded_module(name)
    return pickle.loads(entry) if may_import else _LoadedOnly(BytesIO(entry)).load()


def _loaded_module(name: str) -> types.ModuleType:
    _check_loaded(name)
    return importlib.import_module(name)


def _check_loaded(name: str) -> None:
    top = name.partition(".")[0]
    if not (name in sys.modules or top in sys.stdlib_module_names or top == "cloudpickle" or name.startswith(_OURS)):
        raise _Waits
