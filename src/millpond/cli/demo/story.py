"""The demo from its first second to its last: cold start, serving, half-way a kill, the end.

Tells a view what to show and fills a report. Ends early, and cleanly, when asked to. Comes after `stage`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

import numpy as np

from millpond import Warmup
from millpond.cli.demo.camera import Camera, Phase
from millpond.cli.demo.crowd import Venue, serve
from millpond.cli.demo.key import key_from
from millpond.cli.demo.mishap import Mishap, count
from millpond.cli.demo.model import train
from millpond.cli.demo.reader import DigitReader
from millpond.cli.demo.report import Report
from millpond.cli.demo.scene import Scene
from millpond.cli.demo.vitals import vitals_of
from millpond.events import Event, WorkerReady
from millpond.pool import Pool

FRAME_S = 0.25  # between two drawings
LIFE = ("worker.starting", "worker.ready", "worker.draining", "worker.gone")  # what the roster is made of
BLANK = np.zeros(64)  # an image of nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What was asked for: seconds of serving, how many sessions and workers, and whether to kill one."""

    seconds: float
    sessions: int
    workers: int
    kill: bool


class View(Protocol):
    """Where the story is shown."""

    def note(self, line: str) -> None:
        """Something happened."""

    def show(self, scene: Scene) -> None:
        """How it looks now."""


class Story:
    """One performance."""

    def __init__(self, plan: Plan, view: View, clock: Callable[[], float] = time.perf_counter) -> None:
        self._plan, self._view, self._clock = plan, view, clock
        self._began = clock()
        self._phase = Phase("cold start", self._began)
        self._end = asyncio.Event()
        self._performing: asyncio.Task[None] | None = None
        pool = Pool(
            DigitReader, name="demo", min_workers=plan.workers, max_workers=plan.workers, warmup=[Warmup("read", BLANK)]
        )
        self._venue = Venue(pool=pool, random=Random(), clock=clock)
        self._camera = Camera(self._venue)
        self._mishap = Mishap(clock, self._say)
        self.report = Report(tally=self._venue.tally, mishap=self._mishap, sessions=plan.sessions)

    def end(self) -> None:
        """End early; asked again, drop what goes on and close at once."""
        if self._end.is_set() and self._performing:
            self._performing.cancel()
        self.report.is_cut_short = True
        self._end.set()

    async def tell(self) -> None:
        """The whole story; the report has what came of it. Raises `CancelledError` if it was dropped."""
        self._venue.pool.telemetry.attach("demo", LIFE, self._hear)
        drawing = asyncio.create_task(self._draw())
        self._performing = asyncio.create_task(self._perform())
        try:
            await self._performing
        finally:
            self._enter("closing")
            await self._venue.pool.close()
            drawing.cancel()
            await asyncio.gather(drawing, return_exceptions=True)

    async def _perform(self) -> None:
        if await self._unless_ended(self._open()) and await self._unless_ended(self._make_key()):
            await self._serve()

    async def _open(self) -> None:
        plan, report = self._plan, self.report
        self._say("cold start: the warden imports scikit-learn and trains the model")
        watching = asyncio.create_task(self._watch_warming())
        try:
            await self._venue.pool.open()
        finally:
            watching.cancel()
        report.opened_s = self._clock() - self._began
        report.cold = await self._venue.pool.call("cold_start")
        self._say(
            f"{count(plan.workers, 'worker')} ready after {report.opened_s:.2f} s "
            f"(import {report.cold.import_s:.2f}, training {report.cold.train_s:.2f}, once for all)"
        )

    async def _watch_warming(self) -> None:
        """Each worker reads an image before it is given players'."""
        async for step in self._venue.pool.warmer:
            self._phase = Phase("warming up", self._began, share=step.done / step.of)
            self._say(f"worker {step.worker} is warm ({step.done} of {step.of}), {step.seconds:.3f} s after the start")

    async def _make_key(self) -> None:
        """Train the second copy, in a thread of this process."""
        self._enter("answer key")
        self._say("training a second copy here, to check every answer against")
        key = self._venue.key = key_from(await asyncio.to_thread(train))
        self._say(f"the key knows {count(len(key.questions), 'image')} that the model has not seen")

    async def _serve(self) -> None:
        plan, venue = self._plan, self._venue
        began = self._clock()
        self._enter("serving", plan.seconds)
        self._camera.start_history()
        self._say(f"serving {count(plan.sessions, 'session')} for {plan.seconds:g} s")
        crowd = asyncio.create_task(serve(venue, plan.sessions))
        if plan.kill and await self._wait(crowd, began + plan.seconds / 2):
            self._mishap.happen(venue.pool.statistics())
        await self._wait(crowd, began + plan.seconds)
        self.report.close_books(self._clock() - began, vitals_of(venue.pool))
        venue.is_over = True
        self._enter("going home")
        await crowd

    async def _wait(self, crowd: asyncio.Task[None], moment: float) -> bool:
        """Wait until then, and say whether it has come: an end asked for, or a crowd that failed, comes before."""
        end = asyncio.create_task(self._end.wait())
        ended, _ = await asyncio.wait(
            {crowd, end}, timeout=max(0.0, moment - self._clock()), return_when=asyncio.FIRST_COMPLETED
        )
        end.cancel()
        return not ended

    async def _unless_ended(self, work: Coroutine[Any, Any, None]) -> bool:
        """Do a piece of work, and say whether it was done: an end asked for comes before."""
        task, end = asyncio.create_task(work), asyncio.create_task(self._end.wait())
        try:
            await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            end.cancel()
            is_done = task.done()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if is_done:
            task.result()
        return is_done and not self._end.is_set()

    async def _draw(self) -> None:
        while True:
            self._view.show(self._camera.take(self._phase))
            await asyncio.sleep(FRAME_S)

    def _hear(self, event: Event) -> None:
        self._venue.roster.hear(event)
        self._mishap.hear(event)
        if isinstance(event, WorkerReady):
            self.report.started_s = min(event.seconds, self.report.started_s or event.seconds)

    def _enter(self, name: str, length_s: float | None = None) -> None:
        self._phase = Phase(name, self._clock(), length_s)

    def _say(self, line: str) -> None:
        self._view.note(f"{self._clock() - self._began:5.1f} s  {line}")
