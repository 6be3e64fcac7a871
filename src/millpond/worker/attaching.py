"""Named shared memory in a worker: what it only attaches to is not its own, and stays when it ends.

Python registers every name with the resource tracker, and a worker's tracker removes what is registered when the worker
is gone: the program's memory, too. Here it is told of what was made in this process alone. Waits for the import of
`multiprocessing.shared_memory`, and does not cause it.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec

_NAME = "multiprocessing.shared_memory"
_KIND = "shared_memory"


def install() -> None:
    """From now on, or from its import on. Cannot be undone: for real workers only."""
    if _NAME in sys.modules:
        _Tracker(sys.modules[_NAME])
    else:
        sys.meta_path.insert(0, _Awaiting())


class _Awaiting:
    """Stands before the finders of modules until the module is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if name != _NAME:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        loader: Any = spec and spec.loader
        if loader is not None:
            loader.exec_module = _then(loader.exec_module, _Tracker)
        return spec


def _then(run: Callable[[Any], None], do: Callable[[Any], object]) -> Callable[[Any], None]:
    def run_and_do(module: Any) -> None:
        run(module)
        do(module)

    return run_and_do


class _Tracker:
    """Stands for the resource tracker in the module."""

    def __init__(self, module: Any) -> None:
        self._tracker = module.resource_tracker
        self._posixshmem = module._posixshmem
        self._is_made = threading.local()
        self._names: set[str] = set()  # made here
        module.resource_tracker = self
        module.SharedMemory.__init__ = self._noting(module.SharedMemory.__init__)
        atexit.register(self._forget_the_removed)

    def register(self, name: str, kind: str) -> None:
        if getattr(self._is_made, "now", False):
            self._names.add(name)
            self._tracker.register(name, kind)

    def unregister(self, name: str, kind: str) -> None:
        if name in self._names:
            self._names.discard(name)
            self._tracker.unregister(name, kind)

    def _noting(self, make: Callable[..., None]) -> Callable[..., None]:
        def __init__(memory: Any, name: str | None = None, create: bool = False, size: int = 0, **more: Any) -> None:
            self._is_made.now = create
            make(memory, name, create, size, **more)

        return __init__

    def _forget_the_removed(self) -> None:
        """What another process removed would be told of as left behind."""
        for name in list(self._names):
            try:
                os.close(self._posixshmem.shm_open(name, os.O_RDONLY, 0))
            except FileNotFoundError:
                self.unregister(name, _KIND)
