"""A stopwatch for the stages of a request, put around functions of a server that runs: what each takes for itself.

A stage's time is without that of stages inside it and without the stopwatch's own, which is found by timing nothing.
For one thread: that of the event loop.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

CALIBRATION = 20_000


class Stopwatch:
    """Seconds and entries of each stage."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.seconds: dict[str, float] = {}
        self.entries: dict[str, int] = {}
        self.entered_within: dict[str, int] = {}  # stages entered directly from this one
        self._open: list[list[Any]] = []  # stage, when it began, seconds of stages inside
        self._inside_s = self._around_s = 0.0

    def enter(self, stage: str) -> None:
        if self._open:
            outer = self._open[-1][0]
            self.entered_within[outer] = self.entered_within.get(outer, 0) + 1
        self._open.append([stage, self._clock(), 0.0])

    def leave(self) -> None:
        now = self._clock()
        stage, began, inside = self._open.pop()
        took = now - began
        self.seconds[stage] = self.seconds.get(stage, 0.0) + took - inside
        self.entries[stage] = self.entries.get(stage, 0) + 1
        if self._open:
            self._open[-1][2] += took

    def calibrate(self) -> None:
        """Find out what entering and leaving cost: the stage itself, and the one around it."""
        probe = Stopwatch(self._clock)
        nothing = probe.timed("inside", lambda: None)

        def around() -> None:
            for _ in range(CALIBRATION):
                nothing()

        probe.timed("around", around)()
        self._inside_s = probe.seconds["inside"] / CALIBRATION
        self._around_s = probe.seconds["around"] / CALIBRATION

    def net(self) -> dict[str, float]:
        """Seconds of each stage without the stopwatch's."""
        return {
            stage: seconds - self.entries[stage] * self._inside_s - self.entered_within.get(stage, 0) * self._around_s
            for stage, seconds in self.seconds.items()
        }

    def own_s(self) -> float:
        """What the stopwatch itself took."""
        return sum(self.entries.values()) * (self._inside_s + self._around_s)

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            self.enter(stage)
            try:
                return function(*args, **kwargs)
            finally:
                self.leave()

        return run

    def put_around(self, owner: Any, name: str, stage: str) -> None:
        """Replace a function by itself with the stopwatch around it."""
        setattr(owner, name, self.timed(stage, getattr(owner, name)))
