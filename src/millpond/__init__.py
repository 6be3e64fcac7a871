"""Millpond: a pool of warm, stateful Python worker processes.

Names are resolved when they are first used, so that a worker which needs a part does not load the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from millpond.errors import *  # noqa: F403
    from millpond.executor import Executor as Executor
    from millpond.pool import Pool as Pool
    from millpond.settings import Settings as Settings
    from millpond.sync import SyncPool as SyncPool
    from millpond.warming.commands import Warmup as Warmup
    from millpond.warming.report import WarmReport as WarmReport
    from millpond.warming.strategies import warm_parallel as warm_parallel
    from millpond.warming.strategies import warm_sequential as warm_sequential
    from millpond.warming.strategies import warm_staged as warm_staged
    from millpond.warming.warmer import PoolWarmer as PoolWarmer
    from millpond.worker.emitting import emit as emit
    from millpond.worker.tracing import trace_context as trace_context

__version__ = "0.1.0"

_HOMES = {
    "Pool": "pool",
    "SyncPool": "sync",
    "Executor": "executor",
    "Settings": "settings",
    "emit": "worker.emitting",
    "Warmup": "warming.commands",
    "PoolWarmer": "warming.warmer",
    "WarmReport": "warming.report",
    "warm_parallel": "warming.strategies",
    "warm_sequential": "warming.strategies",
    "warm_staged": "warming.strategies",
    "trace_context": "worker.tracing",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    found = getattr(import_module(f"millpond.{_HOMES.get(name, 'errors')}"), name, None)
    if found is None or name.startswith("_"):
        raise AttributeError(f"module 'millpond' has no attribute {name!r}")
    globals()[name] = found
    return found
