"""How objects travel of which each process has its own: locks, caches, context variables, weak containers, aliases.

The other end gets a fresh one, and the same one again when it comes again, as long as it is there: a lock of the script
guards what it guards in all calls that run in a worker, and a cache stays filled. Used by `byvalue`.
"""

from __future__ import annotations

import contextvars
import dataclasses
import functools
import gc
import sys
import threading
import types
import typing
import uuid
import weakref
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from cloudpickle import cloudpickle

from millpond.wire.importable import can_import, has_no_place

LOCKS = _LOCK, _RLOCK = type(threading.Lock()), type(threading.RLock())
_STARS = {"TypeVarTuple": "*", "ParamSpec": "**"}  # how a `type` statement writes its parameters
_FILENAME = 10  # where a code object's arguments have the name of its file

_callees: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()  # of caches that came: what each calls
# What cannot be referred to weakly, and is never freed in practice: context variables, type aliases. By id, by token.
_ids: dict[int, tuple[Any, str]] = {}
_by_token: dict[str, Any] = {}
_values: dict[Any, _LateValue] = {}  # of aliases whose values are still to come

# What has a lock among its attributes, but is more than its attributes.
MORE_THAN_DATA = (
    ("threading", ("Thread",)),
    ("subprocess", ("Popen",)),
    ("concurrent.futures._base", ("Future", "Executor")),
    ("multiprocessing.pool", ("Pool", "ApplyResult")),
)


def reduce_otherwise(value: Any, refused: tuple[type, ...]) -> Any:
    """What the table cannot say, because it holds for subclasses too; `refused` are those that are more than data."""
    if isinstance(value, threading.local):
        return _reduce_local(value)
    if isinstance(value, refused):
        raise TypeError(f"cannot pickle {type(value).__name__!r} object")
    return NotImplemented


def the_same(tracker_id: str, make: Callable[..., Any], *arguments: Any) -> Any:
    """What this process has under the id, or a fresh one."""
    known = cloudpickle._DYNAMIC_CLASS_TRACKER_BY_ID.get(tracker_id)
    return cloudpickle._lookup_class_or_track(tracker_id, make(*arguments)) if known is None else known


def _reduce_lock(lock: Any) -> Any:
    make = threading.Lock if type(lock) is _LOCK else threading.RLock
    return the_same, (cloudpickle._get_or_create_tracker_id(lock), make)


def _reduce_condition(condition: threading.Condition) -> Any:
    return threading.Condition, (condition._lock,)  # type: ignore[attr-defined]  # and nobody who waits here


def _reduce_local(local: threading.local) -> Any:
    return _named(local) or (the_same, (cloudpickle._get_or_create_tracker_id(local), type(local)))


def _named(value: Any) -> Any:
    """The value as a name in a module, if it is one that the other end can import."""
    for name, module in list(sys.modules.items()):
        if type(module) is types.ModuleType and name != "__main__":
            for attribute, found in list(vars(module).items()):
                if found is value and can_import(name):
                    return getattr, (module, attribute)
    return None


def _reduce_variable(variable: contextvars.ContextVar[Any]) -> Any:
    if named := _named(variable):
        return named
    default: dict[str, Any] = {}
    with suppress(LookupError):
        default["default"] = contextvars.Context().run(variable.get)
    return the_variable, (token_of(variable), variable.name, default)


def the_variable(token: str, name: str, default: dict[str, Any]) -> Any:
    """The context variable that stands here for one of another process."""
    return known_or_made(token, contextvars.ContextVar(name, **default))


def token_of(value: Any) -> str:
    """By what other processes know a value that cannot be referred to weakly."""
    _, token = _ids.setdefault(id(value), (value, uuid.uuid4().hex))
    _by_token.setdefault(token, value)
    return token


def known_or_made(token: str, made: Any) -> Any:
    """What this process has under the token, which is what was made if it had nothing."""
    value = _by_token.setdefault(token, made)
    _ids.setdefault(id(value), (value, token))
    return value


def _reduce_cache(cache: Any) -> Any:
    if cloudpickle._lookup_module_and_qualname(cache) and not has_no_place(cache):
        return cache.__qualname__  # by name
    parameters = cache.cache_parameters()
    attributes = {name: value for name, value in vars(cache).items() if name != "cache_parameters"}
    arguments = (cloudpickle._get_or_create_tracker_id(cache), empty_cache, parameters["maxsize"], parameters["typed"])
    return the_same, arguments, attributes, None, None, fill_cache


def empty_cache(maxsize: int | None, typed: bool) -> Any:
    """A cache of a function that is still to come, because the function may refer to its cache."""
    callee = functools.partial(len)
    cache = functools.lru_cache(maxsize, typed)(callee)
    _callees[cache] = callee
    return cache


