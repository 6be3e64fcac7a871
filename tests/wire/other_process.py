"""Two processes in one, as far as classes, locks, caches and variables that travel by value go."""

from __future__ import annotations

import pickle
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cloudpickle import cloudpickle

from millpond.wire import classes, reducers
from millpond.wire.byvalue import dumps


class Process:
    """What one process knows, exchanged for what this one knows while it is at work."""

    def __init__(self) -> None:
        self._knows = {
            (cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_CLASS"): weakref.WeakKeyDictionary(),
            (cloudpickle, "_DYNAMIC_CLASS_TRACKER_BY_ID"): weakref.WeakValueDictionary(),
            (classes, "_received"): weakref.WeakKeyDictionary(),
            (reducers, "_callees"): weakref.WeakKeyDictionary(),
            (reducers, "_ids"): {},
            (reducers, "_by_token"): {},
        }

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """All that runs meanwhile runs in this process."""
        with pytest.MonkeyPatch.context() as patch:
            for (module, name), value in self._knows.items():
                patch.setattr(module, name, value)
            yield

    def load(self, stream: bytes) -> Any:
        """What another process pickled, as it is here."""
        with self.at_work():
            return pickle.loads(stream)

    def dumps(self, value: Any) -> bytes:
        """For another process."""
        with self.at_work():
            return dumps(value)


def script(source: str, **names: Any) -> dict[str, Any]:
    """The globals of a program that was run as `__main__`."""
    scope: dict[str, Any] = {"__name__": "__main__", **names}
    exec(source, scope)
    return scope
