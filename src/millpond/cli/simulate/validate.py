"""The same traffic on a real pool: processes start, sleep instead of working, and go; so is a simulation checked.

The pool may be driven faster than its time: everything that takes time in the scenario then takes less, and what is
measured is multiplied back. What a process takes to start and to end by itself is not scaled, so that it weighs the
more the faster the pool is driven.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

import millpond
from millpond import PoolError
from millpond.cli.simulate.sleeper import Sleeper
from millpond.simulator import Recording, Scenario, SizingRule, Steering
from millpond.simulator.observer import Observer
from millpond.simulator.traffic import NO_SESSION


def validate(scenario: Scenario, steering: Steering, speed: float, settings: Mapping[str, Any]) -> Recording:
    """Run the scenario on a pool of its own, so many times faster than its time; `settings` beside those it has."""
    return asyncio.run(RealRun(scenario, steering, speed, settings).run())


class RealRun:
    """One run. Times are those of the scenario unless a name says `real`."""

    def __init__(self, scenario: Scenario, steering: Steering, speed: float, settings: Mapping[str, Any]) -> None:
        self._scenario, self._steering, self._speed, self._settings = scenario, steering, speed, settings
        count = len(scenario.traffic)
        self._came, self._began = np.full(count, math.inf), np.full(count, math.inf)
        self._refused = np.zeros(count, dtype=np.bool_)
        self._next_of = scenario.traffic.followers()
        self._left = scenario.traffic.session_sizes()  # requests of each session that have not ended
        self._stays: dict[int, list[float]] = {}  # worker -> ordered, gone
        self._busy_killed = 0
        self._service_s = self._real_t0 = 0.0
        self._rule = SizingRule()
        self._rules: list[tuple[float, SizingRule, str]] = []

    async def run(self) -> Recording:
        """Let every request come, and wait until all have ended."""
        wall = time.perf_counter()
        self._real_t0 = time.monotonic()
        async with self._pool() as pool:
            self._real_t0 = time.monotonic()
            self._observer = Observer(pool.driver.view)
            self._look(pool)
            steering = asyncio.create_task(self._steer(pool))
            await self._all_requests(pool)
            steering.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await steering
            # As it is before the pool closes
            lost, busy_killed = pool.driver.view.counters.sessions_lost, self._busy_killed
            stays = np.array(sorted(self._stays.values())).reshape(-1, 2)
        return Recording(
            self._came,
            self._began,
            self._scenario.traffic.service_s,
            self._refused,
            stays,
            tuple(self._rules),
            lost,
            busy_killed,
            time.perf_counter() - wall,
        )

    def _pool(self) -> millpond.Pool:
        scenario, speed = self._scenario, self._speed
        settings = scenario.settings
        ours: dict[str, Any] = {
            "min_workers": settings.min_workers,
            "max_workers": settings.max_workers,
            "deadline": None if scenario.deadline_s == math.inf else scenario.deadline_s / speed,
            "max_queued": settings.max_queued,
            "session_ttl": None,
            "optimizer": False,
            "metrics": False,
            "alerts": False,
        }
        scaled = {"sleep_after": settings.sleep_after and settings.sleep_after / speed}
        start_s = scenario.cold.mean_s / speed
        pool = millpond.Pool(Sleeper, args=(start_s,), name="validated", **(ours | dict(self._settings) | scaled))
        pool.telemetry.attach("workers", ["worker.starting", "worker.killed", "worker.gone"], self._note_worker)
        return pool

    def _note_worker(self, event: Any) -> None:
        if event.name == "worker.starting":
            self._stays[event.worker] = [max(0.0, self._now()), math.inf]
        elif event.name == "worker.killed":
            self._busy_killed += bool(event.running)
        else:
            self._stays[event.worker][1] = self._now()

    def _now(self) -> float:
        return (time.monotonic() - self._real_t0) * self._speed

    async def _until(self, at: float) -> None:
        await asyncio.sleep(self._real_t0 + at / self._speed - time.monotonic())

    # Requests

    async def _all_requests(self, pool: millpond.Pool) -> None:
        following = {row for row, _ in self._next_of.values()}
        async with asyncio.TaskGroup() as requests:
            for row, at in enumerate(self._scenario.traffic.arrival_s.tolist()):
                if row not in following:
                    await self._until(at)
                    requests.create_task(self._chain(pool, row))

    async def _chain(self, pool: millpond.Pool, row: int) -> None:
        """A request, and those of its session that follow its answer."""
        await self._request(pool, row)
        while row in self._next_of:
            row, think_s = self._next_of[row]
            await asyncio.sleep(think_s / self._speed)
            await self._request(pool, row)

    async def _request(self, pool: millpond.Pool, row: int) -> None:
        traffic, now = self._scenario.traffic, self._now()
        service_s = float(traffic.service_s[row])
        self._came[row] = now
        self._observer.arrivals.append(now)
        self._observer.change(1, now)
        number = NO_SESSION if traffic.session is None else int(traffic.session[row])
        try:
            if number == NO_SESSION:
                began = await pool.call("work", service_s / self._speed)
            else:
                began = await self._call_in_session(pool, number, service_s / self._speed)
        except PoolError as error:
            self._refused[row] = error.code in ("queue_full", "overloaded")
            errors = self._observer.errors
            errors[error.code] = errors.get(error.code, 0) + 1
        else:
            self._began[row] = max(now, (began - self._real_t0) * self._speed)
            self._observer.answered("work", now, float(self._began[row]), service_s)
            self._service_s += 0.1 * (service_s - self._service_s) if self._service_s else service_s
        self._observer.change(-1, self._now())

    async def _call_in_session(self, pool: millpond.Pool, number: int, real_s: float) -> float:
        """A call of a session, which is closed after its last."""
        session = await pool.session(self._scenario.traffic.sessions[number])
        try:
            began: float = await session.call("work", real_s)
        finally:
            self._left[number] -= 1
            if not self._left[number]:
                await session.close()
        return began

    # Its size

    async def _steer(self, pool: millpond.Pool) -> None:
        """Look each interval, and at once under pressure."""
        steering, view = self._steering, pool.driver.view
        due = steering.interval_s
        while True:
            await self._until(min(due, math.floor(self._now()) + 1.0) if steering.has_pressure else due)
            oldest_s = view.oldest_wait(time.monotonic()) * self._speed
            if self._now() >= due:
                self._look(pool)
                due += steering.interval_s
            elif steering.has_pressure and steering.is_pressed(self._now(), oldest_s, self._service_s):
                self._look(pool)
                due = self._now() + steering.interval_s

    def _look(self, pool: millpond.Pool) -> None:
        now = self._now()
        seen = self._observer.observe(now, self._service_s)
        seen = replace(
            seen,
            rule=self._rule,
            start_s=seen.start_s * self._speed,
            oldest_wait_s=pool.driver.view.oldest_wait(time.monotonic()) * self._speed,
            deadline_s=None if self._scenario.deadline_s == math.inf else self._scenario.deadline_s,
        )
        rule, reason = self._steering.choose(seen)
        if rule != self._rule:
            self._rule = rule
            self._rules.append((now, rule, reason))
            pool.driver.size_by(faster(rule, self._speed), reason)


def faster(rule: SizingRule, speed: float) -> SizingRule:
    """The same rule where everything takes less time."""
    return replace(
        rule,
        idle_timeouts=tuple(seconds / speed for seconds in rule.idle_timeouts),
        patience_s=rule.patience_s / speed,
        drain_s=rule.drain_s and rule.drain_s / speed,
    )
