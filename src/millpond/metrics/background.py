"""One thread that works jobs off in their order: large folds, and looks at processes, may not hold the loop up."""

from __future__ import annotations

from collections.abc import Callable

from millpond.logger.pool_logger import PoolLogger
from millpond.queue_thread import QueueThread

log = PoolLogger("millpond.metrics")

Job = Callable[[], None]


class Background(QueueThread[Job]):
    """A thread called `name` and the jobs that wait for it. One that raises is logged and over."""

    def __init__(self, name: str) -> None:
        super().__init__(name, self._do)

    def _do(self, jobs: list[Job]) -> None:
        for job in jobs:
            try:
                job()
            except Exception as error:
                log.raised(error, "%s: a job failed", self._name)