def fill_cache(cache: Any, attributes: dict[str, Any]) -> None:
    """Let a cache call the function as it came last; the results it has stay."""
    callee = _callees.get(cache)
    if callee is not None:  # else it is the program's own, come back
        callee.__setstate__((attributes["__wrapped__"], (), {}, {}))
        vars(cache).update(attributes)


def _reduce_typing(made: Any) -> Any:
    if cloudpickle._lookup_module_and_qualname(made, made.__name__) and not has_no_place(made):
        return made.__name__  # by name
    made_of = (made.__name__, made.__supertype__) if type(made) is typing.NewType else (made.__name__,)
    made_here = cloudpickle._get_or_create_tracker_id(made), type(made), *made_of
    return the_same, made_here, (None, {"__module__": made.__module__})


def _reduce_weak(weak: Any) -> Any:
    items = list(weak) if isinstance(weak, weakref.WeakSet) else list(weak.items())
    return type(weak), (), items, None, None, fill_weak


def fill_weak(weak: Any, items: list[Any]) -> None:
    """Those stay to which something else refers as well."""
    weak.update(items)


def _reduce_mappingproxy(proxy: Any) -> Any:
    return types.MappingProxyType, (gc.get_referents(proxy)[0],)  # the mapping itself, of which others know too


def _reduce_code(code: types.CodeType) -> Any:
    """Keep the file's name, without which tracebacks have no source lines: cloudpickle 3.1.3 drops it."""
    make, arguments = cloudpickle._code_reduce(code)
    return make, (*arguments[:_FILENAME], code.co_filename, *arguments[_FILENAME + 1 :])


def _reduce_module(module: types.ModuleType) -> Any:
    if can_import(module.__name__):
        return cloudpickle._module_reduce(module)
    contents = {name: value for name, value in vars(module).items() if name not in _OF_THE_LOADER}
    return types.ModuleType, (module.__name__,), contents


def _reduce_alias(alias: Any) -> Any:
    """What a `type` statement of Python 3.12 made: its value may refer to it, and is asked for late."""
    if cloudpickle._lookup_module_and_qualname(alias, alias.__name__) and not has_no_place(alias):
        return alias.__name__  # by name
    parameters = [
        (_STARS.get(type(made).__name__, "") + made.__name__, cloudpickle._get_or_create_tracker_id(made))
        for made in alias.__type_params__
    ]
    made_of = token_of(alias), alias.__module__, alias.__name__, parameters
    return the_alias, made_of, alias.__value__, None, None, set_value


def the_alias(token: str, module: str, name: str, parameters: list[tuple[str, str]]) -> Any:
    """The alias that stands here for one of another process; its parameters are known before its value comes."""
    there = _by_token.get(token)
    if there is not None:
        return there
    scope: dict[str, Any] = {"__name__": module, "__value__": (value := _LateValue())}
    listed = f"[{', '.join(parameter for parameter, _ in parameters)}]" if parameters else ""
    exec(f"type {name}{listed} = __value__()", scope)
    alias = known_or_made(token, scope[name])
    _values[alias] = value
    for made, (_, tracker_id) in zip(alias.__type_params__, parameters, strict=True):
        cloudpickle._lookup_class_or_track(tracker_id, made)
    return alias


def set_value(alias: Any, value: Any) -> None:
    """Give an alias that was made here its value."""
    if alias in _values:
        _values.pop(alias).value = value


class _LateValue:
    """What an alias is to mean, as soon as it is known."""

    value: Any

    def __call__(self) -> Any:
        return self.value


_OF_THE_LOADER = ("__builtins__", "__loader__", "__spec__")

REDUCERS: dict[type, Callable[[Any], Any]] = {
    _LOCK: _reduce_lock,
    _RLOCK: _reduce_lock,
    threading.Condition: _reduce_condition,
    contextvars.ContextVar: _reduce_variable,
    functools._lru_cache_wrapper: _reduce_cache,
    **dict.fromkeys((typing.NewType, typing.ParamSpec, typing.TypeVarTuple), _reduce_typing),
    **dict.fromkeys((weakref.WeakKeyDictionary, weakref.WeakValueDictionary, weakref.WeakSet), _reduce_weak),
    types.MappingProxyType: _reduce_mappingproxy,
    types.CodeType: _reduce_code,
    types.ModuleType: _reduce_module,
    type(dataclasses.MISSING): lambda _: "MISSING",  # of `dataclasses`, told by its identity
}
if hasattr(typing, "TypeAliasType"):  # since Python 3.12
    REDUCERS[typing.TypeAliasType] = _reduce_alias
