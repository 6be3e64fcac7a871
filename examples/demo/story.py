"""The demo from its first second to its last: cold start, serving, half-way a kill, the end.

Players ask and check every answer; what they saw is counted in a `Tally`, and all there is to show stands in a
`Record`, which a view draws. Ends early, and cleanly, when asked to. All of it uses public verbs only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from argparse import Namespace
from array import array
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from random import Random
from typing import Any, NamedTuple

import numpy as np

from examples.demo.reader import ColdStart, DigitReader, Model, Pixels, Round, train
from millpond import Pool, PoolError, SessionLost, Warmup, WorkerDied
from millpond.events import Event, OptimizerDecided, WorkerGone, WorkerReady

THINK_S = 0.3  # mean think time of a player
LONGEST_THINK_S = 1.0  # so that everybody has gone home a second after the end
LOOKS = 0.2  # share of calls that belong to no session
FRAME_S = 0.25  # between two drawings
RATE_OVER_S = 2.0  # what "calls/s" looks back on
LATENCY_OVER_S = 5.0  # and what the percentiles do
BIN_S = 0.5  # of the sparklines: two values a second, so that half a minute fits on a line of 60 characters
SIZES = ("pool.resize", "optimizer.decision")
LIFE = ("worker.starting", "worker.ready", "worker.draining", "worker.gone")


class Question(NamedTuple):
    """One image with what is on it, and what the model must say."""

    pixels: Pixels
    truth: int
    expected: int


def questions_of(model: Model) -> list[Question]:
    """The answer key: every image the model has not seen, and what this copy of it, unknown to the pool, answers."""
    return list(map(Question, model.images, model.truths, model.read(model.images)))


@dataclass(slots=True)
class Tally:
    """What the callers saw, by how each call ended for the one who made it; nothing comes from the pool's own books."""

    answered: int = 0
    right: int = 0  # agrees with the truth; the model itself misreads a few
    wrong: int = 0  # differs from the key: an answer to another question
    miscounted: int = 0  # a session's score that is not what its player kept
    lost: int = 0  # WorkerDied: may have run
    told: int = 0  # SessionLost: refused, because the session died with its worker
    reopened: int = 0
    failures: Counter[str] = field(default_factory=Counter)  # anything else, by code
    ended: array[float] = field(default_factory=lambda: array("d"))  # of each answer, in the order they came
    latencies: array[float] = field(default_factory=lambda: array("d"))
    homes: dict[str, int] = field(default_factory=dict)  # session id -> pid of the worker that answered it last
    rounds: Counter[int] = field(default_factory=Counter)  # pid -> answers in sessions
    pictures: deque[tuple[Pixels, int]] = field(default_factory=lambda: deque(maxlen=24))  # newest first
    rates: list[float] = field(default_factory=list)  # answers a second in each finished bin, for the sparklines
    p99s: list[float] = field(default_factory=list)
    bin_end: float = inf  # of the bin that is open
    binned: int = 0  # answers in those that are finished

    @property
    def calls(self) -> int:
        """Calls made that ended, however they ended."""
        return self.answered + self.lost + self.told + self.failures.total()

    @property
    def mistakes(self) -> int:
        """What must be 0."""
        return self.wrong + self.miscounted

    def answer(self, question: Question, digit: int, ended: float, seconds: float) -> None:
        """Check one answer and count it."""
        self.answered += 1
        self.right += digit == question.truth
        self.wrong += digit != question.expected
        self.ended.append(ended)
        self.latencies.append(seconds)
        self.pictures.appendleft((question.pixels, digit))

    def played(self, session_id: str, pid: int) -> None:
        """A session was answered by a process."""
        self.homes[session_id] = pid
        self.rounds[pid] += 1

    def since(self, moment: float) -> int:
        """Index of the first answer at or after a moment."""
        return bisect_left(self.ended, moment)

    def percentiles(self, first: int = 0, last: int | None = None) -> tuple[float, float]:
        """p50 and p99 (seconds) of the answers from one index to another; 0 where there are none."""
        chosen = self.latencies[first:last]
        p50, p99 = np.percentile(chosen, (50, 99)) if chosen else (0.0, 0.0)
        return float(p50), float(p99)

    def start_bins(self, now: float) -> None:
        """From here on the sparklines grow."""
        self.bin_end, self.binned = now + BIN_S, self.since(now)

    def close_bins(self, now: float) -> None:
        """Add each finished bin to the sparklines; each answer is looked at once."""
        while now >= self.bin_end:
            last = self.since(self.bin_end)
            self.rates.append((last - self.binned) / BIN_S)
            self.p99s.append(self.percentiles(self.binned, last)[1])
            self.binned, self.bin_end = last, self.bin_end + BIN_S


