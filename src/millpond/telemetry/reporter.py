"""The reporter: hands events on, in batches and from a thread of its own, to any callable or queue.

The pool's thread only appends to a list with a bound. If the other side is slower than the pool, events are dropped and
counted; the pool never waits for it.
"""

from __future__ import annotations

import asyncio
import atexit
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from millpond.events import Event
from millpond.logger.pool_logger import PoolLogger
from millpond.queue_thread import QueueThread
from millpond.telemetry.bus import Bus, HasTelemetry, bus_of
from millpond.telemetry.listening import Wanted

log = PoolLogger("millpond.telemetry")


class EventQueue(Protocol):
    """A `queue.Queue`, a `multiprocessing.Queue`, and what else takes things without waiting or raises `queue.Full`."""

    def put_nowait(self, event: Any, /) -> Any:
        """Take an event, or raise `queue.Full`."""
        ...


Target = Callable[[list[Event]], object] | EventQueue


@dataclass(frozen=True, slots=True)
class ReporterFacts:
    """Events `waiting`, `delivered` and `dropped` so far, `failures` of the other side and what the last of them was.

    Events are dropped when too many wait, when a queue is full, when the callable raises (its batch), and at the end
    of `close`.
    """

    waiting: int
    delivered: int
    dropped: int
    failures: int
    last_failure: str


class Reporter:
    """Calls `target` with lists of up to `batch` events, or puts each into it if it is a queue.

    A batch goes out when it is full, or `interval` seconds after its first event. At most `limit` events wait. `close`
    it in the end, or use `with`. Raises `TypeError` for what is neither callable nor a queue, and for asyncio's queues:
    they belong to the loop's thread, where `pool.telemetry.attach(id, events, queue.put_nowait)` does without this.
    """

    def __init__(
        self, target: Target, *, batch: int = 100, interval: float = 1.0, limit: int = 10_000, name: str = "reporter"
    ) -> None:
        if not 1 <= batch <= limit:
            raise ValueError(f"batch must be from 1 to limit ({limit}), not {batch}")
        if not 0.0 <= interval <= threading.TIMEOUT_MAX:
            raise ValueError(f"interval must be seconds from 0 up, not {interval}")
        self.name = name
        self.limit = limit
        self._deliver, self._is_queue = _call_of(target)
        self._thread = QueueThread(
            f"millpond-{name}", self._work, limit=limit, batch=batch, interval_s=interval, starts_by_itself=False
        )
        self._delivered = self._dropped = self._failures = 0
        self._last_failure = ""
        self._is_closed = False
        self._counting = threading.Lock()  # held for all of the above
        self._attached: list[tuple[Bus, str]] = []

    def open(self) -> Reporter:
        """Start the thread; `attach` does it too. Raises `RuntimeError` after `close`."""
        if self._is_closed:
            raise RuntimeError(f"reporter {self.name!r} was closed; make another")
        if not self._thread.is_running:
            self._thread.start()  # raises where no thread can be had: `open` may be called again
            atexit.register(self.close)  # the thread would end with the program, and its last batch with it
        return self

    def attach(self, pool: Bus | HasTelemetry, events: Wanted = None, listener_id: str | None = None) -> str:
        """Report a pool's events (default: all); of several pools, if asked. Returns the id it listens under.

        That is the one given, or the reporter's name, numbered where it is taken. Raises `ValueError` as `Bus.attach`.
        """
        self.open()
        bus = bus_of(pool)
        if listener_id is None:
            listener_id = bus.attach_beside(self.name, events, self)
        else:
            bus.attach(listener_id, events, self)
        self._attached.append((bus, listener_id))
        return listener_id

    def close(self, timeout: float = 5.0) -> bool:
        """Hear no more, and deliver what waits within `timeout` seconds; whether that was done.

        What is left then is dropped and counted. Blocks: on a loop use `await asyncio.to_thread(...)`. Idempotent.
        """
        while self._attached:
            bus, listener_id = self._attached.pop()
            bus.detach(listener_id)
        self._is_closed = True
        left = self._thread.close(timeout)
        self._drop(left, "it did not take them before the reporter was closed")
        atexit.unregister(self.close)
        return not left and not self._thread.is_running

    def facts(self) -> ReporterFacts:
        """What became of the events so far."""
        with self._counting:
            waiting = self._thread.queued
            return ReporterFacts(waiting, self._delivered, self._dropped, self._failures, self._last_failure)

    def __enter__(self) -> Reporter:
        return self.open()

    def __exit__(self, *_: object) -> None:
        self.close()

    # On the pool's thread

    def __call__(self, event: Event) -> None:
        if not self._thread.put(event):
            self._drop(1, f"{self.limit} events wait for it already")

    def _drop(self, count: int, why: str) -> None:
        """Count events that will not be delivered; the first time it is said."""
        with self._counting:
            is_news = not self._dropped
            self._dropped += count
        if is_news and count:
            log.warning("reporter %r drops events, the first %d because %s", self.name, count, why)

    # On its own

    def _work(self, events: list[Event]) -> None:
        taken, why = 0, "its queue is full"
        try:
            for one in events if self._is_queue else [events]:
                self._deliver(one)
                taken += 1
        except BaseException as error:  # whatever it is, the next batch may do better
            if not (self._is_queue and isinstance(error, queue.Full)):
                why = f"its target raised {type(error).__qualname__}"
                self._note_failure(error)
        delivered = taken if self._is_queue else taken * len(events)
        with self._counting:
            self._delivered += delivered
        self._drop(len(events) - delivered, why)

    def _note_failure(self, error: BaseException) -> None:
        with self._counting:
            is_news, self._last_failure = not self._failures, type(error).__qualname__
            self._failures += 1
        if is_news:
            log.raised(error, "the target of reporter %r raised", self.name)


def _call_of(target: Target) -> tuple[Callable[[Any], object], bool]:
    """What takes events, and whether one by one, as a queue does. Raises `TypeError` for what is no target."""
    if isinstance(target, asyncio.Queue):
        raise TypeError("an asyncio queue is not safe to use from a thread; attach its put_nowait to the pool instead")
    put = getattr(target, "put_nowait", None)
    if put is not None:
        return put, True
    if not callable(target):
        raise TypeError(f"a reporter's target is a callable or a queue, not {target!r}")
    return target, False
