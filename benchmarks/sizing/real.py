"""Real pools of this machine, of fixed sizes and sized by the optimizer: `python -m benchmarks.sizing.real`.

Four shapes of traffic, compressed from hours to minutes. All pools run at once, each with its own processes, which wait
more than they work, so that a few minutes are enough. One fixed size is a guess, what the mean load needs; the other is
safe, what the peak needs. Writes a page of charts, its figures as JSON, and a table of `docs/performance.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime
import gzip
import json
import math
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import millpond
from benchmarks.machine import facts
from benchmarks.sizing.real_handler import Waiter
from benchmarks.sizing.real_page import page_of, table_of
from benchmarks.sizing.shapes import SHAPES, Load, load_of
from benchmarks.table import ROOT, filled

MOST = 24  # workers of a pool
SAMPLED_EACH_S = 0.1
RAW = ROOT / "benchmarks" / "results" / "sizing-real.json.gz"
CHARTS = ROOT / "docs" / "sizing-real.html"
TEXT = ROOT / "docs" / "performance.md"
OPTIMIZER = "optimizer"


@dataclass
class Course:
    """One pool under one shape: what became of each call, and how many workers there were."""

    load: Load
    name: str
    settings: dict[str, Any]
    came: list[float] = field(default_factory=list)  # seconds from the start, as it really was
    waits: list[float] = field(default_factory=list)
    failed: int = 0
    times: list[float] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)
    in_system: list[int] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """The figures, rounded to what can be measured."""
        return {
            "shape": self.load.shape,
            "pool": self.name,
            "came": np.round(self.came, 3).tolist(),
            "waits": np.round(self.waits, 4).tolist(),
            "failed": self.failed,
            "times": np.round(self.times, 2).tolist(),
            "wanted": self.wanted,
            "alive": self.alive,
            "in_system": self.in_system,
        }


def courses_of(load: Load, policy: str) -> Iterator[Course]:
    """Two fixed sizes and the optimizer."""
    guess = math.ceil(1.25 * load.mean)
    safe = math.ceil(load.peak + 2 * math.sqrt(load.peak))
    for name, size in (("fixed for the mean", guess), ("fixed for the peak", safe)):
        yield Course(load, f"{name}: {size}", {"min_workers": size, "max_workers": size})
    sizing = {"min_workers": 0, "max_workers": MOST, "optimizer": True, "policy": policy}
    yield Course(load, OPTIMIZER, sizing)


async def run(course: Course, cold_s: float, opened: asyncio.Barrier) -> None:
    """Open the pool, let the calls come at their times, and wait for the last answer."""
    async with millpond.Pool(Waiter, args=(cold_s,), max_queued=None, deadline=None, **course.settings) as pool:
        await opened.wait()
        begin_s = time.monotonic()
        watching = asyncio.create_task(watch(course, pool, begin_s))
        async with asyncio.TaskGroup() as calls:
            for came, service in zip(course.load.came.tolist(), course.load.service.tolist(), strict=True):
                await asyncio.sleep(begin_s + came - time.monotonic())
                calls.create_task(call(course, pool, service, begin_s))
        watching.cancel()


async def call(course: Course, pool: millpond.Pool, service_s: float, begin_s: float) -> None:
    """One call: how long it waited until its operation began."""
    came = time.monotonic()
    try:
        began = await pool.call("work", service_s)
    except millpond.PoolError:
        course.failed += 1
        return
    course.came.append(came - begin_s)
    course.waits.append(began - came)


async def watch(course: Course, pool: millpond.Pool, begin_s: float) -> None:
    """See how many workers there are, again and again."""
    while True:
        seen = pool.statistics()
        course.times.append(time.monotonic() - begin_s)
        course.wanted.append(seen.wanted)
        course.alive.append(seen.alive)
        course.in_system.append(seen.in_flight)
        await asyncio.sleep(SAMPLED_EACH_S)


async def run_all(courses: list[Course], cold_s: float) -> None:
    """All at once, from the moment on at which every pool is open."""
    opened = asyncio.Barrier(len(courses))
    async with asyncio.TaskGroup() as group:
        for course in courses:
            group.create_task(run(course, cold_s, opened))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sizing.real", description=__doc__)
    parser.add_argument("--seconds", type=float, default=180.0, help="that each shape takes (%(default)s)")
    parser.add_argument("--cold", type=float, default=0.3, help="seconds that a start takes (%(default)s)")
    parser.add_argument("--policy", default="rehearsal", help="the optimizer's policy (%(default)s)")
    parser.add_argument("--out", type=Path, help="write the charts here, and leave the project's pages alone")
    told = parser.parse_args()
    courses = [course for shape in SHAPES for course in courses_of(load_of(shape, told.seconds), told.policy)]
    print(f"{len(courses)} pools for {told.seconds:.0f} s; leave the machine alone meanwhile", file=sys.stderr)
    asyncio.run(run_all(courses, told.cold))
    result = {
        "date": datetime.date.today().isoformat(),
        "machine": facts(),
        "seconds": told.seconds,
        "cold_s": told.cold,
        "policy": told.policy,
        "courses": [course.as_dict() for course in courses],
    }
    write(result, told.out)


def write(result: dict[str, Any], out: Path | None) -> None:
    """The charts; and, if that is not all that is wanted, the raw data and the table of the text."""
    (out or CHARTS).write_text(page_of(result), encoding="utf-8")
    if out is None:
        RAW.write_bytes(gzip.compress(json.dumps(result).encode(), mtime=0))
        TEXT.write_text(filled(TEXT.read_text(), {"sizing real": table_of(result)}))


if __name__ == "__main__":
    main()
