"""How a handler and its constructor's arguments travel to the processes that need them.

A class that can be imported is sent by name, any other (a `__main__` script, a notebook, a local class) by cloudpickle.
The parent encodes, the warden and the workers load. Nothing is instantiated here, and the parent never imports a
handler that was given as a string.
"""

from __future__ import annotations

import importlib
import pickle
import sys
from operator import attrgetter
from typing import Any

from millpond.wire import sharing
from millpond.wire.functions import pickled_by_name
from millpond.wire.importable import can_import

HandlerSpec = dict[str, Any] | None  # {"name": "module:qualname"}, {"pickle": bytes}, or None for functions only


def encode_handler(handler: Any) -> HandlerSpec:
    """What `load_handler` needs to find the handler in another process.

    Raises `TypeError` for what is neither a class, a string nor `None`, and `ValueError` for a string that does not
    read `module:Class`.
    """
    if handler is None:
        return None
    if isinstance(handler, str):
        return {"name": _checked_name(handler)}
    if not isinstance(handler, type):
        raise TypeError(
            f"the handler must be a class, a 'module:Class' string or None, not {handler!r}; "
            "give the class itself, and what its constructor needs as args and kwargs"
        )
    name = f"{handler.__module__}:{handler.__qualname__}"
    if handler.__module__ != "__main__" and _found(name) is handler and can_import(handler.__module__):
        return {"name": name}
    from millpond.wire import byvalue

    return {"pickle": sharing.reusable(byvalue.dumps(handler))}


def encode_arguments(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes:
    """The constructor's arguments, to be loaded in each worker anew."""
    plain = pickled_by_name((args, kwargs))
    if plain is not None:
        return plain
    from millpond.wire import byvalue

    stream: bytes = sharing.reusable(byvalue.dumps((args, kwargs)))
    return stream


def load_handler(spec: HandlerSpec) -> type | None:
    """The class, imported or unpickled. Import errors are the user's and pass; `TypeError` if it names no class."""
    if spec is None:
        return None
    handler = pickle.loads(spec["pickle"]) if "pickle" in spec else _imported(spec["name"])
    if not isinstance(handler, type):
        raise TypeError(f"{spec.get('name', 'the handler')} is {handler!r}, which is no class")
    return handler


def load_arguments(blob: bytes) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """What `encode_arguments` was given."""
    args, kwargs = pickle.loads(blob)
    return args, kwargs


def _checked_name(name: str) -> str:
    module, colon, qualname = name.partition(":")
    if not colon or not all(part.isidentifier() for part in (*module.split("."), *qualname.split("."))):
        raise ValueError(f"the handler {name!r} does not read 'module:Class', such as 'myproject.reading:Reader'")
    return name


def _imported(name: str) -> Any:
    module, _, qualname = name.partition(":")
    return attrgetter(qualname)(importlib.import_module(module))


def _found(name: str) -> Any:
    """What the name leads to among the modules already imported here, or `None`."""
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found