@dataclass(slots=True, kw_only=True)
class Venue:
    """What all players share."""

    pool: Pool
    random: Random
    questions: Sequence[Question] = ()
    tally: Tally = field(default_factory=Tally)
    is_over: bool = False


class Player:
    """One session's owner: keeps its own score, and opens the session anew, from zero, when told that it is lost."""

    def __init__(self, venue: Venue, session_id: str) -> None:
        self._venue, self._id = venue, session_id
        self._session = venue.pool.session(session_id)
        self._looks = venue.pool.options(idempotent=True)
        self._rounds = self._right = 0
        self._is_unsure = False  # a call ended `unknown`: the next answer says whether it counted

    async def play(self) -> None:
        """Think and ask, until the venue closes; then end the session."""
        try:
            await self._session.open()
            await self._think()
            while not self._venue.is_over:
                await self._ask()
                await self._think()
            await self._session.close()
        except SessionLost:  # it made no call after its worker died
            self._venue.tally.told += 1
        except PoolError as error:
            self._venue.tally.failures[error.code] += 1

    async def _think(self) -> None:
        await asyncio.sleep(min(self._venue.random.expovariate(1 / THINK_S), LONGEST_THINK_S))

    async def _ask(self) -> None:
        """One call, however it ends."""
        random, tally = self._venue.random, self._venue.tally
        question = random.choice(self._venue.questions)
        try:
            await (self._look(question) if random.random() < LOOKS else self._round(question))
        except WorkerDied:
            tally.lost += 1
        except SessionLost:
            tally.told += 1
            self._session = await self._venue.pool.session(self._id, reopen=True)
            self._rounds, self._right, self._is_unsure = 0, 0, False
            tally.reopened += 1
        except PoolError as error:
            tally.failures[error.code] += 1
            self._is_unsure = error.outcome != "not_started"

    async def _look(self, question: Question) -> None:
        """A call without a session, and safe to repeat: a death costs it nothing."""
        began = time.perf_counter()
        self._check(question, await self._looks.call("read", question.pixels), began)

    async def _round(self, question: Question) -> None:
        """A call that changes the session's score, which must be the player's own, and the session's name its name."""
        began = time.perf_counter()
        said: Round = await self._session.call("play", question.pixels, question.truth)
        self._check(question, said.digit, began)
        if self._is_unsure:
            self._rounds, self._right, self._is_unsure = said.rounds, said.right, False
        else:
            self._rounds += 1
            self._right += question.expected == question.truth
            mine = (self._rounds, self._right, self._id)
            self._venue.tally.miscounted += (said.rounds, said.right, said.session_id) != mine
        self._venue.tally.played(self._id, said.pid)

    def _check(self, question: Question, digit: int, began: float) -> None:
        ended = time.perf_counter()
        self._venue.tally.answer(question, digit, ended, ended - began)


@dataclass(slots=True)
class Row:
    """One worker; it stays on the list when it is gone."""

    worker: int
    pid: int = 0
    state: str = "starting"
    ending: str = ""

    def hear(self, event: Event) -> None:
        """One of the pool's `worker` events, of this worker."""
        self.state = event.name.removeprefix("worker.")
        if isinstance(event, WorkerReady):
            self.pid = event.pid
        if isinstance(event, WorkerGone):
            self.ending = signal.Signals(event.signal).name if event.signal else event.reason


