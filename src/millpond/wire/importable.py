"""Whether another process could import what a stream of pickle names.

`__main__` is another module there, and a module may be in `sys.modules` though the import system cannot find it: what
a loader of plugins, or pytest, made from a file outside of `sys.path`. What such modules define travels by value.
"""

from __future__ import annotations

import os
import sys
import types
from typing import Any

_MAIN = b"__main__"
_HEAP_TYPE = 1 << 9  # of `type.__flags__`: a class that was made while the program ran, and can be made again

_found: dict[str, int] = {}  # name -> id of the module that is here, for all that were looked for and found
_lost: list[bytes] = []  # how a stream names the others
_looked_at = 0  # how many modules there were then


def is_importable(stream: bytes) -> bool:
    """Whether another process can import all that the stream names. Text that merely says `__main__` costs time."""
    if len(sys.modules) != _looked_at:
        _look_again()
    return _MAIN not in stream and not (_lost and any(name in stream for name in _lost))


def has_no_place(value: Any) -> bool:
    """Whether a class or function that has a name here cannot be imported by it elsewhere."""
    module = getattr(value, "__module__", None)
    if not isinstance(module, str) or can_import(module):
        return False
    return not issubclass(type(value), type) or bool(value.__flags__ & _HEAP_TYPE)


def can_import(name: str) -> bool:
    """Whether a module that is here can be imported by another process, which finds code where this one does."""
    module = sys.modules.get(name)
    if module is None or _found.get(name) == id(module):
        return True  # what is not here is not ours to judge
    if name != "__main__" and (_is_in_its_place(name, module) or _is_found(name, module) or not _has_code(module)):
        _found[name] = id(module)
        return True
    return False


def _look_again() -> None:
    global _lost, _looked_at
    _looked_at = len(sys.modules)
    lost = [name.encode() for name in list(sys.modules) if name != "__main__" and not can_import(name)]
    _lost = [b"\x8c%c%b\x94" % (len(name), name) for name in lost if len(name) < 256]


def _is_in_its_place(name: str, module: Any) -> bool:
    """Whether it came from the file that its name leads to: true of nearly all, and known without reading a folder."""
    file = getattr(module, "__file__", None)
    if not file:
        return name in sys.builtin_module_names
    folder, _, base = file.rpartition("/")
    if base.startswith("__init__."):
        folder, _, base = folder.rpartition("/")
    package, _, last = name.rpartition(".")
    if base.partition(".")[0] != last:
        return False
    if not package:
        return folder in sys.path
    return _is_here(package) and folder in (getattr(sys.modules[package], "__path__", None) or ())


def _is_here(package: str) -> bool:
    return package in sys.modules and can_import(package)


def _is_found(name: str, module: Any) -> bool:
    package = name.rpartition(".")[0]
    if package and not _is_here(package):
        return False
    # Its package makes it when it is imported, or knows another module under this name, as `os` does `os.path`.
    own_name = getattr(getattr(module, "__spec__", None), "name", name)
    comes_along = getattr(module, "__file__", None) is None or own_name != name
    path = getattr(sys.modules[package], "__path__", None) if package else None
    spec = _spec(name, path) if not package or path is not None else None
    if spec is None:
        return bool(package) and comes_along
    return comes_along or not spec.has_location or _is_same(module.__file__, spec.origin)


def _spec(name: str, path: Any) -> Any:
    """Where the import system finds the module. Its `__spec__` says only what its loader liked to say."""
    for finder in list(sys.meta_path):
        if getattr(finder, "__module__", type(finder).__module__) == "__main__" or not hasattr(finder, "find_spec"):
            continue
        spec = finder.find_spec(name, path, None)
        if spec is not None:
            return spec
    return None


def _is_same(file: str, origin: str) -> bool:
    """Whether the module found is the module here, and not another one of its name."""
    try:
        return os.path.samefile(file, origin)
    except OSError:
        return os.path.splitext(file)[0] == os.path.splitext(origin)[0]


def _has_code(module: Any) -> bool:
    """Whether it was run as Python, or was given Python functions: nothing can be made anew of what is compiled."""
    contents = getattr(module, "__dict__", {})
    return "__builtins__" in contents or any(type(value) is types.FunctionType for value in contents.values())
