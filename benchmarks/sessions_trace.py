"""Recorded agent sessions, replayed with time scaled: how many workers a pool needs whose sessions sleep and move.

A session is busy for `api_time_s` of each request and idle until the next. The recorded sessions begin at random within
an hour; held against is a pool that gives each open session a worker of its own.
"""

from __future__ import annotations

import asyncio
import csv
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import millpond
from benchmarks.sessions_handler import Notes

WITHIN_S = 3600.0  # of recorded time, in which the sessions begin


@dataclass(frozen=True)
class Request:
    """One request of a session: when it is due and how long it takes, in seconds of recorded time."""

    at: float
    seconds: float


@dataclass(frozen=True)
class Replayed:
    """The most workers there were, and the seconds calls waited to begin: those that woke a session, and the others."""

    calls: int
    workers: int
    woken: list[float]
    others: list[float]
    moved: int


def recorded(path: Path, hours: float, seed: int) -> list[list[Request]]:
    """The sessions' requests in the order of their time, what is beyond the given hours left out."""
    found: dict[str, list[Request]] = defaultdict(list)
    with path.open() as file:
        for row in csv.DictReader(file):
            if row["t_s"] and row["api_time_s"]:
                found[row["session"]].append(Request(float(row["t_s"]), float(row["api_time_s"])))
    random, sessions = Random(seed), []
    for requests in found.values():
        begin = random.uniform(0.0, WITHIN_S)
        shifted = [Request(begin + one.at, one.seconds) for one in sorted(requests, key=lambda one: one.at)]
        sessions.append([one for one in shifted if one.at < hours * 3600.0])
    return [one for one in sessions if one]


def most_at_once(sessions: list[list[Request]]) -> int:
    """The most sessions that are open at one time, from the first request to the end of the last."""
    steps = [(one[0].at, 1) for one in sessions] + [(one[-1].at + one[-1].seconds, -1) for one in sessions]
    open_now = most = 0
    for _, step in sorted(steps):
        open_now += step
        most = max(most, open_now)
    return most


class Replay:
    """One replay: `speed` seconds of recorded time pass in one second."""

    def __init__(self, pool: millpond.Pool, speed: float) -> None:
        self.pool = pool
        self.speed = speed
        self.woken: list[float] = []
        self.others: list[float] = []
        self.workers = 0
        self.begun = 0.0

    async def run(self, sessions: list[list[Request]]) -> None:
        watch = asyncio.create_task(self._watch())
        self.begun = time.monotonic()
        await asyncio.gather(*(self._session(f"{n}", requests) for n, requests in enumerate(sessions)))
        watch.cancel()

    async def _session(self, name: str, requests: list[Request]) -> None:
        await self._until(requests[0].at)
        async with self.pool.session(name) as session:
            for one in requests:
                await self._until(one.at)
                is_asleep = session._session.where == "asleep"  # the core's word: no verb tells it of one session
                asked = time.monotonic()
                began = await session.call("think", one.seconds / self.speed)
                (self.woken if is_asleep else self.others).append(began - asked)
            await session.close()

    async def _until(self, at: float) -> None:
        await asyncio.sleep(max(0.0, self.begun + at / self.speed - time.monotonic()))

    async def _watch(self) -> None:
        while True:
            self.workers = max(self.workers, self.pool.statistics().asked_for)
            await asyncio.sleep(0.02)


async def replay(sessions: list[list[Request]], speed: float, **settings: Any) -> Replayed:
    """Replay sessions, with what the pool measures in seconds scaled like the traffic."""
    settings = {
        "affinity": "hint",
        "sleep_after": 60.0 / speed,
        "idle_timeout": max(0.05, 60.0 / speed),
        "session_ttl": None,
        "deadline": None,
        **settings,
    }
    async with millpond.Pool(Notes, **settings) as pool:
        replaying = Replay(pool, speed)
        await replaying.run(sessions)
        moved = pool.driver.view.counters.sessions_moved
    return Replayed(sum(map(len, sessions)), replaying.workers, replaying.woken, replaying.others, moved)