@dataclass(slots=True, kw_only=True)
class Record:
    """All there is to show, filled while the story goes on, so that an early end has figures too; times in seconds."""

    tally: Tally
    sessions: int
    limit: int = 1  # workers at most
    began: float = 0.0  # the phase
    phase: str = "cold start"
    length_s: float | None = None  # None where nobody knows how long the phase takes
    share: float | None = None  # of the phase that is done, where something else than time says so
    elapsed_s: float = 0.0
    workers: dict[int, Row] = field(default_factory=dict)
    busy: frozenset[int] = frozenset()
    queued: int = 0
    running: int = 0
    open_sessions: int = 0
    rate: float = 0.0
    p50_s: float = 0.0
    p99_s: float = 0.0
    is_serving: bool = False  # or was
    minute: Any = None  # what the pool's own metrics say of its last minute: its `Snapshot`
    opened_s: float | None = None  # from nothing to all workers ready
    cold: ColdStart | None = None
    served_s: float = 0.0
    calls_per_s: float = 0.0
    gone: WorkerGone | None = None  # the worker that was killed
    replaced_s: float | None = None  # from the kill to the replacement's being ready
    wanted: int = 1  # workers, by the sizing rule
    most_wanted: int = 1
    decisions: list[str] = field(default_factory=list)  # of the optimizer, with their reasons
    is_cut_short: bool = False

    @property
    def exit_code(self) -> int:
        """1 if an answer was wrong."""
        return 1 if self.tally.mistakes else 0


