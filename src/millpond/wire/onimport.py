"""What is to be changed in a module of Python's own, when the handler's code imports it, and not before.

Most workers never need it, and it may take 10 ms to import. Used in workers and where they are forked from.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec


_waiting: dict[str, list[Callable[[ModuleType], None]]] = {}  # name of a module -> whom to call back, in this order


def when_imported(name: str, do: Callable[[ModuleType], None]) -> None:
    """Call back with the module, now or as soon as it is loaded. Cannot be undone: for processes of the pool's own."""
    if name in sys.modules:
        do(sys.modules[name])
    elif name in _waiting:
        _waiting[name].append(do)
    else:
        _waiting[name] = [do]
        sys.meta_path.insert(0, _Finder(name))


class _Finder:
    """Finds one module where it is, and has it told of once it is loaded: one may be looked for and not loaded."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> ModuleSpec | None:
        """The module's own, if it is this one that is looked for."""
        if name != self._name:
            return None
        spec = PathFinder.find_spec(name, path)
        loader: Any = spec.loader if spec is not None else None
        if loader is not None:
            run = loader.exec_module

            # Still under the import lock of that module: no other thread that imports it sees it without the change.
            def run_and_tell(module: ModuleType) -> None:
                run(module)
                for do in _waiting.pop(name, ()):
                    do(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)

            loader.exec_module = run_and_tell
        return spec
