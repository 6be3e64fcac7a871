"""The demo from its first second to its last: the server, the cold start, traffic by the plan, two kills, the end.

Ends early, and cleanly, when asked to. The pools are told and asked by public verbs only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from operator import itemgetter
from random import Random
from typing import Protocol

from millpond import Pool, PoolError
from millpond.cli.demo.answer_key import AnswerKey, ask_for_key
from millpond.cli.demo.phases import CYCLE_S, DIGITS, Plan
from millpond.cli.demo.players import Venue
from millpond.cli.demo.reader import ColdStart
from millpond.cli.demo.record import HEARD, PoolRecord, Record
from millpond.cli.demo.serving import address_of, login_url, show
from millpond.cli.demo.traffic import Traffic
from millpond.cores import cores
from millpond.events import Event
from millpond.http.server.server import CannotOpen, Server

MEASURED_S = 10  # of calls, for what the workers can do
EXPECTED = 20  # calls
MANY = 10  # sessions a worker should have when it is killed
FRAME_S = 0.25  # between two drawings
LINK_S = 300.0  # after which another link is shown; each holds for ten minutes


@dataclass(frozen=True, kw_only=True, slots=True)
class Choices:
    """What was asked for: `seconds` of traffic (`None`: until it is ended), and sessions of each pool."""

    seconds: float | None
    sessions: int
    kill: bool
    opens_browser: bool


class View(Protocol):
    """What shows the story."""

    def note(self, line: str) -> None:
        """Something happened."""

    def show(self, record: Record) -> None:
        """How it looks now; four times a second."""


class Story:
    """One performance, by a server that was not started yet. `began` is when the program did."""

    def __init__(self, choices: Choices, server: Server, view: View, began: float) -> None:
        self._choices, self._server, self._view = choices, server, view
        self._pools: Mapping[str, Pool] = server.pools
        self._plan = Plan(CYCLE_S) if choices.seconds is None else Plan.lasting(choices.seconds)
        self._began = began
        self._cores = cores()
        self._at_most = dict.fromkeys(self._pools, 0.0)  # calls a second that each pool's workers can do
        self._phase_began = time.perf_counter()
        self._traffic_began: float | None = None
        self._end = asyncio.Event()
        self._records = {name: PoolRecord(name, pool.settings.max_workers) for name, pool in self._pools.items()}
        self.record = Record(pools=tuple(self._records.values()), sessions=choices.sessions)

    def end(self) -> None:
        """End early; asked again, at once."""
        is_again, self.record.is_cut_short = self._end.is_set(), True
        self._end.set()
        if is_again or self._traffic_began is None:
            self._server.stop()
        if is_again:  # whether it stops already or not
            self._server.stop()

    @property
    def is_dropped(self) -> bool:
        """Whether the end was asked for twice."""
        return self._server.stopping.is_urgent

    async def tell(self) -> None:
        """The whole story; the record has what came of it. Raises `CannotOpen`."""
        for name, pool in self._pools.items():
            pool.telemetry.attach("demo", HEARD, partial(self._hear, self._records[name]))
        listening = asyncio.Event()
        serving = asyncio.create_task(self._server.serve(listening.set))
        acting = asyncio.create_task(self._act(listening))
        drawing = asyncio.create_task(self._draw())
        await asyncio.wait((serving, acting, drawing), return_when=asyncio.FIRST_COMPLETED)
        self._end.set()
        self._enter("stopping")
        if not self._server.stopping.asked.is_set():  # a second time would be at once
            self._server.stop()
        drawing.cancel()
        if serving.done():  # a pool could not open, or there was no traffic yet when the end was asked for
            acting.cancel()
        ended = await asyncio.gather(serving, acting, drawing, return_exceptions=True)
        for error in ended:
            is_closed_early = self.record.is_cut_short and isinstance(error, CannotOpen)
            if isinstance(error, Exception) and not is_closed_early:
                raise error

    async def _act(self, listening: asyncio.Event) -> None:
        await listening.wait()
        self._say_where()
        if self._choices.opens_browser and await show(self.record.link):
            self._say("the link was given to your browser")
        key = await self._open()
        self._traffic_began = time.perf_counter()
        venues = {
            name: Venue(pool=pool, random=Random(), key=key, tally=self._records[name].tally)
            for name, pool in self._pools.items()
        }
        async with asyncio.TaskGroup() as running:
            for name, venue in venues.items():
                venue.tally.start_bins(self._traffic_began)
                traffic = Traffic(venue, self._choices.sessions, partial(self._rate, name))
                running.create_task(traffic.run(self._end))
                if self._choices.kill:
                    running.create_task(self._kill(name))
            running.create_task(self._measure(key))
            running.create_task(self._follow_plan())
            await self._until_end()
        self._look()

    def _say_where(self) -> None:
        self.record.link = link = login_url(self._server)
        self._say(f"the page is at {address_of(self._server)}; this link logs one browser in, once:")
        self._view.note(f"         {link}")
        token = self._server.application.access.state.path("token")
        self._say(f"for `millpond top` and the other commands: export MILLPOND_TOKEN_FILE={token}")

    async def _open(self) -> AnswerKey:
        """Wait for the first worker of each pool, and have the answer key made meanwhile."""
        self._say(
            "cold start: each pool imports scikit-learn and trains; so does a second copy of the model, for the answers"
        )
        making = asyncio.create_task(ask_for_key())
        try:
            cold, *_ = await asyncio.gather(*map(self._cold_start, self._pools))
            key = await making
        finally:  # where a pool cannot open, the copy failed or will
            making.cancel()
            await asyncio.gather(making, return_exceptions=True)
        self.record.opened_s, self.record.cold = time.perf_counter() - self._began, cold
        self._say(
            f"both pools are ready (import {cold['import_s']:.2f} s, training {cold['train_s']:.2f} s, once for all "
            f"workers); a sheet of {key.sheet_images} digits takes {key.sheet_s * 1000:.0f} ms"
        )
        return key

    async def _cold_start(self, name: str) -> ColdStart:
        pool = self._pools[name]
        try:
            await pool.open()  # as the server does: a call that waited for it would be the slowest of the first minute
            took: ColdStart = await pool.call("cold_start")
        except PoolError as error:
            raise CannotOpen(name, error) from None
        return took

    async def _measure(self, key: AnswerKey) -> None:
        """Once a second, see what a sheet takes the workers now: they share the cores with all that runs here."""
        while not self._end.is_set():
            for name, pool in self._pools.items():
                recent = pool.metrics.recent(MEASURED_S)
                busy_s, answers = sum(recent.busy_s), sum(recent.endings["ok"])
                # What the copy took counts as some answers more, for the beginning and for quiet times.
                sheet_s = (busy_s + EXPECTED * key.sheet_s) / (answers + EXPECTED)
                self._at_most[name] = min(pool.settings.max_workers, self._cores) / sheet_s
            await self._reaches(self._serving_s + 1.0)

    def _rate(self, name: str) -> float:
        """Calls a second that shall come to a pool now."""
        return self._plan.load(name, self._serving_s) * self._at_most[name]

    @property
    def _serving_s(self) -> float:
        return 0.0 if self._traffic_began is None else time.perf_counter() - self._traffic_began

    async def _until_end(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), self._choices.seconds)
        self._end.set()
        self.record.served_s = self._serving_s

    async def _reaches(self, seconds: float) -> bool:
        """Wait until there has been traffic for so long, and say whether there was: an end asked for comes before."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), max(0.0, seconds - self._serving_s))
        return not self._end.is_set()

    async def _follow_plan(self) -> None:
        """Say which phase begins, on the terminal and as an event of each pool."""
        begins_s = 0.0
        while await self._reaches(begins_s):
            place = self._plan.at(begins_s + 1e-6)
            self._enter(place.phase.name, place.length_s)
            self.record.phases = place.number + 1
            loads = ", ".join(f"{name} {load:.0%}" for name, load in place.phase.loads.items())
            self._say(f"phase {place.phase.name}, {place.length_s:.0f} s: a load of {loads} of what the workers can do")
            for name, pool in self._pools.items():
                facts = {"phase": place.phase.name, "load": place.phase.loads[name]}
                pool.telemetry.execute("demo.phase", {"seconds": place.length_s}, facts)
            begins_s += place.length_s

    async def _kill(self, name: str) -> None:
        """Kill the worker with the most sessions, when it is time."""
        pool, due_s = self._pools[name], self._plan.kill_s(name)
        if not await self._reaches(due_s):
            return
        while (home := _fullest(pool))[1] < (MANY if self._serving_s < due_s + self._plan.wait_s else 1):
            if not await self._reaches(self._serving_s + FRAME_S):
                return
        worker, sessions = home
        pid = pool.statistics().pids[worker]
        self._records[name].kill(worker, time.perf_counter())
        os.kill(pid, signal.SIGKILL)
        fate = "go on elsewhere" if name == DIGITS else "are lost"
        self._say(
            f"{name}: worker {worker} (pid {pid}) killed with SIGKILL; sessions there, which {fate}: {sessions:,}"
        )

    def _hear(self, record: PoolRecord, event: Event) -> None:
        if told := record.hear(event, time.perf_counter()):
            self._say(f"{record.name}: {told}")

    async def _draw(self) -> None:
        shown_at = time.perf_counter()
        while True:
            self._look()
            if self.record.link and time.perf_counter() - shown_at > LINK_S:
                self.record.link, shown_at = login_url(self._server), time.perf_counter()
            self._view.show(self.record)
            await asyncio.sleep(FRAME_S)

    def _look(self) -> None:
        """Bring the record up to this moment."""
        record, now = self.record, time.perf_counter()
        record.elapsed_s = now - self._phase_began
        if not self._end.is_set():
            record.served_s = self._serving_s
            for name, pool in self._pools.items():
                self._records[name].look(pool, now, self._serving_s)

    def _enter(self, phase: str, length_s: float | None = None) -> None:
        self.record.phase, self.record.length_s, self._phase_began = phase, length_s, time.perf_counter()

    def _say(self, line: str) -> None:
        self._view.note(f"{time.perf_counter() - self._began:6.1f} s  {line}")


def _fullest(pool: Pool) -> tuple[int, int]:
    """The worker with the most sessions, and how many those are; none if no worker has any."""
    homes = Counter(one.worker for one in pool.sessions(limit=20_000) if one.worker is not None)
    return max(homes.items(), key=itemgetter(1), default=(0, 0))