class Story:
    """One performance. The options say for how many `seconds`, `sessions` and `workers`, and whether to `kill` one.

    `note` is given what happens, `show` how it looks, four times a second.
    """

    _performing: asyncio.Task[None]

    def __init__(self, options: Namespace, note: Callable[[str], None], show: Callable[[Record], None]) -> None:
        self._options, self._note, self._show = options, note, show
        self._began = self._killed_at = time.perf_counter()
        self._victim = 0
        self._end = asyncio.Event()
        self._is_dropped = False
        size, warmup = options.workers, [Warmup("read", np.zeros(64))]
        # How many of these are there is not said: the optimizer sizes the pool.
        self._pool = Pool(DigitReader, name="demo", min_workers=1, max_workers=size, warmup=warmup)
        self._venue = Venue(pool=self._pool, random=Random())
        self.record = Record(
            tally=self._venue.tally, sessions=options.sessions, limit=options.workers, began=self._began
        )

    def end(self) -> None:
        """End early; asked again, drop what goes on and close at once."""
        self._is_dropped = self.record.is_cut_short
        self.record.is_cut_short = True
        self._end.set()
        if self._is_dropped or not self.record.is_serving:
            self._performing.cancel()

    async def tell(self) -> None:
        """The whole story; the record has what came of it. Raises `CancelledError` if it was dropped."""
        self._pool.telemetry.attach("demo", LIFE, self._hear)
        self._pool.telemetry.attach("demo-sizes", SIZES, self._hear_size)
        drawing = asyncio.create_task(self._draw())
        self._performing = asyncio.create_task(self._perform())
        try:
            await self._performing
        except asyncio.CancelledError:
            if self._is_dropped or not self.record.is_cut_short:
                raise
        finally:
            self._enter("closing")
            await self._pool.close()
            drawing.cancel()
            with suppress(asyncio.CancelledError):
                await drawing

    async def _perform(self) -> None:
        await self._open()
        self._enter("answer key")
        self._say("training a second copy here, to check every answer against")
        self._venue.questions = questions_of(await asyncio.to_thread(train))
        self._say(f"the key knows {count(len(self._venue.questions), 'image')} that the model has not seen")
        await self._serve()

    async def _open(self) -> None:
        self._say("cold start: the warden imports scikit-learn and trains the model")
        watching = asyncio.create_task(self._watch_warmup())
        try:
            await self._pool.open()
        finally:
            watching.cancel()
        opened_s, cold = self._since(self._began), await self._pool.call("cold_start")
        self.record.opened_s, self.record.cold = opened_s, cold
        self._say(
            f"the first of up to {count(self._options.workers, 'worker')} ready after {opened_s:.2f} s "
            f"(import {cold.import_s:.2f}, training {cold.train_s:.2f}, once for all)"
        )

    async def _watch_warmup(self) -> None:
        """Each worker reads an image before it is given players'."""
        async for step in self._pool.warmer:
            self.record.phase, self.record.share = "warming up", step.done / step.of
            self._say(f"worker {step.worker} is warm ({step.done} of {step.of}), {step.seconds:.3f} s after the start")

    async def _serve(self) -> None:
        """Let the players play; half-way, kill a worker."""
        record, tally = self.record, self._venue.tally
        self._enter("serving", self._options.seconds)
        record.is_serving = True
        tally.start_bins(record.began)
        self._say(f"serving {count(record.sessions, 'session')} for {self._options.seconds:g} s")
        async with asyncio.TaskGroup() as crowd:
            for number in range(record.sessions):
                crowd.create_task(Player(self._venue, f"player-{number}").play())
            if await self._reaches(self._options.seconds / 2) and self._options.kill:
                self._kill_a_worker()
            await self._reaches(self._options.seconds)
            # What players in mid-call still get is counted, but in no rate.
            record.served_s, record.minute = self._since(record.began), self._pool.metrics.snapshot()
            record.calls_per_s = tally.answered / record.served_s
            self._venue.is_over = True
            self._enter("going home")

    async def _reaches(self, seconds: float) -> bool:
        """Wait for so much of the phase to pass, and say whether it did: an end asked for comes before."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), max(0.0, seconds - self._since(self.record.began)))
        return not self._end.is_set()

    def _kill_a_worker(self) -> None:
        """With SIGKILL: a busy one if there is one."""
        now = self._pool.statistics()
        alive = sorted(now.pids, key=lambda worker: worker not in {busy.worker for busy in now.busy})
        if not alive:
            self._say("no worker to kill")
            return
        self._victim, self._killed_at = alive[0], time.perf_counter()
        os.kill(now.pids[self._victim], signal.SIGKILL)
        self._say(f"killed worker {self._victim} (pid {now.pids[self._victim]}) with SIGKILL")

    def _hear(self, event: Any) -> None:
        record = self.record
        record.workers.setdefault(event.worker, Row(event.worker)).hear(event)
        if isinstance(event, WorkerGone) and event.worker == self._victim and record.gone is None:
            record.gone = event
            self._say(f"cost: {count(event.lost, 'call')} running there, {count(event.sessions, 'session')}")
        if isinstance(event, WorkerReady) and self._victim and record.replaced_s is None:
            record.replaced_s = self._since(self._killed_at)
            self._say(f"worker {event.worker} (pid {event.pid}) ready {record.replaced_s * 1000:.0f} ms after the kill")

    def _hear_size(self, event: Any) -> None:
        record = self.record
        if isinstance(event, OptimizerDecided):
            record.decisions.append(event.reason)
            self._say(f"the optimizer decided ({event.change}): {event.reason}")
            return
        record.wanted = event.after
        if event.after > record.most_wanted:
            record.most_wanted = event.after
            self._say(f"sized from {event.before} to {count(event.after, 'worker')}: {event.reason}")

    async def _draw(self) -> None:
        while True:
            self._look()
            self._show(self.record)
            await asyncio.sleep(FRAME_S)

    def _look(self) -> None:
        """Bring the record up to this moment."""
        record, tally, now, said = self.record, self._venue.tally, time.perf_counter(), self._pool.statistics()
        record.elapsed_s = now - record.began
        record.busy = frozenset(busy.worker for busy in said.busy)
        record.queued, record.running, record.open_sessions = said.queued, said.running, said.sessions_open
        over_s = min(RATE_OVER_S, max(record.elapsed_s, 0.1))
        record.rate = (tally.answered - tally.since(now - RATE_OVER_S)) / over_s
        record.p50_s, record.p99_s = tally.percentiles(tally.since(now - LATENCY_OVER_S))
        tally.close_bins(now)
        if record.is_serving and not self._venue.is_over:
            record.minute = self._pool.metrics.snapshot()

    def _enter(self, phase: str, length_s: float | None = None) -> None:
        record = self.record
        record.phase, record.began, record.length_s, record.share = phase, time.perf_counter(), length_s, None

    def _since(self, moment: float) -> float:
        return time.perf_counter() - moment

    def _say(self, line: str) -> None:
        self._note(f"{self._since(self._began):5.1f} s  {line}")


def count(number: int, noun: str) -> str:
    """`1 call`, `2 calls`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
