"""The kill, half-way: which worker, and what it cost until things were as before."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

from millpond.events import Event, WorkerGone, WorkerReady
from millpond.statistics import Statistics


class Mishap:
    """One worker's violent end, from the pool's events after it."""

    def __init__(self, clock: Callable[[], float], say: Callable[[str], None]) -> None:
        self._clock = clock
        self._say = say
        self._killed_at = 0.0
        self.worker = 0
        self.gone: WorkerGone | None = None
        self.replaced_s: float | None = None  # from the kill to the replacement's being ready

    def happen(self, now: Statistics) -> None:
        """Kill a worker with SIGKILL: a busy one if there is one."""
        alive = sorted(now.pids, key=lambda worker: worker not in {busy.worker for busy in now.busy})
        if not alive:
            self._say("no worker to kill")
            return
        self.worker, pid = alive[0], now.pids[alive[0]]
        self._killed_at = self._clock()
        os.kill(pid, signal.SIGKILL)
        self._say(f"killed worker {self.worker} (pid {pid}) with SIGKILL")

    def hear(self, event: Event) -> None:
        """A listener for the pool's `worker` events."""
        if isinstance(event, WorkerGone) and event.worker == self.worker and self.gone is None:
            self.gone = event
            self._say(f"cost: {count(event.lost, 'call')} running there, {count(event.sessions, 'session')}")
        if isinstance(event, WorkerReady) and self.worker and self.replaced_s is None:
            self.replaced_s = self._clock() - self._killed_at
            self._say(f"worker {event.worker} (pid {event.pid}) ready {self.replaced_s * 1000:.0f} ms after the kill")


def count(number: int, noun: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
