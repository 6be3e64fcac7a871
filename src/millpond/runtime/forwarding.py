"""Records of workers' `logging` on their way to the program's, and the wait for the last of them.

Comes after the engine has read a record; the program's handlers are called by `delivery`, never on the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from millpond.logger.delivery import DELIVERY, RESERVED
from millpond.logger.escaping import escaped
from millpond.logger.pool_logger import emit_record

if TYPE_CHECKING:
    from millpond.core import Worker

# A logger is never freed: names beyond so many of one pool share the last.
MOST_LOGGERS = 1_000
OTHERS = "millpond.workers"
LAST_RECORDS_S = 1.0  # for the program's handlers to take what is left when a pool closes


class Forwarding:
    """The records of one pool's workers. `dropped` counts those that the program's handlers were too slow for."""

    def __init__(self) -> None:
        self.dropped = 0
        self._loggers: dict[str, logging.Logger] = {}  # by the worker's name for it

    def take(self, worker: Worker, call_id: int, level: int, logger: str, message: str) -> None:
        """Hand one on: one line, with `worker`, `worker_pid` and `call` as attributes."""
        target = self._loggers.get(logger) or self._logger(logger)
        if target.isEnabledFor(level):
            extra = {"worker": worker.id, "worker_pid": worker.pid, "call": call_id or None}
            self.dropped += not emit_record(target, level, message, extra, spare=RESERVED)

    def _logger(self, name: str) -> logging.Logger:
        if len(self._loggers) >= MOST_LOGGERS:
            return logging.getLogger(OTHERS)
        found = self._loggers[name] = logging.getLogger(escaped(name))
        return found


async def settled(seconds: float = LAST_RECORDS_S) -> None:
    """Wait until the program's log handlers have taken what was said so far, at most so long."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()

    def note() -> None:
        # On the delivering thread, perhaps after this waiter's time is up and the loop is gone.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_set, done)

    thread = DELIVERY.when_settled(note)
    await asyncio.wait([done], timeout=seconds)
    if thread is not None and done.done() and DELIVERY.has_ended(thread):
        thread.join()  # it has said its last word


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
