"""Millpond: a pool of warm, stateful Python worker processes.

Names are resolved when they are first used, so that a worker which needs a part does not load the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from millpond.client.asynchronous import Client as Client
    from millpond.client.blocking import SyncClient as SyncClient
    from millpond.documents import Document as Document
    from millpond.errors import *  # noqa: F403
    from millpond.executor import Executor as Executor
    from millpond.optimizer.pool_optimizer import PoolOptimizer as PoolOptimizer
    from millpond.optimizer.story import explain as explain
    from millpond.pool import Pool as Pool
    from millpond.settings import Settings as Settings
    from millpond.slo import Slo as Slo
    from millpond.sync import SyncPool as SyncPool
    from millpond.warming.commands import Warmup as Warmup
    from millpond.warming.outcomes import WarmReport as WarmReport
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
    "Client": "client.asynchronous",
    "SyncClient": "client.blocking",
    "Document": "documents",
    "Settings": "settings",
    "Slo": "slo",
    "PoolOptimizer": "optimizer.pool_optimizer",
    "explain": "optimizer.story",
    "emit": "worker.emitting",
    "Warmup": "warming.commands",
    "PoolWarmer": "warming.warmer",
    "WarmReport": "warming.outcomes",
    "warm_parallel": "warming.strategies",
    "warm_sequential": "warming.strategies",
    "warm_staged": "warming.strategies",
    "trace_context": "worker.tracing",
}


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, *_errors()})


def _errors() -> dict[str, Any]:
    """What `errors` defines: its classes, and the tables and types beside them."""
    from importlib import import_module

    errors = import_module("millpond.errors")
    own = ("CLASSES", "Ending", "Outcome", "TABLE")
    return {
        name: value
        for name, value in vars(errors).items()
        if name in own or (isinstance(value, type) and value.__module__ == errors.__name__)
    }


if not TYPE_CHECKING:  # to a type checker the names above are all there are

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name in _HOMES:
            found = getattr(import_module(f"millpond.{_HOMES[name]}"), name)
        elif not name.startswith("_") and name in _errors():
            found = _errors()[name]
        else:
            raise AttributeError(f"module 'millpond' has no attribute {name!r}")
        globals()[name] = found
        return found
