"""What breaks a standard process pool, as a program that catches `BrokenProcessPool` knows it.

Imports multiprocessing, so that only a program which has done that gets these classes; see `standard.as_standard`.
"""

from __future__ import annotations

from concurrent.futures.process import BrokenProcessPool

from millpond.errors import StartFailed, WorkerDied


class PoolWorkerDied(WorkerDied, BrokenProcessPool):
    """A `WorkerDied` that is a `BrokenProcessPool` too; the executor lives on."""


class PoolStartFailed(StartFailed, BrokenProcessPool):
    """A `StartFailed` that is a `BrokenProcessPool` too."""


STANDARD = {WorkerDied: PoolWorkerDied, StartFailed: PoolStartFailed}
