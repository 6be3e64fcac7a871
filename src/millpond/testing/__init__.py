"""For tests of programs that use a pool: time that is moved by hand, workers without processes, and a record of events.

`ManualClock`, `FakeEngine` and `EventRecorder` need no test framework; `millpond.testing.plugin` is the pytest plugin.
Names are resolved when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.testing.clock import ManualClock as ManualClock
    from millpond.testing.engine import FakeEngine as FakeEngine
    from millpond.testing.engine import Sent as Sent
    from millpond.testing.fake_worker import FakeWorker as FakeWorker
    from millpond.testing.holding import Held as Held
    from millpond.testing.recorder import EventRecorder as EventRecorder

__all__ = ["EventRecorder", "FakeEngine", "FakeWorker", "Held", "ManualClock", "Sent"]

_HOMES = {
    "EventRecorder": "recorder",
    "FakeEngine": "engine",
    "FakeWorker": "fake_worker",
    "Held": "holding",
    "ManualClock": "clock",
    "Sent": "engine",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'millpond.testing' has no attribute {name!r}")
    return getattr(import_module(f"millpond.testing.{_HOMES[name]}"), name)
