"""Named shared memory in a worker: what it only attaches to is not its own, and stays when it ends.

Python registers every name with the resource tracker, and a worker's tracker removes what is registered when the worker
is gone: the program's memory, too. Here it is told of what was made in this process alone. Waits for the import of
`multiprocessing.shared_memory`, and does not cause it.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable
from typing import Any

from millpond.wire.onimport import when_imported

_KIND = "shared_memory"


def install() -> None:
    """From now on, or from its import on. Cannot be undone: for real workers only."""
    when_imported("multiprocessing.shared_memory", lambda module: _Tracker(module).install())


class _Tracker:
    """Stands for the resource tracker in the module."""

    def __init__(self, module: Any) -> None:
        self._module = module
        self._tracker = module.resource_tracker
        self._is_made = threading.local()
        self._names: set[str] = set()  # made here

    def install(self) -> None:
        self._module.resource_tracker = self
        self._module.SharedMemory.__init__ = self._noting(self._module.SharedMemory.__init__)
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
                os.close(self._module._posixshmem.shm_open(name, os.O_RDONLY, 0))
            except FileNotFoundError:
                self.unregister(name, _KIND)
